"""Measured quality of a local model folder: its loss on a text, in nats a token and bits a byte.

Bits per byte compare models with unlike tokenizers; nats per token do not.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from core.arrays import Floats, Ints
from core.errors import Unusable
from core.guarded import opened
from core.measure.backends.folder import (
    ModelFolder,
    load_model,
    need_transformers,
    offline,
    read_folder,
)
from core.parent import die_with_parent
from core.records.progress import Progress, Steps

MOST_TOKENS = 100_000
MOST_TEXT_BYTES = 64 << 20
RESAMPLES = 2000
TICK_S = 0.2


@dataclass(frozen=True, slots=True)
class Quality:
    """Loss of a model on a text with 95 % intervals; NaN bounds never occur, None means unknown.

    `loss` is nats per token, `bits_per_byte` counts UTF-8 bytes of the text that was scored. The
    interval shows how far another stretch of text like this one would move the number. `text_sha256` is
    the hash of the text as it was read, in hexadecimal digits: on another text another loss is right.
    """

    loss: float
    bits_per_byte: float
    loss_low: float | None
    loss_high: float | None
    bits_low: float | None
    bits_high: float | None
    tokens: int
    text_bytes: int
    windows: int
    context: int
    stride: int
    disjoint: bool = False
    text_sha256: str = ""

    def columns(self) -> dict[str, float]:
        """What a Measurement keeps as `quality`: the numbers that are known, ends of an interval named
        after what they enclose, losses in disjoint windows under names of their own."""
        kind = "_disjoint" if self.disjoint else ""
        named = {
            "loss": f"loss{kind}",
            "loss_low": f"loss{kind}_low",
            "loss_high": f"loss{kind}_high",
            "bits_per_byte": f"bits_per_byte{kind}",
            "bits_low": f"bits_per_byte{kind}_low",
            "bits_high": f"bits_per_byte{kind}_high",
        }
        values = asdict(self)
        del values["text_sha256"], values["disjoint"]
        return {named.get(k, k): float(v) for k, v in values.items() if v is not None}


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens start:stop are the model's input; those from `scored` on count."""

    start: int
    scored: int
    stop: int


def windows(tokens: int, context: int, stride: int) -> Iterator[Window]:
    """Strided windows over a text of `tokens` tokens: every token but the first is scored once.

    Each scored token sees at least `context - stride` tokens before it, as far as the text has them,
    so `stride` is below `context`; the largest is fastest, a smaller one gives every token more.
    """
    scored = 1
    while scored < tokens:
        stop = min(tokens, scored + stride if scored > 1 else context)
        yield Window(max(0, stop - context), scored, stop)
        scored = stop


def score(model: Any, ids: Ints, context: int, stride: int, device: str) -> Steps[list[float]]:
    """Steps: the summed loss in nats of each window, from a transformers model on a device."""
    import torch
    from torch.nn import functional

    plan = list(windows(len(ids), context, stride))
    totals = []
    with torch.inference_mode():
        for number, w in enumerate(plan):
            yield Progress(number, len(plan), f"scoring window {number + 1} of {len(plan)}")
            rows = torch.from_numpy(ids[None, w.start : w.stop]).to(device)
            logits = model(rows, use_cache=False).logits[0, w.scored - w.start - 1 : -1]
            goal = rows[0, w.scored - w.start :]
            # sums in fp32: a bf16 logsumexp is wrong in the third digit
            loss = functional.cross_entropy(logits.float(), goal, reduction="sum")
            totals.append(float(loss))
    return totals


