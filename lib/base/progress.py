"""How far a long stage has got: a line in its log from time to time, and a small file beside its result.

`status` and the bars of a local run read the file, which is no result and goes at the end. Science code knows nothing
of this: it calls an `Advance`, by default `unheard`.
"""

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.base import places

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

LINE_SECONDS = 30.0  # between two lines in the log
SETTLED_SECONDS = 1.0  # before which a rate says nothing
ROUNDING = 1e-6  # what a sum of shares may lack of the whole, in per cent
FILE_SECONDS = 5.0  # between two writes of the file: they are not synced, but a shared file system notices each

Advance = Callable[[float], Any]  # called with how much has been done since it was called last


def unheard(count: float) -> None:
    """What is called if nobody asks how far the work has got."""


def divided(advance: Advance, passes: float) -> Advance:
    """For work that goes `passes` times over the same things: each pass counts for its part."""
    return lambda count: advance(count / passes)


@dataclass(frozen=True)
class Report:
    """How far the work has got: `done` of `total`, in `unit`.

    rate: in `rated` a second, 0 if it is not known yet; left: seconds to the end at that rate; note: a word on the
    result so far, such as the loss; ranks: if more than one, rank 0 was asked, and the others are taken to be as far.
    """

    done: float
    total: float
    unit: str
    rate: float
    rated: str
    left: float
    note: str
    ranks: int

    @property
    def share(self) -> str:
        """Per cent, rounded down: 100 % is the end."""
        return f"{math.floor(100 * min(1.0, self.done / self.total) + ROUNDING)} %"

    def short(self) -> str:
        """Share and time left."""
        return f"{self.share}, {spelled(self.left)} left" if self.rate else self.share

    def words(self) -> str:
        """Everything, on one line."""
        about = "about " if self.ranks > 1 else ""
        parts = [f"{about}{_number(self.done)} of {_number(self.total)} {self.unit} ({self.share})"]
        parts += [f"{_number(self.rate)} {self.rated}/s"] if self.rate else []
        parts += [f"{spelled(self.left)} left"] if round(self.left) else []
        parts += [f"by rank 0 of {self.ranks}"] if self.ranks > 1 else []
        return ", ".join([*parts, *filter(None, [self.note])])


class Meter:
    """Counts what is done, and says so. It is called often: unless something is due it only adds, and reads a clock."""

    def __init__(
        self,
        out: Path | None,
        total: float,
        unit: str,
        *,
        begun: float = 0,
        each: float = 1.0,
        rated: str = "",
        ranks: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """out: the artifact, or None for work that makes none, and no file; begun: what an earlier attempt has done;
        each: how many `rated` one `unit` has (tokens of a step); ranks: how many share the work, if this is the first
        of them and counts for all."""
        self.file = out / places.PROGRESS if out else None
        self.total, self.unit, self.ranks = total, unit, ranks
        self.begun = self.done = begun
        self.each, self.rated, self.note = each, rated or unit, ""
        self.clock = clock
        self.started = self.file_due = clock()
        self.line_due = self.started + LINE_SECONDS

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Remove the file. A line says how long it took, if anything was done."""
        if self.file:
            self.file.unlink(missing_ok=True)
        if self.done > self.begun:
            print(f"{self._report().words()}, after {spelled(self.clock() - self.started)}", flush=True)

    def advance(self, count: float = 1, note: str = "") -> None:
        """Add what has been done since the last call."""
        self.done += count
        self.note = note
        now = self.clock()
        if self.file and now >= self.file_due:
            self.file_due = now + FILE_SECONDS
            self._write(self.file)
        if now >= self.line_due:
            self.line_due = now + LINE_SECONDS
            print(self._report().words(), flush=True)

    def _report(self) -> Report:
        seconds, new = self.clock() - self.started, self.done - self.begun
        speed = new / seconds if seconds >= SETTLED_SECONDS else 0.0
        left = (self.total - self.done) / speed if speed else 0.0
        return Report(
            self.done, self.total, self.unit, speed * self.each, self.rated, max(0.0, left), self.note, self.ranks
        )

    def _write(self, file: Path) -> None:
        """Write the file, whole or not at all. If that fails the work goes on, and the log alone says how far it is."""
        aside = places.private(file, str(os.getpid()))
        try:
            aside.write_text(json.dumps(asdict(self._report())), encoding="utf-8")
            os.replace(aside, file)
        except OSError as error:
            print(f"{file}: not written: {error.strerror}; `status` cannot tell how far this is", file=sys.stderr)
            self.file_due = math.inf


@contextlib.contextmanager
def of_ranks(out: Path, unit: str, total: float, missing: float, mine: float, comm: "Intracomm") -> Iterator[Advance]:
    """What a rank calls with what it has done of its share (`mine`) of what is `missing`.

    Only the first rank says how far the work is. Its share stands for those of the others.
    """
    if comm.rank or not mine:
        yield unheard
        return
    with Meter(out, total, unit, begun=total - missing, ranks=comm.size) as meter:
        yield lambda count: meter.advance(count * missing / mine)


def read(directory: Path) -> Report | None:
    """How far the task of an artifact has got; None if it has not said so."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return Report(**json.loads((directory / places.PROGRESS).read_bytes()))
    return None


def forget(directory: Path) -> None:
    """Remove what an attempt that was killed has left."""
    (directory / places.PROGRESS).unlink(missing_ok=True)


def spelled(seconds: float) -> str:
    """A duration in its two largest units: `42 s`, `3 min 20 s`, `5 h 7 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, small, names = (whole // 60, whole % 60, ("min", "s"))
    if whole >= 3600:
        minutes = round(whole / 60)
        large, small, names = (minutes // 60, minutes % 60, ("h", "min"))
    return f"{large} {names[0]}" + (f" {small} {names[1]}" if small else "")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"
