"""A measuring process that misbehaves on demand: the prompt length of a point says how.

Run as `python tests/helpers/faulty_child.py` in place of `python -m core.measure.process.child`.
"""

import os
import signal
import sys
import time
from pathlib import Path

from core.measure.backends.torch_backend import DecoderRunner
from core.measure.process import interleaved
from core.measure.process.child import Server, main
from core.measure.timing.clock import Clock

KILLED, HANGING, STARVED, LYING, EXITING, LATE, BACKWARDS = 11, 12, 13, 14, 15, 16, 17
DYING, TELLING, FALLING = 18, 19, 20


class JumpingClock:
    """Runs backwards or jumps forward by a second every few hundred readings."""

    def __init__(self, jump_ns):
        self.jump_ns, self.readings, self.offset = jump_ns, 0, 0

    def __call__(self):
        self.readings += 1
        if self.readings % 7 == 0:
            self.offset += self.jump_ns
        return time.perf_counter_ns() + self.offset


def die_after_sending(times):
    """Send the rounds of an interleaved run as they come, and crash after so many of them."""
    interleaved.KEEP_S = 0.0
    send = Server.send

    def sent(self, kind, **fields):
        nonlocal times
        send(self, kind, **fields)
        if kind == "so-far":
            times -= 1
            if times == 0:
                os._exit(9)

    Server.send = sent


def die_in_the_turn_of_a_point(requests):
    """Crash in one of the requests of a point that asks for it, whoever else is there."""
    plain = DecoderRunner.request
    made = 0

    def request(self):
        nonlocal made
        if self._prompt == FALLING:
            made += 1
            if made == requests:
                os._exit(11)
        return plain(self)

    DecoderRunner.request = request


def fault(point, context):
    context.clock = Clock()
    kind = point.workload.prompt_tokens
    if kind == KILLED:
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == EXITING:
        print("the driver said something rude", file=sys.stderr, flush=True)
        os._exit(3)
    elif kind == HANGING:
        time.sleep(3600)
    elif kind == STARVED:
        import resource

        # the prediction is made from what the system has; the allocator is given less
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        used = pages * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + 32 * 2**20, resource.RLIM_INFINITY))
    elif kind == LYING:
        context.clock = Clock(JumpingClock(1_000_000_000))
    elif kind == BACKWARDS:
        context.clock = Clock(JumpingClock(-500_000_000))
    elif kind == DYING:
        die_after_sending(3)
    elif kind == FALLING:
        interleaved.KEEP_S = 0.0
        die_in_the_turn_of_a_point(9)
    elif kind == TELLING:
        interleaved.KEEP_S = 0.0
    elif kind == LATE:
        print("libraries print to standard output", flush=True)


if __name__ == "__main__":
    sys.exit(main(fault))
