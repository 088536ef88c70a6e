"""A tiny space and measurements as a machine of known prices would give them."""

from dataclasses import replace

from core.records.measurement import Device, Measurement

SPACE = """
schema_version = 1
name = "Tiny"
[shape]
n_layers = { from = 2, to = 12, step = 2 }
d_model = { from = 128, to = 768, step = 128 }
d_head = [64]
kv_groups = [1, 2]
ffn_multiple = 64
vocab_size = 8192
[run]
batch = [1]
prompt_tokens = 32
output_tokens = 32
[train]
tokens_per_parameter = [20, 160]
[measure]
levels = ["5M", "20M"]
shapes_per_level = 3
tolerance = 0.2
"""


DEVICE = Device("cpu", "Test processor (2 cores)", 8 * 2**30)


def timed(point, device=DEVICE, flags=()):
    """A measurement as a machine of known prices would give it: 0.2 ms a layer, 20 GB/s, 1 % noise."""
    a, w = point.architecture, point.workload
    step = 2e-4 * a.n_layers + a.decode_bytes(w.mean_context, w.batch, 4, 4) / 20e9
    first = 2e-4 * a.n_layers + a.prefill_flops(w.prompt_tokens, w.batch) / 60e9
    wiggle = (0.99, 1.0, 1.01, 1.0)
    blocks = {
        "tpot": tuple(tuple(step * k for k in wiggle) for _ in range(6)),
        "ttft": tuple((first * k,) for k in wiggle),
        "e2e": tuple((first + step * (w.output_tokens - 1) * k,) for k in wiggle),
    }
    return Measurement(
        a,
        w,
        point.runtime,
        device,
        blocks,
        {"peak_allocated": int(a.weight_bytes(4) * 1.1)},
        flags=flags,
        environment={"torch": "2.13.0"},
        started_at="2026-11-21T08:00:00+00:00",
    )


def failed(point, flag="oom", device=DEVICE):
    """A measurement that gave no latency."""
    return replace(timed(point, device), samples={}, flags=(flag,), message="it does not fit")
