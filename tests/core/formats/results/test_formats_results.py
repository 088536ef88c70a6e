import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.document import open_document
from core.errors import Unusable
from core.formats.results.generic_csv import ColumnMeaning, guess_columns
from core.formats.results.generic_csv import read as read_table
from core.formats.results.imported import UNITS, from_samples, from_summary, precision, si_factor
from core.formats.results.reading import read_results
from core.model.workload import Runtime, Workload
from core.records.imported import ImportedPoint
from core.records.serial import from_plain, to_plain

FIXTURES = Path(__file__).parents[3] / "fixtures" / "formats"
FILES = sorted(p for p in FIXTURES.rglob("*") if p.is_file())


def one(name):
    points = read_results(FIXTURES / name)
    assert len(points) == 1
    return points[0]


def value(point, key):
    return point.metrics[key].value


def test_lm_eval():
    point = one("lm_eval_results.json")
    assert (point.name, point.tool, point.tool_version) == (
        "EleutherAI/pythia-410m",
        "lm-eval",
        "0.4.8",
    )
    # the group stands for its two subtasks; acc_norm is preferred to acc
    assert {k for k in point.metrics if k.startswith("accuracy:")} == {
        "accuracy:arc_easy",
        "accuracy:piqa",
        "accuracy:mmlu",
    }
    assert value(point, "accuracy:arc_easy") == 0.55
    assert value(point, "accuracy") == pytest.approx((0.55 + 0.72 + 0.26) / 3)
    mean = point.metrics["accuracy"]
    half = 1.96 * math.sqrt(0.0102**2 + 0.0104**2 + 0.0037**2) / 3
    assert mean.high - mean.value == pytest.approx(half)
    assert value(point, "bits_per_byte_disjoint") == 0.8156
    assert point.metrics["accuracy:piqa"].n == 1838
    assert value(point, "params_total") == 405334016
    assert point.workload is None and any("mmlu" in note for note in point.notes)


def test_old_lm_eval_without_filters_and_percent(tmp_path):
    file = tmp_path / "r.json"
    results = {"boolq": {"acc": 61.5, "acc_stderr": 1.0}, "wiki": {"byte_perplexity": 2.0}}
    file.write_text(json.dumps({"results": results, "versions": {}, "config": {"model": "m"}}))
    (point,) = read_results(file)
    assert value(point, "accuracy") == pytest.approx(0.615)
    assert value(point, "bits_per_byte_disjoint") == 1.0
    assert point.name == "m"


def test_optimum_benchmark():
    point = one("optimum_benchmark.json")
    assert point.workload == Workload(4, 128, 101)
    assert point.runtime == Runtime("transformers", "bf16", "bf16")
    assert point.device == "NVIDIA A10G"
    assert value(point, "ttft_s") == 0.021
    assert value(point, "tpot_s") == 0.012
    assert value(point, "e2e_s") == pytest.approx(0.021 + 1.2)
    assert value(point, "tokens_per_s") == pytest.approx(4 * 101 / 1.221)
    assert value(point, "memory_bytes") == 2.66e9
    assert value(point, "energy_j_per_token") == pytest.approx(3.6e6 / 9e6)


def test_optimum_benchmark_in_two_files_and_old(tmp_path):
    whole = json.loads((FIXTURES / "optimum_benchmark.json").read_text())
    report = whole["report"]
    del report["per_token"], report["decode"]["efficiency"]
    for phase in report.values():
        del phase["latency"]["stdev_"]
    file = tmp_path / "benchmark_report.json"
    file.write_text(json.dumps(report))
    (alone,) = read_results(file)
    assert alone.workload is None and "tpot_s" not in alone.metrics
    (tmp_path / "benchmark_config.json").write_text(json.dumps(whole["config"]))
    (point,) = read_results(tmp_path)
    # decode covers all tokens but the first
    assert value(point, "tpot_s") == pytest.approx(1.2 / 100)
    assert value(point, "energy_j_per_token") == pytest.approx(4.11e-5 * 3.6e6 / (4 * 100))


