"""Servers that drip, flood and lie: each is given up in time, with one line, and nothing is believed."""

import json
import socket

import pytest
from hostile_server import HEAD, answering, dripping, hostile

from core.errors import Unusable
from core.measure.backends.endpoint import Deadline, Endpoint
from core.measure.backends.exchange import exchange
from core.measure.backends.served import measure_served
from core.measure.backends.served_request import ask, prompt_length
from core.measure.backends.served_shape import served_shape
from core.model.architecture import Architecture
from core.model.workload import Workload
from core.records.measurement import Device

SHAPE = Architecture(2, 64, 1, 1, 64, 128, 256)
CPU = Device("cpu", "here", 2**30)
SOON_S = 0.4
TOKEN = {"choices": [{"text": " a"}]}
END = {"choices": [{"text": "", "finish_reason": "length"}]}


def said(call):
    with pytest.raises(Unusable) as refusal:
        call()
    text = str(refusal.value)
    assert "\n" not in text and len(text) < 500
    return text


def asked(url, timeout_s=60.0, tokens=3):
    return ask(Endpoint(url, "m"), "/v1/completions", "a b", Workload(1, 2, tokens), timeout_s)


def drip_headers(connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    dripping(connection, b"X-More: 1\r\n", 0.05)


DRIPS = {
    "status line": lambda c, _: dripping(c, b"H"),
    "headers": drip_headers,
    "one header": lambda c, _: (c.sendall(b"HTTP/1.1 200 OK\r\nX: "), dripping(c, b"x")),
    "100 Continue": lambda c, _: dripping(c, b"HTTP/1.1 100 Continue\r\n\r\n"),
    "silence": lambda c, _: c.recv(1),  # which never comes
    "a line": lambda c, _: (c.sendall(HEAD), dripping(c, b"x")),
    "comments": lambda c, _: (c.sendall(HEAD), dripping(c, b": still there\n\n")),
    "a refusal": lambda c, _: (c.sendall(b"HTTP/1.1 500 No\r\n\r\n"), dripping(c, b"x")),
    "a chunk's size": lambda c, _: (
        c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        dripping(c, b"0"),
    ),
}


@pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
def test_whatever_is_dripped_the_wait_ends(drip):
    with hostile(drip) as url:
        assert f"within {SOON_S:g} s" in said(lambda: asked(url, SOON_S))
        assert "within" in said(lambda: served_shape(Endpoint(url, "m"), timeout_s=SOON_S))
        assert "within" in said(
            lambda: prompt_length(Endpoint(url, "m"), "/v1/completions", "a b", SOON_S)
        )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_takes_no_connection_or_no_handshake(scheme):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        # once the queue is full the system lets a connection wait
        queued = [socket.socket() for _ in range(4)] if scheme == "http" else []
        for one in queued:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        assert "within" in said(lambda: asked(f"{scheme}://127.0.0.1:{port}", SOON_S))
        for one in queued:
            one.close()


def test_a_name_that_is_not_resolved_in_time(monkeypatch):
    ended = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: ended.append(1) or _never())
    assert "within" in said(lambda: asked("http://localhost:8000", SOON_S))
    assert ended


def _never():
    import threading

    threading.Event().wait(5)
    return []


