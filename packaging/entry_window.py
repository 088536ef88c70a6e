"""The bundle's `paretoscope`: the window, or the measuring process when started with its flag."""

import multiprocessing
import sys

if __name__ == "__main__":
    multiprocessing.freeze_support()
    if "--measure-child" in sys.argv:
        from core.measure.child import main as measure

        sys.exit(measure())
    from gui.__main__ import main

    sys.exit(main())