def test_llama_bench():
    prompt, generate = read_results(FIXTURES / "llama_bench.json")
    assert prompt.workload == Workload(1, 512, 1) and value(prompt, "ttft_s") == 0.02
    assert generate.workload == Workload(1, 1, 128) and value(generate, "tpot_s") == 0.005
    assert value(generate, "tokens_per_s") == 200
    assert generate.runtime == Runtime("served", "fp16", "fp16")
    assert generate.device == "NVIDIA GeForce RTX 4080"
    assert value(generate, "params_total") == 494_032_768
    prompt, generate = read_results(FIXTURES / "llama_bench.csv")
    assert generate.workload == Workload(1, 1024, 128)
    assert value(generate, "tokens_per_s") == pytest.approx(119.915244, rel=1e-4)
    assert generate.runtime is None and any("Q4_0" in note for note in generate.notes)
    assert generate.device == "AMD Ryzen 7 7800X3D"


def test_llama_bench_reads_what_versions_share(tmp_path):
    file = tmp_path / "b.jsonl"
    row = {"n_prompt": 0, "n_gen": 64, "avg_ts": 32.0, "a_new_column": 1}
    file.write_text(json.dumps(row) + "\n" + json.dumps(row | {"n_gen": 128}) + "\n")
    first, second = read_results(file)
    assert value(first, "tpot_s") == value(second, "tpot_s") == pytest.approx(1 / 32)
    mixed = row | {"n_prompt": 100, "n_gen": 28}
    file.write_text(json.dumps([mixed]))
    (point,) = read_results(file)
    assert value(point, "e2e_s") == 4.0 and value(point, "tokens_per_s") == 7.0


_REQUESTS = ("ttft_s", "tpot_s", "e2e_s")


def test_vllm():
    latency = one("vllm_latency.json")
    # as vLLM 0.32.0 wrote it: it names the model, but not what was asked of it
    told = json.loads((FIXTURES / "vllm_latency.json").read_text())
    assert value(latency, "e2e_s") == told["percentiles"]["50"] and latency.metrics["e2e_s"].n == 8
    assert latency.workload is None and latency.name == "tiny"
    assert "does not name batch, prompt and output length" in latency.notes[0]
    serve = one("vllm_serve.json")
    assert serve.workload == Workload(2, 128, 256)
    # the failed request's 0 s is no sample
    assert value(serve, "ttft_s") == 0.038 and serve.metrics["ttft_s"].n == 5
    assert value(serve, "tpot_s") == pytest.approx(0.0041)
    assert serve.metrics["tpot_s"].statistics["p99"] == pytest.approx(0.0049)
    assert value(serve, "tokens_per_s") == 426.67
    assert value(serve, "tokens_per_s_user") == pytest.approx(1 / 0.0041)
    assert "only 5 of 6 requests were completed" in serve.notes
    sweep = read_results(FIXTURES / "vllm_sweep")
    assert [p.workload.batch for p in sweep] == [1, 16]
    assert len({p.name for p in sweep}) == 2


def test_vllm_serve_as_0_32_wrote_it():
    """A real file of `vllm bench serve --save-detailed`, without the texts and the gaps."""
    path = FIXTURES / "vllm_serve_0_32.json"
    row, point = json.loads(path.read_text()), one("vllm_serve_0_32.json")
    assert point.workload == Workload(2, 128, 64) and point.tool == "vLLM bench serve"
    assert not point.notes and {m.n for k, m in point.metrics.items() if k in _REQUESTS} == {12}
    # each request's own TPOT has the median that vLLM printed
    assert value(point, "tpot_s") == pytest.approx(row["median_tpot_ms"] / 1e3, rel=1e-9)
    assert value(point, "ttft_s") == pytest.approx(row["median_ttft_ms"] / 1e3, rel=1e-9)
    assert point.metrics["tpot_s"].low < value(point, "tpot_s") < point.metrics["tpot_s"].high
    assert value(point, "e2e_s") == pytest.approx(np.median(row["latencies"]))


def test_an_older_latency_file_does_not_name_its_model(tmp_path):
    told = json.loads((FIXTURES / "vllm_latency.json").read_text())
    del told["model_id"]
    (tmp_path / "mine.json").write_text(json.dumps(told))
    (point,) = read_results(tmp_path / "mine.json")
    assert point.name == "mine" and "does not name model, batch" in point.notes[0]


