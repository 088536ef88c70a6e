"""The same decoder in ONNX Runtime on CPU, its graph written node by node.

Attention is ONNX Runtime's own grouped-query operator, which writes into a cache allocated once;
weights are handed over in memory, so that no file is written and no 2 GB limit met.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import Unsupported
from core.measure.backends.backend import Backend, BenchContext, Pulse
from core.measure.backends.torch_backend import WARM_STEPS, phases_s
from core.measure.backends.weights import RandomSource, Source
from core.measure.timing.clock import Clock
from core.measure.timing.memory import decoder_bytes
from core.measure.timing.protocol import Samples
from core.model.architecture import Architecture
from core.records.measurement import Point

if TYPE_CHECKING:
    import torch

EXTRA = "com.microsoft"
EPSILON = 1e-5


def _libraries() -> tuple[Any, Any]:
    import onnx
    import onnxruntime

    return onnx, onnxruntime


class Graph:
    """Collects nodes and weights of one decoder graph."""

    def __init__(self, onnx: Any, runtime: Any, int8: bool) -> None:
        self._helper = onnx.helper
        self._types = onnx.TensorProto
        self._onnx = onnx
        self._runtime = runtime
        self._int8 = int8
        self.nodes: list[Any] = []
        self.initialisers: list[Any] = []
        self.values: dict[str, Any] = {}
        self.weight_bytes = 0
        self.matrix_bytes = 0

    def node(
        self, kind: str, inputs: list[str], outputs: int = 1, domain: str = "", **attributes: Any
    ) -> Any:
        """Add a node; returns the name of its output, or names of its outputs."""
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(self._helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, array: np.ndarray[Any, Any]) -> str:
        """Add a constant; large ones are handed to the session in memory. Returns its name."""
        name = f"weight_{len(self.initialisers)}"
        self.weight_bytes += array.nbytes
        if array.nbytes < 1024:
            self.initialisers.append(self._onnx.numpy_helper.from_array(array, name))
            return name
        tensor = self._types()
        tensor.name = name
        tensor.data_type = self._helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor.dims.extend(array.shape)
        tensor.data_location = self._types.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "memory"
        self.initialisers.append(tensor)
        self.values[name] = self._runtime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
        return name

    def product(self, x: str, matrix: torch.Tensor, bias: torch.Tensor | None) -> str:
        """x W^T + b for a matrix [out, in]."""
        before = self.weight_bytes
        if self._int8:
            scale = matrix.abs().amax(1).clamp_min(1e-8) / 127
            whole = (matrix / scale[:, None]).round().clamp(-127, 127)
            y = self.node(
                "DynamicQuantizeMatMul",
                [
                    x,
                    self.weight(whole.t().to(dtype=_int8()).contiguous().numpy()),
                    self.weight(scale.numpy()),
                ],
                domain=EXTRA,
            )
        else:
            y = self.node("MatMul", [x, self.weight(matrix.t().contiguous().numpy())])
        self.matrix_bytes += self.weight_bytes - before
        added = y if bias is None else self.node("Add", [y, self.weight(bias.numpy())])
        return str(added)

    def norm(self, x: str, gain: torch.Tensor, bias: torch.Tensor | None) -> str:
        """RMSNorm, or LayerNorm where there is a bias."""
        kind, inputs = "SimplifiedLayerNormalization", [x, self.weight(gain.numpy())]
        if bias is not None:
            kind, inputs = "LayerNormalization", [*inputs, self.weight(bias.numpy())]
        return str(self.node(kind, inputs, axis=-1, epsilon=EPSILON))


def _int8() -> torch.dtype:
    import torch

    return torch.int8


def decoder_graph(
    a: Architecture, source: Source, capacity: int, onnx: Any, runtime: Any, int8: bool = False
) -> tuple[Any, Graph]:
    """The ONNX model of a decoder and the graph it was made from.

    Inputs: tokens [batch, length] int64, last [batch] int32 (cache length after the step, less one),
    total [] int32, and per layer a key and a value cache [batch, n_kv_heads, capacity, d_head].
    Outputs: the chosen token [batch, 1], the logits [batch, vocab_size], and the caches, which must
    be bound to the very buffers of the inputs.
    """
    g, helper, types = Graph(onnx, runtime, int8), onnx.helper, onnx.TensorProto
    embedding = source.embedding()
    x = g.node("Gather", [g.weight(embedding.numpy()), "tokens"], axis=0)
    steps = np.arange(0, a.d_head, 2, dtype=np.float32) / a.d_head
    angles = np.arange(capacity, dtype=np.float32)[:, None] * 10_000.0 ** -steps[None]
    cos = g.weight(np.cos(angles).astype(np.float32))
    sin = g.weight(np.sin(angles).astype(np.float32))
    cache = ["batch", a.n_kv_heads, capacity, a.d_head]
    ends = [helper.make_tensor_value_info("tokens", types.INT64, ["batch", "length"])]
    ends.append(helper.make_tensor_value_info("last", types.INT32, ["batch"]))
    ends.append(helper.make_tensor_value_info("total", types.INT32, []))
    outs = [
        helper.make_tensor_value_info("chosen", types.INT64, ["batch", 1]),
        helper.make_tensor_value_info("logits", types.FLOAT, ["batch", a.vocab_size]),
    ]
    for i in range(a.n_layers):
        layer = source.layer(i)
        h = g.norm(x, layer.norm_attention, layer.norm_attention_bias)
        qkv = g.product(h, layer.qkv, layer.qkv_bias)
        past = [f"past_key_{i}", f"past_value_{i}"]
        present = [f"present_key_{i}", f"present_value_{i}"]
        g.nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [qkv, "", "", *past, "last", "total", cos, sin],
                [f"attention_{i}", *present],
                domain=EXTRA,
                num_heads=a.n_heads,
                kv_num_heads=a.n_kv_heads,
                do_rotary=1,
                rotary_interleaved=0,
            )
        )
        ends += [helper.make_tensor_value_info(n, types.FLOAT, cache) for n in past]
        outs += [helper.make_tensor_value_info(n, types.FLOAT, cache) for n in present]
        x = g.node("Add", [x, g.product(f"attention_{i}", layer.out, layer.out_bias)])
        h = g.product(g.norm(x, layer.norm_ffn, layer.norm_ffn_bias), layer.up, layer.up_bias)
        if a.gated_ffn:
            gate, up = g.node("Split", [h], 2, axis=-1, num_outputs=2)
            # QuickGelu with alpha 1 is SiLU in one pass
            gate = g.node("QuickGelu", [gate], domain=EXTRA, alpha=1.0)
            h = g.node("Mul", [gate, up])
        else:
            h = g.node("Gelu", [h], domain=EXTRA)
        x = g.node("Add", [x, g.product(h, layer.down, layer.down_bias)])
    x = g.node("Gather", [x, g.weight(np.array(-1, np.int64))], axis=1)
    head = source.head()
    logits = g.product(g.norm(x, *source.final_norm()), embedding if head is None else head, None)
    g.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    g.nodes.append(helper.make_node("ArgMax", [logits], ["chosen"], axis=-1, keepdims=1))
    graph = helper.make_graph(g.nodes, "decoder", ends, outs, g.initialisers)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(EXTRA, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9), g


class OnnxDecoder:
    """A decoder in an ONNX Runtime session with its cache. Raises Unsupported where it cannot run."""

    def __init__(
        self,
        architecture: Architecture,
        weights: str,
        batch: int,
        capacity: int,
        threads: int,
        source: Source | None = None,
    ) -> None:
        import torch

        onnx, ort = _libraries()
        a = architecture
        if a.qk_norm:
            raise Unsupported("ONNX Runtime is offered for shapes without query-key norms")
        if a.d_head % 16:
            raise Unsupported(
                f"ONNX Runtime's rotary attention needs heads in multiples of 16, not {a.d_head}"
            )
        source = source or RandomSource(a, torch.float32, "cpu")
        model, graph = decoder_graph(a, source, capacity, onnx, ort, weights == "int8")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if graph.values:
            options.add_external_initializers(list(graph.values), list(graph.values.values()))
        try:
            self._session = ort.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise Unsupported(f"ONNX Runtime refuses this shape: {reason}") from error
        self.weight_bytes = graph.weight_bytes
        self.bytes_read_per_step = graph.matrix_bytes
        # the session reads embeddings and norms from our memory for as long as it lives
        self._values = graph.values
        shape = (batch, a.n_kv_heads, capacity, a.d_head)
        # a value made from an array shares its memory: one array a cache
        arrays = [np.zeros(shape, np.float32) for _ in range(2 * a.n_layers)]
        self._caches = [ort.OrtValue.ortvalue_from_numpy(array) for array in arrays]
        self.cache_bytes = sum(array.nbytes for array in arrays)
        self._batch = batch
        self._ort = ort
        self._position = 0
        self._last = ort.OrtValue.ortvalue_from_numpy(np.zeros(batch, np.int32))
        self._total = ort.OrtValue.ortvalue_from_numpy(np.zeros((), np.int32))
        self._chosen = ort.OrtValue.ortvalue_from_numpy(np.zeros((batch, 1), np.int64))
        self._logits = ort.OrtValue.ortvalue_from_numpy(np.zeros((batch, a.vocab_size), np.float32))
        self._binding = self._session.io_binding()
        self._binding.bind_ortvalue_input("last", self._last)
        self._binding.bind_ortvalue_input("total", self._total)
        self._binding.bind_ortvalue_output("chosen", self._chosen)
        self._binding.bind_ortvalue_output("logits", self._logits)
        for i in range(a.n_layers):
            for kind, value in zip(("key", "value"), self._caches[2 * i : 2 * i + 2], strict=True):
                self._binding.bind_ortvalue_input(f"past_{kind}_{i}", value)
                self._binding.bind_ortvalue_output(f"present_{kind}_{i}", value)

    def _run(self, length: int) -> None:
        self._position += length
        self._last.update_inplace(np.full(self._batch, self._position - 1, np.int32))
        self._total.update_inplace(np.array(self._position, np.int32))
        self._session.run_with_iobinding(self._binding)

    def prefill(self, tokens: np.ndarray[Any, Any]) -> None:
        """Read prompts [batch, length] from an empty cache; the chosen token feeds `step`."""
        self._position = 0
        self._binding.bind_ortvalue_input("tokens", self._ort.OrtValue.ortvalue_from_numpy(tokens))
        self._run(tokens.shape[1])
        # from here on the token chosen last is the input, in the same memory
        self._binding.bind_ortvalue_input("tokens", self._chosen)

    def step(self) -> None:
        """Decode one token."""
        self._run(1)

    def chosen(self) -> np.ndarray[Any, Any]:
        """The tokens chosen last, [batch]."""
        return np.array(self._chosen.numpy()[:, 0])

    def logits(self) -> np.ndarray[Any, Any]:
        """The logits computed last, [batch, vocab_size]."""
        return np.array(self._logits.numpy())


class OnnxRunner:
    """An ONNX Runtime decoder under one workload."""

    def __init__(self, point: Point, clock: Clock, pulse: Pulse, threads: int) -> None:
        runtime, work = point.runtime, point.workload
        self._clock, self._pulse = clock, pulse
        self._output = work.output_tokens
        capacity = work.prompt_tokens + work.output_tokens
        self.decoder = OnnxDecoder(
            point.architecture, runtime.weights, work.batch, capacity, threads
        )
        rng = np.random.default_rng(1)
        self._tokens = rng.integers(
            point.architecture.vocab_size, size=(work.batch, work.prompt_tokens), dtype=np.int64
        )

    def _timed(self, output: int) -> dict[str, list[float]]:
        now, pulse = self._clock.now, self._pulse
        stamps = [0] * (output + 1)
        stamps[0] = now()
        self.decoder.prefill(self._tokens)
        stamps[1] = now()
        for i in range(2, output + 1):
            self.decoder.step()
            stamps[i] = now()
            pulse.count += 1
        pulse.count += 1
        return phases_s(stamps)

    def warm(self) -> float:
        """One prompt and a few steps; the median step (or the prompt, when nothing follows)."""
        samples = self._timed(min(self._output, 1 + WARM_STEPS))
        steps = sorted(samples["tpot"]) or samples["ttft"]
        return steps[len(steps) // 2]

    def request(self) -> Samples:
        """A whole request."""
        return self._timed(self._output)

    def first(self) -> Samples:
        """A prompt and its first token."""
        return {"ttft": self._timed(1)["ttft"]}

    def memory(self) -> dict[str, int]:
        """Bytes of weights and cache, as handed over."""
        return {"weights": self.decoder.weight_bytes, "cache": self.decoder.cache_bytes}

    def describe(self) -> dict[str, Any]:
        """What ran, for the record."""
        _onnx, ort = _libraries()
        return {
            "kernels": "onnxruntime",
            "software": {"onnxruntime": ort.__version__},
            "bytes_read_per_step": self.decoder.bytes_read_per_step,
        }

    def close(self) -> None:
        """Drop the session and the cache."""
        del self.decoder


def start(point: Point, context: BenchContext, _shared: Any = None) -> OnnxRunner:
    """The decoder of a point in an ONNX Runtime session."""
    threads = context.use_threads(point.runtime.threads)
    return OnnxRunner(point, context.clock, context.pulse, threads)


BACKEND = Backend(
    name="onnx",
    label="ONNX Runtime",
    devices=("cpu",),
    weights=("fp32", "int8"),
    caches=("fp32",),
    start=start,
    needs=("onnx", "onnxruntime"),
    extra="onnx",
    # not interleaved: threads of its own spin on after a run, and six of it in one process took up to
    # twice as long as beside others
    quick=True,
    # it keeps its packed copy beside the weights it was given
    memory=partial(decoder_bytes, copies=2),
)
