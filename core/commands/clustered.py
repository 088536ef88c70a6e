"""A sweep of the command line on the workers of a Dask cluster instead of this machine."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any

from core.errors import Unusable
from core.measure.launch import connect, overheard
from core.measure.protocol import Settings
from core.project import Project
from core.records import Point

HELP = (
    "measure on a Dask cluster: tcp://HOST:PORT, ssh:[USER@]HOST[:PORT],HOST,... or slurm:WORKERS"
)
DEVICES = ("auto", "cpu", "cuda")


def measure_on_cluster(
    points: Sequence[Point],
    project: Project,
    known: Collection[Any],
    options: argparse.Namespace,
    follow: Callable[[Iterator[Any]], Any],
) -> dict[str, Any]:
    """How the sweep ended, with results by host and device; `follow` runs the steps to their end.

    Raises Unusable for what only one machine can do, and when no scheduler or worker answers.
    """
    from core.measure.cluster import WAIT_S, cluster_sweep

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
    # the launcher of ssh and slurm, which has started what it must also end
    launched = client.cluster
    try:
        steps = cluster_sweep(
            points,
            client=client,
            store=project.add_measurement,
            already=known,
            device=options.device,
            budget_s=options.budget_s,
            settings=Settings(seed=options.seed),
            threads=options.threads,
            # a queue may take hours, and says so while it does
            wait_s=float("inf") if options.cluster.startswith("slurm:") else WAIT_S,
        )
        swept = follow(steps)
    finally:
        end(client, launched)
    return {
        "reason": "budget" if swept.left else "all measured",
        "skipped": swept.skipped,
        "left": swept.left,
        "seconds": swept.seconds,
        "retried": swept.retried,
        "lost_workers": swept.lost_workers,
        "by_lane": dict(swept.by_lane),
        # there may be several, each named by its results
        "device": None,
    }


def end(client: Any, launched: Any) -> None:
    """Leave a cluster; one that was launched for this sweep is ended, its workers first."""
    if launched is None:
        client.close()
        return
    with overheard("distributed"), suppress(Exception):
        # else its workers would notice half a minute later that nobody is there
        client.shutdown()
    with overheard("distributed"), suppress(Exception):
        launched.close()