def test_a_failed_request_is_no_sample_of_vllm(tmp_path):
    row = json.loads((FIXTURES / "vllm_serve_0_32.json").read_text())
    # it broke off in the middle, so it has times
    row["errors"][3], row["completed"] = "Server disconnected", 11
    (tmp_path / "r.json").write_text(json.dumps(row))
    (point,) = read_results(tmp_path / "r.json")
    assert {m.n for k, m in point.metrics.items() if k in _REQUESTS} == {11}
    assert "only 11 of 12 requests were completed" in point.notes


def test_sglang_and_llm_optimizer():
    points = read_results(FIXTURES / "sglang_serving.jsonl")
    assert [p.workload for p in points] == [Workload(10, 512, 500), Workload(24, 512, 500)]
    assert [value(p, "e2e_s") for p in points] == [2.45, 2.9]
    assert {p.tool for p in points} == {"SGLang bench_serving"}
    assert any("open loop" in note for note in points[0].notes)
    batch = one("sglang_one_batch.jsonl")
    assert batch.workload == Workload(8, 256, 32) and value(batch, "tpot_s") == 0.006
    optimised = one("llm_optimizer.jsonl")
    assert optimised.tool == "llm-optimizer" and optimised.workload == Workload(32, 1024, 512)
    assert "tp_size 2" in optimised.name and optimised.runtime.weights == "bf16"


def test_mean_requests_in_flight_by_littles_law(tmp_path):
    row = json.loads((FIXTURES / "vllm_serve.json").read_text())
    row["max_concurrency"] = None
    file = tmp_path / "r.json"
    file.write_text(json.dumps(row))
    (point,) = read_results(file)
    # 5 requests in 3 s, 1.11 s each: 1.85 in flight
    assert point.workload.batch == 2


def test_aiperf_and_genai_perf():
    point = one("aiperf.json")
    assert point.workload == Workload(10, 512, 128) and point.tool_version == "0.8.0"
    assert value(point, "ttft_s") == 0.05 and value(point, "tpot_s") == pytest.approx(0.0119)
    assert value(point, "tokens_per_s") == 819.2 and value(point, "tokens_per_s_user") == 84.0
    assert "count" not in point.metrics["ttft_s"].statistics
    genai = one("profile_export_genai_perf.json")
    assert (genai.name, genai.tool, genai.workload) == ("gpt2", "GenAI-Perf", Workload(1, 200, 128))
    first, second = read_results(FIXTURES / "aiperf_sweep.json")
    assert first.workload == Workload(10, 512, 128) and second.workload.batch == 20
    ttft = first.metrics["ttft_s"]
    assert (ttft.value, ttft.low, ttft.high, ttft.n) == (0.05, 0.0475, 0.0525, 3)
    assert ttft.statistics["p99"] == pytest.approx(0.095)
    rate = first.metrics["tokens_per_s"]
    assert (rate.low, rate.high) == (800, 838.4)
    aggregate = one("aiperf_aggregate.json")
    assert aggregate.metrics["tpot_s"].n == 3 and aggregate.workload is None


def test_aiperf_files_written_by_its_own_classes():
    """Fixtures dumped by AIPerf 0.13.0's JsonExportData and SweepAnalyzer from made-up samples."""
    point = one("aiperf_0_13.json")
    raw = json.loads((FIXTURES / "aiperf_0_13.json").read_text())
    assert (point.name, point.tool_version) == ("Qwen/Qwen3-0.6B", "0.13.0")
    # the measured phase's concurrency, not the warm-up's
    assert point.workload == Workload(8, 128, 32)
    assert value(point, "ttft_s") == pytest.approx(raw["time_to_first_token"]["p50"] / 1e3)
    assert point.metrics["tpot_s"].n == 100
    single, eight = read_results(FIXTURES / "aiperf_sweep_0_13.json")
    assert (single.workload, eight.workload) == (Workload(1, 128, 32), Workload(8, 128, 32))
    assert value(eight, "ttft_s") == pytest.approx(0.018)
    assert eight.metrics["tokens_per_s"].high == pytest.approx(1200 * 1.025)


