"""The program's decoder against transformers, on a few tokens, when a folder is loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.errors import Unsupported
from core.measure.backends.decoder import Block, Decoder
from core.measure.backends.llama_layout import INSTEAD, Layout
from core.measure.backends.weights import Source
from core.model.architecture import Architecture
from core.model.workload import Runtime

if TYPE_CHECKING:
    import torch

TOKENS = 32
# of the spread of transformers' logits; two ways to add in fp32 differ by 1e-5, another epsilon or
# activation by more than 1e-2
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two sets of logits are apart: root mean square over that of the second's spread, and the
    share of positions with the same top token."""

    relative: float
    same_top: float


def require_same_logits(
    model: Any, source: Source, architecture: Architecture, layout: Layout, positions: int
) -> None:
    """Raises Unsupported where the decoder's logits are not those of a transformers model in fp32 on
    the CPU, whose tensors `source` hands out in fp32 there. `positions` is the longest text to come."""
    import torch

    length = min(TOKENS, positions)
    chosen = torch.Generator().manual_seed(5)
    tokens = torch.randint(architecture.vocab_size, (1, length), generator=chosen)
    with torch.inference_mode():
        theirs = model(tokens, use_cache=False).logits
        ours = decoder_logits(source, architecture, layout, tokens)
    found = compare(ours, theirs)
    # the other way round would let NaN pass
    if not found.relative <= TOLERANCE:
        raise Unsupported(
            "the decoder computes another network than transformers: its logits are off by "
            f"{found.relative:.1%} of their spread and the top token is the same at "
            f"{found.same_top:.0%} of {length} positions; {INSTEAD}"
        )


def compare(ours: torch.Tensor, theirs: torch.Tensor) -> Difference:
    """The difference of logits [1, length, vocab_size]; NaN where there is a NaN."""
    ours, theirs = ours.float(), theirs.float()
    # adding one number to all logits of a position changes nothing
    ours, theirs = (x - x.mean(-1, keepdim=True) for x in (ours, theirs))
    apart = (ours - theirs).square().mean().sqrt() / theirs.square().mean().sqrt()
    same = (ours.argmax(-1) == theirs.argmax(-1)).float().mean()
    return Difference(float(apart), float(same))


def decoder_logits(
    source: Source, architecture: Architecture, layout: Layout, tokens: torch.Tensor
) -> torch.Tensor:
    """The decoder's logits [batch, length, vocab_size] in fp32 on the CPU, of tokens [batch, length].

    One layer is in memory at a time, so that a large model is not there twice.
    """
    batch, length = tokens.shape
    # plain products: a matrix is used once, and packing it would cost more than that
    runtime = Runtime("compile")
    one = replace(architecture, n_layers=1)
    decoder = Decoder(
        one,
        runtime,
        "cpu",
        batch,
        length,
        source,
        frequencies=layout.frequencies,
        norm_eps=layout.norm_eps,
    )
    x = decoder.embedding[tokens.reshape(-1)]
    for index in range(architecture.n_layers):
        if index:
            decoder.blocks = [Block(source.layer(index), runtime)]
        x = decoder.through(x, batch, length)
    return decoder.logits(x.view(batch, length, -1))
