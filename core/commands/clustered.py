"""A sweep of the command line on the workers of a Dask cluster instead of this machine."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from core.commands.following import followed
from core.errors import Unusable
from core.measure.sweeps.cluster import WAIT_S, ClusterSwept, Place, cluster_sweep, place_of
from core.measure.sweeps.launch import connect, overheard
from core.measure.timing.protocol import Settings
from core.project.project import Project
from core.records.measurement import Device, Measurement, Point
from core.samples.repetitions import MOST

HELP = "measure on a Dask cluster: tcp://HOST:PORT, tls://HOST:PORT, ssh:[USER@]HOST[:PORT],HOST,... or slurm:WORKERS"
NOWHERE = Device("cpu", "", 0)
DEVICES = ("auto", "cpu", "cuda")


def measure_on_cluster(
    points: Sequence[Point],
    project: Project,
    known: Mapping[Any, int],
    options: argparse.Namespace,
    on_result: Callable[[Any], str | None],
) -> dict[str, Any]:
    """How the sweep ended, with results by host and device; `on_result` is that of `followed`.

    Raises Unusable for what only one machine can do, and when no scheduler or worker answers.
    """
    refused = {
        "--until-error": options.until_error is not None,
        "--energy": options.energy,
        "--python": options.python is not None and not options.cluster.startswith("ssh:"),
    }
    for name, given in refused.items():
        if given:
            raise Unusable(f"{name} is for this machine alone; leave it out, or --cluster")
    if options.device not in DEVICES:
        raise Unusable(f"on a cluster --device is {', '.join(DEVICES)}, not '{options.device}'")
    client = connect(options.cluster, options.python or "")
    # the launcher of ssh and slurm must end the cluster that it started
    launched = client.cluster
    try:
        passes = list(_passes(points, project, known, options, client, on_result))
    finally:
        end(client, launched)
    by_lane: Counter[str] = Counter()
    for swept in passes:
        by_lane.update(swept.by_lane)
    left = passes[-1].left
    return {
        "reason": "budget" if left else "all measured",
        "skipped": sum(swept.skipped for swept in passes),
        "left": left,
        "seconds": sum(swept.seconds for swept in passes),
        "retried": sum(swept.retried for swept in passes),
        "lost_workers": sum(swept.lost_workers for swept in passes),
        "by_lane": dict(by_lane),
        # there may be several, each named by its results
        "device": None,
    }


def _passes(
    points: Sequence[Point],
    project: Project,
    known: Mapping[Any, int],
    options: argparse.Namespace,
    client: Any,
    on_result: Callable[[Any], str | None],
) -> Iterator[ClusterSwept]:
    """How each pass over the points ended: one repetition of each point, in fresh measuring
    processes.

    A point is repeated on the device that it was first measured on; one that failed is not.
    """
    made = Counter(known)
    places: dict[Any, Place] = {}
    for m in project.measurements():
        if made[m.key]:
            places.setdefault(m.key[:-1], place_of(m.device))

    def store(m: Measurement) -> Measurement:
        made[m.key] += MOST if m.failed else 1
        places.setdefault(m.key[:-1], place_of(m.device))
        return project.add_measurement(m)

    spent = 0.0
    for number in range(options.repetitions):
        left_s = None if options.budget_s is None else max(0.0, options.budget_s - spent)
        swept: ClusterSwept = followed(
            cluster_sweep(
                points,
                client=client,
                store=store,
                already={key for key, count in made.items() if count > number},
                device=options.device,
                budget_s=left_s,
                settings=_settings(options),
                threads=options.threads,
                # a queue may take hours, and is shown as such meanwhile
                wait_s=float("inf") if options.cluster.startswith("slurm:") else WAIT_S,
                place=lambda point: places.get(point.key(NOWHERE)[:-1]),
            ),
            on_result,
        )
        spent += swept.seconds
        yield swept
        if swept.left:
            return


def _settings(options: argparse.Namespace) -> Settings:
    """The protocol of one repetition; repetitions of a point share its time, as on one machine."""
    settings = Settings(seed=options.seed)
    return replace(settings, budget_s=settings.budget_s / options.repetitions)


def end(client: Any, launched: Any) -> None:
    """Leave a cluster, and end one that was launched for this sweep, its workers first."""
    if launched is None:
        client.close()
        return
    with overheard("distributed"), suppress(Exception):
        # else its workers would notice half a minute later that nobody is there
        client.shutdown()
    with overheard("distributed"), suppress(Exception):
        launched.close()
