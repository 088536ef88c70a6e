"""Time a model behind an OpenAI-compatible endpoint on this machine, by streaming requests to it.

What is measured is what a client sees: TTFT holds the server's queue, and the token counts are those
the server reports, not those that were asked for.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate
from queue import SimpleQueue
from statistics import median, median_low

from core.errors import Unusable
from core.measure.backends.backend import Backend
from core.measure.backends.endpoint import Endpoint as Endpoint
from core.measure.backends.served_request import (
    EXTRAS,
    NoSuchField,
    NoSuchPath,
    NoTokenizer,
    Prompt,
    ask,
    prompt_length,
)
from core.measure.backends.served_stream import ServedRequest as ServedRequest
from core.model.architecture import Architecture
from core.model.workload import SERVED, Runtime, Workload
from core.records.measurement import Device, Measurement
from core.records.progress import Progress, Steps
from core.samples.statistics import scatter

MOST_REQUESTS = 1000
MOST_BATCH = 256
# prompt tokens that a prefix cache may answer before it is noted; a chat template's are a few
CACHED_SHARE = 0.05
# a gap this much below its request's mean is no time of a token, and half of them make bursts
BURST_GAP, BURST_SHARE = 0.1, 0.5
NOISY = 0.10  # as core.records.measurement describes the flag
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


def measure_served(
    endpoint: Endpoint,
    workload: Workload,
    architecture: Architecture,
    device: Device,
    *,
    requests: int = 12,
    timeout_s: float = 120.0,
    runtime: Runtime | None = None,
    seed: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Steps[Measurement]:
    """Steps: `requests` rounds of `workload.batch` requests at once, after two that set the prompt's
    length; yields each request and returns the measurement.

    Prompts are random words, no two alike and other ones in every run (unless a `seed` is given): a
    server that keeps prefixes would answer a prompt it has seen before at once. The measurement's
    workload holds the realised token counts. Raises Unusable when nothing answers or the answers
    are no stream of tokens.
    """
    if not 1 <= requests <= MOST_REQUESTS:
        raise Unusable(f"the number of requests must be 1 to {MOST_REQUESTS}, not {requests}")
    if workload.batch > MOST_BATCH:
        raise Unusable(f"at most {MOST_BATCH} requests at once are sent, not {workload.batch}")
    endpoint.address()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    rng = random.Random(seed)
    words = workload.prompt_tokens
    numbers = 0  # how many tokens there are, where the server takes only their numbers
    path = "/v1/completions"
    extras: tuple[str, ...] = EXTRAS
    total = requests + 2
    for step in range(2):
        yield Progress(step, total, "asking for one answer, to set the prompt's length")
        prompt = _prompt(words, rng, numbers)
        try:
            found = _agreed(endpoint, path, extras, prompt, workload, timeout_s, clock)
        except NoTokenizer:
            if numbers:
                raise
            numbers = architecture.vocab_size
            prompt = _prompt(words, rng, numbers)
            found = _agreed(endpoint, path, extras, prompt, workload, timeout_s, clock)
        path, extras, first = found
        # llama-cpp-python counts only what it does not stream
        long = first.prompt_tokens or prompt_length(endpoint, path, prompt, timeout_s)
        if long:
            # a chat template adds tokens of its own, so the difference counts, not the ratio
            words = max(1, words + workload.prompt_tokens - long)
    # where nothing counts the prompt, a word of it is taken for a token
    guess = "" if long else f", and the prompt is taken for {workload.prompt_tokens} tokens"
    rounds: list[list[ServedRequest]] = []
    begun = clock()
    for number in range(requests):
        left = (clock() - begun) / number * (requests - number) if number else None
        yield Progress(2 + number, total, f"round {number + 1} of {requests}", left)
        prompts = [_prompt(words, rng, numbers) for _ in range(workload.batch)]
        answers = _at_once(endpoint, path, extras, prompts, workload, timeout_s, clock)
        yield from answers
        rounds.append(answers)
    return _measurement(
        rounds,
        endpoint,
        path,
        extras,
        workload,
        architecture,
        device,
        runtime or Runtime(SERVED),
        started,
        guess,
    )


def _agreed(
    endpoint: Endpoint,
    path: str,
    extras: tuple[str, ...],
    prompt: Prompt,
    workload: Workload,
    timeout_s: float,
    clock: Callable[[], float],
) -> tuple[str, tuple[str, ...], ServedRequest]:
    """The path and the extra fields that the server takes, found by asking, and its answer."""
    while True:
        try:
            return path, extras, ask(endpoint, path, prompt, workload, timeout_s, clock, extras)
        except NoSuchPath:
            if path == "/v1/chat/completions":
                raise
            path = "/v1/chat/completions"
        except NoSuchField as refusal:
            left = tuple(e for e in extras if e not in refusal.named)
            # transformers takes the least length as a part of its own generation settings
            if "ignore_eos" in extras and not {"min_tokens", "ignore_eos"} & set(left):
                left += ("generation_config",)
            extras = left


def _prompt(words: int, rng: random.Random, numbers: int) -> Prompt:
    if numbers:
        return [rng.randrange(numbers) for _ in range(words)]
    return " ".join(rng.choice(WORDS) for _ in range(words))


def _at_once(
    endpoint: Endpoint,
    path: str,
    extras: tuple[str, ...],
    prompts: list[Prompt],
    workload: Workload,
    timeout_s: float,
    clock: Callable[[], float],
) -> list[ServedRequest]:
    """The answers to several requests sent at the same moment; raises the first failure."""
    if len(prompts) == 1:
        return [ask(endpoint, path, prompts[0], workload, timeout_s, clock, extras)]
    answers: SimpleQueue[ServedRequest | Exception] = SimpleQueue()
    together = threading.Barrier(len(prompts))

    def one(prompt: Prompt) -> None:
        together.wait()
        try:
            answers.put(ask(endpoint, path, prompt, workload, timeout_s, clock, extras))
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


def decoded_at_once(answers: Sequence[ServedRequest]) -> int:
    """Most requests of a round between their first and last token at one moment (1 at least).

    A server with fewer slots than requests answers the rest later, and its time per token is then
    that of a smaller batch.
    """
    edges = sorted(
        (r.sent_s + at, step)
        for r in answers
        for at, step in ((r.arrivals_s[0], 1), (r.last_s, -1))
        if r.last_s > r.arrivals_s[0]
    )
    return max(1, *accumulate((step for _, step in edges), initial=0))


def share_in_bursts(answers: Sequence[ServedRequest]) -> float:
    """Share of the gaps between chunks that are too short to be the time of a token."""
    gaps = [
        gap * len(r.gaps_s) / sum(r.gaps_s) for r in answers for gap in r.gaps_s if any(r.gaps_s)
    ]
    return sum(gap < BURST_GAP for gap in gaps) / max(1, len(gaps))


def round_s(answers: Sequence[ServedRequest]) -> float:
    """From the first request of a round sent to the last token of all, s."""
    return max(r.sent_s + r.last_s for r in answers) - min(r.sent_s for r in answers)


def _measurement(
    rounds: list[list[ServedRequest]],
    endpoint: Endpoint,
    path: str,
    extras: tuple[str, ...],
    workload: Workload,
    architecture: Architecture,
    device: Device,
    runtime: Runtime,
    started: str,
    guess: str,
) -> Measurement:
    everything = [r for answers in rounds for r in answers]
    output = Counter(r.counted_tokens for r in everything).most_common(1)[0][0]
    prompts = [r.prompt_tokens for r in everything if r.prompt_tokens]
    prompt = round(sum(prompts) / len(prompts)) if prompts else workload.prompt_tokens
    blocks = [[r for r in answers if r.counted_tokens == output] for answers in rounds]
    blocks = [answers for answers in blocks if answers]
    kept = [r for answers in blocks for r in answers]
    counted = all(r.output_tokens for r in kept)
    whole = all(len(r.arrivals_s) == output for r in kept)
    notes = []
    if len(kept) < len(everything):
        notes.append(f"{len(everything) - len(kept)} answers of another length were left out")
    if not counted:
        notes.append(f"the server gives no token counts; chunks were counted{guess}")
    elif not whole:
        notes.append("a chunk is not one token here; TPOT is each request's mean")
    if output != workload.output_tokens:
        notes.append(f"{output} output tokens came where {workload.output_tokens} were asked for")
    # a client that is held up sees the end of one request late: one such round means nothing
    together = median_low([decoded_at_once(answers) for answers in rounds])
    lasted = [round_s(answers) for answers in rounds]
    if together < workload.batch and output > 1:
        speed = sum(r.counted_tokens for r in everything) / sum(lasted)
        notes.append(
            f"only {together} of {workload.batch} requests were decoded at once; the others "
            f"waited, which their first token holds ({speed:.3g} tokens a second over whole rounds)"
        )
    bursts = share_in_bursts(kept)
    if bursts > BURST_SHARE:
        notes.append(
            f"{bursts:.0%} of the chunks came right after another: the answers were held up on their "
            "way (or several tokens are made at once), so first tokens may be seen late"
        )
    cached = [r.cached_tokens for r in everything if r.cached_tokens is not None]
    if cached and sum(cached) > CACHED_SHARE * prompt * len(cached):
        notes.append(
            f"the server took {sum(cached) / len(cached):.0f} of {prompt} prompt tokens from its "
            "cache; the first token of a new prompt comes later"
        )

    def phase(values: Callable[[ServedRequest], Iterator[float]]) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(v for r in answers for v in values(r)) for answers in blocks)

    samples = {
        "ttft": phase(lambda r: iter((r.ttft_s,))),
        "e2e": phase(lambda r: iter((r.last_s,))),
        "chunk_gaps": phase(lambda r: iter(r.gaps_s)),
        "round": tuple((s,) for s in lasted),
    }
    if output > 1:
        # one sample a token either way, so that a request's mean is its TPOT
        samples["tpot"] = phase(
            lambda r: iter(r.gaps_s if whole else (r.tpot_s or 0.0,) * (output - 1))
        )
    # requests of a round queue for each other, so rounds are compared and not requests
    noise = max(
        scatter([[median(r.ttft_s for r in answers)] for answers in blocks]),
        scatter([[median(r.tpot_s or 1.0 for r in answers)] for answers in blocks]),
    )
    environment = {
        "endpoint_path": path,
        "requests": len(everything),
        "left_out": len(everything) - len(kept),
        "chunk_is_token": whole and counted,
        "decoded_at_once": together,
        "share_in_bursts": round(bursts, 3),
        "cached_prompt_tokens": sum(cached) / len(cached) if cached else None,
        "fields_sent": list(extras),
        "prompt_tokens_requested": workload.prompt_tokens,
        "output_tokens_requested": workload.output_tokens,
    }
    return Measurement(
        architecture,
        replace(workload, prompt_tokens=prompt, output_tokens=output),
        runtime,
        device,
        samples,
        flags=("noisy",) if noise > NOISY else (),
        message="; ".join(notes),
        environment=environment,
        started_at=started,
        model=endpoint.model,
    )


BACKEND = Backend(
    name=SERVED,
    label="a served model",
    devices=("cpu", "cuda"),
    # a server is there already: it is asked over the network, and nothing is started
    start=None,
)
