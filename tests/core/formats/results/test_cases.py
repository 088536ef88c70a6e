"""Files that were once read wrongly, each with what is right: one test for each kind of fault."""

import json
from pathlib import Path

import pytest

from core import __main__ as command_line
from core.errors import Unusable
from core.formats.detect import what_file
from core.formats.results.reading import read_results
from core.model.workload import Runtime, Workload

FIXTURES = Path(__file__).parents[3] / "fixtures"
FORMATS = FIXTURES / "formats"


def points_of(name):
    return {point.name: point for point in read_results(FORMATS / name)}


def one(name):
    (point,) = read_results(FORMATS / name)
    return point


def value(point, key):
    return point.metrics[key].value


def test_a_prompt_behind_a_context_has_no_time_to_first_token():
    point = one("llamabench_depth.json")
    assert point.workload == Workload(1, 512, 1) and value(point, "ttft_s") == 1.0
    assert [line.partition(":")[0] for line in point.left_out] == [
        "demo 1B F16, pp512 @ d7680",
        "demo 1B F16, pp512+tg64 @ d7680",
    ]


def test_columns_that_tell_rows_of_llama_bench_apart_are_kept():
    found = points_of("llamabench_like.csv")
    assert {name: (p.workload, value(p, "tpot_s")) for name, p in found.items()} == {
        "demo-A, tg128": (Workload(1, 1, 128), 1 / 16),
        "demo-A, tg128 @ d65536": (Workload(1, 65536, 128), 1 / 8),
        "demo-B, tg128": (Workload(1, 1, 128), 1 / 40),
    }


def test_json_below_a_log_is_read():
    point = one("mixed_stdout.log")
    assert value(point, "tpot_s") == 0.01
    assert point.left_out == ("2 lines of other text above the JSON",)


def test_the_summary_of_lighteval_is_no_task():
    point = one("lighteval_all.json")
    assert (point.name, point.tool) == ("org/demo-7b", "lighteval")
    assert value(point, "accuracy") == pytest.approx((0.54 + 0.70 + 0.46 + 0.20) / 4)
    assert len([k for k in point.metrics if k.startswith("accuracy:")]) == 4
    assert not point.left_out


def test_every_task_of_lm_eval_is_used_or_named(tmp_path):
    point = one("lmeval_dropped_tasks.json")
    accuracies = {k.partition(":")[2]: e.value for k, e in point.metrics.items() if "cy:" in k}
    assert accuracies == {"ifeval": 0.41, "mbpp": 0.31, "humaneval": 0.28, "lambada_openai": 0.61}
    assert value(point, "bits_per_byte_disjoint") == 0.67 and not point.left_out
    file = tmp_path / "r.json"
    file.write_text(
        '{"results": {"boolq": {"acc,none": 0.5}, "xsum": {"rouge1,none": 31.0, "alias": "x"},'
        ' "empty": {"alias": "e"}}, "versions": {}}'
    )
    (point,) = read_results(file)
    assert point.left_out == (
        "task xsum: no accuracy (it has rouge1)",
        "task empty: it holds no number",
    )


def test_a_group_counts_once_in_the_mean(tmp_path):
    file = tmp_path / "r.json"
    tasks = ", ".join(f'"mmlu_{n}": {{"acc,none": 0.2}}' for n in range(9))
    members = ", ".join(f'"mmlu_{n}"' for n in range(9))
    file.write_text(
        f'{{"results": {{"piqa": {{"acc,none": 0.8}}, "mmlu": {{"alias": "mmlu"}}, {tasks}}},'
        f' "group_subtasks": {{"mmlu": [{members}]}}, "versions": {{}}}}'
    )
    (point,) = read_results(file)
    assert value(point, "accuracy") == pytest.approx((0.8 + 0.2) / 2)
    assert value(point, "accuracy:mmlu_3") == 0.2
    assert "accuracy is the plain mean over piqa, mmlu (itself a mean of 9)" in point.notes
    old = {f"hendrycksTest-{n}": 0.2 for n in range(9)}
    results = ", ".join(f'"{k}": {{"acc": {v}}}' for k, v in (old | {"arc": 0.8}).items())
    file.write_text(f'{{"results": {{{results}}}, "versions": {{}}}}')
    (point,) = read_results(file)
    assert value(point, "accuracy") == pytest.approx(0.5)


