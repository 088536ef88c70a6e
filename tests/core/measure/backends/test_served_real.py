"""What real servers sent, replayed: llama.cpp's server (through xllamacpp 2026.10.11549),
llama-cpp-python 0.3.36, `transformers serve` 5.23 and vLLM 0.32.0 (its CPU build), each serving a
small Llama on one core.

The lines are as they came, shortened: fewer tokens, and no ids, dates or fingerprints.
"""

import json
import re
import struct
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import core.measure.backends.served
from core.errors import Unusable
from core.measure.backends.endpoint import Endpoint
from core.measure.backends.served import decoded_at_once, measure_served, round_s, share_in_bursts
from core.measure.backends.served_shape import served_shape
from core.measure.backends.served_stream import ServedRequest
from core.model.architecture import Architecture
from core.model.workload import Workload
from core.records.measurement import Device

SHAPE = Architecture(2, 64, 1, 1, 64, 128, 256)
CPU = Device("cpu", "here", 2**30)
GAP = 0.004  # between replayed lines, s


@pytest.fixture(autouse=True)
def client_held_up(request, monkeypatch):
    """A client on a busy machine gets chunks together, which is said; one test is about that."""
    if "held_up_on_its_way" not in request.node.name:
        monkeypatch.setattr(core.measure.backends.served, "BURST_SHARE", 1.0)