FLOODS = {
    "100 Continue": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a line": HEAD + b"x" * 4096,
    "comments": HEAD + b": still there\n\n" * 300,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood_is_cut_off_at_so_many_bytes(flood):
    def act(connection, _):
        connection.sendall(flood)
        while True:
            connection.sendall(flood.removeprefix(HEAD))

    def read(url):
        with exchange(Endpoint(url, "m"), "GET", "/", timeout_s=60.0, most_bytes=1 << 16) as (
            response,
            _,
        ):
            while response.readline(1 << 20):
                pass

    with hostile(act) as url:
        assert "endless answer" in said(lambda: read(url))


WRONG = ["abc", "4", 4.5, -8, 10**9, 10**400, True, [1], {"a": 1}]


@pytest.mark.parametrize("wrong", WRONG, ids=[str(w)[:8] for w in WRONG])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_a_count_that_is_none_is_refused_by_its_name(name, wrong):
    usage = {"choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 3, name: wrong}}
    with hostile(answering(TOKEN, TOKEN, TOKEN, END, usage, b"[DONE]")) as url:
        text = said(lambda: asked(url))
    assert name in text and "cannot be measured" in text


@pytest.mark.parametrize("wrong", ["x", [1], {"cached_tokens": "x"}, {"cached_tokens": 3}])
def test_what_a_cache_is_said_to_hold_is_checked(wrong):
    usage = {"prompt_tokens": 2, "completion_tokens": 3, "prompt_tokens_details": wrong}
    with hostile(answering(TOKEN, TOKEN, TOKEN, END, {"choices": [], "usage": usage})) as url:
        assert "cannot be measured" in said(lambda: asked(url))


@pytest.mark.parametrize(
    "event",
    [
        b'{"choices": [], "usage": {"completion_tokens": Infinity}}',
        b'{"choices": [], "usage": {"completion_tokens": NaN}}',
        b'{"choices": [], "usage": {"completion_tokens": %s}}' % (b"9" * 5000),
        b'{"choices": [], "usage": 5}',
        b"[" * 900_000,
        b'{"usage": ' + b'{"a":' * 100_000,
        b'{"choices": [{"text": {"a": 1}}]}',
        b'{"choices": [{"text": 5}]}',
        b'{"choices": [{"delta": {"content": ["a"]}}]}',
        b'{"choices": [{"delta": "a"}]}',
        b'{"choices": {"text": "a"}}',
        b'{"choices": 5}',
        b'{"choices": [{"text": "a", "finish_reason": 5}]}',
        b"[]",
        b"\xff\xfe",
    ],
    ids=lambda e: e[:40].decode("latin-1"),
)
def test_an_event_of_another_kind_is_one_line(event):
    with hostile(answering(TOKEN, event, END)) as url:
        text = said(lambda: asked(url))
    assert "no OpenAI stream" in text or "cannot be measured" in text


def test_whole_numbers_written_as_fractions_and_no_counts_are_taken():
    usage = {"prompt_tokens": 2.0, "completion_tokens": 3.0, "prompt_tokens_details": None}
    with hostile(answering(TOKEN, TOKEN, TOKEN, END, {"choices": [], "usage": usage})) as url:
        got = asked(url)
    assert (got.prompt_tokens, got.output_tokens, got.cached_tokens) == (2, 3, None)
    with hostile(answering(TOKEN, TOKEN, TOKEN, END, {"choices": [], "usage": {}})) as url:
        assert asked(url).counted_tokens == 3


def test_more_chunks_than_could_have_been_asked_for_are_cut_off():
    with hostile(answering(*[TOKEN] * 400, END)) as url:
        assert "does not keep to max_tokens" in said(lambda: asked(url))


@pytest.mark.parametrize("count", ["x", -1, 10**9, True, float("inf")])
def test_the_count_of_a_prompt_is_checked_too(count):
    body = json.dumps({"usage": {"prompt_tokens": count}}).encode()
    act = lambda c, _: c.sendall(HEAD + body)  # noqa: E731
    with hostile(act) as url:
        endpoint = Endpoint(url, "m")
        assert "prompt_tokens" in said(
            lambda: prompt_length(endpoint, "/v1/completions", "a", 60.0)
        )


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"\x1b]0;pwned\x07\r\n\r\n",
        b"",
    ],
    ids=range(9),
)
def test_no_http_at_all_is_one_line(answer):
    with hostile(lambda c, _: c.sendall(answer)) as url:
        assert "\x1b" not in said(lambda: asked(url))
        with pytest.raises(Unusable):
            served_shape(Endpoint(url, "m"))


