"""The paper's own procedure: Hugging Face `generate` with random weights, timed as a user sees it.

Length is fixed by ignoring the end token. The default cache is used. A real model folder runs with
its own weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import Unsupported
from core.measure.backends.backend import Backend, BenchContext, Pulse
from core.measure.backends.linear_kernels import compute_dtype
from core.measure.backends.torch_backend import phases_s
from core.measure.backends.weights import RandomSource
from core.measure.timing.clock import Clock
from core.measure.timing.protocol import Samples
from core.model.architecture import Architecture
from core.records.measurement import Point

if TYPE_CHECKING:
    import torch

WARM_TOKENS = 9


def hugging_face_config(a: Architecture, positions: int) -> Any:
    """The transformers config of a shape; raises Unsupported for one no plain decoder there has."""
    try:
        import transformers
    except ImportError as error:
        raise Unsupported(
            "transformers is not installed; pip install 'paretoscope[models]'"
        ) from error
    if not a.gated_ffn or a.norm_bias:
        raise Unsupported("transformers is offered for shapes with RMSNorm and a gated FFN")
    common: dict[str, Any] = {
        "vocab_size": a.vocab_size,
        "hidden_size": a.d_model,
        "intermediate_size": a.d_ff,
        "num_hidden_layers": a.n_layers,
        "num_attention_heads": a.n_heads,
        "num_key_value_heads": a.n_kv_heads,
        "head_dim": a.d_head,
        "tie_word_embeddings": a.tied_embeddings,
        "max_position_embeddings": positions,
        "rms_norm_eps": 1e-5,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    if a.qk_norm:
        if a.qkv_bias != a.out_bias or a.ffn_bias:
            raise Unsupported("transformers has no decoder with query-key norms and these biases")
        return transformers.Qwen3Config(attention_bias=a.qkv_bias, **common)
    if a.qkv_bias and not a.out_bias and not a.ffn_bias and a.d_q == a.d_model:
        return transformers.Qwen2Config(**common)
    if a.qkv_bias != a.out_bias:
        raise Unsupported("transformers has no decoder with biases on some of its projections")
    return transformers.LlamaConfig(attention_bias=a.qkv_bias, mlp_bias=a.ffn_bias, **common)


def random_model(a: Architecture, positions: int, dtype: torch.dtype, device: str) -> Any:
    """A transformers model of a shape with random weights, made without its slow initialisation."""
    import torch

    config = hugging_face_config(a, positions)
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    source = RandomSource(a, dtype, device)
    model.to_empty(device=device)
    model.tie_weights()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.copy_(source.matrix(*parameter.shape))
            else:
                parameter.fill_(1.0)
        # buffers are not part of the state: the rotary frequencies have to be made again
        for module in model.modules():
            if hasattr(module, "inv_freq") and hasattr(module, "config"):
                fresh = type(module)(module.config).to(device)
                for name, buffer in fresh.named_buffers():
                    setattr(module, name, buffer)
    return model.eval()


class Stamps:
    """A streamer that notes when each token reaches the host; the prompt's echo is not a token."""

    def __init__(self, clock: Clock, pulse: Pulse) -> None:
        self._now = clock.now
        self._pulse = pulse
        self._echoed = False
        self.stamps_ns = [clock.now()]

    def put(self, _value: Any) -> None:
        """Called by `generate` once with the prompt and then with every new token."""
        if self._echoed:
            self.stamps_ns.append(self._now())
            self._pulse.count += 1
        self._echoed = True

    def end(self) -> None:
        """Nothing is held back."""


