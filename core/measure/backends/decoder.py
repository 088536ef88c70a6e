"""A decoder in plain torch: the thing that is timed.

RMSNorm (or LayerNorm with bias), rotary positions, grouped-query attention, gated or plain FFN, a
cache allocated once. Nothing in a decode step waits for the host: the chosen token stays on the
device and is the next step's input. Three ways to run a step: eager, with the length known on the
host; captured in CUDA graphs; and through torch.compile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from core.errors import Unsupported
from core.measure.backends.linear_kernels import (
    Linear,
    best_linear,
    cache_dtype,
    compute_dtype,
)
from core.measure.backends.weights import Layer, RandomSource, Source
from core.model.architecture import Architecture
from core.model.workload import Runtime

if TYPE_CHECKING:
    import torch

NORM_EPS = 1e-5
# cache lengths a captured step is made for; a step reads up to this many entries too many
BUCKET = 128
# the same where each length has to be compiled
COMPILED_BUCKET = 512


class Block:
    """One layer, packed for its runtime."""

    __slots__ = (
        "down",
        "k_norm",
        "nbytes",
        "norm_attention",
        "norm_ffn",
        "out",
        "q_norm",
        "qkv",
        "up",
    )

    def __init__(self, layer: Layer, runtime: Runtime) -> None:
        self.qkv: Linear = best_linear(layer.qkv, layer.qkv_bias, runtime)
        self.out: Linear = best_linear(layer.out, layer.out_bias, runtime)
        self.up: Linear = best_linear(layer.up, layer.up_bias, runtime)
        self.down: Linear = best_linear(layer.down, layer.down_bias, runtime)
        self.norm_attention = (layer.norm_attention, layer.norm_attention_bias)
        self.norm_ffn = (layer.norm_ffn, layer.norm_ffn_bias)
        self.q_norm, self.k_norm = layer.q_norm, layer.k_norm
        products = (self.qkv, self.out, self.up, self.down)
        vectors = (
            *self.norm_attention,
            *self.norm_ffn,
            self.q_norm,
            self.k_norm,
            layer.qkv_bias,
            layer.out_bias,
            layer.up_bias,
            layer.down_bias,
        )
        self.nbytes: int = sum(p.nbytes for p in products)
        self.nbytes += sum(_nbytes(v) for v in vectors if v is not None)


class Weights:
    """A model's weights as the kernels of a runtime want them; several decoders may share them."""

    def __init__(
        self,
        architecture: Architecture,
        runtime: Runtime,
        device: str,
        source: Source | None = None,
    ) -> None:
        source = source or RandomSource(architecture, compute_dtype(runtime, device), device)
        self.embedding = source.embedding()
        self.blocks = [Block(source.layer(i), runtime) for i in range(architecture.n_layers)]
        self.final_norm = source.final_norm()
        head = source.head()
        self.head: Linear = best_linear(self.embedding if head is None else head, None, runtime)