def test_percents_are_told_by_the_whole_file(tmp_path):
    """One task below 1 % among percents is no share of 0.9."""
    file = tmp_path / "r.json"
    results = '{"a": {"acc": 61.5}, "b": {"acc": 0.9}, "c": {"acc": 0.0}}'
    file.write_text(f'{{"results": {results}, "versions": {{}}}}')
    (point,) = read_results(file)
    assert value(point, "accuracy") == pytest.approx(0.615 / 2) and value(point, "accuracy:c") == 0
    assert point.left_out == ("task b: 0.9 may be a share or a percent; the others are percents",)


def test_scores_of_questions_are_those_of_one_model():
    point = one("samples_demo_2026.jsonl")
    share = point.metrics["accuracy"]
    assert (share.value, share.n) == (0.5, 4)
    # Wilson's interval of 2 of 4
    assert (share.low, share.high) == (
        pytest.approx(0.150, abs=1e-3),
        pytest.approx(0.850, abs=1e-3),
    )
    assert point.scores == {"0": 1.0, "1": 0.0, "2": 0.0, "3": 1.0}


def test_filters_and_repeats_of_questions_are_told(tmp_path):
    folder = tmp_path / "org__demo"
    folder.mkdir()
    file = folder / "samples_gsm8k_2026-01-02T03-04-05.6.jsonl"
    row = '{{"doc_id": {0}, "resps": [["1"]], "filter": "{1}", "exact_match": {2}}}'
    rows = [
        (0, "strict", 1),
        (1, "strict", 0),
        (1, "strict", 0),
        (0, "loose", 1),
        (2, "strict", '"x"'),
    ]
    file.write_text("\n".join(row.format(*r) for r in rows))
    (point,) = read_results(folder)
    assert (point.name, value(point, "accuracy")) == ("org/demo, gsm8k", 0.5)
    assert point.left_out == (
        "filter loose: another reading of the same answers",
        "1 of 4 questions, which have no score",
        "1 rows that repeat a question",
    )


def test_an_accuracy_of_0_is_one():
    found = points_of("zero_acc.csv")
    assert value(found["bad"], "accuracy") == 0 and list(found["bad"].metrics) == ["accuracy"]


def test_accuracies_in_percent(tmp_path):
    found = points_of("acc_percent2.csv")
    assert value(found["m1"], "accuracy") == 0.613
    assert found["m1"].notes == ("accuracy is read as percent: 61.3 is 0.613",)
    assert "accuracy" not in found["m2"].metrics
    assert "0.95 may be a share or a percent" in found["m1"].left_out[0]
    file = tmp_path / "x.csv"
    file.write_text("model,accuracy (%),ttft_ms\na,0.95,3\nb,61.3,4\nc,250,5\n")
    a, b, c = read_results(file)
    assert (value(a, "accuracy"), value(b, "accuracy")) == (pytest.approx(0.0095), 0.613)
    assert "accuracy" not in c.metrics
    assert a.left_out == ("accuracy (%) of c: 250 is neither a share nor a percent",)