LLAMA_CPP = """\
data: {"choices":[{"text":" HEIGHT","index":0,"logprobs":null,"finish_reason":null}],"object":"text_completion"}
data: {"choices":[{"text":" Th","index":0,"logprobs":null,"finish_reason":null}],"object":"text_completion"}
data: {"choices":[{"text":" frozen","index":0,"logprobs":null,"finish_reason":null}],"object":"text_completion"}
data: {"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"length"}],"object":"text_completion","usage":{"completion_tokens":3,"prompt_tokens":200,"total_tokens":203,"prompt_tokens_details":{"cached_tokens":0}},"timings":{"cache_n":0,"prompt_n":200,"prompt_ms":31.39,"predicted_n":3,"predicted_ms":2.4}}
data: [DONE]
"""
# the same prompt a second time, with the prefix cache that is on by default: 1 token computed of 200
LLAMA_CPP_CACHED = LLAMA_CPP.replace('"cached_tokens":0', '"cached_tokens":199').replace(
    '"cache_n":0,"prompt_n":200,"prompt_ms":31.39', '"cache_n":199,"prompt_n":1,"prompt_ms":0.97'
)
LLAMA_CPP_CHAT = """\
data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"object":"chat.completion.chunk"}
data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":" {{"}}],"object":"chat.completion.chunk"}
data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":" SI"}}],"object":"chat.completion.chunk"}
data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":" {{"}}],"object":"chat.completion.chunk"}
data: {"choices":[{"finish_reason":"length","index":0,"delta":{}}],"object":"chat.completion.chunk"}
data: {"choices":[],"object":"chat.completion.chunk","usage":{"completion_tokens":3,"prompt_tokens":12,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":0}},"timings":{"cache_n":0,"prompt_n":12,"prompt_ms":3.98,"predicted_n":3,"predicted_ms":10.8}}
data: [DONE]
"""
# text that ends within a character is held back: 24 tokens came as 3 chunks, the last ones as none
HELD_BACK = """\
data: {"choices":[{"text":"\\u000f","index":0,"logprobs":null,"finish_reason":null}]}
data: {"choices":[{"text":"\\ufffd\\ufffd\\ufffd\\u001b","index":0,"logprobs":null,"finish_reason":null}]}
data: {"choices":[{"text":"\\ufffd\\ufffd\\u001a","index":0,"logprobs":null,"finish_reason":null}]}
: 40
data: {"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"completion_tokens":24,"prompt_tokens":7,"total_tokens":31,"prompt_tokens_details":{"cached_tokens":1}}}
data: [DONE]
"""
ALL_HELD_BACK = HELD_BACK[HELD_BACK.index(": 40") :]
TOO_LONG = (
    400,
    '{"error":{"code":400,"message":"request (3001 tokens) exceeds the available context size '
    '(2048 tokens), try increasing it","type":"exceed_context_size_error",'
    '"n_prompt_tokens":3001,"n_ctx":2048}}',
)
LLAMA_CPP_PYTHON = """\
data: {"choices":[{"text":" smallest","index":0,"logprobs":null,"finish_reason":null}]}
data: {"choices":[{"text":" 2502","index":0,"logprobs":null,"finish_reason":null}]}
data: {"choices":[{"text":" drawn","index":0,"logprobs":null,"finish_reason":null}]}
data: {"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"length"}]}
data: [DONE]
"""
# another request came: by default it breaks off the one before
INTERRUPTED = """\
data: {"choices":[{"text":" smallest","index":0,"logprobs":null,"finish_reason":null}]}
data: [DONE]
"""
# no [DONE]; usage with the reason to end, unasked
TRANSFORMERS = """\
data: {"choices":[{"index":0,"text":" np"}],"model":"/m/tiny@main","object":"text_completion"}
data: {"choices":[{"index":0,"text":" %"}],"model":"/m/tiny@main","object":"text_completion"}
data: {"choices":[{"index":0,"text":" has"}],"model":"/m/tiny@main","object":"text_completion"}
data: {"choices":[{"finish_reason":"length","index":0,"text":""}],"model":"/m/tiny@main","object":"text_completion","usage":{"completion_tokens":3,"prompt_tokens":200,"total_tokens":203}}
"""
# vLLM counts in every chunk when asked to; a token that ends within a character has a chunk without
# text, and a server held up puts two tokens into one chunk
VLLM = """\
data: {"object":"text_completion","model":"m","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":{"prompt_tokens":200,"total_tokens":201,"completion_tokens":1}}
data: {"object":"text_completion","model":"m","choices":[{"index":0,"text":"\ufffd eq","logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":{"prompt_tokens":200,"total_tokens":202,"completion_tokens":2}}
data: {"object":"text_completion","model":"m","choices":[{"index":0,"text":" scaled","logprobs":null,"finish_reason":"length","stop_reason":null}],"usage":{"prompt_tokens":200,"total_tokens":203,"completion_tokens":3}}
data: {"object":"text_completion","model":"m","choices":[],"usage":{"prompt_tokens":200,"total_tokens":203,"completion_tokens":3},"system_fingerprint":"vllm-0.32.0"}
data: [DONE]
"""
VLLM_CHAT = """\
data: {"object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":16,"total_tokens":16,"completion_tokens":0}}
: 20
data: {"object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"me"},"logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":16,"total_tokens":17,"completion_tokens":1}}
data: {"object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":" prompts"},"logprobs":null,"finish_reason":"length","stop_reason":null}],"usage":{"prompt_tokens":16,"total_tokens":18,"completion_tokens":2}}
data: {"object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":16,"total_tokens":18,"completion_tokens":2}}
data: [DONE]
"""
# its answer to a prompt that leaves room for 2 tokens of 4
VLLM_FULL = (
    400,
    '{"error":{"message":"min_tokens must be less than or equal to max_tokens=2, got 4.",'
    '"type":"BadRequestError","param":null,"code":400}}',
)
TRANSFORMERS_TAKES = {
    *("model", "prompt", "stream", "stream_options", "temperature", "max_tokens"),
    "generation_config",
}


def transformers(path, body):
    """`transformers serve` refuses what it does not know, and answers."""
    unexpected = set(body) - TRANSFORMERS_TAKES
    if unexpected:
        return 422, json.dumps({"detail": f"Unexpected fields in the request: {unexpected}"})
    return 200, TRANSFORMERS


