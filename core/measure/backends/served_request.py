"""One streamed request to an OpenAI-compatible endpoint, timed as its client sees it.

Only the standard library is used. Servers differ in what they take and in what they report: what was
seen of llama.cpp, llama-cpp-python, `transformers serve` and vLLM is in
tests/core/test_served_real.py.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from core.errors import Unusable
from core.model.workload import Workload

MOST_LINE_BYTES = 1 << 20
MOST_ANSWER_BYTES = 64 << 20
MOST_REFUSAL_BYTES = 4096
# what keeps an answer to its length and out of caches; a strict server refuses what it does not know
EXTRAS = ("min_tokens", "ignore_eos", "cache_prompt", "stream_options", "continuous_usage_stats")
REFUSABLE = frozenset({*EXTRAS, "generation_config"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is served: base URL up to and without '/v1', and the model's name there."""

    url: str
    model: str
    key: str = ""
    remote: bool = False  # a machine other than this one must be asked for in so many words

    def parts(self) -> tuple[str, str, int, str]:
        """Scheme, host, port and path prefix; Unusable for no URL or for another machine."""
        parts = urlsplit(self.url if "//" in self.url else f"http://{self.url}")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            port = 0
        if parts.scheme not in ("http", "https") or not parts.hostname or not port:
            raise Unusable(f"'{self.url}' is not an address; write e.g. http://127.0.0.1:8000")
        if not self.remote and not _is_here(parts.hostname):
            raise Unusable(
                f"{parts.hostname} is not this machine; the network between would be measured too. "
                "Only 127.0.0.1, ::1 and localhost are asked unless remote endpoints are allowed"
            )
        prefix = parts.path.rstrip("/").removesuffix("/v1")
        return parts.scheme, parts.hostname, port, prefix


@dataclass(frozen=True, slots=True)
class ServedRequest:
    """One streamed request as its client saw it; times in seconds since it was sent.

    `arrivals_s` are the chunks with new tokens where the server counts in every chunk (vLLM, SGLang),
    else those that carried text; `finished_s` is the one that gave the reason for the end. Token counts are the
    server's `usage`, or None where it gives none; `cached_tokens` are those of the prompt that it did
    not compute anew.
    """

    arrivals_s: tuple[float, ...]
    prompt_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None = None
    finished_s: float = 0.0
    sent_s: float = 0.0  # on the client's clock, to tell which requests ran together

    @property
    def ttft_s(self) -> float:
        """Time to the first chunk with a token in it."""
        return self.arrivals_s[0]

    @property
    def gaps_s(self) -> tuple[float, ...]:
        """Time between chunks: the inter-token latency where a chunk is one token."""
        return tuple(b - a for a, b in zip(self.arrivals_s, self.arrivals_s[1:], strict=False))

    @property
    def counted_tokens(self) -> int:
        """Realised output tokens; the number of chunks where the server does not report it."""
        return self.output_tokens or len(self.arrivals_s)

    @property
    def last_s(self) -> float:
        """When the last token was there: its chunk, or the end where text was held back.

        A token that ends within a character has no text yet, so the last ones may have no chunk.
        """
        whole = len(self.arrivals_s) >= self.counted_tokens
        return self.arrivals_s[-1] if whole else max(self.arrivals_s[-1], self.finished_s)

    @property
    def tpot_s(self) -> float | None:
        """(last token - first) / (output tokens - 1), None for a single token."""
        rest = self.counted_tokens - 1
        return (self.last_s - self.arrivals_s[0]) / rest if rest > 0 else None


class NoSuchPath(Unusable):
    """The server has no such path; another one may do."""


class NoSuchField(Unusable):
    """The server refuses fields of the request, `named`; without them it may answer."""

    def __init__(self, text: str, named: frozenset[str]) -> None:
        super().__init__(text)
        self.named = named


class NoTokenizer(Unusable):
    """The server was started without a tokenizer: it takes token numbers for a prompt."""


# words, or token numbers for a server without a tokenizer
Prompt = str | list[int]


