"""A described space of candidates, turned into columns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.arrays import Floats, Indices, Ints
from core.errors import Unusable
from core.machine import memory_bytes
from core.model.architecture import SWITCHES, Shapes
from core.model.workload import Runtime, Workload
from core.records.measurement import Point
from core.space.candidates import Candidates, join

MOST_CANDIDATES = 20_000_000
MOST_SHAPES = 200_000_000  # combinations of sizes, each looked at once
MOST_POINTS = 100_000  # to measure; at a second each that is more than a day
# a space is counted before it is built: it may take this share of the machine's memory
MEMORY_SHARE = 0.25
BYTES_PER_COMBINATION = 220  # while the combinations of one depth are looked at
BYTES_PER_SHAPE = 130
BYTES_PER_CANDIDATE = 300
ROWS_AT_ONCE = 500_000
RUN_AXES = (
    "execution",
    "weights",
    "cache",
    "threads",
    "batch",
    "prompt_tokens",
    "output_tokens",
    "tokens",
)
FIXED_SWITCHES = tuple(name for name in SWITCHES if name != "tied_embeddings")
# the properties that a constraint can be set on
CONSTRAINED = {
    "params_total": lambda s: s.params_total,
    "params_non_embedding": lambda s: s.params_non_embedding,
    "aspect_ratio": lambda s: s.aspect_ratio,
    "n_heads": lambda s: s.n_heads,
    "n_kv_heads": lambda s: s.n_kv_heads,
    "d_head": lambda s: s.d_head,
    "d_ff": lambda s: s.d_ff,
    "ffn_to_attention": lambda s: s.ffn_to_attention,
}


@dataclass(frozen=True, slots=True)
class Span:
    """A constraint: the least and the most a property may be."""

    least: float = -math.inf
    most: float = math.inf


@dataclass(frozen=True, slots=True)
class Space:
    """A described space, read and checked. `text` is the TOML it came from."""

    name: str
    axes: Mapping[str, tuple[Any, ...]]
    constraints: Mapping[str, Span]
    levels: tuple[float, ...]
    shapes_per_level: int
    tolerance: float
    text: str

    def candidates(self) -> Candidates:
        """Every allowed combination as columns; Unusable when there are none, or too many to hold."""
        parts: list[Candidates] = []
        per_shape = math.prod(len(self.axes[name]) for name in RUN_AXES)
        count = 0
        most = min(MOST_CANDIDATES, int(_share_bytes() / BYTES_PER_CANDIDATE))
        for shapes in self._shapes():
            count += len(shapes) * per_shape
            if count > most:
                # too many to build; the rest is only counted, to say how many there are
                parts.clear()
            elif len(shapes):
                parts.append(self._with_runs(shapes))
        if count > most:
            raise Unusable(
                f"the space '{self.name}' describes {count:,} candidates, more than the {most:,} this"
                " machine can hold; make a range coarser or add a constraint"
            )
        if not parts:
            raise Unusable(self._nothing())
        return join(parts)

    def _nothing(self) -> str:
        """The message that no combination is a candidate."""
        rules = "the head size has to divide the width, and the KV heads the heads"
        if not self.constraints:
            return f"the ranges of the space '{self.name}' leave no candidate: {rules}"
        return f"the constraints of the space '{self.name}' leave no candidate; besides, {rules}"

    def measurement_points(self, most: int | None = None) -> tuple[Point, ...]:
        """The shapes to measure first: at each size level, shapes of nearly equal parameters spread
        evenly over log width/depth, each with every runtime and workload of the space.

        `most` caps the number of points; shapes are dropped evenly, never a whole level.
        """
        chosen = self._level_shapes()
        axes = (self.runtimes, *(self.axes[n] for n in ("batch", "prompt_tokens", "output_tokens")))
        per_shape = math.prod(map(len, axes))
        if most is not None:
            keep = max(1, min(len(chosen), most // per_shape))
            picks = np.unique(np.linspace(0, len(chosen) - 1, keep).round().astype(int))
            chosen = chosen.take(picks)
            per_shape = min(per_shape, max(1, most // len(chosen)))
        count = per_shape * len(chosen)
        if count > MOST_POINTS:
            raise Unusable(
                f"the space '{self.name}' describes {count:,} points to measure, at most"
                f" {MOST_POINTS:,} can be planned; make a range of [run] coarser"
            )
        runs = list(itertools.islice(self._runs(), per_shape))
        points = [
            Point(chosen.row(i), Workload(batch, prompt, output), runtime)
            for runtime, batch, prompt, output in runs
            for i in range(len(chosen))
        ]
        return tuple(points if most is None else points[:most])

    def _level_shapes(self) -> Shapes:
        every = self._every_shape()
        params = np.asarray(every.params_total, np.float64)
        levels = self.levels or tuple(
            np.exp(np.quantile(np.log(params), [0.2, 0.7])) if len(params) > 1 else params
        )
        picks: list[int] = []
        for level in levels:
            near = np.flatnonzero(np.abs(np.log(params / level)) <= math.log1p(self.tolerance))
            picks += _spread(every, params, near, level, self.shapes_per_level)
        if not picks:
            raise Unusable(
                f"no shape of the space '{self.name}' lies within {self.tolerance:.0%} of the sizes"
                f" to measure ({', '.join(f'{level:.3g}' for level in levels)} parameters)"
            )
        return every.take(np.array(list(dict.fromkeys(picks))))

    def _every_shape(self) -> Shapes:
        parts: list[Shapes] = []
        count, most = 0, int(_share_bytes() / BYTES_PER_SHAPE)
        for shapes in self._shapes():
            count += len(shapes)
            if count > most:
                parts.clear()
            elif len(shapes):
                parts.append(shapes)
        if count > most:
            raise Unusable(
                f"the space '{self.name}' describes {count:,} shapes, more than the {most:,} this"
                " machine can hold; make a range coarser or add a constraint"
            )
        if not parts:
            raise Unusable(self._nothing())
        return _join_shapes(parts)

    def _runs(self) -> Iterator[tuple[Runtime, int, int, int]]:
        for batch, prompt, output in itertools.product(
            *(self.axes[name] for name in ("batch", "prompt_tokens", "output_tokens"))
        ):
            for runtime in self.runtimes:
                yield runtime, batch, prompt, output

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        """Every execution and precision of the space."""
        return tuple(
            dict.fromkeys(
                Runtime(execution, weights, weights_cache(weights, cache), threads)
                for execution, weights, cache, threads in itertools.product(
                    *(self.axes[name] for name in ("execution", "weights", "cache", "threads"))
                )
            )
        )

    def _shapes(self) -> Iterator[Shapes]:
        """Allowed shapes in blocks of some depths, so that memory follows what is kept.

        Unusable where even looking at them would take too much memory or time.
        """
        rest = [self.axes[name] for name in ("d_model", "heads", "kv", "ffn", "vocab_size", "tied")]
        depths = np.array(self.axes["n_layers"], np.int64)
        grid = math.prod(map(len, rest))
        if grid * BYTES_PER_COMBINATION > _share_bytes():
            raise Unusable(
                f"the space '{self.name}' has {grid:,} combinations of sizes at each depth, which"
                f" take {grid * BYTES_PER_COMBINATION / 2**30:.1f} GiB; at most"
                f" {_share_bytes() / 2**30:.1f} GiB of this machine may be used; coarsen a range"
            )
        if grid * len(depths) > MOST_SHAPES:
            raise Unusable(
                f"the space '{self.name}' has {grid * len(depths):,} combinations of sizes, at most"
                f" {MOST_SHAPES:,} are looked at; coarsen a range"
            )
        block = self._block(rest)
        if not len(block):
            return
        for several in np.array_split(depths, -(-len(depths) * len(block) // ROWS_AT_ONCE)):
            if len(several):
                yield self._constrained(block, several)

    def _constrained(self, block: Shapes, depths: Ints) -> Shapes:
        """The block at each of the depths, without the shapes that a constraint rules out."""
        rows = np.tile(np.arange(len(block)), len(depths))
        shapes = replace(block.take(rows), n_layers=np.repeat(depths, len(block)))
        allowed = np.ones(len(shapes), np.bool_)
        for name, span in self.constraints.items():
            value = np.asarray(CONSTRAINED[name](shapes), np.float64)
            allowed &= (value >= span.least) & (value <= span.most)
        return shapes.take(allowed) if self.constraints else shapes

    def _block(self, rest: list[tuple[Any, ...]]) -> Shapes:
        """Every combination of the sizes but the depth (1 in each) that heads and widths allow."""
        grid = np.meshgrid(*(np.arange(len(values)) for values in rest), indexing="ij")
        width_i, heads_i, kv_i, ffn_i, vocab_i, tied_i = (axis.ravel() for axis in grid)
        d_model = np.array(rest[0], np.int64)[width_i]
        kind, values = _columns(rest[1])
        n_heads = np.where(
            kind[heads_i] == "d_head", d_model // np.maximum(values[heads_i], 1), values[heads_i]
        ).astype(np.int64)
        d_head = np.where(
            kind[heads_i] == "d_head", values[heads_i], d_model // np.maximum(n_heads, 1)
        ).astype(np.int64)
        keep = (n_heads > 0) & (n_heads * d_head == d_model) & (d_head % 2 == 0) & (d_head > 0)
        kind, values = _columns(rest[2])
        group = kind[kv_i] == "kv_groups"
        n_kv = np.where(group, n_heads // np.maximum(values[kv_i], 1), values[kv_i]).astype(
            np.int64
        )
        exact = np.where(group, n_kv * values[kv_i] == n_heads, True)
        safe = np.maximum(n_kv, 1)
        keep &= (n_kv > 0) & exact & (n_heads % safe == 0)
        kind, values = _columns(rest[3])
        multiple = int(self.axes["ffn_multiple"][0])
        rounded = multiple * np.ceil(np.floor(d_model * values[ffn_i] + 1e-9) / multiple)
        d_ff = np.where(kind[ffn_i] == "ffn_ratio", rounded, values[ffn_i]).astype(np.int64)
        size = len(d_model)
        switches = {name: np.full(size, bool(self.axes[name][0])) for name in FIXED_SWITCHES}
        return Shapes(
            np.ones(size, np.int64),
            d_model,
            n_heads,
            n_kv,
            d_head,
            d_ff,
            np.array(rest[4], np.int64)[vocab_i],
            np.array(rest[5], np.bool_)[tied_i],
            **switches,
        ).take(keep)

    def _with_runs(self, shapes: Shapes) -> Candidates:
        runtimes = self.runtimes
        tokens = self.axes["tokens"]
        combos = list(
            itertools.product(
                range(len(runtimes)),
                self.axes["batch"],
                self.axes["prompt_tokens"],
                self.axes["output_tokens"],
                tokens,
            )
        )
        n, k = len(shapes), len(combos)
        index = np.repeat(np.arange(n), k)

        def column(position: int, dtype: Any) -> NDArray[Any]:
            return np.tile(np.array([combo[position] for combo in combos], dtype), n)

        rate = np.array([combo[4][0] == "tokens_per_parameter" for combo in combos])
        amount = np.array([combo[4][1] for combo in combos], np.float64)
        per_parameter = np.asarray(shapes.params_total, np.float64)[index]
        train = np.tile(amount, n) * np.where(np.tile(rate, n), per_parameter, 1.0)
        return Candidates(
            shapes.take(index),
            column(1, np.int64),
            column(2, np.int64),
            column(3, np.int64),
            train,
            column(0, np.int16),
            runtimes,
        )


def _share_bytes() -> float:
    return MEMORY_SHARE * memory_bytes()


def _join_shapes(parts: Sequence[Shapes]) -> Shapes:
    return Shapes(
        **{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Shapes)}
    )


def _spread(shapes: Shapes, params: Floats, near: Indices, level: float, count: int) -> list[int]:
    """`count` of the shapes near a size, spread evenly over log width/depth, nearest in size first."""
    if not len(near):
        return []
    ratio = np.log(np.asarray(shapes.aspect_ratio, np.float64)[near])
    off = np.abs(np.log(params[near] / level))
    targets = np.linspace(ratio.min(), ratio.max(), count)
    width = max(float(np.ptp(ratio)) / max(count - 1, 1), 1e-9)
    picks: list[int] = []
    for target in targets:
        cost = np.abs(ratio - target) / width + off
        for i in np.argsort(cost, kind="stable"):
            if int(near[i]) not in picks:
                picks.append(int(near[i]))
                break
    return picks


def _columns(values: Sequence[tuple[str, float]]) -> tuple[NDArray[Any], Floats]:
    return np.array([kind for kind, _ in values]), np.array([v for _, v in values], np.float64)


def weights_cache(weights: str, cache: str) -> str:
    """The cache precision: 'same' follows the weights, or the compute type of int8 and fp8 weights."""
    if cache != "same":
        return cache
    return {"int8": "fp32", "fp8": "bf16"}.get(weights, weights)
