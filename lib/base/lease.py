"""A lock that is a file with the name of the process that holds it, for as long as that process renews it.

On the holder's own host the kernel knows whether it lives. From another host a waiter sees that the file's time
changes. It compares that time with nothing but what it saw before, so clocks need not agree.
"""

import contextlib
import errno
import json
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.base import processes
from lib.base.errors import TesseraError

RENEW_SECONDS = 15.0
DEAD_SECONDS = 120.0  # a holder that cannot be asked is dead if a waiter sees no renewal for so long
POLL_SECONDS = 1.0
NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
TYPES: dict[str, type | tuple[type, ...]] = {"host": str, "pid": int, "birth": (str, type(None)), "since": (int, float)}


@contextlib.contextmanager
def hold(file: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock `file` during the block. Raises TesseraError naming the holder if another process keeps it.

    If it is not known whether the holder lives, this waits until it is, even longer than `wait_seconds`.
    If the lock is lost (this machine slept, and another took over), this process gets SIGTERM.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    mine = _content()
    _wait(file, mine, wait_seconds)
    stop = threading.Event()
    renewal = threading.Thread(target=_renew, args=(file, mine, stop), daemon=True)
    renewal.start()
    try:
        yield
    finally:
        stop.set()
        renewal.join()
        _remove(file, mine)


def check_free(file: Path) -> None:
    """Raise TesseraError naming the holder if a living process of this host holds the lock."""
    if (found := holder(file)) and alive_here(found):
        raise _held(file)


def holder(file: Path) -> dict[str, Any] | None:
    """The process that holds the lock, {host, pid, birth, since}; None if nobody does, or the file is damaged."""
    return _parse(_read(file) or "")


def is_here(found: dict[str, Any]) -> bool:
    """Whether a holder is, or was, a process of this host."""
    return found["host"] == socket.gethostname()


def alive_here(found: dict[str, Any]) -> bool:
    """Whether a holder is a living process of this host."""
    return is_here(found) and found["birth"] is not None and processes.birth(found["pid"]) == found["birth"]


def describe(file: Path) -> str:
    """The holder in words."""
    found = holder(file)
    if found is None:
        return "an unknown process (the lock file is damaged)"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["since"]))
    return f"process {found['pid']} on {found['host']} since {since}"


def remove_dead(file: Path) -> None:
    """Remove the lock of a dead process of this host."""
    content = _read(file) or ""
    if (found := _parse(content)) and is_here(found) and not alive_here(found):
        _remove(file, content)


@dataclass
class _Watch:
    """What a waiter has seen of the lock so far."""

    file: Path
    seen: tuple[str | None, int] = (None, 0)
    since: float = field(default_factory=time.monotonic)
    renewed: bool = False

    def look(self) -> str | None:
        """The state of the holder: alive, dead or unknown; None if the lock is free."""
        try:
            now = (_read(self.file), self.file.stat().st_mtime_ns)
        except FileNotFoundError:
            return None
        found = _parse(now[0] or "")
        if found and is_here(found):
            self.seen = now
            return "alive" if alive_here(found) else "dead"
        if now != self.seen:
            self.renewed, self.since = now[0] == self.seen[0], time.monotonic()
            self.seen = now
        if time.monotonic() - self.since > DEAD_SECONDS:
            return "dead"
        return "alive" if self.renewed else "unknown"


def _wait(file: Path, mine: str, seconds: float) -> None:
    """Take the lock as soon as it is free or its holder is dead."""
    deadline = time.monotonic() + seconds
    watch, said = _Watch(file), False
    while not _take(file, mine):
        state = watch.look()
        if state == "dead":
            print(f"{file}: the process that held it is gone; taking over")
            _remove(file, watch.seen[0])
        elif state == "alive" and time.monotonic() >= deadline:
            raise _held(file)
        elif state:
            if not said:
                until = f"it is gone if it does not renew it in {DEAD_SECONDS:.0f} s"
                if state == "alive":
                    until = f"waiting for up to {seconds:.0f} s" if math.isfinite(seconds) else "waiting"
                print(f"{file} is held by {describe(file)}; {until}", flush=True)
                said = True
            time.sleep(POLL_SECONDS)


def _held(file: Path) -> TesseraError:
    return TesseraError(f"{file} is held by {describe(file)}; wait, or end it with `cancel`")


def _renew(file: Path, mine: str, stop: threading.Event) -> None:
    while not stop.wait(RENEW_SECONDS):
        try:
            if _read(file) == mine or _take(file, mine):  # somebody may have deleted it by hand
                os.utime(file)
                continue
        except OSError as error:
            print(f"{file}: not renewed ({error}); trying again", file=sys.stderr)
            continue
        print(f"{file}: taken over by {describe(file)}; ending", file=sys.stderr)
        os.kill(os.getpid(), signal.SIGTERM)
        return


def _take(file: Path, mine: str) -> bool:
    """Take the lock by linking a complete file into place: it is never half-written, and only one link succeeds."""
    own = _aside(file, "new")
    own.write_text(mine, encoding="utf-8")
    try:
        _link(own, file, mine)
        return True
    except FileExistsError:
        return False
    finally:
        own.unlink()


def _link(own: Path, file: Path, content: str) -> None:
    try:
        os.link(own, file)
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        with open(file, "x", encoding="utf-8") as made:  # who sees it half-written waits for a renewal
            made.write(content)


def _remove(file: Path, judged: str | None) -> None:
    """Remove the lock if `judged` is still its content: another process may have taken it over in the meantime."""
    aside = _aside(file, "old")
    try:
        os.rename(file, aside)
    except FileNotFoundError:
        return
    found = _read(aside)
    if found != judged:
        with contextlib.suppress(FileExistsError):
            _link(aside, file, found or "")
    aside.unlink()


def _aside(file: Path, word: str) -> Path:
    return file.with_name(f".{file.name}-{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}-{word}")


def _content() -> str:
    pid = os.getpid()
    return json.dumps({"host": socket.gethostname(), "pid": pid, "birth": processes.birth(pid), "since": time.time()})


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _parse(content: str) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except ValueError:
        return None
    whole = isinstance(found, dict) and all(isinstance(found.get(key, ...), kind) for key, kind in TYPES.items())
    return found if whole else None