def ask(
    endpoint: Endpoint,
    path: str,
    prompt: Prompt,
    workload: Workload,
    timeout_s: float,
    clock: Callable[[], float] = time.perf_counter,
    extras: tuple[str, ...] = EXTRAS,
) -> ServedRequest:
    """One streamed request of exactly `output_tokens` tokens where the server takes such an order.

    `extras` are the fields beyond the plain ones that it is sent.
    """
    count = workload.output_tokens
    # counted in every chunk, a token without text (half a character, a special one) has its time
    each = {"continuous_usage_stats": True} if "continuous_usage_stats" in extras else {}
    known: dict[str, Any] = {
        "stream_options": {"include_usage": True} | each,
        "min_tokens": count,
        "ignore_eos": True,
        "cache_prompt": False,  # llama.cpp's word for no prefix cache
        "generation_config": json.dumps({"min_new_tokens": count}),
    }
    body = {"stream": True, "max_tokens": count}
    body |= {name: known[name] for name in extras if name in known}
    with _answer(endpoint, path, prompt, body, timeout_s, clock) as (response, sent, where):
        return _read_stream(response, sent, sent + timeout_s, clock, where, workload)


def prompt_length(endpoint: Endpoint, path: str, prompt: Prompt, timeout_s: float) -> int | None:
    """Tokens of a prompt by the `usage` of an answer of one token that is not streamed.

    None where the server does not report it there either.
    """
    body = {"max_tokens": 1}
    with _answer(endpoint, path, prompt, body, timeout_s, time.perf_counter) as (response, *_):
        try:
            count = json.loads(response.read(MOST_LINE_BYTES))["usage"]["prompt_tokens"]
        except (ValueError, KeyError, TypeError):
            return None
    return count if isinstance(count, int) else None


@contextmanager
def _answer(
    endpoint: Endpoint,
    path: str,
    prompt: Prompt,
    fields: Mapping[str, Any],
    timeout_s: float,
    clock: Callable[[], float],
) -> Iterator[tuple[http.client.HTTPResponse, float, str]]:
    """The response to one request, when it was sent, and by whom; refusals raise Unusable."""
    scheme, host, port, prefix = endpoint.parts()
    chat = path.endswith("chat/completions")
    asked = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
    payload = json.dumps({"model": endpoint.model, "temperature": 0, **fields, **asked})
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=timeout_s)
    where = f"{host}:{port}"
    try:
        connection.connect()
        sent = clock()
        connection.request("POST", prefix + path, payload, headers)
        response = connection.getresponse()
        if response.status != 200:
            raw = response.read(MOST_REFUSAL_BYTES)
            text = f"{where} answered {response.status} to {path}: {_reason(raw)}"
            if response.status in (404, 405):
                raise NoSuchPath(text)
            # vLLM's word for it, which names its own option
            if b"skip_tokenizer_init" in raw:
                raise NoTokenizer(text)
            if response.status in (400, 422):
                named = _refused(fields, raw)
                if named and b"max_tokens" in raw:
                    # vLLM cuts max_tokens to what its context leaves, and finds min_tokens above it
                    raise Unusable(f"{text} (does its context hold the prompt and the answer?)")
                if named:
                    raise NoSuchField(text, named)
            raise Unusable(text)
        yield response, sent, where
    except TimeoutError:
        raise Unusable(f"{where} gave no answer within {timeout_s:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise Unusable(
            f"{where} cannot be measured ({str(error) or type(error).__name__}); is the server running?"
        ) from error
    finally:
        connection.close()


def _refused(fields: Mapping[str, Any], raw: bytes) -> frozenset[str]:
    """The fields sent that a refusal names; where it names a part of one, the part alone."""
    part = "continuous_usage_stats"
    if part in fields.get("stream_options", {}) and part.encode() in raw:
        return frozenset({part})
    named = {name for name in fields if name in REFUSABLE and name.encode() in raw}
    return frozenset(named | ({part} if "stream_options" in named else set()))