def summarise(
    nats: Floats, tokens: Floats, text_bytes: Floats, context: int, stride: int, seed: int = 0
) -> Quality:
    """Loss per token and bits per byte from window sums, with circular block bootstrap intervals.

    Neighbouring windows cover the same passage, so blocks of about sqrt(n) of them are drawn
    together. Below eight windows there is no interval. Raises Unusable for a loss that is no number.
    """
    if not np.all(np.isfinite(nats)):
        raise Unusable("the model's loss on this text is not a number; its weights may be damaged")
    n = len(nats)
    bits = nats / math.log(2)
    loss_low = loss_high = bits_low = bits_high = None
    if n >= 8:
        length = max(1, round(math.sqrt(n)))
        rng = np.random.default_rng(seed)
        starts = rng.integers(0, n, (RESAMPLES, -(-n // length)))
        rows = ((starts[:, :, None] + np.arange(length)) % n).reshape(RESAMPLES, -1)[:, :n]
        loss = nats[rows].sum(1) / tokens[rows].sum(1)
        per_byte = bits[rows].sum(1) / text_bytes[rows].sum(1)
        loss_low, loss_high = map(float, np.quantile(loss, [0.025, 0.975]))
        bits_low, bits_high = map(float, np.quantile(per_byte, [0.025, 0.975]))
    return Quality(
        float(nats.sum() / tokens.sum()),
        float(bits.sum() / text_bytes.sum()),
        loss_low,
        loss_high,
        bits_low,
        bits_high,
        int(tokens.sum()),
        int(text_bytes.sum()),
        n,
        context,
        stride,
    )


def measure_quality(
    folder: ModelFolder,
    text: Path | str,
    *,
    context: int = 1024,
    stride: int | None = None,
    disjoint: bool = False,
    most_tokens: int = MOST_TOKENS,
    device: str = "cpu",
    dtype: str = "",
    threads: int = 0,
) -> Steps[Quality]:
    """Steps: the loss of a folder on a UTF-8 text file; loads the model here (see `in_child`).

    At most `most_tokens` from the start of the text are scored, in windows of `context` tokens (or as
    many as the model allows) that move by `stride` (half of it). `disjoint` ones share one token, as
    lm-eval's do: quicker, and another number, since the first tokens of each have little before them. Raises Unusable, saying why, for a
    folder without weights or tokenizer and a text too short or not UTF-8.
    """
    if not folder.has_weights:
        raise Unusable(f"{folder.path} has no weights: random ones have a speed but no quality")
    yield Progress(0, 1, "reading the text")
    words = _text(Path(text))
    ids, ends = tokenise(folder, words, most_tokens)
    context = min(context, folder.max_context or context, len(ids))
    # what ends at byte 0 begins the text and is none of it
    own = int(np.count_nonzero(ends > 0))
    if context < 2 or own < 2 or ends[-1] == ends[0]:
        raise Unusable(
            f"{text} is too short to measure a loss on ({own} token{'s' * (own != 1)} of text)"
        )
    step = context - 1 if disjoint else min(stride or max(context // 2, 1), context - 1)
    top = int(ids.max())
    if top >= folder.architecture.vocab_size:
        raise Unusable(
            f"{folder.path}: its tokenizer gives token {top}, which its vocabulary of "
            f"{folder.architecture.vocab_size} does not have; they are not of one model"
        )
    yield Progress(0, 1, "loading the model")
    if threads:
        import torch

        torch.set_num_threads(threads)
    model = load_model(folder, dtype or folder.dtype.replace("fp64", "fp32"), device)
    nats = yield from score(model, ids, context, step, device)
    plan = list(windows(len(ids), context, step))
    counts = np.array([w.stop - w.scored for w in plan], np.float64)
    # text covered by a window: up to the end of its last token, from the end of the one before
    covered = np.array([ends[w.stop - 1] - ends[w.scored - 1] for w in plan], np.float64)
    found = summarise(np.array(nats), counts, covered, context, step)
    # of the text that was scored: the file may have changed since
    return replace(found, disjoint=disjoint, text_sha256=hashlib.sha256(words.encode()).hexdigest())


def tokenise(folder: ModelFolder, text: str, most_tokens: int) -> tuple[Ints, Ints]:
    """Token ids of a text, and the byte at which each one ends in it.

    A begin-of-text token is put first where the tokenizer has one (it ends at byte 0, and makes the
    first token of the text countable). Unusable for a folder without a tokenizer that can be read.
    """
    offline()
    tokenizer = _tokenizer(folder)
    # a character is at most four bytes, and tokens are rarely longer than eight characters
    text = text[: 8 * most_tokens]
    with_offsets = tokenizer(
        text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    ids = np.array(with_offsets["input_ids"], np.int64)
    stops = np.array([stop for _, stop in with_offsets["offset_mapping"]], np.int64)
    # bytes up to each character, so that a character's end gives a byte's
    widths = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    width = 1 + (widths >= 0x80) + (widths >= 0x800) + (widths >= 0x10000)
    bytes_to = np.concatenate([[0], np.cumsum(width)])
    ends = np.maximum.accumulate(bytes_to[stops]) if len(stops) else bytes_to[:0]
    begin = tokenizer.bos_token_id
    if begin is not None:
        ids, ends = np.concatenate([[begin], ids]), np.concatenate([[0], ends])
    return ids[:most_tokens], ends[:most_tokens].astype(np.int64)


def _tokenizer(folder: ModelFolder) -> Any:
    if not folder.has_tokenizer:
        raise Unusable(
            f"{folder.path} has no tokenizer (tokenizer.json); copy the model's own into it to "
            "measure its quality"
        )
    need_transformers("a text is scored by the program as it runs from a checkout")
    try:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        # the tokenizers library raises bare Exception for a file it cannot read
        reason = (str(error).strip().splitlines() or ["unknown reason"])[0][:200]
        raise Unusable(f"{folder.path}: its tokenizer cannot be loaded ({reason})") from error
    if not tokenizer.is_fast:
        raise Unusable(f"{folder.path}: its tokenizer does not say which bytes a token covers")
    return tokenizer


def _text(path: Path) -> str:
    with opened(path) as (stream, size):
        data = stream.read(MOST_TEXT_BYTES)
    try:
        # cut between characters, not inside one
        return data.decode("utf-8", "ignore" if size > MOST_TEXT_BYTES else "strict")
    except UnicodeDecodeError as error:
        raise Unusable(f"{path}: is not UTF-8 text (byte {error.start})") from error


# --- in a process of its own ---------------------------------------------------------------------


def in_child(
    folder: Path | str, text: Path | str, options: Mapping[str, Any] | None = None
) -> Steps[Quality]:
    """Steps: `measure_quality` in a spawned process, so that no model is ever loaded in this one.

    Closing the generator stops the process. A process that dies (out of memory, say) is Unusable,
    and so is a device that is not there.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    arguments = (there, str(folder), str(text), dict(options or {}))
    child = spawn.Process(target=_child, args=arguments, daemon=True)
    with _no_imports_from_here():
        child.start()
    there.close()
    last = Progress(0, 1, "starting the process that scores the text")
    try:
        while True:
            try:
                # a step every so often while it loads, so that whoever waits stays able to leave
                while not here.poll(TICK_S):
                    yield last
                kind, value = here.recv()
            except EOFError:
                child.join(5)
                raise Unusable(
                    f"{folder}: the measuring process died (exit {child.exitcode}); "
                    "the model may not fit in memory"
                ) from None
            if kind == "progress":
                last = value
                yield value
            elif kind == "unusable":
                child.join(5)
                raise Unusable(value)
            else:
                # its answer is complete: let it clean up
                child.join(5)
                quality: Quality = value
                return quality
    finally:
        if child.is_alive():
            # at once, and also where it is stopped
            child.kill()
        child.join(5)
        here.close()


@contextlib.contextmanager
def _no_imports_from_here() -> Iterator[None]:
    """A Python started meanwhile does not look for modules in the current folder.

    multiprocessing starts it with `-c`, which would put that folder, perhaps a stranger's, first.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # nobody waits for the answer any more
        os._exit(1)


def _child(out: Connection, folder: str, text: str, options: dict[str, Any]) -> None:
    die_with_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # its bars would run across what the program itself prints
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    try:
        steps = measure_quality(read_folder(folder), text, **options)
        while True:
            try:
                out.send(("progress", next(steps)))
            except StopIteration as end:
                out.send(("done", end.value))
                return
    except Unusable as error:
        out.send(("unusable", str(error)))
    except (BrokenPipeError, KeyboardInterrupt):
        pass  # nobody waits for the answer any more
    except (RuntimeError, AssertionError, MemoryError) as error:
        # torch's own words for a device that is not there, or memory that ran out
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        where = options.get("device", "cpu")
        out.send(("unusable", f"{folder}: cannot be scored on {where} ({reason})"))
