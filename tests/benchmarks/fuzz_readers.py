"""Broken inputs against every reader, by hand: `python tests/benchmarks/fuzz_readers.py N SEED [DOOR]`.

Prints how many of N inputs ended in anything other than an answer or the one documented error, by
place, with an example of each. The same seed gives the same inputs.
"""

from __future__ import annotations

import collections
import json
import random
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

MOST_SECONDS = 10
MOST_BYTES = 6 * 2**30


def main(count: int, seed: int, only: str = "") -> int:
    """The number of inputs that were not refused as documented."""
    from broken_inputs import doors, tried

    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    signal.signal(signal.SIGALRM, _too_long)
    warnings.simplefilter("ignore")
    open_doors = [door for door in doors() if only in door.name]
    bad: collections.Counter[str] = collections.Counter()
    examples: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for n in range(count):
            door = open_doors[n % len(open_doors)]
            signal.alarm(MOST_SECONDS)
            name, content, error = tried(door, Path(folder), random.Random(f"{seed}-{n}"))
            signal.alarm(0)
            if error is not None:
                key = f"{door.name}: {type(error).__name__} at {_place(error)}"
                bad[key] += 1
                examples.setdefault(key, f"{seed}-{n} {name} {str(error)[:150]} {content[:160]!r}")
            if n % 1000 == 999:
                print(f"{n + 1} inputs, {sum(bad.values())} bad", file=sys.stderr, flush=True)
    for key, times in bad.most_common():
        print(f"{times:6} {key}\n       {examples[key]}")
    print(
        json.dumps(
            {
                "inputs": count,
                "seed": seed,
                "bad": sum(bad.values()),
                "places": len(bad),
            }
        )
    )
    return sum(bad.values())


def _too_long(_signal: int, _frame: object) -> None:
    raise TimeoutError(f"no answer in {MOST_SECONDS} s")


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/core/" in f.filename] or list(frames)
    return f"{own[-1].filename.rpartition('/core/')[2]}:{own[-1].lineno}" if own else "?"


if __name__ == "__main__":
    words = sys.argv[1:]
    if len(words) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(min(1, main(int(words[0]), int(words[1]), *words[2:])))
