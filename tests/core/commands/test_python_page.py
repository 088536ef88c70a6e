"""The help page on Python says what works: its blocks are run as they stand, on a tiny space."""

import json
import re

import pytest

from core.resources import resource

SPACE = """\
schema_version = 1
name = "tiny"
[shape]
n_layers = { from = 2, to = 8, step = 1 }
d_model = { from = 64, to = 256, step = 32 }
d_head = [32]
kv_groups = [1]
ffn_ratio = [2.0, 4.0]
ffn_multiple = 32
vocab_size = 512
[run]
execution = ["eager"]
weights = ["fp32"]
batch = 1
prompt_tokens = 8
output_tokens = 8
[train]
tokens_per_parameter = [20]
[constraints]
params_total = { min = "0.1M", max = "6M" }
[measure]
levels = ["0.5M", "3M"]
shapes_per_level = 4
"""


def blocks():
    text = resource("help/python.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.S)


def test_every_block_runs_and_the_last_leaves_a_config(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.toml").write_text(SPACE)
    names = {}
    found = blocks()
    assert len(found) >= 6
    for block in found:
        # a minute is the reader's; what is shown here is that it runs
        exec(compile(block.replace("budget_s=60", "budget_s=8"), "python.md", "exec"), names)
    assert names["law"].heldout["shape_rms"] < 0.01
    assert len(names["measurements"]) >= 1
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["num_hidden_layers"] == names["chosen"].n_layers