class Handler(BaseHTTPRequestHandler):
    """Replays what `server.answers(path, body)` says: a status and the lines of a stream."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.plain(*self.server.pages.get(self.path.partition("?")[0], (404, "")))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append((self.path, body))
        status, text = self.server.answers(self.path, body)
        if status != 200 or not body.get("stream"):
            self.plain(status, text)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        # two blanks stand for a line that comes with the one before
        for piece in re.split(r"\n(?!data:  )", text.rstrip("\n")):
            # ': 40' for the time of 40 lines of which none was sent
            time.sleep(GAP * (int(piece[2:]) if piece.startswith(": ") else 1))
            blocks = [f"{line}\n\n".encode() for line in piece.split("\n")]
            self.wfile.write(b"".join(b"%x\r\n%b\r\n" % (len(b), b) for b in blocks))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def plain(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


@contextmanager
def replaying(answers, pages=()):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.answers = answers if callable(answers) else lambda path, body: (200, answers)
    server.bodies, server.pages = [], dict(pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server, Endpoint(f"http://127.0.0.1:{server.server_port}", "m")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def measured(endpoint, workload=None, requests=2):
    """All requests and the measurement."""
    steps = measure_served(endpoint, workload or Workload(1, 200, 3), SHAPE, CPU, requests=requests)
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as stop:
            return [s for s in seen if isinstance(s, ServedRequest)], stop.value


def test_llama_cpp_is_counted_through_its_usage():
    with replaying(LLAMA_CPP) as (server, endpoint):
        requests, got = measured(endpoint)
    assert [(r.prompt_tokens, r.output_tokens, r.cached_tokens) for r in requests] == [
        (200, 3, 0)
    ] * 2
    assert got.environment["chunk_is_token"] and not got.message
    assert all(body["cache_prompt"] is False for _, body in server.bodies)


def test_llama_cpp_chat_begins_with_a_role_that_is_no_token():
    def chat_only(path, body):
        return (200, LLAMA_CPP_CHAT) if "chat" in path else (404, '{"error":{"message":"gone"}}')

    with replaying(chat_only) as (_, endpoint):
        requests, got = measured(endpoint, Workload(1, 12, 3))
    assert all(len(r.arrivals_s) == 3 for r in requests)
    assert got.workload == Workload(1, 12, 3) and not got.message


def test_a_second_run_asks_nothing_that_the_first_has_asked():
    with replaying(LLAMA_CPP) as (server, endpoint):
        measured(endpoint)
        first = {body["prompt"] for _, body in server.bodies}
        measured(endpoint)
        second = {body["prompt"] for _, body in server.bodies[len(first) :]}
    assert len(first) == len(second) == 4 and not first & second


def test_prompts_out_of_a_prefix_cache_are_said():
    with replaying(LLAMA_CPP_CACHED) as (_, endpoint):
        _, got = measured(endpoint)
    assert got.environment["cached_prompt_tokens"] == 199
    assert "took 199 of 200 prompt tokens from its cache" in got.message


def test_text_held_back_ends_with_its_answer():
    with replaying(HELD_BACK) as (_, endpoint):
        requests, got = measured(endpoint, Workload(1, 7, 24))
    for r in requests:
        assert len(r.arrivals_s) == 3 and r.counted_tokens == 24
        # the tokens without a chunk took most of the time
        assert r.last_s == r.finished_s >= r.arrivals_s[-1] + 40 * GAP
        assert r.tpot_s == pytest.approx((r.finished_s - r.arrivals_s[0]) / 23)
    assert got.samples["e2e"] == tuple((r.finished_s,) for r in requests)
    assert got.samples["tpot"][0] == pytest.approx([requests[0].tpot_s] * 23)
    assert "a chunk is not one token" in got.message


def test_a_refusal_is_told_by_its_message_alone():
    with replaying(lambda *_: TOO_LONG) as (_, endpoint), pytest.raises(Unusable) as refusal:
        measured(endpoint)
    told = str(refusal.value).partition("answered ")[2]
    assert told == (
        "400 to /v1/completions: request (3001 tokens) exceeds the available context size "
        "(2048 tokens), try increasing it"
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        # what llama-cpp-python sends for a prompt longer than its context
        ("", r"without a token; its own log may have the reason \(has it a context of 203 tokens"),
        (ALL_HELD_BACK, "without any text, though it counts 24 tokens"),
        (INTERRUPTED, "early, after 1 of 3 tokens; .* takes one request at a time"),
    ],
)
def test_an_answer_cut_short_is_no_measurement(answer, reason):
    with replaying(answer) as (_, endpoint), pytest.raises(Unusable, match=reason) as refusal:
        measured(endpoint)
    assert "\n" not in str(refusal.value)


def test_a_prompt_is_counted_by_an_answer_that_is_not_streamed():
    def answers(path, body):
        if body.get("stream"):
            return 200, LLAMA_CPP_PYTHON
        # two tokens beside the words
        usage = {"prompt_tokens": len(body["prompt"].split()) + 2, "completion_tokens": 1}
        return 200, json.dumps({"choices": [{"text": " smallest"}], "usage": usage})

    with replaying(answers) as (server, endpoint):
        _, got = measured(endpoint, Workload(1, 30, 3))
    assert len(server.bodies[-1][1]["prompt"].split()) == 28
    assert got.workload == Workload(1, 30, 3)
    assert got.message == "the server gives no token counts; chunks were counted"


def test_a_prompt_that_nobody_counts_is_said_to_be_a_guess():
    with replaying(LLAMA_CPP_PYTHON) as (_, endpoint):
        _, got = measured(endpoint, Workload(1, 30, 3))
    assert "the prompt is taken for 30 tokens" in got.message


def test_transformers_is_asked_again_without_what_it_refuses():
    with replaying(transformers) as (server, endpoint):
        requests, got = measured(endpoint)
    assert [r.output_tokens for r in requests] == [3, 3] and not got.message
    sent = ["stream_options", "continuous_usage_stats", "generation_config"]
    assert got.environment["fields_sent"] == sent
    refused, *taken = [body for _, body in server.bodies]
    assert "ignore_eos" in refused and len(taken) == 4
    for body in taken:
        assert not {"ignore_eos", "min_tokens", "cache_prompt"} & set(body)
        # what keeps it from ending early
        assert json.loads(body["generation_config"]) == {"min_new_tokens": 3}


def test_a_server_that_takes_no_field_of_ours_is_asked_plainly():
    def strict(path, body):
        own = [k for k in body if k not in {"model", "prompt", "stream", "max_tokens"}]
        known = [k for k in own if k != "temperature"]
        if known:
            # one at a time, as OpenAI's own service says it
            said = f"Unrecognized request argument supplied: {known[0]}"
            return 400, json.dumps({"error": {"message": said}})
        return 200, LLAMA_CPP_PYTHON

    with replaying(strict) as (_, endpoint):
        _, got = measured(endpoint)
    assert got.environment["fields_sent"] == [] and got.workload.output_tokens == 3


def test_requests_that_waited_for_each_other_are_said():
    turn = threading.Lock()

    class OneAtATime(Handler):
        def handle(self):
            # until the client, who may be held up, has read the whole answer and hung up
            with turn:
                super().handle()

    with replaying(transformers) as (server, endpoint):
        server.RequestHandlerClass = OneAtATime
        _, got = measured(endpoint, Workload(3, 200, 3), requests=3)
    assert got.environment["decoded_at_once"] == 1
    assert "only 1 of 3 requests were decoded at once" in got.message
    # one after another: two answers of four lines, and the tokens of a third
    assert all(s >= (2 * 4 + 3) * GAP for (s,) in got.samples["round"])


def test_the_most_that_ran_at_once_and_how_long_all_took():
    def asked(sent, *arrivals):
        return ServedRequest(arrivals, 8, len(arrivals), sent_s=sent)

    one, two, late = asked(1.0, 0.5, 1.0), asked(1.1, 0.6, 0.9), asked(1.0, 1.5, 3.0)
    assert decoded_at_once([one, two, late]) == 2
    assert decoded_at_once([one, late]) == 1
    assert decoded_at_once([asked(0.0, 0.5)]) == 1
    assert round_s([one, two, late]) == pytest.approx(3.0)


def gguf(path, file_type):
    """A GGUF file of keys only, of a plain type."""

    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    numbers = {
        "general.file_type": file_type,
        "llama.block_count": 3,
        "llama.embedding_length": 64,
        "llama.attention.head_count": 2,
        "llama.feed_forward_length": 160,
        "llama.vocab_size": 500,
    }
    pairs = [text("general.architecture") + struct.pack("<I", 8) + text("llama")]
    pairs += [text(k) + struct.pack("<II", 4, v) for k, v in numbers.items()]
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs))
    return path


def test_llama_cpp_is_known_by_its_other_name_and_its_file_tells_the_precision(tmp_path):
    for kind, precision in ((0, "fp32"), (1, "fp16"), (32, "bf16"), (7, "")):
        path = gguf(tmp_path / "tiny.gguf", kind)
        row = {"id": str(path), "aliases": [str(path), "m"], "object": "model"}
        pages = {
            "/v1/models": (200, json.dumps({"object": "list", "data": [row]})),
            "/props": (200, json.dumps({"model_path": str(path)})),
        }
        with replaying(LLAMA_CPP, pages) as (_, endpoint):
            shape, told = served_shape(endpoint)
        assert (shape.n_layers, shape.d_model) == (3, 64) and told == precision


@pytest.mark.parametrize(
    "listed",
    [
        # without a cache its list of models fails; with one it lists what is in there
        (500, "Internal Server Error"),
        (200, '{"object":"list","data":[{"id":"org/other","object":"model"}]}'),
    ],
)
def test_transformers_serves_the_folder_it_is_asked_for(tmp_path, listed):
    config = {
        "model_type": "llama",
        "vocab_size": 256,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
        "dtype": "float32",
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    with replaying(TRANSFORMERS, {"/v1/models": listed}) as (_, endpoint):
        shape, precision = served_shape(Endpoint(endpoint.url, str(tmp_path)))
        assert (shape.n_layers, precision) == (2, "fp32")
        with pytest.raises(Unusable, match=r"does not say which shape|serves org/other"):
            served_shape(Endpoint(endpoint.url, "tiny"))


def test_llama_cpp_python_names_the_file_it_serves(tmp_path):
    path = gguf(tmp_path / "tiny.gguf", 0)
    row = {"id": str(path), "object": "model", "owned_by": "me", "permissions": []}
    page = (200, json.dumps({"object": "list", "data": [row]}))
    with replaying(LLAMA_CPP_PYTHON, {"/v1/models": page}) as (_, endpoint):
        assert served_shape(Endpoint(endpoint.url, str(path)))[1] == "fp32"


def test_a_token_of_vllm_without_text_has_its_time():
    with replaying(VLLM) as (server, endpoint):
        requests, got = measured(endpoint)
    asked = server.bodies[0][1]["stream_options"]
    assert asked == {"include_usage": True, "continuous_usage_stats": True}
    for r in requests:
        # of three chunks two have text
        assert len(r.arrivals_s) == r.output_tokens == 3
        assert r.last_s == r.arrivals_s[-1]
    assert got.environment["chunk_is_token"] and got.workload == Workload(1, 200, 3)


def test_the_role_that_vllm_counts_nothing_for_is_no_token():
    def chat_only(path, body):
        return (200, VLLM_CHAT) if "chat" in path else (404, '{"error":{"message":"gone"}}')

    with replaying(chat_only) as (_, endpoint):
        requests, _ = measured(endpoint, Workload(1, 16, 2))
    assert all(len(r.arrivals_s) == 2 and r.ttft_s >= 20 * GAP for r in requests)


def test_one_token_without_text_is_an_answer():
    lines = VLLM.splitlines()
    only = lines[0].replace('"finish_reason":null', '"finish_reason":"length"')
    with replaying(f"{only}\ndata: [DONE]\n") as (_, endpoint):
        requests, _ = measured(endpoint, Workload(1, 200, 1))
    assert all(r.arrivals_s == (r.finished_s,) for r in requests)


def test_a_server_that_counts_in_some_chunks_only_is_timed_by_its_text():
    role, pause, first, last, usage, done = VLLM_CHAT.splitlines()
    uncounted = last.partition(',"usage"')[0] + "}"
    replay = "\n".join([role, pause, first, uncounted, usage, done])
    with replaying(lambda path, _: (200, replay) if "chat" in path else (404, "")) as (_, endpoint):
        requests, _ = measured(endpoint, Workload(1, 16, 2))
    assert all(len(r.arrivals_s) == 2 for r in requests)


def test_a_context_without_room_is_no_field_refused():
    said = r"got 4\. \(does its context hold the prompt and the answer\?\)"
    with replaying(lambda *_: VLLM_FULL) as (server, endpoint), pytest.raises(Unusable, match=said):
        measured(endpoint)
    assert len(server.bodies) == 1


def test_a_part_of_a_field_is_left_out_alone():
    def picky(path, body):
        if "continuous_usage_stats" in body["stream_options"]:
            return 400, "stream_options: unknown key continuous_usage_stats"
        return 200, LLAMA_CPP

    with replaying(picky) as (server, endpoint):
        _, got = measured(endpoint)
    assert "stream_options" in got.environment["fields_sent"]
    assert "continuous_usage_stats" not in got.environment["fields_sent"]
    assert all(body["stream_options"] for _, body in server.bodies) and not got.message


@pytest.mark.parametrize(("key", "said"), [("", "asks for a key"), ("wrong", "takes another key")])
def test_a_key_is_missed_before_a_shape_is(key, said):
    pages = {"/v1/models": (401, '{"error":"Unauthorized"}')}
    refused = pytest.raises(Unusable, match=f"{said} .*answered 401 to /v1/models")
    with replaying(VLLM, pages) as (_, endpoint), refused:
        served_shape(Endpoint(endpoint.url, "m", key))


def test_vllm_that_is_stopped_sends_no_more():
    """Told to stop, it keeps the connection and is silent; the wait ends by its limit."""
    silent = "\n".join([*VLLM.splitlines()[:2], ": 1500", *VLLM.splitlines()[2:]])
    with replaying(silent) as (_, endpoint):
        steps = measure_served(endpoint, Workload(1, 200, 3), SHAPE, CPU, timeout_s=4.0)
        with pytest.raises(Unusable, match=r"within 4 s: 2 of 3 tokens came; was it stopped"):
            for _ in steps:
                pass


def test_an_answer_broken_off_is_no_measurement():
    broken = VLLM.replace('"length"', '"abort"')
    with replaying(broken) as (_, endpoint), pytest.raises(Unusable, match="broke its answer off"):
        measured(endpoint)


def test_chunks_that_came_together_are_said():
    """vLLM's chunks on a machine without a free core: all of an answer within a millisecond."""
    late = ServedRequest((0.4, 0.40001, 0.40002, 0.4099), 8, 4)
    even = ServedRequest((0.1, 0.2, 0.3, 0.4), 8, 4)
    assert share_in_bursts([late]) == pytest.approx(2 / 3)
    assert share_in_bursts([even]) == 0
    assert share_in_bursts([late, even]) == pytest.approx(1 / 3)
    assert share_in_bursts([ServedRequest((0.4,), 8, 1)]) == 0


