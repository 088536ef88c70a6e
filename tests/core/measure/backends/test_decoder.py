"""The timed decoder computes what a decoder computes: against transformers, itself and ONNX Runtime."""

import dataclasses
import types

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from core.errors import Unsupported  # noqa: E402
from core.measure.backends import linear_kernels as products  # noqa: E402
from core.measure.backends.backend import Pulse  # noqa: E402
from core.measure.backends.decoder import Decoder, GraphStep  # noqa: E402
from core.measure.backends.registry import needed_bytes  # noqa: E402
from core.measure.backends.torch_backend import DecoderRunner  # noqa: E402
from core.measure.backends.weights import LlamaSource, RandomSource  # noqa: E402
from core.measure.timing.clock import Clock  # noqa: E402
from core.model.architecture import Architecture  # noqa: E402
from core.model.workload import Runtime, Workload  # noqa: E402
from core.records.measurement import Point  # noqa: E402

GQA = Architecture(2, 32, 4, 2, 8, 64, 97)
KINDS = {
    "gqa": GQA,
    "mha": dataclasses.replace(GQA, n_kv_heads=4),
    "one-kv-head": dataclasses.replace(GQA, n_kv_heads=1),
    "tied": dataclasses.replace(GQA, tied_embeddings=True),
    "qwen2": dataclasses.replace(GQA, qkv_bias=True),
    "biased": dataclasses.replace(GQA, qkv_bias=True, out_bias=True, ffn_bias=True),
    "qwen3": dataclasses.replace(GQA, qk_norm=True, d_head=16),
}
TOKENS = torch.randint(97, (2, 17), generator=torch.Generator().manual_seed(3))


def fp32(architecture, seed=0):
    return RandomSource(architecture, torch.float32, "cpu", seed)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", KINDS)
def test_logits_equal_transformers_with_the_same_weights(name):
    pytest.importorskip("transformers")
    from transformers import AutoModelForCausalLM

    from core.measure.backends.transformers_backend import hugging_face_config

    a = KINDS[name]
    torch.manual_seed(0)
    config = hugging_face_config(a, 64)
    config.initializer_range = 0.3
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.copy_(torch.rand_like(parameter) + 0.5)
    assert sum(p.numel() for p in model.parameters()) == a.params_total
    source = LlamaSource(model.state_dict(), a, torch.float32, "cpu")
    decoder = Decoder(a, Runtime(), "cpu", 2, 40, source)
    expected = model(TOKENS).logits
    assert expected.std() > 0.1
    torch.testing.assert_close(
        decoder.logits(decoder.hidden(TOKENS)), expected, atol=2e-5, rtol=1e-4
    )


@pytest.mark.parametrize("name", KINDS)
def test_cached_decoding_equals_the_full_forward(name):
    decoder = Decoder(KINDS[name], Runtime(), "cpu", 2, 24, fp32(KINDS[name]))
    full = decoder.logits(decoder.hidden(TOKENS))
    decoder.hidden(TOKENS[:, :9])
    for i in range(9, 17):
        got = decoder.step_logits(TOKENS[:, i])
        torch.testing.assert_close(got, full[:, i], atol=2e-5, rtol=1e-4)


def test_plain_ffn_and_layer_norm_decode_as_they_read():
    a = dataclasses.replace(GQA, gated_ffn=False, norm_bias=True, ffn_bias=True)
    decoder = Decoder(a, Runtime(), "cpu", 2, 24, fp32(a))
    full = decoder.logits(decoder.hidden(TOKENS))
    decoder.hidden(TOKENS[:, :16])
    torch.testing.assert_close(
        decoder.step_logits(TOKENS[:, 16]), full[:, 16], atol=2e-5, rtol=1e-4
    )


