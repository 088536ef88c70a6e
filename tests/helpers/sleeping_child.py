"""A measuring process that knows one more backend, registered by its one line.

Run as `python tests/helpers/sleeping_child.py` in place of `python -m core.measure.process.child`.
"""

import sys

import sleeping

from core.measure.backends.registry import BACKENDS
from core.measure.process.child import main

if __name__ == "__main__":
    BACKENDS["sleeping"] = sleeping.BACKEND
    sys.exit(main())
