"""Served models: a real HTTP server on loopback streams events, and the client must count right."""

import threading

import pytest
from completion_server import FIRST, GAP, serving

import core.measure.backends.served
from core.errors import Unusable
from core.measure.backends.endpoint import Address, Deadline
from core.measure.backends.served import Endpoint, ServedRequest, measure_served
from core.model.architecture import Architecture
from core.model.workload import Workload
from core.records.measurement import Device
from core.samples.statistics import estimate

SHAPE = Architecture(2, 64, 1, 1, 64, 128, 256)
CPU = Device("cpu", "here", 2**30)


@pytest.fixture(autouse=True)
def client_held_up(monkeypatch):
    """A client on a busy machine gets chunks together; that is said, and not what is tested here."""
    monkeypatch.setattr(core.measure.backends.served, "BURST_SHARE", 1.0)


def outcome(steps):
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as stop:
            return seen, stop.value


def test_streamed_tokens_are_counted_and_timed():
    with serving() as (server, endpoint):
        seen, got = outcome(measure_served(endpoint, Workload(1, 20, 6), SHAPE, CPU, requests=3))
    requests = [s for s in seen if isinstance(s, ServedRequest)]
    assert len(requests) == 3
    assert got.workload == Workload(1, 20, 6) and got.model == "tiny" and not got.message
    assert got.runtime.execution == "served"
    for r in requests:
        assert r.output_tokens == 6 and len(r.gaps_s) == 5
        # the server slept this long before, so no honest client can have seen it sooner
        assert r.ttft_s >= FIRST
        assert r.tpot_s == pytest.approx(sum(r.gaps_s) / 5)
        assert r.arrivals_s[-1] >= FIRST + 5 * GAP
    assert [len(b) for b in got.samples["tpot"]] == [5, 5, 5]
    tpot = estimate(got, "tpot")
    assert tpot.value == pytest.approx(sorted(r.tpot_s for r in requests)[1])
    body = server.bodies[0][1]
    assert body["ignore_eos"] and body["stream"] and body["max_tokens"] == 6
    prompts = [b["prompt"] for _, b in server.bodies]
    assert len(set(prompts)) == len(prompts)


def test_the_prompt_is_brought_to_its_length_through_a_chat_template():
    with serving(paths=("/v1/chat/completions",), template=7) as (server, endpoint):
        _, got = outcome(measure_served(endpoint, Workload(1, 30, 3), SHAPE, CPU, requests=2))
    assert got.workload.prompt_tokens == 30
    assert got.environment["endpoint_path"] == "/v1/chat/completions"
    assert len(server.bodies[-1][1]["messages"][0]["content"].split()) == 23


def test_a_batch_is_sent_at_once():
    # the answers of a round begin when all its requests are there
    with serving(meeting=threading.Barrier(4)) as (server, endpoint):
        seen, got = outcome(measure_served(endpoint, Workload(4, 8, 3), SHAPE, CPU, requests=2))
    assert server.most_running == 4
    assert len([s for s in seen if isinstance(s, ServedRequest)]) == 8
    assert [len(b) for b in got.samples["ttft"]] == [4, 4]


def test_chunks_of_several_tokens_give_the_mean_per_token():
    with serving(tokens_per_chunk=3) as (_, endpoint):
        seen, got = outcome(measure_served(endpoint, Workload(1, 8, 7), SHAPE, CPU, requests=2))
    r = next(s for s in seen if isinstance(s, ServedRequest))
    assert len(r.arrivals_s) == 3 and r.counted_tokens == 7
    assert r.last_s == r.finished_s > r.arrivals_s[-1]
    assert r.tpot_s == pytest.approx((r.last_s - r.arrivals_s[0]) / 6)
    assert "not one token" in got.message
    assert [len(b) for b in got.samples["tpot"]] == [6, 6]
    assert [len(b) for b in got.samples["chunk_gaps"]] == [2, 2]


def test_realised_counts_are_kept_where_the_server_stops_early_or_does_not_say():
    with serving(tokens=4, usage=False) as (_, endpoint):
        _, got = outcome(measure_served(endpoint, Workload(1, 8, 10), SHAPE, CPU, requests=2))
    assert got.workload.output_tokens == 4
    assert "chunks were counted" in got.message and "4 output tokens came where 10" in got.message


@pytest.mark.parametrize(
    ("ways", "reason"),
    [
        ({"status": 503}, "answered 503"),
        ({"paths": ()}, "answered 404 to /v1/chat/completions"),
        ({"nonsense": True}, "no OpenAI stream"),
        ({"dies_after": 2}, "ended its answer early"),
        ({"tokens": 0}, "without a token"),
    ],
)
def test_what_is_no_token_stream_is_one_clear_line(ways, reason):
    with serving(**ways) as (_, endpoint), pytest.raises(Unusable, match=reason) as refusal:
        outcome(measure_served(endpoint, Workload(1, 8, 4), SHAPE, CPU, requests=1))
    assert "\n" not in str(refusal.value)


def test_a_server_that_stalls_is_given_up():
    with serving(tokens=1000) as (_, endpoint), pytest.raises(Unusable, match=r"endless|within"):
        steps = measure_served(endpoint, Workload(1, 4, 9), SHAPE, CPU, requests=1, timeout_s=0.2)
        outcome(steps)


def test_only_this_machine_is_asked():
    for address in ("http://192.0.2.7:8000", "http://example.invalid/v1"):
        with pytest.raises(Unusable, match="is not this machine"):
            Endpoint(address, "m").places(Deadline(60))
    assert Endpoint("localhost:8000", "m").address() == Address("http", "localhost", 8000, "")
    assert Endpoint("http://192.0.2.7/api/v1/", "m", remote=True).address().prefix == "/api"
    for address in ("ftp://127.0.0.1", "http://127.0.0.1:99999", "http://"):
        with pytest.raises(Unusable, match="is not an address"):
            Endpoint(address, "m").address()


def test_nothing_listening_and_unbounded_requests_are_refused():
    with serving() as (_, endpoint):
        pass
    with pytest.raises(Unusable, match="is the server running"):
        outcome(measure_served(endpoint, Workload(1, 4, 4), SHAPE, CPU, timeout_s=2))
    with pytest.raises(Unusable, match="1 to 1000"):
        outcome(measure_served(endpoint, Workload(), SHAPE, CPU, requests=10**9))