def test_aiperf_says_when_a_run_is_not_complete(tmp_path):
    raw = json.loads((FIXTURES / "aiperf_0_13.json").read_text())
    raw |= {"is_complete": False, "incomplete_reason": "records stalled"}
    raw["telemetry_data"] = {"endpoints": {"e": {"gpus": {"0": {"gpu_name": "NVIDIA H200"}}}}}
    file = tmp_path / "x.json"
    file.write_text(json.dumps(raw))
    (point,) = read_results(file)
    assert "the run is not complete: records stalled" in point.notes
    assert point.device == "NVIDIA H200"


def test_aiperf_metrics_nested_in_records(tmp_path):
    value_ = json.loads((FIXTURES / "aiperf.json").read_text())
    config = value_.pop("input_config")
    file = tmp_path / "profile_export_aiperf.json"
    file.write_text(json.dumps({"records": value_, "input_config": config, "was_cancelled": True}))
    (point,) = read_results(file)
    assert value(point, "ttft_s") == 0.05 and "the run was cancelled before its end" in point.notes


def test_guidellm():
    loaded, alone = read_results(FIXTURES / "guidellm.json")
    assert loaded.name == "Qwen/Qwen2.5-0.5B-Instruct, concurrent 8"
    assert loaded.workload == Workload(8, 256, 128)
    # its inter-token latency is our TPOT; its own TPOT counts the first token
    assert value(loaded, "tpot_s") == pytest.approx(0.0074)
    assert value(loaded, "e2e_s") == 0.99 and value(loaded, "tokens_per_s") == 1024
    assert "4 of 100 requests failed or did not finish" in loaded.notes
    # its own interval of the median
    ttft = loaded.metrics["ttft_s"]
    assert (ttft.low, ttft.high) == (pytest.approx(0.043), pytest.approx(0.0455))
    tpot = alone.metrics["tpot_s"]
    half = 2.0930 * 0.0002 / math.sqrt(20)
    assert tpot.high - tpot.value == pytest.approx(half, rel=1e-3)


def test_guidellm_as_yaml_and_of_another_version(tmp_path):
    yaml = pytest.importorskip("yaml")
    whole = json.loads((FIXTURES / "guidellm.json").read_text())
    file = tmp_path / "benchmarks.yaml"
    file.write_text(yaml.safe_dump(whole))
    assert len(read_results(file)) == 2
    whole["metadata"]["version"] = 9
    file.write_text(yaml.safe_dump(whole))
    with pytest.raises(Unusable, match=r"'metadata.version' 9 is not known here \(known: 1, 2\)"):
        read_results(file)
    file.write_text("a: [")
    with pytest.raises(Unusable, match="not valid YAML"):
        read_results(file)


def test_aiconfigurator():
    small, large = read_results(FIXTURES / "aiconfigurator_pareto.csv")
    assert small.workload == Workload(8, 4000, 500) and small.device == "8 x h200_sxm"
    assert small.runtime == Runtime("served", "fp8", "fp8")
    assert (value(small, "ttft_s"), value(small, "tpot_s")) == (0.25, 0.01)
    assert value(small, "e2e_s") == pytest.approx(value(small, "ttft_s") + 499 * 0.01)
    assert value(large, "memory_bytes") == 60 * 2**30
    assert all("not measured" in p.notes[0] for p in (small, large))


def test_any_table():
    small, large = read_results(FIXTURES / "generic.csv")
    assert small.name == "small" and small.workload == Workload(1, 128, 256)
    assert value(small, "ttft_s") == 0.0205 and value(small, "tpot_s") == 0.005
    assert value(small, "accuracy") == 0.315 and value(small, "memory_bytes") == 2 * 2**30
    # a time without a unit is nobody's guess; NaN and inf are left out
    assert small.left_out == (
        "columns Latency, comment",
        "column peak memory [GiB]: 1 cells that hold no number ('inf')",
    )
    assert set(large.metrics) == {"ttft_s", "accuracy"}