def _read_stream(
    response: http.client.HTTPResponse,
    sent: float,
    deadline: float,
    clock: Callable[[], float],
    where: str,
    workload: Workload,
) -> ServedRequest:
    arrivals: list[float] = []  # of text
    counted: list[float] = []  # of tokens, where chunks report how many there are by now
    tokens = 0
    in_every_chunk = False  # a count at the end alone is none of these
    usage: dict[str, Any] = {}
    size = 0
    count = workload.output_tokens
    finished_s = 0.0
    while True:
        try:
            line = response.readline(MOST_LINE_BYTES)
        except TimeoutError:
            # vLLM, asked to stop, keeps the connection open and sends no more
            raise Unusable(
                f"{where} sent nothing more after {max(tokens, len(arrivals))} of {count} tokens; "
                "was it stopped?"
            ) from None
        if not line:
            break
        now = clock()
        size += len(line)
        if now > deadline or size > MOST_ANSWER_BYTES:
            raise Unusable(f"{where} sent an endless answer; it was cut off")
        if not line.startswith(b"data:"):
            continue  # blank lines, comments that keep the connection open, event names
        data = line[5:].strip()
        if data == b"[DONE]":
            break
        try:
            event = json.loads(data)
            if event.get("error"):
                raise Unusable(f"{where} reports an error: {_reason(data)}")
            latest = event.get("usage") or {}
            usage = latest or usage
            choices = event.get("choices") or []
            text = "".join(str(_text(c)) for c in choices)
            by_now = int(latest.get("completion_tokens") or 0)
            ends = [c["finish_reason"] for c in choices if c.get("finish_reason")]
        except (ValueError, AttributeError, TypeError) as error:
            if isinstance(error, Unusable):
                raise
            raise Unusable(f"{where} sent what is no OpenAI stream: {data[:80]!r}") from None
        if text:
            arrivals.append(now - sent)
        if choices and by_now > tokens:
            counted.append(now - sent)
            tokens = by_now
            in_every_chunk |= not ends
        if ends:
            finished_s = now - sent
        if "abort" in ends:
            raise Unusable(f"{where} broke its answer off, after {len(arrivals)} of {count} tokens")
    if (in_every_chunk or tokens == 1) and len(counted) >= len(arrivals):
        arrivals = counted
    if not finished_s and not arrivals:
        raise Unusable(
            f"{where} ended its answer without a token; its own log may have the reason "
            f"(has it a context of {workload.prompt_tokens + count} tokens?)"
        )
    # llama-cpp-python ends an answer with [DONE] alone when another request comes
    if not finished_s and len(arrivals) < count:
        raise Unusable(
            f"{where} ended its answer early, after {len(arrivals)} of {count} tokens; "
            "it was stopped, or it takes one request at a time"
        )
    if not arrivals:
        spent = usage.get("completion_tokens")
        what = f"any text, though it counts {spent} tokens" if spent else "a token"
        raise Unusable(f"{where} ended its answer without {what}")
    return ServedRequest(
        tuple(arrivals),
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        (usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        finished_s,
        sent,
    )


def _reason(raw: bytes) -> str:
    """The text of a refusal, in one line: the message in its JSON where it has one."""
    text = raw.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
        for key in ("error", "message", "detail"):
            answer = answer.get(key, answer) if isinstance(answer, dict) else answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
    except (ValueError, RecursionError):
        pass  # a page of another kind is quoted as it is
    return " ".join(text.split())[:300]


def _text(choice: dict[str, Any]) -> str:
    """Text of one choice; reasoning models stream their thoughts under names of their own."""
    if "text" in choice:
        return choice["text"] or ""
    delta = choice.get("delta") or {}
    return "".join(delta.get(k) or "" for k in ("content", "reasoning_content", "reasoning"))


def _is_here(host: str) -> bool:
    """True when every address of a host is a loopback one."""
    try:
        found = {row[4][0] for row in socket.getaddrinfo(host, None)}
        return bool(found) and all(ipaddress.ip_address(a).is_loopback for a in found)
    except (OSError, ValueError):
        return False
