"""The names that columns of tables have: one list for tables of runs and of results.

A name may also hold a statistic and a unit, in any place: 'ttft_median_ms', 'Mean TTFT (ms)'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from core.document import words_of
from core.units import factor_of

# what a column holds -> its usual names, best first (compared without case, spaces and punctuation)
NAMES: Mapping[str, str] = {
    "name": "name, run name, run, run id, model, model name, id, model id, model path, model repo, "
    "config, checkpoint",
    # --- training
    "tokens": "tokens, train tokens, training tokens, n tokens, num tokens, total tokens, "
    "tokens seen, dataset size, training dataset size, token count, data tokens",
    "flops": "flops, training flop, training flops, train flops, compute, total flops, "
    "training compute",
    "tokens_per_parameter": "tokens per parameter, tokens per param, token multiplier, "
    "token param ratio",
    # --- quality
    "loss": "loss, final loss, validation loss, val loss, eval loss, test loss, dev loss, "
    "valid loss, loss val, loss validation, cross entropy, cross entropy loss, ce loss, nll, mean loss, avg loss, "
    "average loss, loss c4, c4 loss",
    "train_loss": "avg train loss, mean train loss, train loss, training loss, loss train",
    "bits_per_byte": "bits per byte, bpb",
    "bits_per_byte_disjoint": "bits per byte disjoint, bpb disjoint",
    "bits_per_token": "bits per token",
    "perplexity": "perplexity, ppl, val ppl, val perplexity",
    "accuracy": "accuracy, acc, score, accuracy score",
    # --- size and shape
    "params_total": "params total, total params, params, parameters, total parameters, n params, "
    "num params, num parameters, n parameters, model size, size, parameter count, model parameters",
    "params_non_embedding": "params non embedding, non embedding params, "
    "non embedding parameters, params no embed, params non embed, n non embedding, "
    "params wo embedding, non emb params, params without embeddings, non embedding size",
    "n_layers": "n layers, layers, num layers, num hidden layers, n layer, depth, block count",
    "d_model": "d model, width, hidden size, hidden dim, model dim, n embd, embedding dim, dim, "
    "embedding length",
    "n_heads": "n heads, heads, num heads, num attention heads, n head, attention heads",
    "n_kv_heads": "n kv heads, kv heads, num key value heads, num query groups",
    "d_ff": "d ff, ffn, ffn hidden size, intermediate size, ffn dim, ffw size, d ffn",
    "vocab_size": "vocab size, vocab, n vocab, vocabulary",
    # --- load; requests in flight as measured come before a cap on them
    "batch": "batch, batch size, bs, concurrency, concurrent requests, num concurrent requests, "
    "conc, num users, users, max concurrency",
    "prompt_tokens": "prompt tokens, input tokens, prompt, isl, input len, prompt len, "
    "input length, prompt length, input sequence length, num input tokens, n prompt tokens",
    "output_tokens": "output tokens, osl, output len, new tokens, max new tokens, output length, "
    "output sequence length, num output tokens, generated tokens, completion tokens, gen len",
    "device": "device, gpu, hardware, system, hw, accelerator, gpu name, device name",
    "weights": "weights, dtype, precision, torch dtype, weight dtype",
    # --- speed, memory, energy
    "ttft_s": "ttft, time to first token, first token latency, prefill latency, prefill time",
    "tpot_s": "tpot, time per output token, per token latency, time per token",
    "itl_s": "itl, inter token latency",
    "e2e_s": "e2e, e2el, latency, e2e latency, request latency, req latency, end to end latency, "
    "total latency, end to end time, e2e time",
    "tokens_per_s": "tokens per s, throughput, output throughput, tokens per second, tps, "
    "output tokens per second, output tokens per s, output token throughput",
    "tokens_per_s_user": "tokens per s user, interactivity, tokens per second per user, "
    "tps per user, tokens per s per user, user throughput, per user throughput",
    "memory_bytes": "memory, peak memory, vram, max memory, gpu memory, peak vram, peak gpu memory, "
    "max vram, memory usage, memory used",
    "weight_bytes": "weight bytes, weights size, file size, checkpoint size",
    "energy_j_per_token": "energy per token, joules per token, joules per output token, "
    "energy per output token",
}
# words for a statistic -> its name; 'p99' and the like stand for themselves
STATISTICS: Mapping[str, str] = {
    "median": "median", "med": "median", "mean": "mean", "avg": "mean", "average": "mean",
    "std": "std", "stdev": "std", "stddev": "std", "min": "min", "minimum": "min", "max": "max",
    "maximum": "max", "var": "var", "variance": "var", "stderr": "stderr", "se": "stderr",
    "sem": "stderr",
}  # fmt: skip
# of several columns that hold one thing, the first of these is its value
VALUES = ("median", "mean", "")
_PERCENTILE = re.compile(r"p\d{1,2}(p?\d+)?|p100")
# with these before it a time is another one: a goal, a forecast, a part, a difference
CHANGING = frozenset(
    [
        "target",
        "slo",
        "sla",
        "goal",
        "limit",
        "budget",
        "threshold",
        "delta",
        "diff",
        "difference",
        "error",
        "err",
        "relative",
        "rel",
        "ratio",
        "speedup",
        "normalized",
        "normalised",
        "norm",
        "log",
        "predicted",
        "pred",
        "estimated",
        "est",
        "expected",
        "simulated",
        "sim",
        "baseline",
        "base",
        "ref",
        "reference",
        "previous",
        "old",
        "input",
        "total",
        "cached",
        "warmup",
        "warm",
        "cold",
        "queue",
    ]
)


@dataclass(frozen=True, slots=True)
class NamedColumn:
    """What a column's name says: the field, the statistic ('' where it names none), the unit as it is
    spelled, and how many words before the name were passed over ('silicon' in 'silicon_ttft_ms')."""

    field: str
    statistic: str = ""
    unit: str = ""
    passed: int = 0
    place: int = 0


def joined(words: Sequence[str]) -> str:
    """Words of a name as they are compared."""
    return "".join(words)


@cache
def known_names(fields: tuple[str, ...]) -> Mapping[str, tuple[str, int]]:
    """Every name of these fields, joined -> the field and the name's place in its list."""
    found: dict[str, tuple[str, int]] = {}
    for field in fields:
        for place, name in enumerate(NAMES[field].split(", ")):
            found.setdefault(joined(words_of(name)), (field, place))
    return found


