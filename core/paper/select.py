"""The method of the inference-aware paper: predict losses, drop slow shapes, rank, keep a few.

argmin over shapes of L(N, D, shape) subject to N <= N_C, D <= D_C and latency <= T_C (Bian, Yan,
Venkataraman 2025, arXiv 2501.18107, section 2.3). D is the whole budget D_C, since loss falls with
tokens. Only the ranking is used, not the predicted loss: the few shapes kept are then trained in full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.errors import Unusable
from core.fit.fit import Fit
from core.fit.reach import Reach
from core.laws.columns import design_columns
from core.model.architecture import Architecture, Shapes
from core.units import format_quantity

Columns = Mapping[str, Floats]
COUNTS = ("total", "non-embedding")
DRAWS = 4000
SAME_LOSS = 5e-4  # relative difference below which losses count as equal in the sentences


@dataclass(frozen=True, slots=True, eq=False)
class Latencies:
    """Seconds per request of shapes, in their order; NaN where unknown.

    `estimated` marks values that come from a law or a line, not from a measurement of that shape.
    `outside` marks those beyond the fitted range. The texts name the source of each kind.
    """

    value_s: Floats
    estimated: Bools
    outside: Bools
    known_text: str = "measured"
    estimated_text: str = "predicted"

    def text(self, row: int) -> str:
        """The source of one latency."""
        return self.estimated_text if self.estimated[row] else self.known_text


@dataclass(frozen=True, slots=True)
class LossPredictor:
    """How losses are predicted, e.g. by the methods of a core.fit.fit.Fit.

    `predict` takes columns (params_total, params_non_embedding, tokens, d_model, n_layers,
    ffn_to_attention) to losses. `interval` gives the 95 % prediction interval of each, and `draws`
    the losses (draws, rows) of the models that one would train, drawn together, given a number for
    each row that rows of one shape share. `reach` tells which rows lie outside what the runs had, and in what. `text` names the law and its data, `trust` is a
    sentence on its errors on models it has not seen.
    """

    predict: Callable[[Columns], Floats]
    interval: Callable[[Columns], tuple[Floats, Floats]] | None = None
    draws: Callable[[Columns, Indices], Floats] | None = None
    reach: Callable[[Columns], Reach] | None = None
    text: str = ""
    trust: str = ""


def trained_draws(fit: Fit) -> Callable[[Columns, Indices], Floats] | None:
    """`LossPredictor.draws` of a fit; None where it has not learnt what its predictions may miss."""
    if fit.doubt is None:
        return None
    return lambda columns, shape: fit.predictive_draws(columns, shape, shape, DRAWS)


def nameless(row: int) -> str:
    """No further name for any row."""
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Every shape considered with its prediction, the rows each limit dropped, and the few kept.

    `chosen` are rows, best first, and `intervals` (2, rows of `chosen`) their losses' 95 % prediction
    intervals, NaN without. `named` gives a further name that distinguishes a row, or ''. `reach`
    tells where rows lie outside what the law's runs had; `set_aside` are those left out for it.
    """

    shapes: Shapes
    max_params: float
    params: str
    tokens: float
    max_latency_s: float
    size: Floats
    loss: Floats
    reach: Reach
    latency: Latencies
    too_large: Bools
    too_slow: Bools
    unknown: Bools
    set_aside: Bools
    chosen: tuple[int, ...]
    intervals: Floats
    predictor: LossPredictor
    named: Callable[[int], str] = nameless

    @property
    def best(self) -> int | None:
        """The row selected first; None when no shape keeps the limits."""
        return self.chosen[0] if self.chosen else None

    def label(self, row: int) -> str:
        """E.g. '12x3072 (Morph-1B)'."""
        shape = f"{self.shapes.n_layers[row]}x{self.shapes.d_model[row]}"
        name = self.named(row)
        return f"{shape} ({name})" if name else shape

    def architecture(self, row: int) -> Architecture:
        """The shape of one row."""
        return self.shapes.row(row)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The choice in plain words, most important first."""
        return explain(self)


def columns_of(shapes: Shapes, tokens: float) -> dict[str, Floats]:
    """The columns loss laws read, for shapes trained on this number of tokens."""
    return {**design_columns(shapes), "tokens": np.full(len(shapes), float(tokens))}


def select(
    shapes: Shapes,
    *,
    max_params: float,
    tokens: float,
    max_latency_s: float,
    loss: LossPredictor,
    latency: Callable[[Shapes], Latencies],
    top: int = 3,
    params: str = "total",
    named: Callable[[int], str] = nameless,
    outside_counts: bool = False,
) -> Selection:
    """The `top` shapes of lowest predicted loss that keep all three limits (each inclusive).

    `params` says which count `max_params` limits. Equal losses rank by latency, then by size. Shapes
    of unknown latency are left out and counted. So are those outside what the loss law's runs had, where
    some that keep the limits lie inside, unless `outside_counts`. Raises Unusable for limits that are not positive and
    for an empty list of shapes. If no shape keeps the limits, that is an answer and not an error.
    """
    for name, value in (
        ("max_params", max_params), ("tokens", tokens), ("max_latency_s", max_latency_s)
    ):  # fmt: skip
        if not (value > 0 and np.isfinite(value)):
            raise Unusable(f"{name} must be a positive number, not {value!r}")
    if params not in COUNTS:
        raise Unusable(f"params must be one of {', '.join(COUNTS)}, not {params!r}")
    if top < 1:
        raise Unusable(f"top must be at least 1, not {top!r}")
    if not len(shapes):
        raise Unusable("there are no shapes to select from")
    columns = columns_of(shapes, tokens)
    size = columns["params_total" if params == "total" else "params_non_embedding"]
    predicted = np.asarray(loss.predict(columns), np.float64)
    seconds = latency(shapes)
    too_large = size > max_params
    unknown = ~too_large & ~(np.isfinite(seconds.value_s) & np.isfinite(predicted))
    too_slow = ~too_large & ~unknown & (seconds.value_s > max_latency_s)
    kept = ~(too_large | unknown | too_slow)
    reach = loss.reach(columns) if loss.reach else Reach()
    inside = None if outside_counts else reach.like_the_runs(kept)
    set_aside = kept & ~inside if inside is not None else np.zeros(len(shapes), np.bool_)
    left = np.flatnonzero(kept & ~set_aside)
    order = np.lexsort((size[left], seconds.value_s[left], predicted[left]))
    chosen = tuple(int(i) for i in left[order[:top]])
    picked = {k: v[list(chosen)] for k, v in columns.items()}
    intervals = np.full((2, len(chosen)), np.nan)
    if loss.interval and chosen:
        intervals = np.stack(loss.interval(picked))
    return Selection(
        shapes,
        float(max_params),
        params,
        float(tokens),
        float(max_latency_s),
        size,
        predicted,
        reach,
        seconds,
        too_large,
        too_slow,
        unknown,
        set_aside,
        chosen,
        intervals,
        loss,
        named,
    )


# --- in words


def explain(s: Selection) -> tuple[str, ...]:
    """The choice, its gains and costs, why other shapes were dropped, and how far to trust it."""
    texts = [_choice(s), _against_unlimited(s), _next_limit(s), _runner_up(s), _funnel(s)]
    texts += [_origin(s), _caution(s)]
    return tuple(text for text in texts if text)


def _count(value: float) -> str:
    return format_quantity(value, "count")


def _seconds(value: float) -> str:
    return format_quantity(value, "s")


def _timed(s: Selection, row: int) -> str:
    """A latency with the mark '~' where it was not measured for this shape."""
    return ("~" if s.latency.estimated[row] else "") + _seconds(float(s.latency.value_s[row]))


def _budget(s: Selection) -> str:
    return f"{_count(s.max_params)} {s.params} parameters"


def _choice(s: Selection) -> str:
    if s.best is None:
        return _nothing(s)
    low, high = s.intervals[:, 0]
    sure = f", 95 %: {low:.3f} – {high:.3f}," if low < high else ""
    return (
        f"Selected {s.label(s.best)}: {_timed(s, s.best)} per request, the lowest predicted loss "
        f"({s.loss[s.best]:.3f}{sure} after {_count(s.tokens)} tokens) within "
        f"{_seconds(s.max_latency_s)} and {_budget(s)}."
    )


def _drawn(s: Selection, row: int, other: int) -> Floats:
    """Draws of ln(loss of a row / loss of another), both as models one would train; empty without."""
    if s.predictor.draws is None:
        return np.empty(0)
    pair = s.shapes.take(np.array([row, other]))
    losses = s.predictor.draws(columns_of(pair, s.tokens), pair.numbers())
    return np.asarray(np.log(losses[:, 0] / losses[:, 1]))


def _apart(s: Selection, row: int, other: int) -> str:
    """'0.64 % higher (95 %: 0.31 to 0.95 %)' of a row's predicted loss against another's; that they
    cannot be told apart where the interval holds zero."""
    percent = 100.0 * (s.loss[row] / s.loss[other] - 1.0)
    word = "higher" if percent > 0 else "lower"
    text = f"{abs(percent):.2g} % {word}"
    drawn = _drawn(s, row, other)
    if not len(drawn):
        return text
    ends = 100.0 * np.expm1(np.percentile(drawn, [2.5, 97.5]))
    low, high = ends if percent > 0 else -ends[::-1]
    text += f" (95 %: {low:.2g} to {high:.2g} %".replace("-", "−")
    return f"{text})" if low > 0 else f"{text}; they cannot be told apart)"


def _nothing(s: Selection) -> str:
    """Which limit to loosen when no shape keeps them all."""
    text = f"No shape keeps both {_seconds(s.max_latency_s)} and {_budget(s)}"
    hints = []
    if s.too_slow.any():
        fast = _least(s.latency.value_s, s.too_slow)
        hints.append(f"the fastest within the size limit is {s.label(fast)} at {_timed(s, fast)}")
    quick = s.too_large & (s.latency.value_s <= s.max_latency_s)
    if quick.any():
        small = _least(s.size, quick)
        hints.append(
            f"the smallest that is fast enough is {s.label(small)} with {_count(s.size[small])} "
            f"{s.params} parameters"
        )
    if s.unknown.any():
        hints.append(f"{_shapes(s.unknown)} within the size limit {_has(s.unknown)} no latency")
    return f"{text}; {'; '.join(hints)}." if hints else f"{text}: every shape is larger."


def _against_unlimited(s: Selection) -> str:
    """The choice beside the best shape without the latency limit."""
    if s.best is None or not s.too_slow.any():
        return ""
    # a timed shape is preferred for comparison
    timed = s.too_slow & ~s.latency.estimated
    rival = _least(s.loss, timed if timed.any() else s.too_slow)
    if s.loss[rival] >= s.loss[s.best]:
        return "No slower shape of this size is predicted to be better."
    kind = "timed shape" if timed.any() and s.latency.estimated.any() else "shape"
    speed = s.latency.value_s[rival] / s.latency.value_s[s.best]
    return (
        f"It is {speed:.2f}x faster than {s.label(rival)} ({_timed(s, rival)}), the best {kind} "
        f"without a latency limit; predicted loss {_apart(s, s.best, rival)}."
    )


def _next_limit(s: Selection) -> str:
    """The nearest limit at which the answer would change for the better."""
    if s.best is None:
        return ""
    better = s.too_slow & (s.loss < s.loss[s.best] * (1 - SAME_LOSS))
    if not better.any():
        return ""
    row = _least(s.latency.value_s, better)
    return (
        f"A limit of {_timed(s, row)} would admit {s.label(row)}: predicted loss "
        f"{_apart(s, row, s.best)}."
    )


def _runner_up(s: Selection) -> str:
    """The second, and how often models that one would train keep the order."""
    if len(s.chosen) < 2:
        return ""
    first, second = s.chosen[:2]
    text = (
        f"Second: {s.label(second)}, {_timed(s, second)}, predicted loss {_apart(s, second, first)}"
    )
    drawn = _drawn(s, second, first)
    if not len(drawn):
        return f"{text}."
    kept = float(np.mean(drawn >= 0))
    return (
        f"{text}; of pairs of models trained like this, {100 * kept:.0f} % are expected to keep this"
        " order."
    )


def _funnel(s: Selection) -> str:
    """How many shapes each limit dropped."""
    dropped = [
        f"{mask.sum()} {text}"
        for mask, text in (
            (s.too_large, f"above {_budget(s)}"),
            (s.too_slow, f"slower than {_seconds(s.max_latency_s)}"),
            (s.unknown, "without a latency or a predicted loss"),
            (s.set_aside, f"outside the loss law's runs in {_columns(s, s.set_aside)}"),
        )
        if mask.any()
    ]
    left = len(s.shapes) - int((s.too_large | s.too_slow | s.unknown | s.set_aside).sum())
    gone = f": {', '.join(dropped)}; {left} ranked" if dropped else ", all ranked"
    return f"{len(s.shapes)} shape{'s' * (len(s.shapes) != 1)} considered{gone}."


def _origin(s: Selection) -> str:
    """The sources of the latencies of the kept shapes."""
    shown = list(s.chosen) or list(np.flatnonzero(s.too_slow)[:3])
    texts = list(dict.fromkeys(s.latency.text(row) for row in shown))
    if not texts:
        return ""
    text = f"Latency: {'; '.join(texts)}."
    guessed = [row for row in shown if s.latency.estimated[row]]
    if guessed:
        text += " ~ marks a latency that was not measured for that shape"
        beyond = [s.label(row) for row in guessed if s.latency.outside[row]]
        text += f" ({', '.join(beyond)}: outside the fitted range)." if beyond else "."
    return text


def _caution(s: Selection) -> str:
    """The loss law, whether the choice lies outside its range, and its errors on unseen models."""
    texts = [f"Loss: {s.predictor.text}."] if s.predictor.text else []
    beyond = [row for row in s.chosen if s.reach.names(row)]
    if beyond:
        if len(s.chosen) == 1:
            which = "It lies"
        elif len(beyond) == len(s.chosen):
            which = "All of these lie"
        else:
            which = f"{len(beyond)} of these lie"
        mask = np.isin(np.arange(len(s.shapes)), beyond)
        texts.append(
            f"{which} outside what the law's runs had ({_columns(s, mask)}): no run checks the law"
            " there."
        )
    if s.predictor.trust:
        texts.append(s.predictor.trust)
    return " ".join(texts)


def _columns(s: Selection, rows: Bools) -> str:
    """The columns in which some of the rows lie outside what the runs had."""
    return ", ".join(name for name, mask in s.reach.outside.items() if mask[rows].any())


def _least(values: Floats, mask: Bools) -> int:
    """The row of the smallest value under a mask."""
    return int(np.argmin(np.where(mask, values, np.inf)))


def _shapes(mask: Bools) -> str:
    return "1 shape" if mask.sum() == 1 else f"{mask.sum()} shapes"


def _has(mask: Bools) -> str:
    return "has" if mask.sum() == 1 else "have"


def near_budget(
    max_params: float,
    params: str = "total",
    depths: Sequence[int] = tuple(range(2, 65)),
    multiple: int = 128,
    vocab_size: int = 50432,
    least: float = 0.85,
    least_aspect: float = 32.0,
) -> Shapes:
    """The widest shape of every depth within the budget, if it uses at least the share `least` of it.

    Shapes narrower than `least_aspect` times their depth are left out: published losses rise again
    below a ratio of about 35, which a monotone law cannot predict.

    The shapes are Llama-style as in the paper: multi-head attention, gated FFN of 8/3 the width rounded
    up to 256, untied embeddings. Widths are multiples of `multiple`.
    """
    from core.model.architecture import rounded_ffn

    found = []
    for n_layers in depths:
        low, high = 0, 1 << 12  # in multiples

        def shape(steps: int, n_layers: int = n_layers) -> Architecture:
            width = steps * multiple
            heads = max(width // 128, 1)
            return Architecture(
                n_layers, width, heads, heads, width // heads, rounded_ffn(width), vocab_size
            )

        def size(steps: int, n_layers: int = n_layers) -> float:
            candidate = shape(steps, n_layers)
            total = params == "total"
            return float(candidate.params_total if total else candidate.params_non_embedding)

        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if size(middle) <= max_params else (low, middle)
        near = low and size(low) >= least * max_params
        if near and low * multiple >= least_aspect * n_layers:
            found.append(shape(low))
    return Shapes.of(found)
