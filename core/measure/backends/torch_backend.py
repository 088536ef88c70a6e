"""The decoder as something that can be timed: whole requests, on CPU and on CUDA."""

from __future__ import annotations

import importlib.util
import itertools
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.errors import Unsupported
from core.measure.backends.backend import Backend, BenchContext, Pulse
from core.measure.backends.decoder import (
    COMPILED_BUCKET,
    NORM_EPS,
    Decoder,
    GraphStep,
    Weights,
)
from core.measure.backends.linear_kernels import compute_dtype
from core.measure.backends.llama_layout import INSTEAD, KNOWN, Layout, layout_of
from core.measure.backends.same_logits import require_same_logits
from core.measure.backends.stored_tensors import StoredTensors
from core.measure.backends.weights import LlamaSource, Source
from core.measure.timing.clock import Clock, gaps_s
from core.measure.timing.protocol import Samples
from core.records.measurement import Point

if TYPE_CHECKING:
    import torch

# steps in flight before the host waits for the oldest: the device never idles for the host's sake
LAG = 2
# entries to which the cache of a step with a fixed length is rounded up
STATIC_MULTIPLE = 16
WARM_STEPS = 8
# by these the tensors of a Llama are known; others have them under other names
LLAMA_NAMES = tuple(
    f"model.layers.0.{name}.weight"
    for name in (
        "self_attn.q_proj",
        "self_attn.o_proj",
        "mlp.up_proj",
        "mlp.down_proj",
        "input_layernorm",
        "post_attention_layernorm",
    )
)


