"""The fastest linear kernel that torch offers for each precision on each device.

`best_linear` turns a matrix into a `Linear`, and the plain tensor can be dropped.
"""

from __future__ import annotations

import functools
import time
import warnings
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import Unsupported
from core.model.workload import Runtime

if TYPE_CHECKING:
    import torch

# rows a packed matrix is laid out for: 128 was as good or better at one row than a layout for 1
PACKED_ROWS = 128
# the race between two kernels: matrices as layers have them, together larger than any cache beside a core
RACE_SIDE, RACE_MATRICES, RACE_ROUNDS = 1024, 32, 9
# rows from which oneDNN is faster on a matrix that is not packed
MANY_ROWS = 4


class Linear(Protocol):
    """x [rows, in] -> x W^T + b [rows, out]; `nbytes` is what one call reads of weights.

    `keeps_matrix` is True where it works on the matrix it was given and not on a copy laid out anew.
    """

    nbytes: int
    kernel: str
    keeps_matrix: bool

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The product."""
        ...

    def add_to(self, residual: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """residual + product; the residual may be overwritten."""
        ...


class _Adding:
    """Adds after the product, as every kernel can."""

    keeps_matrix = False

    def add_to(self, residual: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """residual + product."""
        return residual + self(x)  # type: ignore[operator]


class Dense:
    """Plain `F.linear`."""

    kernel = "linear"
    keeps_matrix = True

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        from torch.nn.functional import linear

        self.weight, self.bias = weight, bias
        self.nbytes = weight.numel() * weight.element_size()
        self._linear = linear
        self.in_place = False

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x W^T + b."""
        return self._linear(x, self.weight, self.bias)

    def add_to(self, residual: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """residual + product, in one kernel and in place where that is a gain."""
        if self.in_place:
            return residual.addmm_(x, self.weight.t())
        return residual + self(x)


class Packed(_Adding):
    """oneDNN with a prepacked weight: on CPU it uses all cores at one row, where plain fp32 uses one."""

    kernel = "onednn-packed"

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        import torch

        self.nbytes = weight.numel() * weight.element_size()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PACKED_ROWS)
        self._bias = bias
        self._run = torch.ops.mkldnn._linear_pointwise.default

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x W^T + b."""
        return self._run(x, self._weight, self._bias, "none", [], "")


class ByRows(_Adding):
    """One plain matrix, and for each number of rows the kernel that reads it faster on CPU.

    Below four rows that is `F.linear`, from four on oneDNN, which was 1.0 to 1.8 times as fast as
    `F.linear` at 4 to 16 rows (two cores of a Xeon, fp32).
    """

    kernel = "linear+onednn"
    keeps_matrix = True

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        import torch
        from torch.nn.functional import linear

        self.nbytes = weight.numel() * weight.element_size()
        self._weight, self._bias = weight.contiguous(), bias
        self._few, self._many = linear, torch.ops.mkldnn._linear_pointwise.default

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x W^T + b."""
        if x.shape[:-1].numel() < MANY_ROWS:
            return self._few(x, self._weight, self._bias)
        return self._many(x, self._weight, self._bias, "none", [], "")


class Int8Dynamic(_Adding):
    """int8 weights per output row, activations quantised as they arrive (fbgemm or oneDNN, CPU)."""

    kernel = "int8-dynamic"

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        import torch

        plain = weight.float()
        scales = plain.abs().amax(1).clamp_min(1e-8).double() / 127
        zeros = torch.zeros(len(scales), dtype=torch.long)
        with warnings.catch_warnings():
            # announced to go away some day; `best_linear` then takes the weight-only product
            warnings.simplefilter("ignore")
            quantised = torch.quantize_per_channel(plain, scales, zeros, 0, torch.qint8)
        self.nbytes = weight.numel()
        self._weight = torch.ops.quantized.linear_prepack(
            quantised, None if bias is None else bias.float()
        )
        self._run = torch.ops.quantized.linear_dynamic.default

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x W^T + b."""
        # reduced range is off: it is only for processors whose int8 product overflows
        return self._run(x, self._weight, False)


class Int8WeightOnly(_Adding):
    """int8 weights with a scale per output row; activations are bf16 (`_weight_int8pack_mm`)."""

    kernel = "int8-weight-only"

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        import torch

        scales = weight.float().abs().amax(1).clamp_min(1e-8) / 127
        self._weight = (weight.float() / scales[:, None]).round().to(torch.int8)
        # the product wants bf16: in fp32 its CPU kernel is ten times slower
        self._dtype = weight.dtype
        self._scales = scales.to(torch.bfloat16)
        self._bias = bias
        self._inner = torch.bfloat16
        self.nbytes = self._weight.numel()
        self._run = torch._weight_int8pack_mm

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x W^T + b."""
        y = self._run(x.to(self._inner), self._weight, self._scales).to(self._dtype)
        return y if self._bias is None else y + self._bias


class Fp8(_Adding):
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
        """x W^T + b."""
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


@functools.cache
def packed_is_quicker(dtype: torch.dtype, threads: int) -> bool:
    """Whether oneDNN's packed product reads weights faster here than the plain one, by a race.

    Which of them uses all cores at one row differs between makers of processors. Matrices beyond the
    caches, one row, turn about; the quickest round of each counts, which others of the machine disturb
    least, and the plain one has to be a tenth quicker, so that luck decides nothing.
    """
    import torch

    weights = [
        torch.full((RACE_SIDE, RACE_SIDE), 0.01 * (i + 1)).to(dtype) for i in range(RACE_MATRICES)
    ]
    row = torch.ones(1, RACE_SIDE, dtype=dtype)
    try:
        packed: list[Any] = [Packed(w, None) for w in weights]
        packed[0](row)
    except (RuntimeError, NotImplementedError, AttributeError):
        return False
    plain = [Dense(w, None) for w in weights]
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(RACE_ROUNDS):
        for is_packed, products in ((True, packed), (False, plain)):
            start = time.perf_counter()
            for product in products:
                product(row)
            seconds[is_packed].append(time.perf_counter() - start)
    return min(seconds[True]) < 1.1 * min(seconds[False])


def best_linear(weight: torch.Tensor, bias: torch.Tensor | None, runtime: Runtime) -> Linear:
    """The fastest product that works here for this precision; raises Unsupported where none does."""
    import torch

    on_cpu = weight.device.type == "cpu"
    makers: list[Any]
    if runtime.weights == "int8":
        makers = [Int8Dynamic, Int8WeightOnly] if on_cpu else [Int8WeightOnly]
    elif runtime.weights == "fp8":
        if on_cpu:
            raise Unsupported("fp8 needs a GPU that has it (Ada, Hopper or newer)")
        makers = [Fp8]
    elif on_cpu and runtime.weights in ("fp32", "bf16") and runtime.execution != "compile":
        first = packed_is_quicker(weight.dtype, torch.get_num_threads())
        makers = [Packed, ByRows, Dense] if first else [ByRows, Dense]
    else:
        makers = [Dense]
    reason = ""
    for maker in makers:
        try:
            product: Linear = maker(weight, bias)
            if isinstance(product, Dense):
                # a launch saved on a GPU. On CPU it would leave the fast one-row kernels, and a
                # compiler fuses the sum itself, but only if it is not part of the product
                product.in_place = not on_cpu and bias is None and runtime.execution != "compile"
            # run it once at both kinds of size: some kernels fail only at the first call where they are missing
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
