"""A sweep's smoke profile through `make` on a real cluster."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lib.plans import documents, expansion
from lib.running import snapshot
from tests.slurm.conftest import Cluster
from tests.support import toys
from tests.support.toys import wait_for

SWEEP_SECONDS = 600.0


@dataclass
class Smoke:
    """One run of a sweep in the smoke profile."""

    outputs: Path
    cluster: Cluster
    sweep: str = "near_dupls"
    settings: str = ""
    root: Path = toys.ROOT

    @cached_property
    def run(self) -> str:
        """The name of the run, and of its folder."""
        return expansion.expand(documents.read(self.sweep, "smoke", self.settings.split()), "smoke").run

    def make(self, target: str, *more: str) -> subprocess.CompletedProcess:
        line = ["make", f"{target}-{self.sweep.replace('_', '-')}", "PROFILE=smoke", "CLUSTER=local-slurm"]
        line += [f"OUTPUTS={self.outputs}", f"SET={self.settings}", *more]
        return subprocess.run(line, cwd=self.root, capture_output=True, text=True, timeout=120, check=False)

    def submit(self) -> str:
        done = self.make("sweep")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def finish(self) -> None:
        """Wait until nothing of the sweep waits or runs, and require that everything is done."""
        wait_for(lambda: not self.cluster.queue(self.jobs()), "the end of the sweep", SWEEP_SECONDS, poll=0.5)
        status = self.make("status", "FLAGS=--json")
        assert '"all_done": true' in status.stdout, status.stdout + status.stderr + self.make("logs").stdout

    def submits(self) -> list[dict]:
        """Every frozen submit."""
        files = sorted(self.outputs.glob(f"sweeps/{self.run}/submits/*.json"))
        return [json.loads(file.read_text()) for file in files if not file.name.endswith(".jobs.json")]

    def jobs(self) -> tuple[str, ...]:
        """The beginnings of the names of the sweep's jobs."""
        return tuple(f"{self.run}.{submit['id']}." for submit in self.submits())

    def elements(self) -> dict[tuple[str, int], str]:
        """(array name, index) -> digest."""
        arrays = [array for submit in self.submits() for array in submit["arrays"]]
        return {(array["name"], i): digest for array in arrays for i, digest in enumerate(array["digests"])}

    def starts(self) -> list[tuple[str, str]]:
        """(digest, state) of every start of a task, by SLURM's accounting."""
        elements = self.elements()
        rows = [(row["name"], int(row["job"].partition("_")[2] or 0), row) for row in self.accounting()]
        return [(elements[name, index], row["state"]) for name, index, row in rows if (name, index) in elements]

    def accounting(self) -> list[dict[str, str]]:
        return self.cluster.accounted(self.jobs(), n=len(self.elements()))

    def running(self, stage: str) -> list[dict[str, str]]:
        """The running elements of a stage."""
        stages = {digest: task["stage"] for submit in self.submits() for digest, task in submit["tasks"].items()}
        elements = self.elements()
        rows = [row for row in self.cluster.queue(self.jobs()) if row["state"] == "RUNNING"]
        keys = [(row["name"], int(row["job"].partition("_")[2] or 0)) for row in rows]
        return [row for key, row in zip(keys, rows) if stages.get(elements.get(key, "")) == stage]

    def tables(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.outputs.glob(f"sweeps/{self.run}/tables/*")}

    def attempts(self) -> list[list[str]]:
        """The outcomes of every artifact's attempts, in order."""
        folders = sorted(self.outputs.glob("store/*/*/attempts"))
        files = [sorted(folder.glob("*.json")) for folder in folders]
        return [[json.loads(file.read_text())["outcome"] for file in some] for some in files]


def slow_checkout(folder: Path) -> Path:
    """A checkout whose code pauses between writing a result and renaming it, so that it can be killed there."""
    folder.mkdir()
    for part in snapshot.PARTS:
        whole = toys.ROOT / part
        if whole.is_dir():
            shutil.copytree(whole, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(whole, folder)
    shutil.copy(toys.ROOT / "Makefile", folder)
    (folder / ".venv").symlink_to(toys.ROOT / ".venv")
    file = folder / "lib" / "base" / "files.py"
    text = file.read_text()
    pause = "    if path.suffix == '.h5':\n        __import__('time').sleep(0.5)\n"
    assert text.count("    sync(temporary)\n") == 1
    file.write_text(text.replace("    sync(temporary)\n", pause + "    sync(temporary)\n"))
    return folder
