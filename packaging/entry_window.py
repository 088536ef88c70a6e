"""The bundle's program: the window, the command line under its other name, or the measuring process."""

import multiprocessing
import sys
from pathlib import Path

if __name__ == "__main__":
    multiprocessing.freeze_support()
    if "--measure-child" in sys.argv:
        from core.measure.process.child import main as measure

        sys.exit(measure())
    if Path(sys.argv[0]).stem == "paretoscope-cli":
        from core.__main__ import main as command

        sys.exit(command())
    from gui.__main__ import main

    sys.exit(main())