def statistic_of(word: str) -> str:
    """The statistic that a word of a name stands for; empty for any other word."""
    if word == "p50":
        return "median"
    return word if _PERCENTILE.fullmatch(word) else STATISTICS.get(word, "")


def read_name(column: str, units: Mapping[str, str]) -> NamedColumn | None:
    """What a column holds by its name, out of the fields in `units` (field -> the unit of its metric); None where the name says none of them."""
    known = known_names(tuple(units))
    bracketed = re.fullmatch(r"(.*?)\s*[\[(]\s*([^\])]+?)\s*[\])]\s*", column)
    text, inside = (bracketed[1], bracketed[2]) if bracketed else (column, "")
    words = words_of(text)
    statistic = statistic_of(inside.lower())
    unit = "" if statistic else inside
    if found := known.get(joined(words)):
        return NamedColumn(found[0], statistic, unit, 0, found[1])
    for index, word in enumerate(words):
        if statistic_of(word) and len(words) > 1:
            statistic = statistic or statistic_of(word)
            words = words[:index] + words[index + 1 :]
            break
    for passed in range(min(len(words), 3)):
        if CHANGING.intersection(words[:passed]):
            break
        rest = words[passed:]
        if (found := known.get(joined(rest))) and (not passed or (unit and _is_time(found, units))):
            return NamedColumn(found[0], statistic, unit, passed, found[1])
        # the last word that is a unit of the field: 'ttft_mean_ms', 'ttft_ms_mean'
        for index in reversed(range(len(rest))):
            found = known.get(joined(rest[:index] + rest[index + 1 :]))
            if found is None or factor_of(rest[index], units[found[0]]) is None:
                continue
            if not passed or _is_time(found, units):
                return NamedColumn(found[0], statistic, unit or rest[index], passed, found[1])
    return None


def _is_time(found: tuple[str, int], units: Mapping[str, str]) -> bool:
    """Only a time keeps its meaning behind a word that is not known: 'total throughput' is another rate."""
    return units[found[0]] == "s"
