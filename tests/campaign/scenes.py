"""The three kinds of scenes: the toy sweep on this machine, on SLURM, and the real sweeps from a finished store."""

import json
import os
import random
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from lib.base import places
from tests.campaign import base as bases
from tests.campaign import processes
from tests.campaign.base import Base
from tests.campaign.scene import Scene, clean_environment
from tests.support import toys

SETTLE_SECONDS = 150.0
LIVE = ("PENDING", "RUNNING", "COMPLETING")
# Stands before a SLURM command, counts its calls, and spoils some.
WRAPPER = """#!/bin/sh
echo x >> "{site}/count.{command}"
n=$(wc -l < "{site}/count.{command}")
if [ "$n" -ge {first} ] && [ "$n" -le {last} ]; then touch "{site}/met"; {act}; fi
exec "{real}" "$@"
"""
ANSWERS = {
    "fail": 'echo "{command}: error: Unable to contact slurm controller (connect failure)" >&2; exit 1',
    "silent": "exit 0",
    "garbage": 'echo "slurm: a banner that nobody expects"; exit 0',
    "latin": "printf 'd\\351faut de connexion\\n'; exit 0",
    "killed": "kill -9 $$",
    "slow": "sleep 2",
    "hang": "sleep 6; exit 1",  # longer than the toy's ANSWER_SECONDS
    "refuse": 'echo "sbatch: error: Batch job submission failed: Invalid account" >&2; exit 1',
    "mute": '"{real}" "$@" >/dev/null 2>&1; echo "sbatch: error: Socket timed out on send/recv operation" >&2; exit 1',
    "no_id": '"{real}" "$@" >/dev/null 2>&1; echo OK; exit 0',
}


def fake_site(root: Path) -> dict[str, str]:
    """The folders of a fake SLURM, and the environment in which its commands are found."""
    for name in ("faults", "jobs", "bin"):
        (root / name).mkdir(parents=True, exist_ok=True)
    return {"FAKE_SLURM": str(root), "PATH": f"{root / 'bin'}:{toys.FAKES}:{os.environ['PATH']}"}


def local(folder: Path, base: Base, rng: random.Random) -> Scene:
    """The toy sweep on this machine, nothing done yet; the compiled code of the base is there."""
    return Scene(**toy(folder, base, rng), flags=(*bases.TOY_FLAGS, "--cluster=local"), environment=environment())


def slurm(folder: Path, base: Base, rng: random.Random) -> "SlurmScene":
    """The toy sweep on the fake SLURM."""
    variables = {**environment(), **fake_site(folder / "site")}
    return SlurmScene(**toy(folder, base, rng), flags=(*bases.TOY_FLAGS, "--cluster=toy"), environment=variables)


def data(folder: Path, base: Base, rng: random.Random) -> Scene:
    """A real sweep, all done, in a copy of the store."""
    outputs = folder / "outputs"
    shutil.copytree(base.outputs / "store", outputs / "store")
    shutil.copytree(base.outputs / "snapshots", outputs / "snapshots")
    sweep = rng.choice(bases.DATA_SWEEPS)
    flags = ("--profile=smoke", "--cluster=local", f"--outputs={outputs}")
    return Scene(folder, base, rng, sweep, places.ROOT, outputs, flags, environment(), confirms=False)


def environment() -> dict[str, str]:
    """What a trial inherits, and one thread a process."""
    return {**dict(clean_environment()), "OMP_NUM_THREADS": "1"}


def toy(folder: Path, base: Base, rng: random.Random) -> dict:
    """What all scenes of the toy sweep are made with: a copy of the checkout, nothing done."""
    checkout = folder / "checkout"
    shutil.copytree(base.folder / "checkout", checkout)
    shutil.rmtree(checkout / "outputs" / "sweeps")
    shutil.rmtree(checkout / "outputs" / "store")
    common = {"folder": folder, "base": base, "rng": rng, "sweep": "toy"}
    return {**common, "cwd": checkout, "outputs": checkout / "outputs"}


