"""The scene on a real two-node cluster (make slurm-up), in place of the fake one: --real, one trial at a time."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lib.running import submissions
from tests.campaign import base as bases
from tests.campaign import scenes
from tests.campaign.base import Base
from tests.campaign.scenes import SlurmScene

NODES = "n1,n2"
ANSWER_SECONDS = 60.0


def scene(folder: Path, base: Base, rng: random.Random) -> "RealScene":
    """The toy sweep on the cluster that squeue finds, with both nodes up."""
    (folder / "site" / "bin").mkdir(parents=True)
    environment = {**scenes.environment(), "PATH": f"{folder / 'site' / 'bin'}:{os.environ['PATH']}"}
    made = RealScene(
        **scenes.toy(folder, base, rng), flags=(*bases.TOY_FLAGS, "--cluster=toy"), environment=environment
    )
    made.release()
    return made


def ask(*command: str) -> list[str]:
    """The lines that a SLURM command prints; none if it fails, as setting a state that a node has already does."""
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return answer.stdout.splitlines()


def _words(pid: str, name: str) -> list[str]:
    """The command line, or the environment, of a process."""
    return Path(f"/proc/{pid}/{name}").read_text().split("\0")[:-1]


@dataclass
class RealScene(SlurmScene):
    """Jobs are those whose names begin with the id of a submission of this trial."""

    def elements(self) -> list[tuple[int, str]]:
        """(job, element) of what waits, runs or completes."""
        return [(int(job), "-" if index == "N/A" else index) for job, index, _ in self._queue()]

    def live(self) -> bool:
        """Whether an element waits or runs."""
        return bool(self._queue())

    def controls(self, job: int) -> bool:
        """Whether a job is a controller."""
        return any(int(number) == job and name.endswith(".controller") for number, _, name in self._queue())

    def command_of(self, name: str) -> Path:
        """The real SLURM command."""
        return Path(shutil.which(name))

    def ask(self, job: int, element: str, wish: str) -> None:
        """Have an element cancelled, requeued or held, or its node taken down for a moment."""
        target = str(job) if element == "-" else f"{job}_{element}"
        self.note(f"{wish} {target}")
        if wish == "node_fail":
            (node,) = ask("squeue", "-h", "-j", target, "-o", "%N")[:1] or [""]
            self._nodes(node or "n1", "down")
            self.pause(2.0)
            self.release()
        elif wish in ("requeue", "hold", "release"):
            ask("scontrol", wish, target)
        else:
            ask("scancel", target)

    def hold(self) -> None:
        """Let nothing start: both nodes are drained."""
        self._nodes(NODES, "drain")

    def release(self) -> None:
        """Bring both nodes back."""
        for node in NODES.split(","):
            self._nodes(node, "resume")

    @contextlib.contextmanager
    def without(self, daemon: str) -> Iterator[None]:
        """The block with one daemon killed. After it the daemon is started as it was before, and answers."""
        pid = self.rng.choice(ask("pgrep", "-x", daemon))
        line = _words(pid, "cmdline")
        environment = dict(word.split("=", 1) for word in _words(pid, "environ"))
        self.note(f"kill {' '.join(line)}")
        os.kill(int(pid), signal.SIGKILL)
        try:
            yield
        finally:
            subprocess.run(line, env=environment, cwd="/", check=True, timeout=60)
            self._await_answer()

    def _await_answer(self) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while not (ask("sinfo", "-h") and ask("sacctmgr", "-n", "list", "cluster")):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the cluster does not answer within {ANSWER_SECONDS:.0f} s")
            time.sleep(0.5)
        self.release()

    def lose_jobs(self) -> None:
        """What waited or ran is cancelled."""
        for job in {str(job) for job, _ in self.elements()}:
            ask("scancel", job)

    def _queue(self) -> list[list[str]]:
        ids = tuple(f"{file.parent.parent.name}.{file.stem}." for file in submissions.files(self.outputs))
        rows = [line.split("|") for line in ask("squeue", "-h", "--array", "-o", "%F|%K|%j")]
        return [row for row in rows if row[2].startswith(ids)]

    def _nodes(self, names: str, state: str) -> None:
        ask("scontrol", "update", f"nodename={names}", f"state={state}", "reason=campaign")
