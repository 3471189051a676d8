import os
import signal
import threading

import pytest

from lib.base import interrupts


def ask(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture(params=interrupts.ASKING, ids=lambda number: number.name)
def number(request: pytest.FixtureRequest):
    before = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, before)


def test_each_signal_is_an_exception_with_the_exit_code_of_shells(number: int) -> None:
    with pytest.raises(interrupts.Interrupted, match=signal.Signals(number).name) as asked, interrupts.raised():
        ask(number)
    assert asked.value.exit_code == 128 + number


@pytest.mark.parametrize("even", [False, True])
def test_one_that_the_starter_had_ignored_stays_ignored_but_for_sigterm(number: int, even: bool) -> None:
    signal.signal(number, signal.SIG_IGN)
    came = False
    try:
        with interrupts.raised(even_if_ignored=even):
            ask(number)
    except interrupts.Interrupted:
        came = True
    assert came == (even or number == signal.SIGTERM)
    assert signal.getsignal(number) == signal.SIG_IGN


def test_a_delayed_one_acts_after_the_block(number: int) -> None:
    done = []
    with pytest.raises(interrupts.Interrupted), interrupts.raised(), interrupts.delayed():
        done += [ask(number), "whole"]
    assert done == [None, "whole"]


def test_in_another_thread_nothing_is_changed(number: int) -> None:
    before, seen = signal.getsignal(number), []

    def look() -> None:
        with interrupts.raised():
            seen.append(signal.getsignal(number))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
