"""From a word to a Dask client: a scheduler that runs, machines reached by SSH, or jobs of Slurm.

The launchers are Dask's own; this gives them what the word asks for, and reports in one line why one of
them did not start.
"""

from __future__ import annotations

import logging
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from core.errors import Unusable
from core.units import whole_number

CONNECT_S = 30.0
FORMS = "tcp://HOST:PORT, tls://HOST:PORT, ssh:[USER@]HOST[:PORT],... or slurm:WORKERS"


def connect(where: str, python: str = "") -> Any:
    """A Dask client for 'tcp://HOST:PORT' (or 'tls:'), 'ssh:[USER@]HOST[:PORT],...' or 'slurm:WORKERS'.

    The last two start Dask's own launchers; what they started is `client.cluster`, to be closed after
    the client. Over SSH the first machine also runs the scheduler, and a machine named twice gets two
    workers; `python` is the Python there (default: the path of this one). Raises Unusable, with the
    reason, when something is not installed, refuses, or does not answer.
    """
    distributed = _distributed()
    kind, _, rest = where.partition(":")
    if kind == "ssh":
        return _client(distributed, where, _ssh(distributed, rest, python))
    if kind == "slurm":
        return _client(distributed, where, _slurm(rest))
    if kind not in ("tcp", "tls", "ws", "wss") or not rest.startswith("//"):
        raise Unusable(f"'{where}' is no cluster; write {FORMS}")
    return _client(distributed, where, where)


def _client(distributed: Any, where: str, target: Any) -> Any:
    try:
        return distributed.Client(target, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, TypeError, ValueError) as error:
        # Dask raises TypeError for tls without certificates, and ValueError for an address that is none
        if not isinstance(target, str):
            target.close()
        way = "; name certificates under distributed.comm.tls in Dask's configuration"
        raise Unusable(
            f"no Dask scheduler answers at {where} ({error}){way if where.startswith('tls') else ''}"
        ) from error


def _ssh(distributed: Any, text: str, python: str) -> Any:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise Unusable("write the machines as ssh:HOST,HOST")
    try:
        import asyncssh  # noqa: F401 - Dask imports it only on a machine's behalf, too late for a message
    except ImportError:
        raise Unusable(
            "machines are reached by SSH through asyncssh: pip install 'paretoscope[cluster]'"
        ) from None
    hosts, options = zip(*(ssh_host(word) for word in (words[0], *words)), strict=True)
    return launched(
        lambda: distributed.SSHCluster(
            list(hosts),
            connect_options=list(options),
            # one slot per worker: two timings in one would be of each other
            worker_options={"nthreads": 1},
            # any free port, and no web page: several may be at work on one machine
            scheduler_options={"port": 0, "dashboard": False},
            # Dask writes it into a line of the other machine's shell
            remote_python=shlex.quote(python) if python else None,
        ),
        f"the machines {', '.join(dict.fromkeys(words))} cannot be used over SSH",
        "distributed.deploy",
    )


def ssh_host(text: str) -> tuple[str, dict[str, Any]]:
    """'[USER@]HOST[:PORT]' as the host and what asyncssh is given beside it; the rest is from
    ~/.ssh/config and the agent. Raises Unusable for a port that is none."""
    user, _, rest = text.rpartition("@")
    host, colon, port = rest.partition(":")
    if not host or (colon and not 0 < (whole_number(port) or 0) < 65536):
        raise Unusable(f"'{text}' is no machine; write HOST, USER@HOST or USER@HOST:PORT")
    options: dict[str, Any] = {}
    if user:
        options["username"] = user
    if port:
        options["port"] = int(port)
    return host, options


def _slurm(count: str) -> Any:
    if whole_number(count) is None:
        raise Unusable("write how many workers Slurm is to start, e.g. slurm:4")
    if shutil.which("sbatch") is None:
        raise Unusable(
            "there is no sbatch here; measure from a machine that can submit jobs to Slurm"
        )
    try:
        import dask_jobqueue
    except ImportError:
        raise Unusable(
            "Slurm is reached through dask-jobqueue: pip install 'paretoscope[cluster]'"
        ) from None

    def start() -> Any:
        # queue, memory, GPUs and walltime are the site's: they come from Dask's own jobqueue.yaml
        cluster: Any = dask_jobqueue.SLURMCluster(cores=1, processes=1)
        cluster.scale(int(count))
        return cluster

    return launched(
        start, "Slurm cannot be used (it is described in Dask's jobqueue.yaml)", "dask_jobqueue"
    )


def launched(start: Callable[[], Any], what: str, logger: str) -> Any:
    """What `start` returns; Unusable, with the reason its logger or its error gives, where it fails."""
    with overheard(logger) as lines:
        try:
            return start()
        except Exception as error:
            # a launcher raises whatever SSH, the system or the other machine raised
            raised = [line for line in str(error).strip().splitlines() if line.strip()]
            reason = raised[0].strip() if raised else type(error).__name__
            reason = reason.removeprefix("Cluster failed to start: ")
            heard = next((line for line in reversed(lines) if "Error" in line or "No " in line), "")
            raise Unusable(f"{what}: {reason}" + (f" ({heard})" if heard else "")) from error


@contextmanager
def overheard(name: str) -> Iterator[list[str]]:
    """The lines a logger writes meanwhile, kept from the terminal: they are the other machine's."""
    logger = logging.getLogger(name)
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(" ".join(record.getMessage().split()))  # type: ignore[method-assign]
    before = logger.handlers, logger.propagate, logger.level
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.handlers, logger.propagate = before[:2]
        logger.setLevel(before[2])


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise Unusable(
            "sweeps on a cluster need Dask: pip install 'paretoscope[cluster]'"
        ) from None
    return distributed
