"""A real Dask cluster on loopback, started as a user starts it."""

import os
import subprocess
import sys
import time

from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Point

QUICK = Settings(min_blocks=2, max_blocks=2, block_s=0.01, warm_s=0.05, budget_s=100, retries=0)


POINTS = [
    Point(Architecture(n, 64, 1, 1, 64, 128, 256), Workload(1, 4, 4), Runtime())
    for n in (1, 2, 3, 4, 5, 6)
]


class Cluster:
    """`dask scheduler` and `dask worker`, as a user starts them."""

    def __init__(self, folder):
        self.file = folder / "scheduler.json"
        self.processes = []
        self.stored = []
        quiet = {"DASK_DISTRIBUTED__WORKER__DAEMON": "False", "OMP_NUM_THREADS": "1"}
        self.environment = {**os.environ, **quiet}
        self.start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")

    def start(self, kind, *words):
        command = [sys.executable, "-m", "dask", kind, *words, "--scheduler-file", str(self.file)]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, env=self.environment, stdout=quiet, stderr=quiet)
        self.processes.append(process)
        return process

    def worker(self, name):
        return self.start(
            "worker", "--no-nanny", "--nthreads", "1", "--no-dashboard", "--name", name,
            "--host", "127.0.0.1",
        )  # fmt: skip

    def client(self):
        for _ in range(1200):
            if self.file.exists() and self.file.stat().st_size:
                break
            time.sleep(0.1)
        import distributed

        return distributed.Client(scheduler_file=str(self.file), timeout=120, set_as_default=False)

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
