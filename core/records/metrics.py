"""The one table of metrics: axes, columns, limits, dominance and exports all derive from its rows."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import Unusable
from core.units import format_quantity, parse_quantity


@dataclass(frozen=True, slots=True)
class Metric:
    """One quantity of a candidate. `better` is 'lower', 'higher' or '' (a description, no goal)."""

    key: str
    short: str  # how a limit writes it
    label: str
    unit: str
    better: str
    log: bool  # the scale that suits it by default
    formula: str
    group: str
    significant: int = 3

    def format(self, value: float) -> str:
        """The value with a fitting unit."""
        return format_quantity(value, self.unit, self.significant)

    def format_change(self, amount: float) -> str:
        """A difference of two values, with fewer digits than the values themselves may have."""
        return format_quantity(amount, self.unit, min(self.significant, 3))

    def parse(self, text: str) -> float:
        """The SI value of what a person typed."""
        return parse_quantity(text, self.unit)

    @property
    def natural_side(self) -> str:
        """The side a limit on this metric is usually set on."""
        return ">=" if self.better == "higher" else "<="


def _rows() -> tuple[Metric, ...]:
    m = Metric
    nats = "nats/token"
    return (
        m(
            "loss",
            "loss",
            "Loss",
            nats,
            "lower",
            False,
            "predicted by the loss law in use, or measured: mean of -ln p(next token)",
            "Quality",
            4,
        ),
        m(
            "accuracy",
            "accuracy",
            "Mean accuracy",
            "",
            "higher",
            False,
            "mean over the tasks named by its source",
            "Quality",
        ),
        m(
            "bits_per_byte",
            "bpb",
            "Bits per byte",
            "bits/byte",
            "lower",
            False,
            "loss in bits, summed over the text, over its bytes of UTF-8",
            "Quality",
            4,
        ),
        m(
            "tpot_s",
            "tpot",
            "Time per output token",
            "s",
            "lower",
            True,
            "TPOT = (end-to-end time - TTFT) / (output tokens - 1), median over requests",
            "Speed",
        ),
        m(
            "ttft_s",
            "ttft",
            "Time to first token",
            "s",
            "lower",
            True,
            "TTFT: from the prompt's arrival to the first token, no queue",
            "Speed",
        ),
        m(
            "e2e_s",
            "e2e",
            "Whole answer",
            "s",
            "lower",
            True,
            "end-to-end = TTFT + (output tokens - 1) x TPOT",
            "Speed",
        ),
        m(
            "tokens_per_s_user",
            "user-speed",
            "Tokens/s per user",
            "tokens/s",
            "higher",
            True,
            "1 / TPOT",
            "Speed",
        ),
        m(
            "tokens_per_s",
            "throughput",
            "Throughput",
            "tokens/s",
            "higher",
            True,
            "batch x output tokens / end-to-end time",
            "Speed",
        ),
        m(
            "over_floor",
            "over-floor",
            "Over memory floor",
            "",
            "lower",
            True,
            "TPOT over the time in which the device could read the weights once and every cache, at"
            " the read bandwidth measured on it; 1 is all of the bandwidth",
            "Speed",
        ),
        m(
            "launch_s",
            "launch",
            "Launch overhead",
            "s",
            "lower",
            True,
            "time between tokens in which no kernel ran, on a GPU: gap between tokens - kernel time",
            "Speed",
        ),
        m(
            "memory_bytes",
            "memory",
            "Peak memory",
            "B",
            "lower",
            True,
            "weights + cache + activations at the longest context",
            "Memory",
        ),
        m(
            "weight_bytes",
            "weights",
            "Weights",
            "B",
            "lower",
            True,
            "parameters x bytes per weight",
            "Memory",
        ),
        m(
            "cache_bytes",
            "cache",
            "Cache",
            "B",
            "lower",
            True,
            "2 x layers x KV heads x head size x bytes x batch x (prompt + output tokens)",
            "Memory",
        ),
        m(
            "energy_j_per_token",
            "energy",
            "Energy per token",
            "J",
            "lower",
            True,
            "device energy while decoding / tokens of all sequences",
            "Energy",
        ),
        m(
            "params_total",
            "params",
            "Parameters",
            "count",
            "lower",
            True,
            "every stored parameter, both embeddings counted",
            "Size",
        ),
        m(
            "params_non_embedding",
            "params-ne",
            "Non-embedding parameters",
            "count",
            "lower",
            True,
            "parameters without the input embedding and the output head",
            "Size",
        ),
        m(
            "train_tokens",
            "tokens",
            "Training tokens",
            "count",
            "lower",
            True,
            "tokens the candidate would be trained on",
            "Training",
        ),
        m(
            "train_flops",
            "train",
            "Training cost",
            "FLOP",
            "lower",
            True,
            "6 x parameters (without the input embedding) x training tokens",
            "Training",
        ),
        m(
            "lifetime_flops",
            "lifetime",
            "Train and serve cost",
            "FLOP",
            "lower",
            True,
            "training cost + 2 x parameters x tokens served over the model's life",
            "Training",
        ),
        m(
            "decode_flops",
            "decode-flops",
            "FLOPs per output token",
            "FLOP",
            "lower",
            True,
            "2 x parameters + 4 x layers x context x query width, per sequence",
            "Size",
        ),
        m("n_layers", "layers", "Layers", "", "", False, "decoder layers", "Shape", 4),
        m(
            "d_model",
            "width",
            "Width",
            "",
            "",
            True,
            "size of the hidden state, d_model",
            "Shape",
            5,
        ),
        m(
            "aspect_ratio",
            "aspect",
            "Width over depth",
            "",
            "",
            True,
            "R = d_model / n_layers",
            "Shape",
        ),
        m("ffn_ratio", "ffn", "FFN ratio", "", "", False, "d_ff / d_model", "Shape"),
        m("kv_heads", "kv", "KV heads", "", "", False, "key-value heads of a layer", "Shape"),
        m("batch", "batch", "Batch", "", "", True, "sequences decoded together", "Workload", 5),
        m(
            "prompt_tokens",
            "prompt",
            "Prompt tokens",
            "count",
            "",
            True,
            "tokens of the prompt",
            "Workload",
        ),
        m(
            "output_tokens",
            "output",
            "Output tokens",
            "count",
            "",
            True,
            "tokens of the answer",
            "Workload",
        ),
    )


METRICS: dict[str, Metric] = {row.key: row for row in _rows()}
_BY_NAME = METRICS | {row.short: row for row in METRICS.values()}


def metric(name: str) -> Metric:
    """The metric of this key or short name; Unusable lists what there is."""
    found = _BY_NAME.get(name.strip().lower())
    if found is None:
        known = ", ".join(row.short for row in METRICS.values())
        raise Unusable(f"'{name.strip()}' is not a metric (known: {known})")
    return found
