"""Progress: lines and files come when they are due, say what is true, and cost nothing in between."""

import errno
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base import places, progress
from lib.base.progress import FILE_SECONDS, LINE_SECONDS, Meter


class Clock:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Ranks:
    """As much of a communicator as is asked for."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size


def test_a_line_every_thirty_seconds_and_a_file_in_between(tmp_path: Path, capsys) -> None:
    clock = Clock()
    with Meter(tmp_path, 400, "steps", each=512, rated="tokens", clock=clock) as meter:
        for step in range(200):
            clock.now += 1.0
            meter.advance(1, f"loss {step}")
            found = progress.read(tmp_path)
            assert step + 1 - FILE_SECONDS < found.done <= step + 1
            assert (found.rate, found.left) == (512, 400 - found.done)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 200 // LINE_SECONDS + 1
    assert lines[0] == "30 of 400 steps (7 %), 512 tokens/s, 6 min 10 s left, loss 29"
    assert lines[-1] == "200 of 400 steps (50 %), 512 tokens/s, 3 min 20 s left, loss 199, after 3 min 20 s"
    assert not list(tmp_path.iterdir())


SECONDS = st.floats(0, 100)
COUNTS = st.just(0) | st.floats(0.001, 50)


@given(st.floats(0.001, 1e4), st.lists(st.tuples(SECONDS, COUNTS), min_size=1, max_size=30))
def test_the_time_left_is_that_of_the_rest_at_the_mean_rate_of_this_attempt(begun, steps) -> None:
    """What an earlier attempt did counts as done, and not for the rate."""
    clock, new = Clock(), sum(count for _, count in steps)
    total = begun + new + 7
    meter = Meter(Path("nowhere/at/all"), total, "texts", begun=begun, clock=clock)
    meter.file_due = meter.line_due = float("inf")
    for seconds, count in steps:
        clock.now += seconds
        meter.advance(count)
    found, passed = meter._report(), clock.now - Clock.now
    assert found.done == pytest.approx(begun + new)
    if passed >= progress.SETTLED_SECONDS and new > 0:
        assert found.rate * passed == pytest.approx(new)
        assert found.left == pytest.approx(7 * passed / new)
    else:
        assert (found.rate, found.left) == (0, 0)


def test_a_folder_that_cannot_be_written_is_said_once_and_stops_nothing(tmp_path: Path, capsys, monkeypatch) -> None:
    def full(self: Path, *_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    clock = Clock()
    with Meter(tmp_path, 10, "blocks", clock=clock) as meter:
        for _ in range(10):
            clock.now += FILE_SECONDS
            meter.advance()
    said = capsys.readouterr()
    assert said.err.count("No space left on device") == 1
    assert said.out.splitlines()[-1].startswith("10 of 10 blocks (100 %)")


@pytest.mark.parametrize("rank", [0, 1])
def test_the_first_rank_counts_for_all_and_says_so(tmp_path: Path, capsys, rank: int) -> None:
    """Of 100 blocks 40 are missing, and 10 of them are this rank's: each of its blocks stands for four."""
    with progress.of_ranks(tmp_path, "blocks", 100, 40, 10, Ranks(rank, 4)) as advance:
        for _ in range(5):
            advance(1)
        found = progress.read(tmp_path)
    said = capsys.readouterr().out
    if rank:
        assert (found, said) == (None, "")
    else:
        assert said == "about 80 of 100 blocks (80 %), by rank 0 of 4, after 0 s\n"
        assert found.done == 64  # the file is not due after every call


def test_a_rank_without_work_and_a_task_without_ranks_say_nothing(tmp_path: Path, capsys) -> None:
    with progress.of_ranks(tmp_path, "blocks", 100, 0, 0, Ranks(0, 1)) as advance:
        advance(0)
    with Meter(tmp_path, 5, "blocks", begun=5):
        pass
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"done": 1, "more": 2}', json.dumps([1, 2])])
def test_a_file_that_is_no_report_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / places.PROGRESS).write_text(content)
    assert progress.read(tmp_path) is None
    progress.forget(tmp_path)
    assert not (tmp_path / places.PROGRESS).exists()


@given(st.floats(0, 1e6))
def test_a_duration_is_spelled_within_half_of_its_smaller_unit(seconds: float) -> None:
    sizes = {"s": 1, "min": 60, "h": 3600}
    parts = re.findall(r"(\d+) (s|min|h)", progress.spelled(seconds))
    value = sum(int(number) * sizes[unit] for number, unit in parts)
    assert abs(value - seconds) <= (0.5 if seconds < 3599 else 31)
    assert all(int(number) < 60 for number, unit in parts if unit != "h")
