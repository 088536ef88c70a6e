"""What a GPU is given to do, traced without one: torch's meta device takes the same way through the
decoder as CUDA does (everything that is not a CPU), checks shapes and dtypes, and computes nothing."""

from collections import Counter

import pytest

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from core.measure.backends.decoder import BUCKET, Decoder  # noqa: E402
from core.model.architecture import Architecture  # noqa: E402
from core.model.workload import Runtime  # noqa: E402

GQA = {"d_model": 128, "n_heads": 8, "n_kv_heads": 2, "d_head": 16, "d_ff": 256, "vocab_size": 512}
PRECISIONS = [
    ("fp32", "fp32", torch.float32),
    ("bf16", "bf16", torch.bfloat16),
    ("fp16", "fp16", torch.float16),
    ("bf16", "fp8", torch.bfloat16),
    ("int8", "bf16", torch.bfloat16),
    ("fp8", "bf16", torch.bfloat16),
]


class Calls(TorchDispatchMode):
    """Counts what is called."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        self.names[operator.overloadpacket.__name__] += 1
        return operator(*args, **(kwargs or {}))


def decoder(layers, runtime, batch=2):
    return Decoder(Architecture(layers, **GQA), runtime, "meta", batch, 256)


def where(d):
    """A position, and what a step there sees."""
    position = torch.zeros(1, dtype=torch.int64, device="meta")
    return position, d.seen(position, BUCKET)


@pytest.mark.parametrize(("weights", "cache", "computed"), PRECISIONS)
@pytest.mark.parametrize("execution", ["eager", "graph", "compile"])
def test_every_precision_can_run_there(execution, weights, cache, computed):
    with torch.inference_mode():
        d = decoder(2, Runtime(execution, weights, cache))
        prompt = torch.zeros(2, 20, dtype=torch.int64, device="meta")
        assert d.hidden(prompt).shape == (2, 20, 128) and d.dtype == computed
        chosen = d.prefill(prompt)
        assert chosen.shape == (2,) and chosen.dtype == torch.int64
        if execution == "eager":
            assert d.step_logits(chosen).shape == (2, 512)
        else:
            assert d.static_step(chosen, *where(d)).shape == (2,)


def calls_a_layer(runtime):
    """What one more layer adds to a captured step."""
    counts = []
    for layers in (2, 3):
        d = decoder(layers, runtime)
        tokens = torch.zeros(2, dtype=torch.int64, device="meta")
        place = where(d)
        with Calls() as calls:
            d.static_step(tokens, *place)
        counts.append(calls.names)
    return counts[1] - counts[0]


def test_a_captured_step_adds_to_the_residual_within_the_product():
    with torch.no_grad():
        calls = calls_a_layer(Runtime("graph", "bf16", "bf16"))
    assert calls["addmm_"] == 2 and calls["mm"] == 2


def test_a_compiled_step_leaves_no_product_to_a_library():
    """At one row a product is a reduction: written as one it takes in the norm before and the sum after."""
    from torch._dynamo.backends.common import aot_autograd
    from torch._inductor import config
    from torch._inductor.decomposition import select_decomp_table

    found = []

    def compiler(graph, _inputs):
        found.append(graph)
        return graph

    with config.patch(coordinate_descent_tuning=True):
        backend = aot_autograd(
            fw_compiler=compiler,
            inference_compiler=compiler,
            decompositions=select_decomp_table(),
            keep_inference_input_mutations=True,
        )
        d = decoder(3, Runtime("compile", "bf16", "bf16"), batch=1)
        tokens = torch.zeros(1, dtype=torch.int64, device="meta")
        with torch.no_grad():
            step = torch.compile(d.static_step, fullgraph=True, dynamic=False, backend=backend)
            step(tokens, *where(d))
    (graph,) = found
    names = Counter(
        n.target.overloadpacket.__name__
        for n in graph.graph.nodes
        if isinstance(n.target, torch._ops.OpOverload)
    )
    assert names["mm"] == names["addmm"] == 0
    # four products in a layer and the head
    assert names["sum"] >= 4 * 3 + 1
