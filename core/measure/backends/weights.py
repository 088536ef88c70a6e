"""Where the weights of a decoder come from: random numbers, or a checkpoint laid out as Llama's.

A source hands out plain tensors layer by layer, so that a model is never in memory twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from core.model.architecture import Architecture

if TYPE_CHECKING:
    import torch

# random numbers made once and copied from
POOL = 1 << 22


@dataclass(slots=True)
class Layer:
    """Tensors of one layer: matrices are [out, in]; query, key and value are fused, and gate and up."""

    qkv: torch.Tensor
    out: torch.Tensor
    up: torch.Tensor
    down: torch.Tensor
    norm_attention: torch.Tensor
    norm_ffn: torch.Tensor
    qkv_bias: torch.Tensor | None = None
    out_bias: torch.Tensor | None = None
    up_bias: torch.Tensor | None = None
    down_bias: torch.Tensor | None = None
    norm_attention_bias: torch.Tensor | None = None
    norm_ffn_bias: torch.Tensor | None = None
    q_norm: torch.Tensor | None = None
    k_norm: torch.Tensor | None = None


class Source(Protocol):
    """Hands out the tensors of a model, one layer at a time."""

    def embedding(self) -> torch.Tensor:
        """[vocab_size, d_model]."""
        ...

    def layer(self, index: int) -> Layer:
        """All tensors of one layer."""
        ...

    def final_norm(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Gain, and bias where there is one."""
        ...

    def head(self) -> torch.Tensor | None:
        """[vocab_size, d_model], or None when it is the embedding."""
        ...


class RandomSource:
    """Random weights for a shape: same speed as trained ones for a dense model.

    Matrices are scaled to 1/sqrt(fan in), so that activations neither vanish nor overflow in fp16.
    They are copies of one random pool at shifting offsets: every byte is its own memory, and a
    billion weights cost a copy instead of a minute of random numbers.
    """

    def __init__(
        self, architecture: Architecture, dtype: torch.dtype, device: str, seed: int = 0
    ) -> None:
        import torch

        self.architecture = architecture
        self.dtype = dtype
        self.device = device
        generator = torch.Generator(device="cpu").manual_seed(seed)
        self._pool = torch.randn(POOL, generator=generator).to(device)
        self._offset = 0

    def matrix(self, rows: int, columns: int, scale: float | None = None) -> torch.Tensor:
        """[rows, columns] of scaled pseudo-random numbers."""
        import torch

        size = rows * columns
        flat = torch.empty(size, dtype=self.dtype, device=self.device)
        pool = (self._pool * (columns**-0.5 if scale is None else scale)).to(self.dtype)
        done = 0
        while done < size:
            # a prime stride keeps two matrices, or two stretches of one, from being alike
            self._offset = (self._offset + 1_299_709) % POOL
            take = min(size - done, POOL - self._offset)
            flat[done : done + take] = pool[self._offset : self._offset + take]
            done += take
        return flat.view(rows, columns)

    def vector(self, size: int, value: float) -> torch.Tensor:
        """[size] filled with one value."""
        import torch

        return torch.full((size,), value, dtype=self.dtype, device=self.device)

    def embedding(self) -> torch.Tensor:
        """[vocab_size, d_model]."""
        return self.matrix(self.architecture.vocab_size, self.architecture.d_model, 1.0)

    def head(self) -> torch.Tensor | None:
        """[vocab_size, d_model], or None when it is the embedding."""
        a = self.architecture
        return None if a.tied_embeddings else self.matrix(a.vocab_size, a.d_model)

    def final_norm(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Gain, and bias where the norms have one."""
        a = self.architecture
        return self.vector(a.d_model, 1.0), self.vector(a.d_model, 0.0) if a.norm_bias else None

    def layer(self, index: int) -> Layer:
        """All tensors of one layer."""
        a = self.architecture
        wide = a.d_ff * (2 if a.gated_ffn else 1)
        return Layer(
            self.matrix(a.d_q + 2 * a.d_kv, a.d_model),
            self.matrix(a.d_model, a.d_q),
            self.matrix(wide, a.d_model),
            self.matrix(a.d_model, a.d_ff),
            self.vector(a.d_model, 1.0),
            self.vector(a.d_model, 1.0),
            self.vector(a.d_q + 2 * a.d_kv, 0.01) if a.qkv_bias else None,
            self.vector(a.d_model, 0.01) if a.out_bias else None,
            self.vector(wide, 0.01) if a.ffn_bias else None,
            self.vector(a.d_model, 0.01) if a.ffn_bias else None,
            self.vector(a.d_model, 0.0) if a.norm_bias else None,
            self.vector(a.d_model, 0.0) if a.norm_bias else None,
            self.vector(a.d_head, 1.0) if a.qk_norm else None,
            self.vector(a.d_head, 1.0) if a.qk_norm else None,
        )


class LlamaSource:
    """Tensors of a Llama, Mistral, Qwen2 or Qwen3 checkpoint (`model.layers.N...` names)."""

    def __init__(
        self,
        tensors: Mapping[str, torch.Tensor],
        architecture: Architecture,
        dtype: torch.dtype,
        device: str,
    ) -> None:
        self.tensors = tensors
        self.architecture = architecture
        self.dtype = dtype
        self.device = device

    def _get(self, name: str) -> torch.Tensor:
        return self.tensors[name].detach().to(device=self.device, dtype=self.dtype)

    def _maybe(self, name: str) -> torch.Tensor | None:
        return self._get(name) if name in self.tensors else None

    def embedding(self) -> torch.Tensor:
        """[vocab_size, d_model]."""
        return self._get("model.embed_tokens.weight")

    def head(self) -> torch.Tensor | None:
        """[vocab_size, d_model], or None when it is the embedding."""
        return None if self.architecture.tied_embeddings else self._get("lm_head.weight")

    def final_norm(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Gain, and bias where there is one."""
        return self._get("model.norm.weight"), self._maybe("model.norm.bias")

    def layer(self, index: int) -> Layer:
        """All tensors of one layer, query, key and value fused, gate and up fused."""
        import torch

        def joined(names: list[str]) -> torch.Tensor | None:
            return torch.cat([self._get(n) for n in names]) if names[0] in self.tensors else None

        at = f"model.layers.{index}."
        qkv = [f"{at}self_attn.{n}_proj." for n in "qkv"]
        up = [
            f"{at}mlp.{n}_proj."
            for n in (("gate", "up") if self.architecture.gated_ffn else ("up",))
        ]
        fused_qkv, fused_up = (
            joined([n + "weight" for n in qkv]),
            joined([n + "weight" for n in up]),
        )
        assert fused_qkv is not None and fused_up is not None
        return Layer(
            fused_qkv,
            self._get(at + "self_attn.o_proj.weight"),
            fused_up,
            self._get(at + "mlp.down_proj.weight"),
            self._get(at + "input_layernorm.weight"),
            self._get(at + "post_attention_layernorm.weight"),
            joined([n + "bias" for n in qkv]),
            self._maybe(at + "self_attn.o_proj.bias"),
            joined([n + "bias" for n in up]),
            self._maybe(at + "mlp.down_proj.bias"),
            self._maybe(at + "input_layernorm.bias"),
            self._maybe(at + "post_attention_layernorm.bias"),
            self._maybe(at + "self_attn.q_norm.weight"),
            self._maybe(at + "self_attn.k_norm.weight"),
        )
