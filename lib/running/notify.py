"""A command of the user's that is told how a sweep ended: `notify` of the cluster file, or --notify."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lib.artifacts import attempts
from lib.base.errors import counted

SECONDS = 60.0  # for the command
DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"  # the outcomes


@dataclass(frozen=True)
class Notice:
    """How a sweep ended: numbers of tasks, the folder of its results, and the error if there was one."""

    sweep: str
    outcome: str
    done: int
    failed: int
    total: int
    folder: Path
    error: str = ""

    def variables(self) -> dict[str, str]:
        """TESSERA_SWEEP, TESSERA_OUTCOME, TESSERA_DONE, ... and TESSERA_MESSAGE, which says it all on one line."""
        error = attempts.redact(" ".join(self.error.split()))
        message = f"{self.sweep}: {self.outcome}, {self.done} of {counted(self.total, 'task')} done"
        message += f", {self.failed} failed" if self.failed else ""
        values = {**vars(self), "error": error, "message": f"{message}: {error}" if error else message}
        return {f"TESSERA_{name.upper()}": str(value) for name, value in values.items()}


def send(command: Sequence[str], notice: Notice) -> None:
    """Run the command (its words, without a shell), which reads variables. What goes wrong with it is only said."""
    try:
        code = subprocess.run(
            list(command),
            env={**os.environ, **notice.variables()},
            stdin=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        ).returncode
        problem = f"it ended with exit code {code}" if code else ""
    except subprocess.TimeoutExpired:
        problem = f"it took longer than {SECONDS:.0f} s"
    except (OSError, ValueError) as error:
        problem = str(error)
    if problem:
        print(f"notify: {command[0]}: {problem}; nobody may have been told. The sweep is not affected", file=sys.stderr)
