"""Signals that ask a process to end, as one exception."""

import contextlib
import signal
import threading
from collections.abc import Iterable, Iterator
from typing import Any

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as shells report a process that a signal ended."""
        return 128 + self.number


@contextlib.contextmanager
def raised(even_if_ignored: bool = False) -> Iterator[None]:
    """Raise Interrupted in the block when SIGINT, SIGTERM or SIGHUP comes.

    A background job of a script ignores SIGINT, and one under nohup SIGHUP, on purpose; that is left so unless
    `even_if_ignored`. SIGTERM always counts, so that there is a signal that ends a process however it was started.
    """
    numbers = [number for number in ASKING if even_if_ignored or not _left_ignored(number)]
    with _handled(numbers, _raise):
        yield


@contextlib.contextmanager
def delayed() -> Iterator[None]:
    """Let these signals act after the block: it is short, and must be done whole."""
    came: list[int] = []
    with _handled(ASKING, lambda number, _: came.append(number)):
        yield
    for number in came:
        signal.raise_signal(number)


def _left_ignored(number: signal.Signals) -> bool:
    return number != signal.SIGTERM and signal.getsignal(number) == signal.SIG_IGN


@contextlib.contextmanager
def _handled(numbers: Iterable[signal.Signals], handler: Any) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is told of signals
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _raise(number: int, _: Any) -> None:
    raise Interrupted(number)
