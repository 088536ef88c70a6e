"""A streamed answer of an OpenAI-compatible endpoint read into times and counts, none of them believed
unchecked."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import Unusable
from core.measure.backends.endpoint import Endpoint

MOST_LINE_BYTES = 1 << 20
# beyond so many times what was asked for or sent a count is no count; short requests are let off, and a
# chat template may add to a prompt
TIMES_ASKED = 16
LEAST_LIMIT_TOKENS = 256
MOST_TEMPLATE_TOKENS = 1 << 16


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


@dataclass(frozen=True, slots=True)
class Usage:
    """The counts in a server's `usage`, each checked; None where it gives none."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None


def most_tokens(asked: int) -> int:
    """Most output tokens that an answer to a request for `asked` of them is believed to have."""
    return max(LEAST_LIMIT_TOKENS, TIMES_ASKED * asked)


def read_usage(endpoint: Endpoint, found: Any, words: int, asked: int) -> Usage:
    """The counts of a `usage` object for a prompt of so many words and so many tokens asked for.

    Raises Unusable for what is no object, and for a count that is no whole number, below zero or far
    beyond what was sent and asked for.
    """
    if found is None:
        return Usage()
    details = _object(endpoint, _object(endpoint, found).get("prompt_tokens_details") or {})
    longest = TIMES_ASKED * words + MOST_TEMPLATE_TOKENS
    prompt = _count(endpoint, found, "prompt_tokens", longest)
    return Usage(
        prompt,
        _count(endpoint, found, "completion_tokens", most_tokens(asked)),
        _count(endpoint, details, "cached_tokens", longest if prompt is None else prompt),
    )


def _count(endpoint: Endpoint, found: Mapping[str, Any], name: str, most: int) -> int | None:
    value = found.get(name)
    if value is None:
        return None
    # JSON has one kind of number, and some servers write 4.0
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or not 0 <= value <= most:
        raise Unusable(
            f"{endpoint.address().where} gives {_shown(endpoint, value)} for '{name}', where 0 to "
            f"{most} would be a count of tokens; its answer cannot be measured"
        )
    return int(value)


def _object(endpoint: Endpoint, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Unusable(
            f"{endpoint.address().where} gives {_shown(endpoint, value)} for an object that counts "
            "tokens; its answer cannot be measured"
        )
    return value


def _shown(endpoint: Endpoint, value: Any) -> str:
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "an object"
    return endpoint.quoted(json.dumps(value))[:40]


@dataclass(frozen=True, slots=True)
class _Event:
    """What one event of a stream holds."""

    text: str
    choices: int
    ends: tuple[str, ...]
    usage: Any


def _event(endpoint: Endpoint, data: bytes) -> _Event:
    """One event; Unusable where it reports an error, or is none of OpenAI's."""
    try:
        event = json.loads(data)
        if event.get("error"):
            where = endpoint.address().where
            raise Unusable(f"{where} reports an error: {reason(endpoint, data)}")
        choices = event.get("choices") or []
        text = "".join(_text(c) for c in choices)
        ends = tuple(c["finish_reason"] for c in choices if c.get("finish_reason"))
        "".join(ends)
        return _Event(text, len(choices), ends, event.get("usage"))
    except Unusable:
        raise
    except (ValueError, AttributeError, TypeError, RecursionError):
        shown = endpoint.quoted(data[:80].decode("utf-8", "replace"))
        where = endpoint.address().where
        raise Unusable(f"{where} sent what is no OpenAI stream: '{shown}'") from None


def read_stream(
    endpoint: Endpoint,
    response: http.client.HTTPResponse,
    sent: float,
    timeout_s: float,
    clock: Callable[[], float],
    words: int,
    asked: int,
) -> ServedRequest:
    """The streamed answer to a request sent at `sent` with a prompt of so many words, asking for so many
    tokens; Unusable, in one line, for anything else than such a stream."""
    where = endpoint.address().where
    arrivals: list[float] = []  # of text
    counted: list[float] = []  # of tokens, where chunks report how many there are by now
    tokens = 0
    in_every_chunk = False  # a count at the end alone is none of these
    usage = Usage()
    finished_s = 0.0
    while True:
        try:
            line = response.readline(MOST_LINE_BYTES)
        except TimeoutError:
            # vLLM, asked to stop, keeps the connection open and sends no more
            raise Unusable(
                f"{where} did not end its answer within {timeout_s:g} s: "
                f"{max(tokens, len(arrivals))} of {asked} tokens came; was it stopped?"
            ) from None
        if not line:
            break
        now = clock()
        if not line.startswith(b"data:"):
            continue  # blank lines, comments that keep the connection open, event names
        data = line[5:].strip()
        if data == b"[DONE]":
            break
        event = _event(endpoint, data)
        by_now = 0
        if event.usage:
            usage = read_usage(endpoint, event.usage, words, asked)
            by_now = usage.completion_tokens or 0
        if event.text:
            arrivals.append(now - sent)
        if len(arrivals) > most_tokens(asked):
            raise Unusable(
                f"{where} sent {len(arrivals)} chunks where {asked} tokens were asked for; "
                "it does not keep to max_tokens"
            )
        if event.choices and by_now > tokens:
            counted.append(now - sent)
            tokens = by_now
            in_every_chunk |= not event.ends
        if event.ends:
            finished_s = now - sent
        if "abort" in event.ends:
            raise Unusable(f"{where} broke its answer off, after {len(arrivals)} of {asked} tokens")
    if (in_every_chunk or tokens == 1) and len(counted) >= len(arrivals):
        arrivals = counted
    if not finished_s and not arrivals:
        raise Unusable(
            f"{where} ended its answer without a token; its own log may have the reason "
            f"(has it a context of {words + asked} tokens?)"
        )
    # llama-cpp-python ends an answer with [DONE] alone when another request comes
    if not finished_s and len(arrivals) < asked:
        raise Unusable(
            f"{where} ended its answer early, after {len(arrivals)} of {asked} tokens; "
            "it was stopped, or it takes one request at a time"
        )
    if not arrivals:
        spent = usage.completion_tokens
        what = f"any text, though it counts {spent} tokens" if spent else "a token"
        raise Unusable(f"{where} ended its answer without {what}")
    return ServedRequest(
        tuple(arrivals),
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cached_tokens,
        finished_s,
        sent,
    )


def reason(endpoint: Endpoint, raw: bytes) -> str:
    """The text of a refusal, in one line: the message in its JSON where it has one."""
    text = raw.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
        for key in ("error", "message", "detail"):
            answer = answer.get(key, answer) if isinstance(answer, dict) else answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
    except (ValueError, RecursionError):
        pass  # a page of another kind is quoted as it is
    return endpoint.quoted(text)


def _text(choice: Mapping[str, Any]) -> str:
    """Text of one choice; reasoning models stream their thoughts under names of their own.

    TypeError or AttributeError where it is no text.
    """
    if "text" in choice:
        return "" + (choice["text"] or "")
    delta = choice.get("delta") or {}
    return "".join(delta.get(k) or "" for k in ("content", "reasoning_content", "reasoning"))
