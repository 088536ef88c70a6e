"""The command line with a backend that only sleeps, whose interleaved runs last until they are ended.

Run as `python tests/helpers/toy_program.py COMMAND...` in place of `python -m core COMMAND...`.
"""

import signal
import sys
from functools import partial
from pathlib import Path

import sleeping

import core.measure.process.session as session
import core.measure.sweeps.sweep as sweep
from core.__main__ import main
from core.measure.backends.registry import BACKENDS
from core.measure.timing.protocol import Settings

SPACE = """
schema_version = 1
name = "toy"
[shape]
n_layers = [2, 3, 4, 6, 8]
d_model = [64, 96, 128, 192]
d_head = [32]
kv_groups = [1]
ffn_ratio = [2.0, 4.0]
ffn_multiple = 32
vocab_size = 512
[run]
execution = ["sleeping"]
weights = ["fp32"]
batch = [1]
prompt_tokens = 8
output_tokens = 4
[train]
tokens_per_parameter = [20]
"""
# what an interleaved run has is sent after each round, and rounds go on for ever
ENDLESS = partial(
    Settings, interval=0.0, min_blocks=2, max_blocks=10**6, budget_s=1e6, warm_s=0.05, block_s=0.01
)
CHILD = [sys.executable, str(Path(__file__).with_name("sleeping_child.py")), "--keep-at-once"]

if __name__ == "__main__":
    # tests that were started in the background hand down that these are ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    BACKENDS["sleeping"] = sleeping.BACKEND
    session.child_command = lambda _python=None: CHILD
    sweep.Settings = ENDLESS
    sweep.sweep = partial(sweep.sweep, anchor=False, probe=False)
    sys.exit(main())