def test_points_out_of_10_are_no_accuracies(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("model,score,ttft_ms\na,8.2,3\nb,6.1,4\n")
    a, _ = read_results(file)
    assert list(a.metrics) == ["ttft_s"]
    assert a.left_out == ("column score: scores up to 10, neither shares nor percents",)


def test_single_requests_are_one_point_without_those_that_failed():
    point = one("llmperf_requests.json")
    assert point.failed_requests == 1 and point.metrics["ttft_s"].n == 2
    assert value(point, "ttft_s") == pytest.approx(0.56)
    # its own inter-token latency holds the first token
    expected = ((2.3 - 0.60) / 149 + (2.1 - 0.52) / 149) / 2
    assert value(point, "tpot_s") == pytest.approx(expected)
    assert "1 of 3 requests, which failed (error 429)" in point.left_out


@pytest.mark.parametrize(
    ("name", "failed"),
    [("vllm_serve.json", 1), ("guidellm.json", 4), ("inference_perf.json", 2), ("llm_d.yaml", 10)],
)
def test_every_tool_counts_its_failed_requests(name, failed):
    first, *_ = read_results(FORMATS / name)
    assert first.failed_requests == failed
    assert any(line.startswith(f"{failed} of ") for line in first.left_out)


def test_aiperf_counts_its_errors(tmp_path):
    raw = json.loads((FORMATS / "aiperf.json").read_text())
    raw["error_request_count"] = {"unit": "requests", "avg": 3.0}
    file = tmp_path / "x.json"
    file.write_text(json.dumps(raw))
    (point,) = read_results(file)
    assert point.failed_requests == 3
    assert point.left_out == ("3 of 67 requests, which failed",)


def test_a_table_of_requests_is_one_point(tmp_path):
    file = tmp_path / "x.csv"
    rows = "\n".join(f"{n},{100 + n},{'timeout' if n == 3 else ''}" for n in range(9))
    file.write_text(f"request_id,ttft_ms,error\n{rows}\n")
    (point,) = read_results(file)
    assert point.metrics["ttft_s"].n == 8 and point.failed_requests == 1
    assert value(point, "ttft_s") == pytest.approx(0.1045)


@pytest.mark.parametrize("name", ["mean_median_order.csv", "comment_above.csv"])
def test_the_median_comes_before_the_mean_wherever_it_stands(name):
    point = one(name)
    ttft = point.metrics["ttft_s"]
    assert (ttft.value, ttft.statistic) == (0.08, "median")
    assert ttft.statistics == {"mean": 0.9, "std": 0.2}
    assert value(point, "tpot_s") == 0.012
    assert point.workload == Workload(4, 512, 128) and not point.left_out


def test_a_statistic_in_the_middle_of_a_name():
    found = points_of("stat_in_middle.csv")
    a = found["run_a"]
    assert (value(a, "ttft_s"), value(a, "itl_s")) == (0.0712, 0.0259)
    assert a.metrics["ttft_s"].statistics == {"mean": 0.0805, "p99": 0.19}
    assert (a.metrics["e2e_s"].value, a.metrics["e2e_s"].statistic) == (3.2, "mean")
    assert a.workload == Workload(16, 256, 120) and found["run_b"].workload.batch == 4
    assert a.left_out == ("columns profile, rate",)


def test_a_word_before_a_known_name(tmp_path):
    point = one("prefixed.csv")
    assert (point.name, point.device) == ("org/demo", "h200")
    assert (value(point, "ttft_s"), value(point, "tpot_s")) == (0.616, 0.0114)
    file = tmp_path / "x.csv"
    # two of them say different things, a goal is no measurement, a total is another rate
    file.write_text(
        "model,a_ttft_ms,b_ttft_ms,target_tpot_ms,total throughput (tok/s),e2e_ms\nm,1,2,3,4,5\n"
    )
    (point,) = read_results(file)
    assert list(point.metrics) == ["e2e_s"]
    assert point.left_out == (
        "columns a_ttft_ms, b_ttft_ms, target_tpot_ms, total throughput (tok/s)",
    )


def test_numbers_as_people_write_them(tmp_path):
    point = one("decimal_comma.csv")
    assert (value(point, "ttft_s"), value(point, "tpot_s")) == pytest.approx((0.0125, 0.00325))
    file = tmp_path / "x.csv"
    file.write_text(
        "model\tparams\tlatency\ttokens_per_s\tttft_ms\n"
        "a\t7B\t1.5 s\t84,6 ± 3,1\t1.234,5\nb\t1.3B\t800 ms\t1.234,5\tbad\n"
    )
    a, b = read_results(file)
    assert value(a, "params_total") == 7e9 and value(b, "e2e_s") == 0.8
    assert value(b, "tokens_per_s") == 1234.5 and value(a, "ttft_s") == pytest.approx(1.2345)
    assert "column ttft_ms: 1 cells that hold no number ('bad')" in a.left_out
    file.write_text('model,throughput\na,"1,234.5 ± 20.5"\n')
    (a,) = read_results(file)
    rate = a.metrics["tokens_per_s"]
    assert (rate.value, rate.statistics) == (1234.5, {"plus_minus": 20.5})


def test_columns_that_contradict_each_other_are_not_trusted(tmp_path):
    file = FIXTURES / "refused" / "unit_contradiction.csv"
    with pytest.raises(Unusable, match=r"TPOT is 4\.00 µs but 250 tokens/s per user mean 4\.00 ms"):
        read_results(file)
    # one wrong row of many is left out
    file = tmp_path / "x.csv"
    good = "\n".join(f"m{n},4.0,{250 + n}" for n in range(4))
    file.write_text(f"model,tpot_ms,interactivity\n{good}\nodd,0.004,250\n")
    found = read_results(file)
    assert [p.name for p in found] == ["m0", "m1", "m2", "m3"]
    assert found[0].left_out[0].startswith("odd: TPOT is 4.00 µs")


def test_a_rate_beyond_littles_law_is_left_out(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("model,concurrency,isl,osl,e2e_s,throughput\nm,4,900,100,2.0,2000\n")
    (point,) = read_results(file)
    # 4 x 100 / 2 s are 200 tokens/s; with the prompt's tokens 2000
    assert "tokens_per_s" not in point.metrics
    assert point.left_out == ("m: throughput 2.00 k tokens/s, prompt tokens are counted in it",)


def test_what_cannot_be_is_left_out(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("model,ttft_s,loss\na,0.2,3.1\nb,123456789,3.2\n")
    _, b = read_results(file)
    assert list(b.metrics) == ["loss"] and "b: ttft_s" in b.left_out[0]


def test_a_cap_is_no_measurement():
    point = one("sentinel_concurrency.json")
    # 4 requests/s that take 0.5 s + 199 x 30 ms each
    assert point.workload == Workload(26, 1000, 200)
    assert "1000000000" not in point.name


def test_a_flood_is_told_and_its_batch_is_measured():
    first, second = read_results(FORMATS / "flood_inf.jsonl")
    assert first.workload == Workload(1800, 1000, 500) and second.workload.batch == 60
    assert "TTFT is queue: all 3000 requests were sent at once" in first.notes
    assert any("its cap is 200" in note for note in second.notes)
    assert first.name.startswith("org/demo-3b") and first.runtime == Runtime(
        "served", "bf16", "bf16"
    )


@pytest.mark.parametrize("name", ["guidellm_constant.json", "guidellm_v1.json"])
def test_steady_loads_are_named_by_their_rate(name):
    found = points_of(name)
    slow = found["org/demo, constant 0.2 requests/s"]
    assert slow.workload == Workload(1, 512, 128) and value(slow, "e2e_s") == 1.49
    assert found["org/demo, constant 4 requests/s"].workload == Workload(8, 512, 128)


def test_a_rate_of_all_tokens_is_no_output_rate():
    with pytest.raises(Unusable, match="vLLM bench throughput, whose tokens_per_second counts"):
        read_results(FIXTURES / "refused" / "vllm_throughput_lines.jsonl")


def test_other_shapes_of_known_tools():
    point = one("vllm_pytorch.json")
    assert (point.name, value(point, "ttft_s")) == ("m, max_concurrency 4", 0.12)
    point = one("infx_agg.json")
    assert (value(point, "ttft_s"), value(point, "tpot_s")) == pytest.approx((3.14, 0.141))
    assert point.workload == Workload(16, 10240, 128) and value(point, "tokens_per_s") == 95.4
    point = one("optimum_old.json")
    assert value(point, "ttft_s") == 0.05 and value(point, "e2e_s") == pytest.approx(1.55)


def test_a_table_of_runs_is_no_result():
    for name in ("lr_sweep.csv", "one_size.csv", "trajectory.csv", "rows_dropped.csv"):
        with pytest.raises(Unusable, match="a table of training runs, not of results"):
            read_results(FIXTURES / "runs" / name)
        assert what_file(FIXTURES / "runs" / name).kind == "runs"


def test_import_tells_what_was_left_out(tmp_path, capsys):
    project = str(tmp_path / "p.paretoscope")
    file = str(FORMATS / "llmperf_requests.json")
    assert command_line.main(["import", project, file]) == 0
    assert "  left out: 1 of 3 requests, which failed (error 429)\n" in capsys.readouterr().out
    assert command_line.main(["import", project, file, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out.splitlines()[-1])["files"]
    assert told["failed_requests"] == 1 and "requests, which failed" in told["left_out"][-1]
    assert told["points"][0]["metrics"]["ttft_s"]["statistic"] == "median"


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ('{"benchmarks": [{"rate": 1}], "args": {}}', "nearest is GuideLLM, which lacks 'metadata"),
        ('{"n_prompt": 3, "model": "m"}', "nearest is llama-bench, which lacks 'avg_ns', 'avg_ts'"),
        ('{"results": {"a": 1}, "z": 2}', "which lacks"),
        ("a,b\n1,2\n", "not a known result file (help page"),
        ("{" + ", ".join(f'"{"k" * 60}{n}": 1' for n in range(40)) + "}", "not a known"),
    ],
)
def test_a_refusal_names_the_nearest_format_in_one_short_line(tmp_path, text, nearest):
    file = tmp_path / "x"
    file.write_text(text)
    for read in (read_results, what_file):
        with pytest.raises(Unusable) as caught:
            read(file)
        said = str(caught.value)
        assert nearest in said and "\n" not in said
        assert len(said.removeprefix(str(file))) < 300