def restore(scene: Scene) -> None:
    """Put the finished artifacts of the base into the scene, as if an earlier command had made them."""
    source = scene.base.outputs / "store"
    shutil.copytree(source, scene.outputs / "store", dirs_exist_ok=True)


@dataclass
class SlurmScene(Scene):
    """On SLURM a command returns at once; what it has submitted runs on."""

    @property
    def site(self) -> Path:
        """The state of the fake SLURM."""
        return self.folder / "site"

    def jobs(self) -> list[dict]:
        """What sbatch was given, oldest first."""
        files = self.site.glob("jobs/*/job.json")
        return sorted((json.loads(file.read_text()) for file in files), key=lambda job: job["id"])

    def live(self) -> bool:
        """Whether an element waits or runs."""
        return any(_word(file) in LIVE for file in self.site.glob("jobs/*/*.state"))

    def over(self) -> bool:
        """Whether the command has ended and nothing waits or runs."""
        return super().over() and not self.live()

    def settle(self) -> bool:
        """Wait until no job waits or runs. Returns whether that came."""
        return self.settle_within(SETTLE_SECONDS)

    def fault(self, command: str, word: str, first: int, last: int) -> None:
        """Let the calls first..last of a SLURM command go wrong."""
        self.note(f"{command}: {word} at calls {first}..{last}")
        script = self.site / "bin" / command
        real = self.command_of(command)
        act = ANSWERS[word].format(command=command, real=real)
        script.write_text(WRAPPER.format(site=self.site, command=command, real=real, first=first, last=last, act=act))
        script.chmod(0o755)

    def command_of(self, name: str) -> Path:
        """The command that a fault stands before."""
        return toys.FAKES / name

    def met_fault(self) -> bool:
        """Whether a command went wrong."""
        return (self.site / "met").exists()

    def mend(self) -> None:
        """Let every SLURM command work again."""
        for file in (self.site / "bin").iterdir():
            file.unlink()

    def allow(self, **policy) -> None:
        """Set what the site allows (fakeslurm.policy)."""
        self.note(f"policy {policy}")
        (self.site / "policy.json").write_text(json.dumps(policy))

    def hold(self) -> None:
        """Let nothing start."""
        (self.site / "hold").touch()

    def release(self) -> None:
        """Let jobs start."""
        (self.site / "hold").unlink(missing_ok=True)

    def elements(self) -> list[tuple[int, str]]:
        """(job, element) of what waits or runs."""
        files = sorted(self.site.glob("jobs/*/*.state"))
        return [(int(file.parent.name), file.stem) for file in files if _word(file) in LIVE]

    def expect_alone(self) -> None:
        """A controller submits what follows and collects: the sweep ends without another command."""
        self.settle()
        if not self.finished():
            self.problem("the sweep has stalled: nothing waits or runs, and the tables are not there")

    def controls(self, job: int) -> bool:
        """Whether a job is a controller."""
        return any(one["id"] == job and one["job-name"].endswith(".controller") for one in self.jobs())

    def lose_jobs(self) -> None:
        """What waited or ran is lost with its node, as SLURM reports it after a restart."""
        for job, element in self.elements():
            (self.site / "jobs" / str(job) / f"{element}.state").write_text("NODE_FAIL")

    def settle_within(self, seconds: float) -> bool:
        """Whether nothing waits or runs after some seconds at most."""
        deadline = time.monotonic() + seconds
        while self.live() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.live()

    def ask(self, job: int, element: str, wish: str) -> None:
        """Have an element cancelled, requeued or lost with its node."""
        self.note(f"{wish} {job}_{element}")
        file = self.site / "jobs" / str(job) / f"{element}.asked"
        file.with_suffix(".new").write_text(wish)
        file.with_suffix(".new").rename(file)


def _word(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def end(scene: Scene) -> None:
    """End what a trial has started."""
    processes.end(scene.folder)
