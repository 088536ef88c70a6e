"""Weights of a decoder and the fastest matrix product torch offers for each precision and device.

Where the numbers come from (random, or a Llama checkpoint) and how a product runs are kept apart:
a source hands out plain tensors layer by layer, `pack` turns each matrix into a `Product` and the
plain tensor is dropped, so that a model is never in memory twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from core.architecture import Architecture
from core.workload import Runtime

if TYPE_CHECKING:
    import torch

# rows a packed matrix is laid out for: 128 was as good or better at one row than a layout for 1
PACKED_ROWS = 128
POOL = 1 << 22


class Unsupported(RuntimeError):
    """This execution or precision does not work on this device; the message says why."""


class Product(Protocol):
    """x [rows, in] -> x W^T + b [rows, out]; `nbytes` is what one call reads of weights."""

    nbytes: int
    kernel: str

    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


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

    def embedding(self) -> torch.Tensor: ...
    def layer(self, index: int) -> Layer: ...
    def final_norm(self) -> tuple[torch.Tensor, torch.Tensor | None]: ...
    def head(self) -> torch.Tensor | None: ...


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


class Dense:
    """Plain `F.linear`."""

    kernel = "linear"

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        from torch.nn.functional import linear

        self.weight, self.bias = weight, bias
        self.nbytes = weight.numel() * weight.element_size()
        self._linear = linear

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._linear(x, self.weight, self.bias)


class Packed:
    """oneDNN with a prepacked weight: on CPU it uses all cores at one row, where plain fp32 uses one."""

    kernel = "onednn-packed"

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        import torch

        self.nbytes = weight.numel() * weight.element_size()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PACKED_ROWS)
        self._bias = bias
        self._run = torch.ops.mkldnn._linear_pointwise.default

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._run(x, self._weight, self._bias, "none", [], "")  # type: ignore[no-any-return]


class Int8Dynamic:
    """int8 weights per output row, activations quantised as they arrive (fbgemm or oneDNN, CPU)."""

    kernel = "int8-dynamic"

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        import torch

        plain = weight.float()
        scales = plain.abs().amax(1).clamp_min(1e-8).double() / 127
        zeros = torch.zeros(len(scales), dtype=torch.long)
        quantised = torch.quantize_per_channel(plain, scales, zeros, 0, torch.qint8)
        self.nbytes = weight.numel()
        self._weight = torch.ops.quantized.linear_prepack(
            quantised, None if bias is None else bias.float()
        )
        self._run = torch.ops.quantized.linear_dynamic.default

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        # reduced range is off: it is only for processors whose int8 product overflows
        return self._run(x, self._weight, False)  # type: ignore[no-any-return]


class Int8WeightOnly:
    """int8 weights with a scale per output row; activations stay bf16 (`_weight_int8pack_mm`)."""

    kernel = "int8-weight-only"

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        import torch

        scales = weight.float().abs().amax(1).clamp_min(1e-8) / 127
        self._weight = (weight.float() / scales[:, None]).round().to(torch.int8)
        self._scales = scales.to(weight.dtype)
        self._bias = bias
        self.nbytes = self._weight.numel()
        self._run = torch._weight_int8pack_mm

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        y = self._run(x, self._weight, self._scales)
        return y if self._bias is None else y + self._bias


class Fp8:
    """e4m3 weights and activations with fixed scales (`_scaled_mm`, CUDA from Ada and Hopper on)."""

    kernel = "fp8-scaled"

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        import torch

        if weight.shape[0] % 16 or weight.shape[1] % 16:
            raise Unsupported(
                f"fp8 needs matrices in multiples of 16, not {weight.shape[0]} x {weight.shape[1]}"
            )
        self._dtype = torch.float8_e4m3fn
        scale = (weight.abs().amax().float() / 448).clamp_min(1e-8)
        self._weight = (weight.float() / scale).clamp(-448, 448).to(self._dtype).t()
        self._scale = scale.reshape(())
        self._one = torch.ones((), device=weight.device)
        self._bias = bias
        self._out = weight.dtype
        self.nbytes = self._weight.numel()
        self._run = torch._scaled_mm

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        y = self._run(
            x.clamp(-448, 448).to(self._dtype),
            self._weight,
            scale_a=self._one,
            scale_b=self._scale,
            out_dtype=self._out,
        )
        return y if self._bias is None else y + self._bias


def compute_dtype(runtime: Runtime, device: str) -> torch.dtype:
    """The dtype activations have under a runtime on a device."""
    import torch

    if runtime.weights == "int8":
        return torch.float32 if device == "cpu" else torch.bfloat16
    if runtime.weights == "fp8":
        return torch.bfloat16
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[runtime.weights]


def cache_dtype(runtime: Runtime) -> torch.dtype:
    """The dtype of cache entries; raises Unsupported for int8, which would need scales."""
    import torch

    if runtime.cache == "int8":
        raise Unsupported("an int8 cache is not offered; use fp32, bf16, fp16 or fp8")
    names = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    return names.get(runtime.cache, torch.float8_e4m3fn)


def pack(weight: torch.Tensor, bias: torch.Tensor | None, runtime: Runtime) -> Product:
    """The fastest product that works here for this precision; raises Unsupported where none does."""
    import torch

    on_cpu = weight.device.type == "cpu"
    makers: list[Any]
    if runtime.weights == "int8":
        makers = [Int8Dynamic] if on_cpu else [Int8WeightOnly]
    elif runtime.weights == "fp8":
        if on_cpu:
            raise Unsupported("fp8 needs a GPU that has it (Ada, Hopper or newer)")
        makers = [Fp8]
    elif on_cpu and runtime.weights in ("fp32", "bf16") and runtime.execution != "compile":
        makers = [Packed, Dense]
    else:
        makers = [Dense]
    reason = ""
    for maker in makers:
        try:
            product: Product = maker(weight, bias)
            # run it once at both kinds of size: some kernels only say at the first call that they are missing
            for rows in (1, 17):
                product(
                    torch.zeros(rows, weight.shape[1], dtype=weight.dtype, device=weight.device)
                )
            return product
        except (RuntimeError, NotImplementedError, AttributeError) as error:
            if "out of memory" in str(error).lower() or "can't allocate" in str(error).lower():
                raise
            reason = str(error).strip().splitlines()[0][:200]
    raise Unsupported(f"{runtime.weights} weights do not work on this device: {reason}")
