"""Time a model behind an OpenAI-compatible endpoint on this machine, by streaming requests to it.

Only the standard library is used. What is measured is what a client sees: TTFT holds the server's
queue, and the token counts are those the server says it realised, not those that were asked for.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from core.architecture import Architecture
from core.errors import Unusable
from core.records import Device, Measurement, Progress
from core.workload import Runtime, Workload

MOST_REQUESTS = 1000
MOST_BATCH = 256
MOST_LINE_BYTES = 1 << 20
MOST_ANSWER_BYTES = 64 << 20
# common one-token words: the prompt's length is corrected by what the server counts
WORDS = [
    "time",
    "people",
    "way",
    "water",
    "day",
    "part",
    "number",
    "sound",
    "place",
    "year",
    "work",
    "back",
    "thing",
    "name",
    "line",
]


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

    `arrivals_s` are the chunks that carried text. Token counts are the server's `usage`, or None
    where it gives none.
    """

    arrivals_s: tuple[float, ...]
    e2e_s: float
    prompt_tokens: int | None
    output_tokens: int | None

    @property
    def ttft_s(self) -> float:
        """Time to the first chunk that carried text."""
        return self.arrivals_s[0]

    @property
    def gaps_s(self) -> tuple[float, ...]:
        """Time between chunks: the inter-token latency where a chunk is one token."""
        return tuple(b - a for a, b in zip(self.arrivals_s, self.arrivals_s[1:], strict=False))

    @property
    def counted_tokens(self) -> int:
        """Realised output tokens; the number of chunks where the server does not say."""
        return self.output_tokens or len(self.arrivals_s)

    @property
    def tpot_s(self) -> float | None:
        """(last arrival - first) / (output tokens - 1), None for a single token."""
        rest = self.counted_tokens - 1
        return (self.arrivals_s[-1] - self.arrivals_s[0]) / rest if rest > 0 else None


def measure_served(
    endpoint: Endpoint,
    workload: Workload,
    architecture: Architecture,
    device: Device,
    *,
    requests: int = 12,
    timeout_s: float = 120.0,
    runtime: Runtime | None = None,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Generator[Progress | ServedRequest, None, Measurement]:
    """Steps: `requests` rounds of `workload.batch` requests at once, after two that set the prompt's
    length; yields each request and returns the measurement.

    Prompts are random words, no two alike, so that no prefix cache answers them. The measurement's workload holds the realised token counts. Raises Unusable when nothing
    answers or the answers are no stream of tokens.
    """
    if not 1 <= requests <= MOST_REQUESTS:
        raise Unusable(f"the number of requests must be 1 to {MOST_REQUESTS}, not {requests}")
    if workload.batch > MOST_BATCH:
        raise Unusable(f"at most {MOST_BATCH} requests at once are sent, not {workload.batch}")
    endpoint.parts()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    rng = random.Random(seed)
    words = workload.prompt_tokens
    path = "/v1/completions"
    total = requests + 2
    for step in range(2):
        yield Progress(step, total, "asking for one answer, to set the prompt's length")
        try:
            first = ask(endpoint, path, _prompt(words, rng), workload, timeout_s, clock)
        except _NoSuchPath:
            path = "/v1/chat/completions"
            first = ask(endpoint, path, _prompt(words, rng), workload, timeout_s, clock)
        if first.prompt_tokens:
            # a chat template adds tokens of its own, so the difference counts, not the ratio
            words = max(1, words + workload.prompt_tokens - first.prompt_tokens)
    rounds: list[list[ServedRequest]] = []
    begun = clock()
    for number in range(requests):
        left = (clock() - begun) / number * (requests - number) if number else None
        yield Progress(2 + number, total, f"round {number + 1} of {requests}", left)
        prompts = [_prompt(words, rng) for _ in range(workload.batch)]
        answers = _at_once(endpoint, path, prompts, workload, timeout_s, clock)
        yield from answers
        rounds.append(answers)
    return _measurement(
        rounds,
        endpoint,
        path,
        workload,
        architecture,
        device,
        runtime or Runtime("served"),
        started,
    )


class _NoSuchPath(Unusable):
    """The server has no such path; another one may do."""


def ask(
    endpoint: Endpoint,
    path: str,
    prompt: str,
    workload: Workload,
    timeout_s: float,
    clock: Callable[[], float] = time.perf_counter,
) -> ServedRequest:
    """One streamed request of exactly `output_tokens` tokens where the server can be told so."""
    scheme, host, port, prefix = endpoint.parts()
    body = {
        "model": endpoint.model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": workload.output_tokens,
        "min_tokens": workload.output_tokens,
        "ignore_eos": True,
    }
    body |= (
        {"messages": [{"role": "user", "content": prompt}]}
        if path.endswith("chat/completions")
        else {"prompt": prompt}
    )
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=timeout_s)
    where = f"{host}:{port}"
    try:
        connection.connect()
        payload = json.dumps(body)
        sent = clock()
        connection.request("POST", prefix + path, payload, headers)
        response = connection.getresponse()
        if response.status != 200:
            said = " ".join(response.read(300).decode("utf-8", "replace").split())
            refusal = _NoSuchPath if response.status in (404, 405) else Unusable
            raise refusal(f"{where} answered {response.status} to {path}: {said}")
        return _read_stream(response, sent, sent + timeout_s, clock, where)
    except TimeoutError:
        raise Unusable(f"{where} gave no answer within {timeout_s:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise Unusable(
            f"{where} cannot be measured ({str(error) or type(error).__name__}); is the server running?"
        ) from error
    finally:
        connection.close()