class DecoderRunner:
    """A decoder under one workload: prefill, then one token after another, greedily.

    Must be used under `torch.inference_mode()`. Raises Unsupported where it cannot run.
    """

    def __init__(
        self,
        point: Point,
        device: str,
        clock: Clock,
        pulse: Pulse,
        source: Source | None = None,
        weights: Weights | None = None,
        layout: Layout | None = None,
    ) -> None:
        import torch

        work, execution = point.workload, point.runtime.execution
        capacity = work.prompt_tokens + work.output_tokens
        if execution != "eager":
            # attention over a fixed length wants it in whole steps; else its mask is copied each time
            capacity = -(-capacity // STATIC_MULTIPLE) * STATIC_MULTIPLE
        self._torch = torch
        self._clock = clock
        self._pulse = pulse
        self._device = device
        self._output = work.output_tokens
        self._prompt = work.prompt_tokens
        self.decoder = Decoder(
            point.architecture,
            point.runtime,
            device,
            work.batch,
            capacity,
            source,
            weights,
            layout.frequencies if layout else None,
            layout.norm_eps if layout else NORM_EPS,
        )
        generator = torch.Generator().manual_seed(1)
        self._tokens = torch.randint(
            point.architecture.vocab_size, (work.batch, work.prompt_tokens), generator=generator
        ).to(device)
        self._graph: GraphStep | None = None
        self._compiled = execution == "compile"
        self._step: Callable[[torch.Tensor], torch.Tensor] = self.decoder.step
        self._prepare(execution)

    def _prepare(self, execution: str) -> None:
        first, last = self._prompt, max(self._prompt, self._prompt + self._output - 2)
        if execution == "graph":
            self._graph = GraphStep(self.decoder)
            self._graph.prepare(first, last)
        elif execution == "compile":
            self._compile(first, last)
        elif execution != "eager":
            raise Unsupported(f"the decoder does not run as '{execution}'")
        if self._graph is not None:
            graph = self._graph
            self._step = lambda _tokens: graph.step()

    def _compile(self, first: int, last: int) -> None:
        """torch.compile of the static step; on CUDA captured in graphs as well, as it is used."""
        if getattr(sys, "frozen", False):
            # it would start this program as if it were Python, and needs compilers and headers
            raise Unsupported(
                "torch.compile is not part of the packed program; choose a Python that has it in the"
                " Devices panel, or with --python"
            )
        # one compilation a stretch of cache; beyond its limit dynamo would quietly run eagerly
        dynamo = self._torch._dynamo.config
        for name in ("recompile_limit", "cache_size_limit"):
            if hasattr(dynamo, name):
                setattr(dynamo, name, 256)
        # at one row a product is a reduction, which this tuning lets run at the memory's speed
        tuning = None if self._device == "cpu" else {"coordinate_descent_tuning": True}
        compiled = self._torch.compile(
            # in one piece or not at all: a break would quietly run the rest eagerly
            self.decoder.static_step,
            fullgraph=True,
            dynamic=False,
            options=tuning,
        )
        try:
            if self._device != "cpu":
                self._graph = GraphStep(self.decoder, compiled, COMPILED_BUCKET)
                self._graph.prepare(first, last)
                return
            capacity = self.decoder.capacity
            position = self._torch.full((1,), first)
            compiled(self._tokens[:, 0].clone(), position, self.decoder.seen(position, capacity))
        except Exception as error:
            reason = str(error).strip().splitlines()
            raise Unsupported(
                f"torch.compile does not work here: {reason[0][:200] if reason else type(error).__name__}"
            ) from error

        def step(tokens: torch.Tensor) -> torch.Tensor:
            position.fill_(self.decoder.position)
            self.decoder.position += 1
            return compiled(tokens, position, self.decoder.seen(position, capacity))

        self._step = step

    def _prefill(self) -> torch.Tensor:
        tokens = self.decoder.prefill(self._tokens)
        if self._graph is not None:
            self._graph.start(tokens, self._prompt)
        return tokens

    def warm(self) -> float:
        """One prompt and a few steps; the median step (or the prompt, when nothing follows)."""
        samples = self._timed(min(self._output, 1 + WARM_STEPS))
        steps = samples.get("tpot")
        return statistics.median(steps) if steps else samples["ttft"][0]

    def request(self) -> Samples:
        """A whole request."""
        return self._timed(self._output)

    def first(self) -> Samples:
        """A prompt and its first token."""
        samples = self._timed(1)
        return {k: v for k, v in samples.items() if k.startswith("ttft")}

    def _timed(self, output: int) -> dict[str, list[float]]:
        return self._timed_cpu(output) if self._device == "cpu" else self._timed_cuda(output)

    def _timed_cpu(self, output: int) -> dict[str, list[float]]:
        now, pulse = self._clock.now, self._pulse
        stamps = [0] * (output + 1)
        stamps[0] = now()
        tokens = self._prefill()
        stamps[1] = now()
        for i in range(2, output + 1):
            tokens = self._step(tokens)
            stamps[i] = now()
            pulse.count += 1
        pulse.count += 1
        return phases_s(stamps)

    def _timed_cuda(self, output: int) -> dict[str, list[float]]:
        """Host stamps when each token is there, device stamps on the stream, and launch times.

        The host waits for a token only when `LAG` further steps have been launched, so that it sees
        tokens as a streaming server would and the device still never waits for it.
        """
        torch, now, pulse = self._torch, self._clock.now, self._pulse
        events = [torch.cuda.Event(enable_timing=True) for _ in range(output + 1)]
        stamps = [0] * (output + 1)
        launch: list[float] = []
        torch.cuda.synchronize(self._device)
        stamps[0] = now()
        events[0].record()
        tokens = self._prefill()
        events[1].record()
        events[1].synchronize()
        stamps[1] = now()
        for i in range(2, output + 1):
            before = now()
            tokens = self._step(tokens)
            events[i].record()
            launch.append((now() - before) / 1e9)
            pulse.count += 1
            if i - LAG >= 2:
                events[i - LAG].synchronize()
                stamps[i - LAG] = now()
        for i in range(max(2, output + 1 - LAG), output + 1):
            events[i].synchronize()
            stamps[i] = now()
        torch.cuda.synchronize(self._device)
        pulse.count += 1
        samples = phases_s(stamps)
        device = [a.elapsed_time(b) / 1e3 for a, b in itertools.pairwise(events)]
        samples["ttft_device"] = device[:1]
        samples["tpot_device"] = device[1:]
        samples["e2e_device"] = [events[0].elapsed_time(events[-1]) / 1e3]
        samples["tpot_launch"] = launch
        return samples

    def memory(self) -> dict[str, int]:
        """Bytes of weights and cache, as stored."""
        return {"weights": self.decoder.weight_bytes, "cache": self.decoder.cache_bytes}

    def describe(self) -> dict[str, Any]:
        """What ran, for the record."""
        return {
            "kernels": self.decoder.kernels,
            "bytes_read_per_step": self.decoder.bytes_read_per_step,
        }

    def close(self) -> None:
        """Drop graphs, cache, weights, and what was compiled for them."""
        if self._graph is not None:
            self._graph.close()
        self._graph = None
        self._step = self.decoder.step
        if self._compiled:
            # else a sweep would run into the limit, with every shape's code and guards kept
            self._torch._dynamo.reset()
        self.decoder.blocks.clear()
        self.decoder.caches.clear()


def phases_s(stamps_ns: list[int]) -> dict[str, list[float]]:
    """Seconds to the first token, between tokens, and of the whole, from stamps from the start on."""
    gaps = gaps_s(stamps_ns)
    return {
        "ttft": gaps[:1],
        "tpot": gaps[1:],
        "e2e": [(stamps_ns[-1] - stamps_ns[0]) / 1e9],
    }


def start(point: Point, context: BenchContext, shared: Weights | None = None) -> DecoderRunner:
    """The decoder of a point, of random weights or a folder's, in its execution."""
    source, layout = _of_folder(point, context) if point.folder else (None, None)
    target, clock, pulse = context.target, context.clock, context.pulse
    return DecoderRunner(point, target, clock, pulse, source, shared, layout)


def _weights(point: Point, context: BenchContext) -> Weights:
    return Weights(point.architecture, point.runtime, context.target)


def _of_folder(point: Point, context: BenchContext) -> tuple[Source | None, Layout]:
    """Tensors of a local model folder for the plain decoder, and its layout.

    The decoder must compute the folder's network: with transformers its logits are compared, without
    it only families whose layer is known to be Llama's are taken. Raises Unsupported otherwise.
    """
    import torch

    from core.measure.backends.folder import load_model, read_folder

    folder = read_folder(point.folder)
    positions = point.workload.prompt_tokens + point.workload.output_tokens
    layout = layout_of(folder, positions)
    dtype = compute_dtype(point.runtime, context.target)
    if importlib.util.find_spec("transformers") is None:
        if folder.family not in KNOWN:
            raise Unsupported(
                f"without the package transformers the decoder runs {', '.join(KNOWN)}, not "
                f"{folder.family}; choose a Python that has transformers in the Devices panel, or with "
                "--python"
            )
        if not folder.has_weights:
            return None, layout
        stored = StoredTensors(folder.files)
        return LlamaSource(stored, point.architecture, dtype, context.target), layout
    model = load_model(folder, "fp32", "cpu")
    tensors = model.state_dict()
    if any(name not in tensors for name in LLAMA_NAMES):
        raise Unsupported(f"this model is not laid out as Llama is; {INSTEAD}")
    plain = LlamaSource(tensors, point.architecture, torch.float32, "cpu")
    require_same_logits(model, plain, point.architecture, layout, positions)
    return LlamaSource(tensors, point.architecture, dtype, context.target), layout


# scales would be needed for an int8 cache
CACHES = ("fp32", "bf16", "fp16", "fp8")
EAGER = Backend(
    name="eager",
    label="the program's decoder",
    devices=("cpu", "cuda"),
    caches=CACHES,
    start=start,
    needs=("torch",),
    extra="measure",
    folders="llama",
    shared=_weights,
    interleaves=True,
    quick=True,
)
GRAPH = replace(
    EAGER,
    name="graph",
    label="the decoder in CUDA graphs",
    devices=("cuda",),
    shared=None,
    interleaves=False,
    quick=False,
)
COMPILE = replace(
    EAGER,
    name="compile",
    label="the decoder compiled by torch",
    # compiling takes seconds even for a toy, and minutes for many stretches of cache
    quick=False,
    patience_s=300.0,
)
