"""Served models: a real HTTP server on loopback streams events, and the client must count right."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from core.architecture import Architecture
from core.errors import Unusable
from core.measure.served import Endpoint, ServedRequest, measure_served
from core.measure.statistics import estimate
from core.records import Device
from core.workload import Workload

SHAPE = Architecture(2, 64, 1, 1, 64, 128, 256)
CPU = Device("cpu", "here", 2**30)
FIRST, GAP = 0.02, 0.005  # what the server waits, s


class Handler(BaseHTTPRequestHandler):
    """An OpenAI-compatible completion endpoint; `server.ways` says how it behaves."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        ways = self.server.ways
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append((self.path, body))
            self.server.running += 1
            self.server.most_running = max(self.server.most_running, self.server.running)
        self.decoding = True
        try:
            if self.path not in ways.get("paths", ("/v1/completions",)):
                self.send_error(404, "no such path")
                return
            if ways.get("status"):
                self.send_error(ways["status"], "model not loaded")
                return
            self.stream(body, ways)
        finally:
            self.decoded()

    def decoded(self):
        """Before the last words go out: whoever has them may ask again at once."""
        if self.decoding:
            self.decoding = False
            with self.server.lock:
                self.server.running -= 1

    def stream(self, body, ways):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        chat = self.path.endswith("chat/completions")
        words = len((body["messages"][0]["content"] if chat else body["prompt"]).split())
        count = ways.get("tokens", body["max_tokens"])
        each = ways.get("tokens_per_chunk", 1)
        self.event(": keep alive", raw=True)
        if chat:
            self.event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
        time.sleep(FIRST)
        if ways.get("nonsense"):
            self.event("data: <html>\n", raw=True)
        sent = 0
        while sent < count:
            if sent:
                time.sleep(GAP)
            piece = " tok" * min(each, count - sent)
            sent += each
            self.event({"choices": [{"delta": {"content": piece}} if chat else {"text": piece}]})
            if ways.get("dies_after") and sent >= ways["dies_after"]:
                self.wfile.write(b"0\r\n\r\n")
                return
        self.decoded()
        self.event({"choices": [{"text": "", "delta": {}, "finish_reason": "length"}]})
        if ways.get("usage", True):
            spent = {"prompt_tokens": words + ways.get("template", 0), "completion_tokens": count}
            self.event({"choices": [], "usage": spent})
        self.event("data: [DONE]\n", raw=True)
        self.wfile.write(b"0\r\n\r\n")

    def event(self, data, raw=False):
        text = (data if raw else f"data: {json.dumps(data)}\n") + "\n"
        block = text.encode()
        self.wfile.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
        self.wfile.flush()


@contextmanager
def serving(**ways):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.ways, server.bodies, server.lock = ways, [], threading.Lock()
    server.running = server.most_running = 0
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server, Endpoint(f"http://127.0.0.1:{server.server_port}/v1", "tiny")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
        assert r.e2e_s >= r.arrivals_s[-1] >= FIRST + 5 * GAP
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
    with serving() as (server, endpoint):
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
            Endpoint(address, "m").parts()
    assert Endpoint("localhost:8000", "m").parts() == ("http", "localhost", 8000, "")
    assert Endpoint("http://192.0.2.7/api/v1/", "m", remote=True).parts()[3] == "/api"
    for address in ("ftp://127.0.0.1", "http://127.0.0.1:99999", "http://"):
        with pytest.raises(Unusable, match="is not an address"):
            Endpoint(address, "m").parts()


def test_nothing_listening_and_unbounded_requests_are_refused():
    with serving() as (_, endpoint):
        pass
    with pytest.raises(Unusable, match="is the server running"):
        outcome(measure_served(endpoint, Workload(1, 4, 4), SHAPE, CPU, timeout_s=2))
    with pytest.raises(Unusable, match="1 to 1000"):
        outcome(measure_served(endpoint, Workload(), SHAPE, CPU, requests=10**9))
