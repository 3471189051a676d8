"""The scene on a real two-node cluster (make slurm-up), in place of the fake one: --real, one trial at a time."""

import os
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib.running import submissions
from tests.campaign import base as bases
from tests.campaign import scenes
from tests.campaign.base import Base
from tests.campaign.scenes import SlurmScene

NODES = "n1,n2"


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
        return any(int(number) == job and name.endswith("-controller") for number, _, name in self._queue())

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

    def lose_jobs(self) -> None:
        """What waited or ran is cancelled."""
        for job in {str(job) for job, _ in self.elements()}:
            ask("scancel", job)

    def _queue(self) -> list[list[str]]:
        ids = tuple(f"tessera-{file.stem}-" for file in submissions.files(self.outputs))
        rows = [line.split("|") for line in ask("squeue", "-h", "--array", "-o", "%F|%K|%j")]
        return [row for row in rows if row[2].startswith(ids)]

    def _nodes(self, names: str, state: str) -> None:
        ask("scontrol", "update", f"nodename={names}", f"state={state}", "reason=campaign")