def test_column_mapper():
    found = guess_columns(["mean_ttft_ms", "Latency (s)", "tps", "who", "loss", "peak_memory_mb"])
    assert found == {
        "mean_ttft_ms": ColumnMeaning("ttft_s", "ms", "mean"),
        "Latency (s)": ColumnMeaning("e2e_s", "s"),
        "tps": ColumnMeaning("tokens_per_s", "tokens/s"),
        "loss": ColumnMeaning("loss", "nats/token"),
        "peak_memory_mb": ColumnMeaning("memory_bytes", "mb"),
    }
    assert guess_columns(["params_b"]) == {"params_b": ColumnMeaning("params_total", "b")}
    document = open_document(FIXTURES / "generic.csv")
    (first, _) = read_table(document, {"Latency": ColumnMeaning("e2e_s", "s")})
    assert value(first, "e2e_s") == 9
    with pytest.raises(Unusable, match="no column 'Nope'"):
        read_table(document, {"Nope": ColumnMeaning("e2e_s", "s")})
    with pytest.raises(Unusable, match="'speed' is not a metric"):
        read_table(document, {"Latency": ColumnMeaning("speed", "s")})
    with pytest.raises(Unusable, match="unit 'MB' is not one of e2e_s"):
        read_table(document, {"Latency": ColumnMeaning("e2e_s", "MB")})


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_names_do_not_matter_and_every_cut_is_survived(path, tmp_path):
    """Told apart by content; a file cut anywhere gives points or one line, never a traceback."""
    whole = read_results(path)
    assert all(p.metrics and p.source and p.tool for p in whole)
    data = path.read_bytes()
    file = tmp_path / "x"
    if path.suffix == ".json" or path.suffix == ".jsonl":
        file.write_bytes(data)
        assert [p.metrics for p in read_results(file)] == [p.metrics for p in whole]
    for cut in range(0, len(data) - 2, max(len(data) // 40, 1)):
        file.write_bytes(data[:cut])
        try:
            points = read_results(file)
        except Unusable as error:
            assert str(file) in str(error) and "\n" not in str(error)
        else:
            assert path.suffix in (".jsonl", ".csv", ".md") and len(points) <= len(whole)


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix == ".json"], ids=lambda p: p.name)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_value_of_any_key_makes_a_reader_fail(path, data, tmp_path_factory):
    """One random value in the file is replaced by junk: points with finite numbers, or one line."""
    value_ = json.loads(path.read_text())
    places = list(walk(value_))
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(
        st.sampled_from([None, math.nan, math.inf, -1, 0, 10**400, "x", "", [], {}, True, [None]])
    )
    file = tmp_path_factory.mktemp("junk") / "x.json"
    file.write_text(json.dumps(value_))
    try:
        points = read_results(file)
    except Unusable as error:
        assert "\n" not in str(error)
        return
    for point in points:
        record = json.loads(json.dumps(to_plain(point), allow_nan=False))
        assert from_plain(ImportedPoint, record) == point
        assert all(e.value > 0 or k.startswith("accuracy") for k, e in point.metrics.items())


def walk(value_):
    items = value_.items() if isinstance(value_, dict) else enumerate(value_)
    for key, inner in items:
        yield value_, key
        if isinstance(inner, dict | list):
            yield from walk(inner)


def test_wrong_units_are_refused_by_name(tmp_path):
    whole = json.loads((FIXTURES / "aiperf.json").read_text())
    whole["time_to_first_token"]["unit"] = "tokens"
    file = tmp_path / "x.json"
    file.write_text(json.dumps(whole))
    with pytest.raises(Unusable, match="time_to_first_token: unit 'tokens' is not one of ttft_s"):
        read_results(file)
    whole["time_to_first_token"]["unit"] = "seconds"
    del whole["request_latency"], whole["output_token_throughput"]
    file.write_text(json.dumps(whole))
    assert value(read_results(file)[0], "ttft_s") == 50.0
    assert si_factor("GiB", "memory_bytes", "") == 2**30
    assert si_factor("minutes", "e2e_s", "") == 60
    assert si_factor(" tokens/sec/user", "tokens_per_s_user", "") == 1
    for unit in ("", "GB", "count", "tokens"):
        with pytest.raises(Unusable, match="is not one of ttft_s"):
            si_factor(unit, "ttft_s", "")