class Decoder:
    """A decoder with room for `batch` sequences of `capacity` tokens on one device.

    `device` is a torch device string ('cpu', 'cuda:0'). Its weights are loaded from `source` unless
    `weights` are there already. `frequencies` of rotary positions (d_head / 2, radians a position) are
    those of theta = 10,000 by default. Raises Unsupported where the runtime does not work there. All methods
    are to be called under `torch.inference_mode()`.
    """

    def __init__(
        self,
        architecture: Architecture,
        runtime: Runtime,
        device: str,
        batch: int,
        capacity: int,
        source: Source | None = None,
        weights: Weights | None = None,
        frequencies: Sequence[float] | None = None,
        norm_eps: float = NORM_EPS,
    ) -> None:
        import torch
        from torch.nn import functional

        self.architecture = a = architecture
        self.runtime = runtime
        self.device = device
        self.batch = batch
        self.capacity = capacity
        self.dtype = compute_dtype(runtime, device)
        self.position = 0
        self._torch = torch
        self._f = functional
        self._eps = norm_eps
        weights = weights or Weights(a, runtime, device, source)
        self.embedding, self.final_norm = weights.embedding, weights.final_norm
        # a list of its own, which can be emptied
        self.blocks = list(weights.blocks)
        self.head: Linear = weights.head
        self.tied_copy = a.tied_embeddings and not self.head.keeps_matrix
        self.caches = [
            torch.zeros(
                (batch, 2, a.n_kv_heads, capacity, a.d_head),
                dtype=cache_dtype(runtime),
                device=device,
            )
            for _ in range(a.n_layers)
        ]
        # tables in fp32, rounded once; the sign of the rotation sits in the sine
        steps = torch.arange(0, a.d_head, 2, device=device, dtype=torch.float32) / a.d_head
        turns = (
            10_000.0**-steps
            if frequencies is None
            else torch.tensor(frequencies, dtype=torch.float32, device=device)
        )
        angles = torch.arange(capacity, device=device)[:, None] * turns[None]
        self._cos = torch.cat([angles.cos(), angles.cos()], 1).to(self.dtype)
        self._sin = torch.cat([-angles.sin(), angles.sin()], 1).to(self.dtype)
        self._half = a.d_head // 2
        self._still = (
            torch.ones(a.n_kv_heads, a.d_head, dtype=self.dtype, device=device),
            torch.zeros(a.n_kv_heads, a.d_head, dtype=self.dtype, device=device),
        )

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights held, as stored (a tied head that had to be packed apart counts)."""
        shared = self.architecture.tied_embeddings and not self.tied_copy
        return self._bytes_in_layers + _nbytes(self.embedding) + (0 if shared else self.head.nbytes)

    @property
    def bytes_read_per_step(self) -> int:
        """Weight bytes one decode step reads: every layer once, the head, no embedding table."""
        return self._bytes_in_layers + self.head.nbytes

    @property
    def _bytes_in_layers(self) -> int:
        vectors = sum(_nbytes(v) for v in self.final_norm if v is not None)
        return vectors + sum(b.nbytes for b in self.blocks)

    @property
    def cache_bytes(self) -> int:
        """Bytes allocated for the cache."""
        return sum(c.numel() * c.element_size() for c in self.caches)

    @property
    def kernels(self) -> str:
        """Which matrix products run, for the record."""
        return "+".join(sorted({self.head.kernel} | {b.qkv.kernel for b in self.blocks}))

    def _norm(
        self, x: torch.Tensor, gain: tuple[torch.Tensor, torch.Tensor | None]
    ) -> torch.Tensor:
        if gain[1] is not None:
            return self._f.layer_norm(x, (x.shape[-1],), gain[0], gain[1], self._eps)
        return self._f.rms_norm(x, (x.shape[-1],), gain[0], self._eps)

    def _inner(self, block: Block, x: torch.Tensor) -> torch.Tensor:
        """What the FFN's last matrix is given."""
        hidden = block.up(x)
        if self.architecture.gated_ffn:
            gate, up = hidden.chunk(2, -1)
            return self._f.silu(gate) * up
        return self._f.gelu(hidden)

    def _heads(self, block: Block, x: torch.Tensor) -> torch.Tensor:
        """Queries, keys and values [rows, n_heads + 2 n_kv_heads, d_head], before rotation."""
        a = self.architecture
        qkv = block.qkv(x).view(-1, a.n_heads + 2 * a.n_kv_heads, a.d_head)
        if block.q_norm is None or block.k_norm is None:
            return qkv
        split = a.n_heads + a.n_kv_heads
        q = self._f.rms_norm(qkv[:, : a.n_heads], (a.d_head,), block.q_norm, self._eps)
        k = self._f.rms_norm(qkv[:, a.n_heads : split], (a.d_head,), block.k_norm, self._eps)
        return self._torch.cat([q, k, qkv[:, split:]], 1)

    def _rotate(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        return self._torch.addcmul(x * cos, x.roll(self._half, -1), sin)

    def hidden(self, tokens: torch.Tensor) -> torch.Tensor:
        """Final hidden states [batch, length, d_model] of a whole prompt; fills the cache from 0."""
        batch, length = tokens.shape
        x = self.through(self.embedding[tokens.reshape(-1)], batch, length)
        self.position = length
        return x.view(batch, length, -1)

    def through(self, x: torch.Tensor, batch: int, length: int) -> torch.Tensor:
        """What the blocks make of prompts, [batch x length, d_model] in and out; fills the cache from 0."""
        a = self.architecture
        split = a.n_heads + a.n_kv_heads
        cos = self._cos[:length].repeat(batch, 1)[:, None]
        sin = self._sin[:length].repeat(batch, 1)[:, None]
        for block, cache in zip(self.blocks, self.caches, strict=True):
            qkv = self._heads(block, self._norm(x, block.norm_attention))
            qk, v = self._rotate(qkv[:, :split], cos, sin), qkv[:, split:]
            q = qk[:, : a.n_heads].view(batch, length, a.n_heads, a.d_head).transpose(1, 2)
            k = qk[:, a.n_heads :].view(batch, length, a.n_kv_heads, a.d_head).transpose(1, 2)
            v = v.reshape(batch, length, a.n_kv_heads, a.d_head).transpose(1, 2)
            cache[:, 0, :, :length] = k
            cache[:, 1, :, :length] = v
            y = self._causal(q, k, v)
            x = block.out.add_to(x, y.transpose(1, 2).reshape(batch * length, a.d_q))
            x = block.down.add_to(x, self._inner(block, self._norm(x, block.norm_ffn)))
        return x

    def _causal(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Causal attention of a prompt; all [batch, heads, length, d_head]."""
        group = self.architecture.n_heads // self.architecture.n_kv_heads
        if group > 1 and self.dtype == self._torch.float32 and self.device != "cpu":
            # the fast fp32 kernel on CUDA knows no groups, and the plain one holds all scores at once
            k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
            group = 1
        return self._f.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=group > 1)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[..., d_model] -> [..., vocab_size]."""
        rows = hidden.reshape(-1, hidden.shape[-1])
        return self.head(self._norm(rows, self.final_norm)).view(*hidden.shape[:-1], -1)

    def prefill(self, tokens: torch.Tensor) -> torch.Tensor:
        """Read prompts [batch, length] and return the first new token of each, [batch]."""
        last = self.hidden(tokens)[:, -1]
        return self.logits(last).argmax(-1)

    def step_logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """One decode step at the next position: tokens [batch] -> logits [batch, vocab_size]."""
        at = self.position
        self.position = at + 1
        a, x = self.architecture, self.embedding[tokens]
        cos, sin = self._turn(self._cos[at : at + 1], self._sin[at : at + 1])
        for block, cache in zip(self.blocks, self.caches, strict=True):
            qkv = self._heads(block, self._norm(x, block.norm_attention))
            qkv = self._rotate(qkv, cos, sin)
            cache[:, :, :, at] = qkv[:, a.n_heads :].view(self.batch, 2, a.n_kv_heads, a.d_head)
            y = self._attend(qkv[:, : a.n_heads], cache[:, :, :, : at + 1], None)
            x = block.out.add_to(x, y)
            x = block.down.add_to(x, self._inner(block, self._norm(x, block.norm_ffn)))
        return self.logits(x)

    def _turn(self, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotation of all heads of one position [heads, d_head]: values are turned by nothing."""
        a = self.architecture
        turned = a.n_heads + a.n_kv_heads
        return (
            self._torch.cat([cos.expand(turned, -1), self._still[0]]),
            self._torch.cat([sin.expand(turned, -1), self._still[1]]),
        )

    def _attend(
        self, q: torch.Tensor, cache: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Attention of one new token; heads that share keys are laid along the query axis."""
        a = self.architecture
        # a decode step has no future to hide, so a group of heads is a longer query: no repeated keys
        q = q.reshape(self.batch, a.n_kv_heads, a.n_heads // a.n_kv_heads, a.d_head)
        if cache.dtype != self.dtype:
            cache = cache.to(self.dtype)
        y = self._f.scaled_dot_product_attention(q, cache[:, 0], cache[:, 1], attn_mask=mask)
        return y.reshape(self.batch, a.d_q)

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """One decode step: tokens [batch] -> next tokens [batch], on the device."""
        return self.step_logits(tokens).argmax(-1)

    def seen(self, position: torch.Tensor, length: int) -> torch.Tensor:
        """What a step at `position` (int64 [1], on the device) adds to its scores of `length` entries.

        [1, 1, 1, length]: 0 up to the position, minus infinity behind it.
        """
        later = self._torch.arange(length, device=self.device) > position
        nothing = self._torch.zeros(1, 1, 1, length, dtype=self.dtype, device=self.device)
        return nothing.masked_fill(later.view(1, 1, 1, length), float("-inf"))

    def static_step(
        self, tokens: torch.Tensor, position: torch.Tensor, seen: torch.Tensor
    ) -> torch.Tensor:
        """One decode step whose position is on the device: shapes depend on `seen` alone.

        `seen` is made by the method of that name; it is given and not made here, since a compiler
        would make it anew in every layer.
        """
        a, length = self.architecture, seen.shape[-1]
        x = self.embedding[tokens]
        cos, sin = self._turn(
            self._cos.index_select(0, position), self._sin.index_select(0, position)
        )
        for block, cache in zip(self.blocks, self.caches, strict=True):
            qkv = self._heads(block, self._norm(x, block.norm_attention))
            qkv = self._rotate(qkv, cos, sin)
            kv = qkv[:, a.n_heads :].reshape(self.batch, 2, a.n_kv_heads, 1, a.d_head)
            cache.index_copy_(3, position, kv.to(cache.dtype))
            y = self._attend(qkv[:, : a.n_heads], cache[:, :, :, :length], seen)
            x = block.out.add_to(x, y)
            x = block.down.add_to(x, self._inner(block, self._norm(x, block.norm_ffn)))
        return self.logits(x).argmax(-1)


class Replayable(Protocol):
    """A captured step."""

    def replay(self) -> None:
        """Do it again, on the device alone."""
        ...


class GraphStep:
    """Decode steps replayed from CUDA graphs, one per stretch of cache length.

    Token and position live in buffers that the graph itself advances, so a replay is the whole
    step. Captures are made by `prepare`, before timing; `close` returns their memory.
    """

    def __init__(
        self,
        decoder: Decoder,
        run: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
        bucket: int = BUCKET,
    ) -> None:
        import torch

        self._torch = torch
        self._decoder = decoder
        self._bucket = bucket
        self._run = run or decoder.static_step
        self._tokens = torch.zeros(decoder.batch, dtype=torch.int64, device=decoder.device)
        self._position = torch.zeros(1, dtype=torch.int64, device=decoder.device)
        self._graphs: dict[int, Replayable] = {}
        self._pool: tuple[int, int] | None = None

    def length_for(self, position: int) -> int:
        """Cache entries the step at a position looks at: the next multiple of a bucket."""
        return min(-(-(position + 1) // self._bucket) * self._bucket, self._decoder.capacity)

    def prepare(self, first: int, last: int) -> None:
        """Warm and capture every graph needed for steps at positions first..last."""
        for length in sorted({self.length_for(p) for p in range(first, last + 1)}):
            if length not in self._graphs:
                self._graphs[length] = self._capture(length)

    def _advance(self, length: int) -> None:
        """One step that leaves its token and the next position where it found them."""
        seen = self._decoder.seen(self._position, length)
        self._tokens.copy_(self._run(self._tokens, self._position, seen))
        self._position.add_(1)

    def _capture(self, length: int) -> Replayable:
        torch, device = self._torch, self._decoder.device
        if not device.startswith("cuda"):
            raise Unsupported("CUDA graphs need a CUDA device")
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(3):
                # warming moves on too: each run starts at the last entry this length may see
                self._position.fill_(length - 1)
                self._advance(length)
        torch.cuda.current_stream(device).wait_stream(stream)
        torch.cuda.synchronize(device)
        self._position.fill_(length - 1)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            self._advance(length)
        self._pool = self._pool or graph.pool()
        captured: Replayable = graph
        return captured

    def start(self, tokens: torch.Tensor, position: int) -> None:
        """Set where decoding continues from; no host synchronisation."""
        self._tokens.copy_(tokens)
        self._position.fill_(position)
        self._decoder.position = position

    def step(self) -> torch.Tensor:
        """Replay one step; the chosen tokens are in the returned buffer once the stream gets there."""
        at = self._decoder.position
        self._decoder.position = at + 1
        self._graphs[self.length_for(at)].replay()
        return self._tokens

    def close(self) -> None:
        """Drop the graphs and their memory pool."""
        self._graphs.clear()
        self._pool = None


def _nbytes(tensor: torch.Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())
