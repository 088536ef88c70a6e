"""The columns that metrics are counted from, over the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import Floats, Indices, Ints
from core.model.architecture import Shapes
from core.records.measurement import Measurement
from core.samples.roofline import floor_s
from core.space.candidates import Candidates


@dataclass(frozen=True, slots=True, eq=False)
class RowColumns:
    """`core.records.metric.Columns` of some candidates. `measured_rows` maps a row to its measurement.
    The bandwidth is that of the device in bytes/s, 0 where it was not measured."""

    candidates: Candidates
    measured_rows: Mapping[int, Measurement]
    served_tokens: float = 0.0
    bandwidth_bytes_per_s: float = 0.0

    def take(self, rows: Indices) -> RowColumns:
        """The columns of some rows, in their order."""
        measured = {
            at: self.measured_rows[row]
            for at, row in enumerate(rows.tolist())
            if row in self.measured_rows
        }
        return replace(self, candidates=self.candidates.take(rows), measured_rows=measured)

    @property
    def shapes(self) -> Shapes:
        """Sizes and switches of the decoder."""
        return self.candidates.shapes

    @property
    def batch(self) -> Ints:
        """Sequences decoded together."""
        return self.candidates.batch

    @property
    def prompt_tokens(self) -> Ints:
        """Tokens of the prompt."""
        return self.candidates.prompt_tokens

    @property
    def output_tokens(self) -> Ints:
        """Tokens of the answer."""
        return self.candidates.output_tokens

    @property
    def train_tokens(self) -> Floats:
        """Tokens it would be trained on; NaN where none are stated."""
        return self.candidates.train_tokens

    @property
    def bytes_per_weight(self) -> Floats:
        """Bytes of one stored weight."""
        c = self.candidates
        return np.array([r.weight_bytes for r in c.runtimes])[c.runtime]

    @property
    def bytes_per_cache_entry(self) -> Floats:
        """Bytes of one element of the cache."""
        c = self.candidates
        return np.array([r.cache_bytes for r in c.runtimes])[c.runtime]

    @property
    def floor_s(self) -> Floats:
        """Time of the memory floor (`core.samples.roofline`), s; NaN where no bandwidth is known.

        A measured row uses the bandwidth of its own measurement, the others that of the device.
        """
        c = self.candidates
        context = c.prompt_tokens + c.output_tokens / 2
        read = c.shapes.decode_bytes(
            context, c.batch, self.bytes_per_weight, self.bytes_per_cache_entry
        )
        floor: Floats = np.asarray(read, np.float64) / (self.bandwidth_bytes_per_s or np.nan)
        for row, m in self.measured_rows.items():
            known = floor_s(m)
            if known is not None:
                floor[row] = known
        return floor