class GenerateRunner:
    """`model.generate` under one workload. Raises Unsupported where it cannot run."""

    def __init__(self, point: Point, device: str, clock: Clock, pulse: Pulse) -> None:
        import torch

        runtime, work = point.runtime, point.workload
        if runtime.cache != runtime.weights:
            raise Unsupported(
                f"transformers keeps its cache in the precision of its weights ({runtime.weights})"
            )
        self._torch = torch
        self._device = device
        self._clock = clock
        self._pulse = pulse
        self._output = work.output_tokens
        positions = work.prompt_tokens + work.output_tokens
        self._model: Any
        if point.folder:
            from core.measure.backends.folder import load_model, read_folder

            self._model = load_model(read_folder(point.folder), runtime.weights, device)
        else:
            dtype = compute_dtype(runtime, device)
            self._model = random_model(point.architecture, positions, dtype, device)
        # a folder's own settings may sample, stop early or penalise: none of that is timed
        self._model.generation_config = type(self._model.generation_config)()
        generator = torch.Generator().manual_seed(1)
        self._tokens = torch.randint(
            point.architecture.vocab_size, (work.batch, work.prompt_tokens), generator=generator
        ).to(device)
        self._cache_bytes = int(
            point.architecture.cache_bytes_per_token(runtime.cache_bytes) * positions * work.batch
        )

    def _generate(self, output: int) -> dict[str, list[float]]:
        from transformers import GenerationConfig

        settings = GenerationConfig(
            max_new_tokens=output,
            min_new_tokens=output,
            do_sample=False,
            num_beams=1,
            use_cache=True,
            eos_token_id=None,
            pad_token_id=0,
        )
        if self._device != "cpu":
            self._torch.cuda.synchronize(self._device)
        stamps = Stamps(self._clock, self._pulse)
        answer = self._model.generate(
            self._tokens,
            attention_mask=self._torch.ones_like(self._tokens),
            generation_config=settings,
            streamer=stamps,
        )
        if self._device != "cpu":
            self._torch.cuda.synchronize(self._device)
        end = self._clock.now()
        made = answer.shape[1] - self._tokens.shape[1]
        if made != output or len(stamps.stamps_ns) != output + 1:
            raise RuntimeError(f"generate made {made} tokens instead of {output}")
        samples = phases_s(stamps.stamps_ns)
        samples["e2e"] = [(end - stamps.stamps_ns[0]) / 1e9]
        return samples

    def warm(self) -> float:
        """A prompt and a few tokens; the median gap, or the first token where nothing follows."""
        samples = self._generate(min(self._output, WARM_TOKENS))
        gaps = sorted(samples["tpot"]) or samples["ttft"]
        return gaps[len(gaps) // 2]

    def request(self) -> Samples:
        """A whole call of `generate`."""
        return self._generate(self._output)

    def first(self) -> Samples:
        """A call for one token."""
        return {"ttft": self._generate(1)["ttft"]}

    def memory(self) -> dict[str, int]:
        """Bytes of weights as stored; the cache by arithmetic, since `generate` grows it."""
        unique = {p.data_ptr(): p.numel() * p.element_size() for p in self._model.parameters()}
        return {"weights": sum(unique.values()), "cache": self._cache_bytes}

    def describe(self) -> dict[str, Any]:
        """What ran, for the record."""
        import transformers

        return {
            "kernels": "transformers",
            "software": {"transformers": transformers.__version__},
            "attention": str(getattr(self._model.config, "_attn_implementation", "")),
            "bytes_read_per_step": self.memory()["weights"] - self._embedding_bytes(),
        }

    def _embedding_bytes(self) -> int:
        """Bytes of an embedding table that is only looked up; 0 when it is also the head."""
        table = self._model.get_input_embeddings().weight
        head = self._model.get_output_embeddings()
        shared = head is not None and head.weight.data_ptr() == table.data_ptr()
        return 0 if shared else int(table.numel() * table.element_size())

    def close(self) -> None:
        """Drop the model."""
        self._model = None


def start(point: Point, context: BenchContext, _shared: Any = None) -> GenerateRunner:
    """The model of a point, of random weights or a folder's, behind `generate`."""
    return GenerateRunner(point, context.target, context.clock, context.pulse)


PRECISIONS = ("fp32", "bf16", "fp16")
BACKEND = Backend(
    name="transformers",
    label="transformers",
    devices=("cpu", "cuda"),
    weights=PRECISIONS,
    caches=PRECISIONS,
    start=start,
    needs=("transformers",),
    extra="models",
    folders="any",
    interleaves=True,
    quick=True,
)