def test_an_answer_held_up_on_its_way_says_so():
    def chunk(number, blanks=" ", end="null"):
        usage = f'{{"prompt_tokens":200,"completion_tokens":{number}}}'
        return f'data:{blanks}{{"choices":[{{"text":" t","finish_reason":{end}}}],"usage":{usage}}}'

    lines = [chunk(1), *(chunk(n, "  ") for n in range(2, 9)), ": 40", chunk(9, end='"length"')]
    with replaying("\n".join([*lines, "data: [DONE]"])) as (_, endpoint):
        _, got = measured(endpoint, Workload(1, 200, 9))
    assert got.environment["chunk_is_token"] and got.environment["share_in_bursts"] > 0.5
    assert "% of the chunks came right after another" in got.message


def test_rounds_that_scatter_are_noisy():
    pauses = iter(range(0, 10**6, 40))

    def slower_each_time(path, body):
        return 200, f": {next(pauses)}\n{VLLM}"

    with replaying(slower_each_time) as (_, endpoint):
        _, got = measured(endpoint, requests=4)
    assert got.flags == ("noisy",)


def test_a_server_without_a_tokenizer_is_given_numbers():
    """vLLM as the exported script starts it for random weights: it says no text either."""

    def without(path, body):
        if isinstance(body["prompt"], str):
            said = "Tokenizer not available when `skip_tokenizer_init=True`"
            return 400, json.dumps({"error": {"message": said, "code": 400}})
        plain = VLLM.replace("\\ufffd eq", "").replace(" scaled", "")
        return 200, plain.replace(":200", f":{len(body['prompt'])}")

    with replaying(without) as (server, endpoint):
        requests, got = measured(endpoint, Workload(2, 40, 3))
    assert got.workload == Workload(2, 40, 3) and len(requests) == 4
    taken = [body["prompt"] for _, body in server.bodies[1:]]
    assert all(len(p) == 40 and set(p) <= set(range(SHAPE.vocab_size)) for p in taken)
    assert len({tuple(p) for p in taken}) == len(taken)
