"""One streamed request to an OpenAI-compatible endpoint, timed as its client sees it.

Only the standard library is used. Servers differ in what they take and in what they report: what was
seen of llama.cpp, llama-cpp-python, `transformers serve` and vLLM is in
tests/core/test_served_real.py.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from core.errors import Unusable
from core.measure.backends.endpoint import Endpoint
from core.measure.backends.exchange import exchange
from core.measure.backends.served_stream import (
    MOST_LINE_BYTES,
    ServedRequest,
    read_stream,
    read_usage,
    reason,
)
from core.model.workload import Workload

MOST_REFUSAL_BYTES = 4096
# what keeps an answer to its length and out of caches; a strict server refuses what it does not know
EXTRAS = ("min_tokens", "ignore_eos", "cache_prompt", "stream_options", "continuous_usage_stats")
REFUSABLE = frozenset({*EXTRAS, "generation_config"})


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
    words = length(prompt)
    with _answer(endpoint, path, prompt, body, timeout_s, clock) as (response, sent):
        return read_stream(endpoint, response, sent, timeout_s, clock, words, count)


def prompt_length(endpoint: Endpoint, path: str, prompt: Prompt, timeout_s: float) -> int | None:
    """Tokens of a prompt by the `usage` of an answer of one token that is not streamed.

    None where the server does not report it there either; Unusable for what is no count.
    """
    body = {"max_tokens": 1}
    with _answer(endpoint, path, prompt, body, timeout_s, time.perf_counter) as (response, _):
        try:
            answer = json.loads(response.read(MOST_LINE_BYTES))
        except (ValueError, RecursionError):
            return None
    found = answer.get("usage") if isinstance(answer, dict) else None
    return read_usage(endpoint, found, length(prompt), 1).prompt_tokens


def length(prompt: Prompt) -> int:
    """Words of a prompt, or its token numbers."""
    return len(prompt.split()) if isinstance(prompt, str) else len(prompt)


@contextmanager
def _answer(
    endpoint: Endpoint,
    path: str,
    prompt: Prompt,
    fields: Mapping[str, Any],
    timeout_s: float,
    clock: Callable[[], float],
) -> Iterator[tuple[http.client.HTTPResponse, float]]:
    """The response to one request, and when it was sent; refusals raise Unusable."""
    chat = path.endswith("chat/completions")
    asked = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
    payload = json.dumps({"model": endpoint.model, "temperature": 0, **fields, **asked})
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    with exchange(endpoint, "POST", path, payload, headers, timeout_s=timeout_s, clock=clock) as (
        response,
        sent,
    ):
        if response.status != 200:
            raise _refusal(
                endpoint, path, response.status, fields, response.read(MOST_REFUSAL_BYTES)
            )
        yield response, sent


def _refusal(
    endpoint: Endpoint, path: str, status: int, fields: Mapping[str, Any], raw: bytes
) -> Unusable:
    """What an answer other than 200 means."""
    text = f"{endpoint.address().where} answered {status} to {path}: {reason(endpoint, raw)}"
    if status in (404, 405):
        return NoSuchPath(text)
    # vLLM's word for it, which names its own option
    if b"skip_tokenizer_init" in raw:
        return NoTokenizer(text)
    named = _refused(fields, raw) if status in (400, 422) else frozenset()
    if named and b"max_tokens" in raw:
        # vLLM cuts max_tokens to what its context leaves, and finds min_tokens above it
        return Unusable(f"{text} (does its context hold the prompt and the answer?)")
    return NoSuchField(text, named) if named else Unusable(text)


def _refused(fields: Mapping[str, Any], raw: bytes) -> frozenset[str]:
    """The fields sent that a refusal names; where it names a part of one, the part alone."""
    part = "continuous_usage_stats"
    if part in fields.get("stream_options", {}) and part.encode() in raw:
        return frozenset({part})
    named = {name for name in fields if name in REFUSABLE and name.encode() in raw}
    return frozenset(named | ({part} if "stream_options" in named else set()))