def test_unknown_files_say_what_was_looked_for_and_found(tmp_path):
    file = tmp_path / "x.json"
    file.write_text('{"epoch": 3, "lr": 0.1}')
    with pytest.raises(Unusable) as caught:
        read_results(file)
    said = str(caught.value)
    assert "not a known result file" in said and "found JSON, top-level keys epoch, lr" in said
    for content, text in (
        (b"", "the file is empty"),
        (b"\x00\x01\x02", "a binary file"),
        (b"\xff\xfa", "line 1 is not valid UTF-8"),
        (b"just a sentence", "neither JSON"),
        (b"a,b\n1\n", "no complete row"),
        (b"a,b\n1,2\n", "found CSV, columns a, b"),
        (b"[1, 2]", "found JSON holding list"),
        (b"[" * 100000, "x.json"),
        (b'{"avg_latency": NaN, "latencies": [NaN]}', "no usable number found"),
    ):
        file.write_bytes(content)
        with pytest.raises(Unusable, match=r"x\.json: ") as caught:
            read_results(file)
        assert text in str(caught.value), content
    with pytest.raises(Unusable, match="there is no such file"):
        read_results(tmp_path / "gone.json")
    with pytest.raises(Unusable, match="no result file in this folder"):
        read_results(tmp_path / ".")


def test_a_folder_skips_broken_files_and_says_so(tmp_path):
    shutil.copytree(FIXTURES / "vllm_sweep", tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "summary.json").write_text("[{")
    points = read_results(tmp_path)
    assert len(points) == 2 and "1 of 2 files, the first: " in points[0].left_out[-1]
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(Unusable, match="not valid JSON"):
        read_results(tmp_path)


def test_lines_that_are_not_json_are_counted(tmp_path):
    file = tmp_path / "x.jsonl"
    lines = (FIXTURES / "sglang_serving.jsonl").read_text().splitlines()
    file.write_text("\n".join([lines[0], "Traceback", lines[1][:50]]))
    (point,) = read_results(file)
    assert point.left_out == ("2 of 3 lines are not JSON",)


def test_points_survive_the_project_file():
    for path in FILES:
        for point in read_results(path):
            record = json.loads(json.dumps(to_plain(point), allow_nan=False))
            assert from_plain(ImportedPoint, record) == point


def test_every_metric_is_canonical_and_si():
    for path in FILES:
        for point in read_results(path):
            assert isinstance(point, ImportedPoint)
            for key, estimate in point.metrics.items():
                assert estimate.unit == UNITS[key.partition(":")[0]], key
                if estimate.low is not None:
                    assert estimate.low <= estimate.value <= estimate.high


def test_median_interval_covers_as_it_says():
    random = np.random.default_rng(0)
    for n in (6, 25, 200, 1500):
        trials = 400
        hits = 0
        for _ in range(trials):
            e = from_samples(random.lognormal(size=n), "e2e_s")
            hits += e.low <= 1.0 <= e.high
        assert hits / trials > 0.92, n
    assert from_samples([1.0, 2.0], "e2e_s").low is None
    assert from_samples([math.nan, None, "x"], "e2e_s") is None


def test_summaries():
    assert from_summary({"mean": math.nan, "p50": 2.0}, "ttft_s", 1e-3).value == 0.002
    assert from_summary({"mean": 0.0}, "ttft_s") is None
    assert from_summary({"std": 1.0}, "ttft_s") is None
    mean = from_summary({"mean": 1.0, "std": 0.1}, "ttft_s", n=4)
    assert mean.high - 1.0 == pytest.approx(3.182 * 0.1 / 2, rel=0.001)


def test_precisions():
    words = {"torch.bfloat16": "bf16", "F16": "fp16", "fp8_block": "fp8", "Q8_0": "int8"}
    words |= {"Q4_K": None, "": None, None: None, "float32": "fp32"}
    assert {k: precision(k) for k in words} == words