def _read_stream(
    response: http.client.HTTPResponse,
    sent: float,
    deadline: float,
    clock: Callable[[], float],
    where: str,
) -> ServedRequest:
    arrivals: list[float] = []
    usage: dict[str, Any] = {}
    size = 0
    finished = False
    while line := response.readline(MOST_LINE_BYTES):
        now = clock()
        size += len(line)
        if now > deadline or size > MOST_ANSWER_BYTES:
            raise Unusable(f"{where} sent an endless answer; it was cut off")
        if not line.startswith(b"data:"):
            continue  # blank lines, comments that keep the connection open, event names
        data = line[5:].strip()
        if data == b"[DONE]":
            finished = True
            break
        try:
            event = json.loads(data)
            if event.get("error"):
                raise Unusable(f"{where} reports an error: {str(event['error'])[:200]}")
            usage = event.get("usage") or usage
            choices = event.get("choices") or []
            text = "".join(str(_text(c)) for c in choices)
        except (ValueError, AttributeError, TypeError) as error:
            if isinstance(error, Unusable):
                raise
            raise Unusable(f"{where} sent what is no OpenAI stream: {data[:80]!r}") from None
        if text:
            arrivals.append(now - sent)
        finished = finished or any(c.get("finish_reason") for c in choices)
    if not arrivals or not finished:
        raise Unusable(f"{where} ended its answer {'early' if arrivals else 'without a token'}")
    return ServedRequest(
        tuple(arrivals), clock() - sent, usage.get("prompt_tokens"), usage.get("completion_tokens")
    )


def _text(choice: dict[str, Any]) -> str:
    """Text of one choice; reasoning models stream their thoughts under names of their own."""
    if "text" in choice:
        return choice["text"] or ""
    delta = choice.get("delta") or {}
    return "".join(delta.get(k) or "" for k in ("content", "reasoning_content", "reasoning"))


def _prompt(words: int, rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words))


def _at_once(
    endpoint: Endpoint,
    path: str,
    prompts: list[str],
    workload: Workload,
    timeout_s: float,
    clock: Callable[[], float],
) -> list[ServedRequest]:
    """The answers to several requests sent at the same moment; raises the first failure."""
    if len(prompts) == 1:
        return [ask(endpoint, path, prompts[0], workload, timeout_s, clock)]
    answers: SimpleQueue[ServedRequest | Exception] = SimpleQueue()
    together = threading.Barrier(len(prompts))

    def one(prompt: str) -> None:
        together.wait()
        try:
            answers.put(ask(endpoint, path, prompt, workload, timeout_s, clock))
        except Exception as error:
            answers.put(error)

    threads = [threading.Thread(target=one, args=(p,), daemon=True) for p in prompts]
    for thread in threads:
        thread.start()
    got = [answers.get() for _ in prompts]
    for thread in threads:
        thread.join()
    for answer in got:
        if isinstance(answer, Exception):
            raise answer
    return [a for a in got if isinstance(a, ServedRequest)]


def _measurement(
    rounds: list[list[ServedRequest]],
    endpoint: Endpoint,
    path: str,
    workload: Workload,
    architecture: Architecture,
    device: Device,
    runtime: Runtime,
    started: str,
) -> Measurement:
    everything = [r for answers in rounds for r in answers]
    output = Counter(r.counted_tokens for r in everything).most_common(1)[0][0]
    prompts = [r.prompt_tokens for r in everything if r.prompt_tokens]
    prompt = round(sum(prompts) / len(prompts)) if prompts else workload.prompt_tokens
    blocks = [[r for r in answers if r.counted_tokens == output] for answers in rounds]
    blocks = [answers for answers in blocks if answers]
    kept = [r for answers in blocks for r in answers]
    said = all(r.output_tokens for r in kept)
    whole = all(len(r.arrivals_s) == output for r in kept)
    notes = []
    if len(kept) < len(everything):
        notes.append(f"{len(everything) - len(kept)} answers of another length were left out")
    if not said:
        notes.append("the server gives no token counts; chunks were counted")
    elif not whole:
        notes.append("a chunk is not one token here; TPOT is each request's mean")
    if output != workload.output_tokens:
        notes.append(f"{output} output tokens came where {workload.output_tokens} were asked for")

    def phase(values: Callable[[ServedRequest], Iterator[float]]) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(v for r in answers for v in values(r)) for answers in blocks)

    samples = {
        "ttft": phase(lambda r: iter((r.ttft_s,))),
        "e2e": phase(lambda r: iter((r.arrivals_s[-1],))),
        "chunk_gaps": phase(lambda r: iter(r.gaps_s)),
    }
    if output > 1:
        # one sample a token either way, so that a request's mean is its TPOT
        samples["tpot"] = phase(
            lambda r: iter(r.gaps_s if whole else (r.tpot_s or 0.0,) * (output - 1))
        )
    environment = {
        "endpoint_path": path,
        "requests": len(everything),
        "left_out": len(everything) - len(kept),
        "chunk_is_token": whole and said,
        "prompt_tokens_requested": workload.prompt_tokens,
        "output_tokens_requested": workload.output_tokens,
    }
    return Measurement(
        architecture,
        replace(workload, prompt_tokens=prompt, output_tokens=output),
        runtime,
        device,
        samples,
        message="; ".join(notes),
        environment=environment,
        started_at=started,
        model=endpoint.model,
    )


def _is_here(host: str) -> bool:
    """True when every address of a host is a loopback one."""
    try:
        found = {row[4][0] for row in socket.getaddrinfo(host, None)}
        return bool(found) and all(ipaddress.ip_address(a).is_loopback for a in found)
    except (OSError, ValueError):
        return False