@pytest.mark.parametrize(
    "page",
    [
        b'{"data": [{"id": "m", "aliases": 5, "root": {"a": 1}}]}',
        b'{"data": 5}',
        b'{"data": [{"id": {"a": 1}}]}',
        b'{"data": [{"id": "m", "root": "/a\\u0000b"}]}',
        b'{"data": [{"id": "m", "root": "/%s"}]}' % (b"a" * 5000),
        b'{"data": [{"id": "m", "root": "/dev/zero"}], "model_path": "/dev/zero.gguf"}',
        b"[" * 900_000,
        b"9" * 5000,
    ],
    ids=range(8),
)
def test_a_page_of_models_of_another_kind_is_one_line(page):
    with hostile(lambda c, _: c.sendall(HEAD + page)) as url:
        text = said(lambda: served_shape(Endpoint(url, "m")))
    assert "does not say which shape" in text or "serves" in text


def test_a_lie_stores_no_measurement():
    usage = {"choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 10**9}}
    with hostile(answering(TOKEN, TOKEN, END, usage)) as url:
        steps = measure_served(Endpoint(url, "m"), Workload(2, 2, 3), SHAPE, CPU, timeout_s=60.0)
        assert "1000000000" in said(lambda: list(steps))


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://[x]:1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:-1",
        "http://127.0.0.1:x",
        "http://127.0.0.1:0",
        "http://a b/",
        "http://..",
        "http://" + "a" * 300,
        "http://\x1b[2J",
        "\udcff",
        "",
    ],
)
def test_what_is_no_address_is_one_line(url):
    text = said(lambda: asked(url, 5.0))
    assert "is not an address" in text or "is not this machine" in text or "measured" in text
    assert "\x1b" not in text
    text.encode()


def test_letters_of_any_kind_in_a_path_are_sent_encoded():
    asked_for = []

    def act(connection, request):
        asked_for.append(request.split(b"\r\n")[0])
        connection.sendall(b"HTTP/1.1 404 No\r\n\r\n")

    with hostile(act) as url:
        said(lambda: asked(f"{url}/größe/a%20b/v1/"))
    assert asked_for == [b"POST /gr%C3%B6%C3%9Fe/a%20b/v1/completions HTTP/1.1"]


SECRET = "sk-secret-123"


@pytest.mark.parametrize(
    "url",
    [
        "http://me:sk-secret-123@127.0.0.1:1",
        "http://me:sk-secret-123@[::1",
        "http://h?k=sk-secret-123",
    ],
)
def test_a_secret_in_an_address_is_not_repeated(url):
    assert SECRET not in said(lambda: asked(url)) and SECRET not in said(
        lambda: served_shape(Endpoint(url, "m"))
    )


@pytest.mark.parametrize("key", ["sk-secret-123\nX: 1", "sk-secret-123\x00", "sk-secret-123€"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(key):
    endpoint = Endpoint("http://127.0.0.1:1", "m", key)
    text = said(lambda: ask(endpoint, "/v1/completions", "a", Workload(), 60.0))
    assert "key" in text and SECRET not in text + repr(endpoint)


def test_a_key_that_the_server_repeats_is_hidden_and_one_with_a_line_break_works():
    seen = []

    def act(connection, request):
        seen.append(request)
        connection.sendall(b"HTTP/1.1 400 No\r\n\r\n" + b"no such key: sk-secret-123")

    with hostile(act) as url:
        endpoint = Endpoint(url, "m", f"{SECRET}\r\n")
        text = said(lambda: ask(endpoint, "/v1/completions", "a", Workload(), 60.0))
    assert b"Authorization: Bearer sk-secret-123\r\n" in seen[0]
    assert "no such key: ***" in text and SECRET not in text


def test_a_deadline_is_one_for_all():
    with pytest.raises(TimeoutError):
        Deadline(0).left()
    assert 0 < Deadline(float("inf")).left() < 1e7
