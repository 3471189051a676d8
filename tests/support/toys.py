"""A checkout with a sweep of toy stages. It stands for a user's checkout, so that submission is tested in seconds.

It has the project's own launcher and library. Three `count` tasks write numbers slowly enough to be killed in the
middle, and `total` adds up what each one wrote.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lib.base import places, yamls
from lib.base.places import ROOT
from lib.plans import runs

FAKES = ROOT / "tests" / "support" / "fakes"
TIMEOUT_SECONDS = 120.0
IDLE = ("seconds", "keep", "ranks")  # settings of the sweeps that tests run which change no result

COUNT = '''"""Multiples of a number, written one by one."""

import time
from dataclasses import dataclass

import numpy as np

from lib.base import hdf5
from lib.base.config import execution

VERSION = 1
INPUTS = ()
SLUG = ("number",)
OFFSET = 0
ROWS = 20


@dataclass(frozen=True)
class Config:
    number: int
    seconds: float = execution(0.0)


def run(config, inputs, out):
    with hdf5.create(out / "count.h5") as file:
        rows = hdf5.write(file, "rows", np.zeros(ROWS, "<i8"), contiguous=True)
        for row in range(ROWS):
            rows[row] = config.number * row + OFFSET
            file.flush()
            time.sleep(config.seconds / ROWS)
'''
TOTAL = '''"""The sum of a count."""

from dataclasses import dataclass

from lib.artifacts import store
from lib.base import hdf5

VERSION = 1
INPUTS = ("count",)


@dataclass(frozen=True)
class Config:
    pass


def run(config, inputs, out):
    total = hdf5.read(store.find(inputs["count"], "count.h5"), "rows").sum()
    with hdf5.create(out / "total.h5") as file:
        hdf5.write(file, "total", total)
'''
COLLECT = '''"""The toy's only table."""

from lib.artifacts import store
from lib.base import files, hdf5, places
from lib.plans import finished


def run(root, plan, console):
    lines = ["number,total"]
    for leaf in plan.leaves:
        place = finished.directory(root, plan.tasks[leaf.digest])
        store.verify(place)
        total = hdf5.read(place / "total.h5", "total")
        lines.append(f"{leaf.labels['number']},{int(total)}")
    table = places.tables(root, plan.run) / "toy.csv"
    files.write_bytes(table, ("\\n".join(lines) + "\\n").encode())  # a file that exists is complete
'''
RUN = "def run(config, inputs, out):\n"
SWEEP = """
name: toy
vars: {numbers: [1, 2, 3], seconds: 0}
nodes:
  count: {stage: count, config: {number: "${number}", seconds: "${seconds}"}}
  total: {stage: total, inputs: {count: count}}
leaves: [{node: total, grid: {number: "${numbers}"}}]
"""
CLUSTER = """
name: toy
array_parallelism: 4
poll_seconds: 0.5
silence_seconds: 3
"""


def edit(file: Path, old: str, new: str) -> None:
    """Replace a text wherever it stands in a file of code. Raises ValueError if it stands nowhere: a test that edits
    code must notice that the code has changed."""
    text = file.read_text()
    if old not in text:
        raise ValueError(f"{file} has no {old!r} to replace")
    file.write_text(text.replace(old, new))


@dataclass
class Toy:
    """One checkout, one folder of outputs."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    flags: tuple[str, ...] = ()  # of the last command

    @property
    def outputs(self) -> Path:
        """The root of everything that the toy writes."""
        return self.root / "outputs"

    @property
    def folder(self) -> Path:
        """The folder of the run that the last command was about."""
        return places.sweep(self.outputs, run_name("toy", *self.flags))

    @property
    def table(self) -> Path:
        """What a finished run ends with."""
        return self.folder / "tables" / "toy.csv"

    def launch(self, command: str, *flags: str, sweep: str = "toy") -> subprocess.CompletedProcess:
        """Run `launch.py <command> toy`."""
        self.flags = flags
        line = [sys.executable, "launch.py", command, sweep, "--profile=laptop", "--cluster=toy", *flags]
        return subprocess.run(
            line,
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def submit(self, *flags: str) -> subprocess.CompletedProcess:
        """`launch.py submit`, which must succeed."""
        done = self.launch("submit", *flags)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def totals(self) -> dict[int, int]:
        """Number -> total, from the table."""
        with open(self.table, newline="") as file:
            return {int(row["number"]): int(row["total"]) for row in csv.DictReader(file)}

    def finish(self) -> dict[int, int]:
        """Wait for the table. Returns `totals`."""
        wait_for(self.table.exists, f"{self.table}")
        return self.totals()

    def attempts(self, stage: str) -> dict[str, list[str]]:
        """Artifact -> the outcome of every attempt."""
        found: dict[str, list[str]] = {}
        for file in sorted((self.outputs / "store" / stage).glob("*/attempts/[0-9]*.json")):
            found.setdefault(file.parent.parent.name, []).append(json.loads(file.read_text())["outcome"])
        return found


def run_name(sweep: str, *flags: str) -> str:
    """The name of the run that a command with these flags is about: most settings of tests change no result."""
    typed = dict(flag.removeprefix("--").split("=", 1) for flag in flags if flag.startswith("--profile="))
    settings = (flag.removeprefix("--set=").split("=", 1) for flag in flags if flag.startswith("--set="))
    changing = {key: yamls.parse(text) for key, text in settings if key not in IDLE}
    return runs.name(sweep, typed.get("profile", runs.DEFAULT), changing)


def expected(*numbers: int) -> dict[int, int]:
    """The totals of an undisturbed run."""
    return {number: number * sum(range(20)) for number in numbers}


def make(folder: Path) -> Toy:
    """A toy checkout in `folder`: the project's own launcher and library, toy stages, sweep and cluster."""
    shutil.copytree(ROOT / "lib", folder / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "launch.py", folder)
    texts = {
        "lib/studies/collect.py": COLLECT,
        "jobs/__init__.py": "",
        "jobs/toy/count.py": COUNT,
        "jobs/toy/total.py": TOTAL,
        "jobs/__main__.py": (ROOT / "jobs" / "__main__.py").read_text(),
        "sweeps/toy.yaml": SWEEP,
        "sweeps/profiles/laptop.yaml": "{}\n",
        "env/clusters/toy.yaml": CLUSTER,
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Toy(folder)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = TIMEOUT_SECONDS, poll: float = 0.05) -> None:
    """Return as soon as the condition holds. Raises TimeoutError naming `what` otherwise."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not seen within {seconds:.0f} s: {what}")
        time.sleep(poll)
