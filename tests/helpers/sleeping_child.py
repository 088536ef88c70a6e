"""A measuring process that knows one more backend, registered by its one line.

Run as `python tests/helpers/sleeping_child.py` in place of `python -m core.measure.process.child`. With
`--keep-at-once` an interleaved run is told of after each round. `--starts LOG` notes each start in a
file; with `--dying FROM TO` the starts from one number up to another die. With `--compiling` the first
run takes an hour.
"""

import sys
from pathlib import Path

from core.measure.backends.registry import BACKENDS
from core.measure.process import interleaved
from core.measure.process.child import main


def note_start():
    log = Path(sys.argv[sys.argv.index("--starts") + 1])
    number = len(log.read_text()) if log.exists() else 0
    log.write_text("s" * (number + 1))
    if "--dying" in sys.argv:
        first, last = sys.argv[sys.argv.index("--dying") + 1 :][:2]
        if int(first) <= number <= int(last):
            sys.exit("the machine was out of luck")


if __name__ == "__main__":
    if "--starts" in sys.argv:
        note_start()
    if "--keep-at-once" in sys.argv:
        interleaved.KEEP_S = 0.0
    # a measuring process does not find what lies beside its script
    sys.path.append(str(Path(__file__).parent))
    import sleeping

    BACKENDS["sleeping"] = sleeping.BACKEND
    if "--compiling" in sys.argv:
        sleeping.TOKEN_S = 3600.0
    sys.exit(main())