@pytest.mark.parametrize("length", [20, 24])
def test_static_step_chooses_what_the_eager_step_chooses(length):
    decoder = Decoder(GQA, Runtime(), "cpu", 2, 24, fp32(GQA))
    static = Decoder(GQA, Runtime(), "cpu", 2, 24, fp32(GQA))
    chosen = decoder.prefill(TOKENS)
    assert torch.equal(static.prefill(TOKENS), chosen)
    for at in range(17, length):
        position = torch.tensor([at])
        mine, chosen = (
            static.static_step(chosen, position, static.seen(position, length)),
            decoder.step(chosen),
        )
        assert torch.equal(mine, chosen)
        for a, b in zip(static.caches, decoder.caches, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_adding_in_place_changes_nothing():
    runtime = Runtime("compile")  # plain products, as on a GPU
    plain, placed = (Decoder(GQA, runtime, "cpu", 2, 24, fp32(GQA)) for _ in range(2))
    for block in placed.blocks:
        block.out.in_place = block.down.in_place = True
    hidden = plain.hidden(TOKENS)
    torch.testing.assert_close(placed.hidden(TOKENS), hidden, atol=1e-5, rtol=1e-4)
    expected = plain.step_logits(TOKENS[:, 0])
    torch.testing.assert_close(placed.step_logits(TOKENS[:, 0]), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("weights", "close"), [("bf16", 0.1), ("fp16", 0.02), ("int8", 0.1)])
def test_lower_precisions_stay_close(weights, close):
    a = Architecture(2, 64, 4, 2, 16, 128, 97)
    exact = Decoder(a, Runtime(), "cpu", 2, 24, fp32(a))
    cache = "fp32" if weights == "int8" else weights
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(weights, torch.float32)
    coarse = Decoder(
        a, Runtime("eager", weights, cache), "cpu", 2, 24, RandomSource(a, dtype, "cpu")
    )
    x, y = (d.logits(d.hidden(TOKENS)).float() for d in (exact, coarse))
    error = (x - y).norm() / x.norm()
    assert 1e-5 < error < close
    x, y = (d.step_logits(TOKENS[:, 0]).float() for d in (exact, coarse))
    assert (x - y).norm() / x.norm() < close


def test_cache_may_be_coarser_than_the_weights():
    exact = Decoder(GQA, Runtime(), "cpu", 2, 24, fp32(GQA))
    coarse = Decoder(GQA, Runtime("eager", "fp32", "bf16"), "cpu", 2, 24, fp32(GQA))
    assert coarse.cache_bytes * 2 == exact.cache_bytes
    for decoder in (exact, coarse):
        decoder.hidden(TOKENS)
    x, y = exact.step_logits(TOKENS[:, 0]), coarse.step_logits(TOKENS[:, 0])
    assert 0 < (x - y).norm() / x.norm() < 0.05


@pytest.mark.parametrize("weights", ["fp32", "int8"])
@pytest.mark.parametrize("name", ["gqa", "tied", "biased"])
def test_onnx_runtime_computes_the_same(weights, name):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from core.measure.backends.onnx_backend import OnnxDecoder

    a = dataclasses.replace(KINDS[name], d_model=64, d_head=16)
    exact = Decoder(a, Runtime(), "cpu", 2, 24, fp32(a))
    other = OnnxDecoder(a, weights, 2, 24, 1, fp32(a))
    expected = exact.logits(exact.hidden(TOKENS)[:, -1])
    other.prefill(TOKENS.numpy())
    close = 1e-4 if weights == "fp32" else 0.15
    for _ in range(5):
        error = np.abs(other.logits() - expected.numpy()).max() / expected.std()
        assert error < close
        # each continues with what ONNX Runtime chose, so that rounding cannot part them
        expected = exact.step_logits(torch.from_numpy(other.chosen()))
        other.step()


def test_bytes_are_those_of_the_arithmetic():
    for a in (*KINDS.values(), dataclasses.replace(GQA, gated_ffn=False, norm_bias=True)):
        decoder = Decoder(a, Runtime(), "cpu", 3, 24, fp32(a))
        packed_head = a.vocab_size * a.d_model if decoder.tied_copy else 0
        assert decoder.weight_bytes == 4 * (a.params_total + packed_head)
        assert decoder.bytes_read_per_step == 4 * a.params_read_per_step
        assert decoder.cache_bytes == 3 * 24 * a.cache_bytes_per_token(4)
        need = needed_bytes(Point(a, Workload(3, 16, 8), Runtime()))
        assert need["total"] >= decoder.weight_bytes + decoder.cache_bytes


def test_random_weights_repeat_by_seed_and_are_not_copies_of_each_other():
    one, same, other = fp32(GQA, 1).layer(0), fp32(GQA, 1).layer(0), fp32(GQA, 2).layer(0)
    assert torch.equal(one.qkv, same.qkv) and not torch.equal(one.qkv, other.qkv)
    source = fp32(GQA)
    assert not torch.equal(source.layer(0).up, source.layer(1).up)
    assert 0.5 < float(one.qkv.std()) * 32**0.5 < 1.5


def test_a_request_has_a_sample_for_every_token():
    point = Point(GQA, Workload(2, 8, 12), Runtime())
    pulse = Pulse()
    subject = DecoderRunner(point, "cpu", Clock(), pulse)
    samples = subject.request()
    assert [len(samples[k]) for k in ("ttft", "tpot", "e2e")] == [1, 11, 1]
    assert sum(samples["ttft"]) + sum(samples["tpot"]) == pytest.approx(samples["e2e"][0])
    assert pulse.count == 12
    assert list(subject.first()) == ["ttft"]
    assert subject.decoder.position == 8


def test_generate_makes_exactly_the_tokens_asked_for():
    pytest.importorskip("transformers")
    from core.measure.backends.transformers_backend import GenerateRunner

    for a in (GQA, KINDS["tied"], KINDS["qwen3"]):
        point = Point(a, Workload(1, 8, 12), Runtime("transformers"))
        subject = GenerateRunner(point, "cpu", Clock(), Pulse())
        samples = subject.request()
        assert [len(samples[k]) for k in ("ttft", "tpot", "e2e")] == [1, 11, 1]
        assert subject.memory()["weights"] == 4 * a.params_total
        assert subject.describe()["bytes_read_per_step"] == 4 * a.params_read_per_step


@pytest.mark.parametrize("execution", ["eager", "transformers"])
def test_a_model_folder_is_measured_with_its_own_weights(execution, tmp_path):
    pytest.importorskip("transformers")
    pytest.importorskip("safetensors")
    from transformers import AutoModelForCausalLM

    from core.measure.backends.backend import BenchContext
    from core.measure.backends.folder import read_folder
    from core.measure.backends.transformers_backend import hugging_face_config
    from core.measure.process.run_point import measure
    from core.measure.timing.devices import cpu_device
    from core.measure.timing.protocol import Settings

    model = AutoModelForCausalLM.from_config(hugging_face_config(GQA, 64), dtype=torch.float32)
    model.save_pretrained(tmp_path / "tiny-llama")
    folder = read_folder(tmp_path / "tiny-llama")
    point = Point(folder.architecture, Workload(1, 8, 12), Runtime(execution), str(folder.path))
    quick = Settings(warm_s=0.1, max_blocks=6, budget_s=100, block_s=0.1, retries=0)
    m = measure(point, BenchContext(cpu_device(), quick, threads=1))
    assert not m.failed, m.message
    assert m.model == "tiny-llama" and m.architecture == GQA
    assert m.memory_bytes["weights"] == 4 * GQA.params_total


def test_what_does_not_work_here_says_why():
    with pytest.raises(Unsupported, match="fp8 needs a GPU"):
        Decoder(GQA, Runtime("eager", "fp8"), "cpu", 1, 8)
    with pytest.raises(Unsupported, match="CUDA"):
        GraphStep(Decoder(GQA, Runtime(), "cpu", 1, 8)).prepare(1, 2)
    with pytest.raises(Unsupported, match="int8 cache"):
        Decoder(GQA, Runtime(cache="int8"), "cpu", 1, 8)
    with pytest.raises(Unsupported, match="served"):
        DecoderRunner(Point(GQA, Workload(), Runtime("served")), "cpu", Clock(), Pulse())


class Rerun(GraphStep):
    """Runs the step again where a graph would be replayed: all but the capture itself."""

    def _capture(self, length):
        return types.SimpleNamespace(replay=lambda: self._advance(length))


def test_steps_that_advance_themselves_cross_from_one_graph_to_the_next():
    eager, other = (Decoder(GQA, Runtime(), "cpu", 2, 40, fp32(GQA)) for _ in range(2))
    graph = Rerun(other, bucket=8)
    graph.prepare(17, 38)
    for _ in range(2):
        # a second request starts over in the same buffers
        chosen = eager.prefill(TOKENS)
        graph.start(other.prefill(TOKENS), 17)
        for _ in range(17, 39):
            chosen = eager.step(chosen)
            assert torch.equal(graph.step(), chosen)
    assert [graph.length_for(p) for p in (0, 7, 8, 31, 39)] == [8, 8, 16, 32, 40]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_graph_replays_choose_what_eager_steps_choose():
    runtime = Runtime("graph", "fp32", "fp32")
    a = Architecture(2, 64, 4, 2, 16, 128, 97)
    eager = Decoder(a, runtime, "cuda:0", 2, 300, RandomSource(a, torch.float32, "cuda:0"))
    other = Decoder(a, runtime, "cuda:0", 2, 300, RandomSource(a, torch.float32, "cuda:0"))
    tokens = TOKENS.to("cuda:0")
    graph = GraphStep(other)
    graph.prepare(17, 299)
    chosen = eager.prefill(tokens)
    graph.start(other.prefill(tokens), 17)
    for _ in range(17, 299):
        chosen = eager.step(chosen)
        assert torch.equal(graph.step(), chosen)
    graph.close()


def test_the_packed_program_says_that_it_cannot_compile(monkeypatch):
    monkeypatch.setattr("sys.frozen", True, raising=False)
    point = Point(GQA, Workload(1, 8, 12), Runtime("compile"))
    with pytest.raises(Unsupported, match="--python"):
        DecoderRunner(point, "cpu", Clock(), Pulse())


@pytest.mark.parametrize(("quicker", "kernel"), [(True, "onednn-packed"), (False, "linear+onednn")])
def test_the_quicker_of_two_products_is_taken(monkeypatch, quicker, kernel):
    monkeypatch.setattr(products, "packed_is_quicker", lambda dtype, threads: quicker)
    assert Decoder(GQA, Runtime(), "cpu", 1, 24, fp32(GQA)).kernels == kernel


def test_a_race_between_products_is_run_once(monkeypatch):
    monkeypatch.setattr(products, "RACE_SIDE", 64)
    products.packed_is_quicker.cache_clear()
    made = []
    monkeypatch.setattr(
        products, "Packed", lambda w, b: made.append(w.shape) or products.Dense(w, b)
    )
    first = products.packed_is_quicker(torch.float32, 1)
    assert products.packed_is_quicker(torch.float32, 1) is first
    assert made == [(64, 64)] * products.RACE_MATRICES
    products.packed_is_quicker.cache_clear()


def test_without_a_packed_product_the_plain_one_is_taken(monkeypatch):
    def missing(*_):
        raise RuntimeError("no oneDNN in this build")

    monkeypatch.setattr(products, "Packed", missing)
    products.packed_is_quicker.cache_clear()
    assert Decoder(GQA, Runtime(), "cpu", 1, 24, fp32(GQA)).kernels == "linear+onednn"
    monkeypatch.setattr(products, "ByRows", missing)
    assert Decoder(GQA, Runtime(), "cpu", 1, 24, fp32(GQA)).kernels == "linear"
    products.packed_is_quicker.cache_clear()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [(1,), (3,), (4,), (17,), (2, 5), (8, 1)])
def test_a_product_by_rows_is_the_plain_one_at_every_number_of_rows(dtype, rows):
    generator = torch.Generator().manual_seed(0)
    weight = (0.1 * torch.randn(72, 40, generator=generator)).to(dtype)
    bias = torch.randn(72, generator=generator).to(dtype)
    x = torch.randn(*rows, 40, generator=generator).to(dtype)
    for b in (None, bias):
        by_rows, plain = products.ByRows(weight, b), products.Dense(weight, b)
        assert by_rows.nbytes == plain.nbytes
        close = 1e-5 if dtype == torch.float32 else 0.02
        assert torch.allclose(by_rows(x), plain(x), atol=close, rtol=close)
