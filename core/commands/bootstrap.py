"""`bootstrap`: intervals of a law's parameters and predictions."""

from __future__ import annotations

import argparse
from time import monotonic
from typing import Any

import numpy as np

from core.arrays import Floats
from core.commands.fit import add_runs, add_settings, answer_of, fit_of, number, text_of
from core.commands.following import followed
from core.errors import Unusable
from core.fit.doubt_facts import doubt_facts, doubt_plain, shapes_words
from core.fit.doubting import doubting
from core.fit.fit import Fit
from core.fit.optimum import compute_optimal, crossing, crossing_text, optimal_interval
from core.fit.resample import UNITS, bootstrap, percentiles
from core.fit.validate import trust, validation
from core.laws.columns import params_column
from core.laws.loss import LAWS
from core.model.architecture import Architecture, shape_from_label
from core.units import parse_quantity

# a law may fall below zero far from the runs
NO_LOSS = "the law gives no positive loss there"

HELP = "intervals of a law's parameters and predictions, by resampling shapes or runs"


def arguments(parser: argparse.ArgumentParser) -> None:
    """RUNS.csv, the law, the number of resamples and what to predict."""
    add_runs(parser)
    parser.add_argument("--law", choices=tuple(LAWS), required=True, help="which law")
    add_settings(parser)
    parser.add_argument("--resamples", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--unit", choices=UNITS, default="shape", help="what is resampled")
    parser.add_argument("--seed", type=int, default=0, help="of the random draws")
    parser.add_argument("--level", type=float, default=0.95, help="of the intervals (default 0.95)")
    parser.add_argument(
        "--predict",
        action="append",
        default=[],
        metavar="N,D,SHAPE",
        help="parameters (empty: the shape's own), tokens and layers x width, "
        "e.g. 1.4B,29B,24x2048; repeatable",
    )
    parser.add_argument(
        "--cross",
        action="append",
        default=[],
        metavar="SHAPE,SHAPE",
        help="at how many training tokens two designs (layers x width) have the same loss, "
        "e.g. 16x2048,32x1024; repeatable",
    )
    parser.add_argument(
        "--train-flops", type=float, help="also the best size and tokens at this compute"
    )


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The fit, its intervals, and the requested predictions."""
    if not 0 < options.level < 1:
        raise Unusable("--level must lie between 0 and 1")
    targets = [(text, columns_of(text, options.params)) for text in options.predict]
    designs = [(text, designs_of(text)) for text in options.cross]
    found, kept, _, report = fit_of(options)
    reading = {"reading": report.plain()}
    if not found.theta:
        return f"{report.text()}\n{text_of(found, {})}", answer_of(found, {}) | reading
    started = monotonic()
    found = followed(validation(found, kept))
    found = followed(bootstrap(found, kept, options.resamples, options.unit, options.seed))
    clusters = found.clusters
    found = followed(doubting(found, kept))
    seconds = monotonic() - started
    intervals = percentiles(found, options.level)
    sentence, warn = trust(found)
    answer = (
        answer_of(found, {})
        | reading
        | {
            "resamples": 0 if found.resamples is None else len(found.resamples),
            "unit": options.unit,
            "clusters": clusters,
            "level": options.level,
            "intervals": {k: [number(low), number(high)] for k, (low, high) in intervals.items()},
            "predictions": [prediction(found, text, c, options.level) for text, c in targets],
            "crossings": [crossing_of(found, text, pair, options.level) for text, pair in designs],
            "doubt": doubt_plain(found),
            "heldout": {k: number(v) for k, v in found.heldout.items()},
            "trust": sentence,
            "warn": warn,
            "seconds": seconds,
        }
    )
    lines = [
        report.text(),
        text_of(found, {}),
        f"{answer['resamples']} resamples of {shapes_words(clusters, options.unit)[0]}:",
    ]
    for name, (low, high) in intervals.items():
        lines.append(f"  {name:>10} {low:.6g} to {high:.6g}")
    lines += [f"{fact.name}: {fact.text}" for fact in doubt_facts(found)]
    for each in answer["predictions"]:
        lines.append(prediction_text(each, options.level))
    lines += [f"  {each['message']}" for each in answer["crossings"]]
    if options.train_flops and found.withheld:
        answer["optimum"] = None
        lines.append(f"best at {options.train_flops:.3g} FLOPs: withheld: {found.withheld}")
    elif options.train_flops:
        n, d = compute_optimal(found, options.train_flops)
        best = optimal_interval(found, options.train_flops, options.level)
        answer["optimum"] = {
            "train_flops": options.train_flops,
            "params": n,
            "tokens": d,
            "tokens_per_parameter": d / n,
            "intervals": {k: list(v) for k, v in best.items()},
        }
        ratio = best.get("tokens_per_parameter", (float("nan"), float("nan")))
        lines.append(
            f"best at {options.train_flops:.3g} FLOPs: N {n:.4g}, D {d:.4g}, "
            f"D/N {d / n:.3g} ({ratio[0]:.3g} to {ratio[1]:.3g}, of the law's mean)"
        )
    return "\n".join([*lines, sentence]), answer


def columns_of(text: str, params: str) -> dict[str, Floats]:
    """One row of columns from 'N,D,SHAPE' (or 'N,D'); raises Unusable with the form."""
    parts = [p.strip() for p in text.split(",")]
    form = f"--predict '{text}' must be N,D,SHAPE such as 1.4B,29B,24x2048"
    if len(parts) not in (2, 3) or not parts[1]:
        raise Unusable(form)
    shape: Architecture | None = None
    columns: dict[str, Floats] = {}
    try:
        size = parse_quantity(parts[0], "count") if parts[0] else float("nan")
        tokens = parse_quantity(parts[1], "count")
        if len(parts) == 3 and parts[2]:
            shape = shape_from_label(parts[2])
    except ValueError as error:
        raise Unusable(f"{form} ({error})") from None
    if shape is not None:
        columns = {name: np.array([value]) for name, value in design_of(shape).items()}
    if np.isfinite(size):
        columns[params_column(params)] = np.array([size])
    elif shape is None:
        raise Unusable(form)
    # a size or token count of zero or less has no logarithm
    if tokens <= 0 or (np.isfinite(size) and size <= 0):
        raise Unusable(f"{form}; N and D must be above zero")
    columns["tokens"] = np.array([tokens])
    return columns


def prediction(found: Fit, text: str, columns: dict[str, Floats], level: float) -> dict[str, Any]:
    """Loss and intervals of one design, or why there are none."""
    answer: dict[str, Any] = {
        "asked": text,
        "params": float(columns[params_column(found.params)][0]),
        "tokens": float(columns["tokens"][0]),
    }
    nothing = dict.fromkeys(("loss", "mean", "mean_low", "mean_high", "low", "high"))
    outside = list(found.reach(columns).names(0))
    if found.withheld:
        return answer | nothing | {"outside": outside, "message": found.withheld}
    loss = found.predict(columns)
    if not loss[0] > 0:
        return answer | nothing | {"outside": outside, "message": NO_LOSS}
    mean_low, mean_high = found.interval(columns, level)
    low, high = found.prediction(columns, level)
    return answer | {
        "loss": number(loss[0]),
        "mean": number(loss[0]),
        "mean_low": number(mean_low[0]),
        "mean_high": number(mean_high[0]),
        "low": number(low[0]),
        "high": number(high[0]),
        "shapes": found.clusters,
        "outside": outside,
        "message": f"outside the runs in {', '.join(outside)}" if outside else "ok",
    }


def prediction_text(each: dict[str, Any], level: float) -> str:
    """One prediction for people."""
    if each["loss"] is None:
        return f"  {each['asked']}: no prediction: {each['message']}"
    mark = f"; {each['message']}" if each["outside"] else ""
    if each["low"] is None or each["mean_low"] is None:
        return f"  {each['asked']}: loss {each['loss']:.4f}, interval not known{mark}"
    return (
        f"  {each['asked']}: loss {each['loss']:.4f}, {100 * level:g} % prediction interval "
        f"{each['low']:.4f} to {each['high']:.4f} (the law's mean {each['mean_low']:.4f} to "
        f"{each['mean_high']:.4f}; {each['shapes']} {'shape' if each['shapes'] == 1 else 'shapes'})"
        f"{mark}"
    )


def design_of(shape: Architecture) -> dict[str, float]:
    """The columns that laws read of a shape, tokens left out."""
    return {
        "n_layers": float(shape.n_layers),
        "d_model": float(shape.d_model),
        "ffn_to_attention": float(shape.ffn_to_attention),
        "params_total": float(shape.params_total),
        "params_non_embedding": float(shape.params_non_embedding),
    }


def designs_of(text: str) -> list[tuple[str, dict[str, float]]]:
    """Two named designs from 'SHAPE,SHAPE'; raises Unusable with the form."""
    names = [part.strip() for part in text.split(",")]
    form = f"--cross '{text}' must be two shapes such as 16x2048,32x1024"
    if len(names) != 2:
        raise Unusable(form)
    if names[0] == names[1]:
        raise Unusable(f"{form}, not one shape twice")
    try:
        return [(name, design_of(shape_from_label(name))) for name in names]
    except ValueError as error:
        raise Unusable(f"{form} ({error})") from None


def crossing_of(
    found: Fit, text: str, designs: list[tuple[str, dict[str, float]]], level: float
) -> dict[str, Any]:
    """Where two designs cross, with an interval and in words, or why it is not known."""
    (first, here), (second, there) = designs
    answer: dict[str, Any] = {"asked": text, "first": first, "second": second}
    if found.withheld:
        nothing = dict.fromkeys(("tokens", "low", "high", "share", "better_after", "outside"))
        return answer | nothing | {"message": f"{text}: withheld: {found.withheld}"}
    met = crossing(found, here, there, level=level)
    return answer | {
        "tokens": met.tokens,
        "low": met.low,
        "high": met.high,
        "share": met.share,
        "better_after": {"first": first, "second": second}.get(met.better),
        "outside": met.outside,
        "asked_tokens": list(met.searched),
        "message": crossing_text(met, first, second, level),
    }
