"""The table of metrics, from whose rows axes, columns, limits, dominance and exports are derived.

A new metric is one row here. `tests/core/records/test_metrics.py` checks every row.
"""

from __future__ import annotations

from core.errors import Unusable
from core.records.measurement import Measurement
from core.records.metric import Median, Metric, Reading, of_quality, one_value

NOT_TRAINED = "no number of training tokens is stated for it"
NOT_SO_SCORED = "not measured in disjoint windows"
NOT_TIMED = "nothing measured yet with {runtime} on this device"


def launch_overhead(m: Measurement, median: Median) -> Reading | None:
    """Wall time per token in which no kernel ran, s; None where kernels were not counted."""
    kernels = m.timing.kernel_s_per_token
    gap = None if kernels is None else median("itl")
    return None if gap is None or kernels is None else one_value(max(0.0, gap - kernels))


# fmt: off
_ROWS = (
    Metric(
        key="loss", short="loss", label="Loss", group="Quality",
        unit="nats/token", better="lower", log=False, significant=4, compared=True, on_text=True,
        formula="predicted by the loss law in use, or measured: mean of -ln p(next token)",
        law="loss", measured=of_quality("loss"),
        unknown_because="{loss_law}", model_unknown_because="not measured; no text was given",
        plain="predicts text better",
    ),
    Metric(
        key="accuracy", short="accuracy", label="Mean accuracy", group="Quality",
        better="higher", log=False, compared=True,
        formula="mean over the tasks named by its source",
        measured=of_quality("accuracy"),
        plain="answers more questions right",
    ),
    Metric(
        key="bits_per_byte", short="bpb", label="Bits per byte", group="Quality",
        unit="bits/byte", better="lower", log=False, significant=4, compared=True, on_text=True,
        formula="loss in bits, summed over the text, over its bytes of UTF-8; windows overlap by half, so"
        " that each token has at least that much before it",
        measured=of_quality("bits_per_byte"),
        unknown_because="not measured in overlapping windows",
        plain="predicts text better",
    ),
    Metric(
        key="loss_disjoint", short="loss-disjoint", label="Loss in disjoint windows", group="Quality",
        unit="nats/token", better="lower", log=False, significant=4, on_text=True,
        formula="as the loss of a model, but each window of text begins after one token of the last, so"
        " that its first tokens have little before them",
        measured=of_quality("loss_disjoint"), unknown_because=NOT_SO_SCORED,
        plain="predicts text better",
    ),
    Metric(
        key="bits_per_byte_disjoint", short="bpb-disjoint", label="Bits per byte in disjoint windows",
        group="Quality", unit="bits/byte", better="lower", log=False, significant=4, on_text=True,
        formula="as bits per byte, in the windows that lm-eval uses: each begins after one token of the"
        " last",
        measured=of_quality("bits_per_byte_disjoint"), unknown_because=NOT_SO_SCORED,
        plain="predicts text better",
    ),
    Metric(
        key="tpot_s", short="tpot", label="Time per output token", group="Speed",
        unit="s", better="lower", compared=True,
        formula="TPOT = (end-to-end time - TTFT) / (output tokens - 1), median over requests",
        law="tpot", phase="tpot", unknown_because=NOT_TIMED,
        plain="writes faster",
    ),
    Metric(
        key="ttft_s", short="ttft", label="Time to first token", group="Speed",
        unit="s", better="lower", compared=True,
        formula="TTFT: from the prompt's arrival to the first token, no queue",
        law="ttft", phase="ttft", unknown_because=NOT_TIMED,
        plain="begins to answer sooner",
    ),
    Metric(
        key="e2e_s", short="e2e", label="Whole answer", group="Speed",
        unit="s", better="lower", compared=True,
        formula="end-to-end = TTFT + (output tokens - 1) x TPOT",
        made_of=("ttft_s", "tpot_s"),
        made=lambda c, ttft, tpot: ttft + (c.output_tokens - 1.0) * tpot,
        phase="e2e", unknown_because=NOT_TIMED,
        plain="finishes its answer sooner",
    ),
    Metric(
        key="tokens_per_s_user", short="user-speed", label="Tokens/s per user", group="Speed",
        unit="tokens/s", better="higher",
        formula="1 / TPOT",
        made_of=("tpot_s",), made=lambda c, tpot: 1.0 / tpot, unknown_because=NOT_TIMED,
        plain="writes faster",
    ),
    Metric(
        key="tokens_per_s", short="throughput", label="Throughput", group="Speed",
        unit="tokens/s", better="higher", compared=True,
        formula="batch x output tokens / end-to-end time",
        made_of=("e2e_s",), made=lambda c, e2e: c.batch * c.output_tokens / e2e,
        unknown_because=NOT_TIMED,
        plain="serves more people at once",
    ),
    Metric(
        key="over_floor", short="over-floor", label="Over memory floor", group="Speed",
        better="lower",
        formula="TPOT over the time in which the device could read the weights once and every cache, at"
        " the best read bandwidth seen on it; 1 is all of the bandwidth",
        made_of=("tpot_s",), made=lambda c, tpot: tpot / c.floor_s, without_draft=True,
        unknown_because="the read bandwidth of this device was not measured",
    ),
    Metric(
        key="launch_s", short="launch", label="Launch overhead", group="Speed",
        unit="s", better="lower",
        formula="time between tokens in which no kernel ran, on a GPU: gap between tokens - kernel time",
        measured=launch_overhead,
        unknown_because="known of what was measured on a GPU",
    ),
    Metric(
        key="memory_bytes", short="memory", label="Peak memory", group="Memory",
        unit="B", better="lower", compared=True,
        formula="weights + cache + activations at the longest context",
        law="memory",
        plain="needs less memory",
    ),
    Metric(
        key="weight_bytes", short="weights", label="Weights", group="Memory",
        unit="B", better="lower", compared=True,
        formula="parameters x bytes per weight",
        exact=lambda c: c.shapes.params_total * c.bytes_per_weight,
        plain="is smaller to store",
    ),
    Metric(
        key="cache_bytes", short="cache", label="Cache", group="Memory",
        unit="B", better="lower",
        formula="2 x layers x KV heads x head size x bytes x batch x (prompt + output tokens)",
        exact=lambda c: (
            c.shapes.cache_elements_per_token() * c.bytes_per_cache_entry
            * c.batch * (c.prompt_tokens + c.output_tokens)
        ),
        plain="needs less memory for long texts",
    ),
    Metric(
        key="energy_j_per_token", short="energy", label="Energy per token", group="Energy",
        unit="J", better="lower", compared=True,
        formula="device energy while decoding / tokens of all sequences",
        measured=lambda m, median: one_value(m.energy.get("joules_per_token")),
        plain="uses less electricity",
    ),
    Metric(
        key="params_total", short="params", label="Parameters", group="Size",
        unit="count", better="lower", compared=True,
        formula="every stored parameter, both embeddings counted",
        exact=lambda c: c.shapes.params_total,
        plain="has fewer parameters",
    ),
    Metric(
        key="params_non_embedding", short="params-ne", label="Non-embedding parameters", group="Size",
        unit="count", better="lower",
        formula="parameters without the input embedding and the output head",
        exact=lambda c: c.shapes.params_non_embedding,
        plain="has fewer parameters",
    ),
    Metric(
        key="train_tokens", short="tokens", label="Training tokens", group="Training",
        unit="count", better="lower",
        formula="tokens the candidate would be trained on",
        exact=lambda c: c.train_tokens,
        unknown_because=NOT_TRAINED,
        plain="needs less text to train on",
    ),
    Metric(
        key="train_flops", short="train", label="Training cost", group="Training",
        unit="FLOP", better="lower", compared=True,
        formula="6 x parameters (without the input embedding) x training tokens",
        exact=lambda c: c.shapes.train_flops(c.train_tokens),
        unknown_because=NOT_TRAINED,
        plain="is cheaper to train",
    ),
    Metric(
        key="lifetime_flops", short="lifetime", label="Train and serve cost", group="Training",
        unit="FLOP", better="lower", compared=True, needs_served_tokens=True,
        formula="training cost + 2 x parameters x tokens served over the model's life",
        exact=lambda c: (
            c.shapes.train_flops(c.train_tokens)
            + 2.0 * c.shapes.params_read_per_step * c.served_tokens
        ),
        unknown_because=NOT_TRAINED,
        plain="is cheaper to train and run",
    ),
    Metric(
        key="decode_flops", short="decode-flops", label="FLOPs per output token", group="Size",
        unit="FLOP", better="lower",
        formula="2 x parameters + 4 x layers x context x query width, per sequence",
        exact=lambda c: c.shapes.decode_flops(c.prompt_tokens + c.output_tokens / 2),
    ),
    Metric(
        key="n_layers", short="layers", label="Layers", group="Shape",
        log=False, significant=4, compared=True,
        formula="decoder layers",
        exact=lambda c: c.shapes.n_layers,
    ),
    Metric(
        key="d_model", short="width", label="Width", group="Shape",
        significant=5, compared=True,
        formula="size of the hidden state, d_model",
        exact=lambda c: c.shapes.d_model,
    ),
    Metric(
        key="aspect_ratio", short="aspect", label="Width over depth", group="Shape",
        formula="R = d_model / n_layers",
        exact=lambda c: c.shapes.aspect_ratio,
    ),
    Metric(
        key="ffn_ratio", short="ffn", label="FFN ratio", group="Shape",
        log=False,
        formula="d_ff / d_model",
        exact=lambda c: c.shapes.d_ff / c.shapes.d_model,
    ),
    Metric(
        key="kv_heads", short="kv", label="KV heads", group="Shape",
        log=False,
        formula="key-value heads of a layer",
        exact=lambda c: c.shapes.n_kv_heads,
    ),
    Metric(
        key="batch", short="batch", label="Batch", group="Workload",
        significant=5,
        formula="sequences decoded together",
        exact=lambda c: c.batch,
    ),
    Metric(
        key="prompt_tokens", short="prompt", label="Prompt tokens", group="Workload",
        unit="count",
        formula="tokens of the prompt",
        exact=lambda c: c.prompt_tokens,
    ),
    Metric(
        key="output_tokens", short="output", label="Output tokens", group="Workload",
        unit="count",
        formula="tokens of the answer",
        exact=lambda c: c.output_tokens,
    ),
)
# fmt: on
METRICS: dict[str, Metric] = {row.key: row for row in _ROWS}


def metric(name: str) -> Metric:
    """The metric of this key or short name; Unusable lists all of them."""
    wanted = name.strip().lower()
    found = METRICS.get(wanted) or next((m for m in METRICS.values() if m.short == wanted), None)
    if found is None:
        known = ", ".join(row.short for row in METRICS.values())
        raise Unusable(f"'{name.strip()}' is not a metric (known: {known})")
    return found


def of_phase(phase: str) -> Metric:
    """The metric that is read from a timed phase; KeyError where none is."""
    for row in METRICS.values():
        if row.phase == phase:
            return row
    raise KeyError(phase)


def timed_parts(key: str) -> tuple[Metric, ...]:
    """The metrics with a latency law that this one is made of, or itself; empty where none is."""
    row = METRICS[key]
    if row.made_of:
        return tuple(dict.fromkeys(part for name in row.made_of for part in timed_parts(name)))
    return (row,) if row.phase and row.law else ()
