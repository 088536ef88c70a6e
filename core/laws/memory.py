"""Peak memory of a request in bytes, from the arithmetic of its shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from core.laws.latency import activation_bytes
from core.model.architecture import Counts
from core.model.workload import Runtime


def memory_amounts(
    shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any, runtime: Runtime
) -> dict[str, Any]:
    """Bytes a request needs at its peak, by part: 'weights', 'cache' and 'activations'.

    The cache holds every position of the request; activations are what one layer keeps alive while
    it reads the prompt (residual, norm, projections, both halves of a gated FFN) and the logits.
    """
    batch, prompt = np.asarray(batch, np.float64), np.asarray(prompt_tokens, np.float64)
    positions = prompt + np.asarray(output_tokens, np.float64)
    gates = 1 + shapes.gated_ffn * 1
    alive = 3 * shapes.d_model + np.maximum(
        2 * (shapes.d_q + 2 * shapes.d_kv), (1 + gates) * shapes.d_ff
    )
    logits = 4.0 * batch * shapes.vocab_size
    return {
        "weights": 1.0 * shapes.weight_bytes(runtime.weight_bytes),
        "cache": batch * positions * shapes.cache_bytes_per_token(runtime.cache_bytes),
        "activations": batch * prompt * alive * activation_bytes(runtime) + logits,
    }
