"""A command that is asked to stop: by Ctrl-C, by a terminal that closes, by whoever manages its job."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
# work that has not come to its next step by then is interrupted where it is
GRACE_S = 1.0


class Stopped(KeyboardInterrupt):
    """The program was asked to stop by a signal; its text says what is stored, if anything."""

    def __init__(self, number: int, kept: str = "") -> None:
        super().__init__(kept)
        self.number = number


def number_of(stop: KeyboardInterrupt) -> int:
    """The signal that asked."""
    return stop.number if isinstance(stop, Stopped) else int(signal.SIGINT)


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped here, wherever the program is, for each of the signals that ask a program to end."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    before = _set(stop)
    try:
        yield
    finally:
        _restore(before)


class StopAsked:
    """A block in which the signals are noted, so that work ends between two of its steps.

    After the first one, `check` raises Stopped; so does, by itself, a second one or a second's
    waiting. In `closing` nothing is raised, however often it is asked.
    """

    def __init__(self) -> None:
        self._asked: list[int] = []
        self._closing = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopAsked:
        self._before = _set(self._on_signal)
        if self._before and hasattr(signal, "SIGALRM"):
            self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._on_signal)
        return self

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        alarm = number == getattr(signal, "SIGALRM", None)
        if not alarm:
            self._asked.append(number)
        if self._closing:
            return
        if alarm or len(self._asked) > 1:
            raise Stopped(self._asked[0])
        _wake_in(GRACE_S)

    def check(self) -> None:
        """Raise Stopped when that was asked for."""
        if self._asked:
            raise Stopped(self._asked[0])

    def closing(self) -> None:
        """The work is being closed from now on."""
        self._closing = True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._asked:
            _wake_in(0.0)
        _restore(self._before)
        if kind is None:
            self.check()


def _wake_in(seconds: float) -> None:
    """Let SIGALRM come after so long, or, for 0, not at all."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _set(handler: Any) -> dict[int, Any]:
    """The handlers there were, by signal; a signal that whoever started us had ignored stays ignored."""
    before: dict[int, Any] = {}
    if threading.current_thread() is not threading.main_thread():
        # only there may they be set
        return before
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, handler)
    return before


def _restore(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        with suppress(ValueError):
            signal.signal(number, handler)
