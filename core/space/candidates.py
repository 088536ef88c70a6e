"""Candidates as columns: one shape, workload, runtime and number of training tokens per row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.arrays import Bools, Floats, Ints
from core.model.architecture import SWITCHES, Shapes
from core.model.workload import Runtime, Workload
from core.records.measurement import Point


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Columns of one length: per row a shape, a workload, a runtime (an index) and training tokens."""

    shapes: Shapes
    batch: Ints
    prompt_tokens: Ints
    output_tokens: Ints
    train_tokens: Floats
    runtime: NDArray[np.int16]
    runtimes: tuple[Runtime, ...]

    def __len__(self) -> int:
        return len(self.shapes)

    @property
    def below_16_bits(self) -> Bools:
        """True where weights or cache are stored in fewer than 16 bits, (n,)."""
        return np.array([bool(r.below_16_bits) for r in self.runtimes], np.bool_)[self.runtime]

    def take(self, indices: NDArray[Any]) -> Candidates:
        """The rows at the given indices or under the given mask."""
        columns = {
            f.name: getattr(self, f.name)[indices]
            for f in fields(self)
            if f.name not in ("shapes", "runtimes")
        }
        return Candidates(shapes=self.shapes.take(indices), runtimes=self.runtimes, **columns)

    def distinct(self) -> Candidates:
        """The rows without later copies of an earlier one."""
        s = self.shapes
        columns = [getattr(s, f.name) for f in fields(Shapes)]
        columns += [self.batch, self.prompt_tokens, self.output_tokens, self.train_tokens]
        keys = np.rec.fromarrays([*columns, self.runtime])
        _, first = np.unique(keys, return_index=True)
        return self if len(first) == len(self) else self.take(np.sort(first))

    def point(self, row: int) -> Point:
        """The point to measure for this row."""
        workload = Workload(
            int(self.batch[row]), int(self.prompt_tokens[row]), int(self.output_tokens[row])
        )
        return Point(self.shapes.row(row), workload, self.runtimes[self.runtime[row]])

    def id_of(self, row: int) -> str:
        """A stable, readable identity, made of everything that distinguishes the row."""
        s = self.shapes
        switches = "".join(
            mark for mark, name in SWITCH_MARKS.items() if bool(getattr(s, name)[row])
        )
        run = self.runtimes[self.runtime[row]]
        return (
            f"L{s.n_layers[row]}-d{s.d_model[row]}-h{s.n_heads[row]}x{s.d_head[row]}"
            f"-kv{s.n_kv_heads[row]}-f{s.d_ff[row]}-v{s.vocab_size[row]}-{switches or '0'}"
            f"-b{self.batch[row]}-in{self.prompt_tokens[row]}-out{self.output_tokens[row]}"
            f"-t{self.train_tokens[row]:.6g}-{run.execution}.{run.weights}.{run.cache}.{run.threads}"
        )

    def find(self, identity: str) -> int | None:
        """The row with this identity, or None."""
        match = IDENTITY.fullmatch(identity)
        if match is None:
            return None
        s = self.shapes
        numbers = (
            s.n_layers,
            s.d_model,
            s.n_heads,
            s.d_head,
            s.n_kv_heads,
            s.d_ff,
            s.vocab_size,
        )
        mask = np.ones(len(self), np.bool_)
        for column, text in zip(numbers, match.groups()[:7], strict=True):
            mask &= column == int(text)
        for column, name in zip(
            (self.batch, self.prompt_tokens, self.output_tokens), ("b", "in", "out"), strict=True
        ):
            mask &= column == int(match[name])
        # what is left is a handful; the identity itself settles the rest
        return next((int(i) for i in np.flatnonzero(mask) if self.id_of(int(i)) == identity), None)


SWITCH_MARKS = dict(zip("tgqofnk", SWITCHES, strict=True))
IDENTITY = re.compile(
    r"L(\d+)-d(\d+)-h(\d+)x(\d+)-kv(\d+)-f(\d+)-v(\d+)-\w+-b(?P<b>\d+)-in(?P<in>\d+)-out(?P<out>\d+)-t.+"
)


def join(parts: Sequence[Candidates]) -> Candidates:
    """All rows of several columns, in order, with one list of runtimes."""
    runtimes = tuple(dict.fromkeys(r for part in parts for r in part.runtimes))
    moved = [
        np.array([runtimes.index(r) for r in part.runtimes], np.int16)[part.runtime]
        for part in parts
    ]
    shapes = Shapes(
        **{
            f.name: np.concatenate([getattr(part.shapes, f.name) for part in parts])
            for f in fields(Shapes)
        }
    )
    return Candidates(
        shapes,
        np.concatenate([part.batch for part in parts]),
        np.concatenate([part.prompt_tokens for part in parts]),
        np.concatenate([part.output_tokens for part in parts]),
        np.concatenate([part.train_tokens for part in parts]),
        np.concatenate(moved),
        runtimes,
    )
