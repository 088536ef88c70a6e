"""A backend that only sleeps for a given time: what adding one costs, in one module."""

import time

from core.measure.backends.backend import Backend

TOKEN_S = 0.002


class Sleeper:
    """One point asleep: so long for each token, and twice that for the first."""

    def __init__(self, point, context, _shared=None):
        self._tokens = point.workload.output_tokens
        self._now, self._pulse = context.clock.now, context.pulse

    def _slept(self, seconds):
        start = self._now()
        time.sleep(seconds)
        self._pulse.count += 1
        return (self._now() - start) / 1e9

    def warm(self):
        return self._slept(TOKEN_S)

    def request(self):
        first = self._slept(2 * TOKEN_S)
        rest = [self._slept(TOKEN_S) for _ in range(self._tokens - 1)]
        return {"ttft": [first], "tpot": rest, "e2e": [first + sum(rest)]}

    def first(self):
        return {"ttft": [self._slept(2 * TOKEN_S)]}

    def memory(self):
        return {"weights": 7}

    def describe(self):
        return {"kernels": "sleep"}

    def close(self):
        """Nothing is held."""


def memory(_point):
    return {"weights": 7, "cache": 0, "work": 0, "total": 7}


BACKEND = Backend(
    name="sleeping",
    label="a sleeper",
    devices=("cpu",),
    weights=("fp32",),
    start=Sleeper,
    folders="any",
    interleaves=True,
    quick=True,
    memory=memory,
)
