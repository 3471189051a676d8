"""A command that a trial types: what it printed, how it ended, and whether the trial itself cut it off."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LIMIT_SECONDS = 600.0  # far more than any takes; the machine may be busy, and a trial have its lowest priority
STOPPED = threading.Event()  # the campaign is to end: no command is started any more


class Hung(Exception):
    """A command that did not end."""


@dataclass
class Command:
    """A command that was started. `cut_off`: a signal or a fault of the trial may have ended it."""

    line: list[str]
    process: subprocess.Popen
    output: Path
    began: float = field(default_factory=time.monotonic)
    cut_off: bool = False
    seconds: float = 0.0

    @property
    def code(self) -> int | None:
        """The exit code, once it has ended."""
        return self.process.poll()

    @property
    def printed(self) -> str:
        """Everything that it has printed, both streams."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def signal(self, number: int) -> bool:
        """Send a signal to the command alone. Returns whether it was still there."""
        self.cut_off = True
        if self.process.poll() is not None:
            return False
        os.kill(self.process.pid, number)
        return True

    def signal_group(self, number: int) -> None:
        """Send a signal as a terminal does: to every process of the group."""
        self.cut_off = True
        os.killpg(self.process.pid, number)

    def wait(self, seconds: float = LIMIT_SECONDS) -> "Command":
        """Wait for its end. Raises Hung, after killing it, if it does not come."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise Hung(f"no end within {seconds:.0f} s: {' '.join(self.line)}") from None
        self.seconds = self.seconds or time.monotonic() - self.began
        return self


def start(line: Sequence[str], cwd: Path, environment: Mapping[str, str], output: Path, **how) -> Command:
    """Start a command in a session of its own; both its streams go to `output`. how: what Popen is told otherwise."""
    if STOPPED.is_set():
        raise Hung("the campaign was stopped")
    with open(output, "ab") as log:
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **how}
        process = subprocess.Popen(list(line), cwd=cwd, env=dict(environment), start_new_session=True, **streams)
    return Command(list(line), process, output)
