"""The bundle's `paretoscope-cli`: the command line, or the measuring process."""

import multiprocessing
import sys

if __name__ == "__main__":
    multiprocessing.freeze_support()
    if "--measure-child" in sys.argv:
        from core.measure.process.child import main as measure

        sys.exit(measure())
    from core.__main__ import main

    sys.exit(main())
