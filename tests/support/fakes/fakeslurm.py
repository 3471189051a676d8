"""Shared by the fake SLURM commands beside this file. They stand for a cluster: they run jobs and can inject faults.

The state is in files:

$FAKE_SLURM/jobs/<id>/job.json        what sbatch was given
$FAKE_SLURM/jobs/<id>/<element>.state one word; the element is an array index, or `-` for a job that is not an array
$FAKE_SLURM/jobs/<id>/<element>.runs  a byte for every time it was started
$FAKE_SLURM/jobs/<id>/<element>.asked cancel | requeue | node_fail | hold | launch_fail | lose, until it is done
$FAKE_SLURM/jobs/<id>/<element>.reason why it waits, if it is held
$FAKE_SLURM/faults/<command>          fail | silent | garbage; for sbatch also refuse, mute (takes the job, then fails)
                                      and no_id (takes it, and does not say its number); `fail 2`: for two calls
$FAKE_SLURM/hold                      while it exists, nothing starts
$FAKE_SLURM/calls                     a line for every call
$FAKE_SLURM/policy.json               what the site allows (`policy`)

This file uses only the standard library, because any python3 may run it.
"""

import atexit
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(os.environ["FAKE_SLURM"])
LIVE = ("PENDING", "RUNNING", "COMPLETING")
LIMIT = """sbatch: error: AssocMaxSubmitJobLimit
sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or \
time limits)"""
POLL_SECONDS = 0.02
REASONS = {"hold": "JobHeldUser", "launch_fail": "launch failed requeued held"}
WISHES = {
    "cancel": "CANCELLED",
    "node_fail": "NODE_FAIL",
    "requeue": "PENDING",
    "release": "PENDING",
    "hold": "PENDING",
    "launch_fail": "PENDING",
    "lose": "LOST",  # SLURM has forgotten it: in the queue no more, in the accounting for ever RUNNING
}


def begin() -> None:
    """Record the call, and show the fault that is set for this command."""
    command = Path(sys.argv[0]).name
    with open(ROOT / "calls", "a") as log:
        log.write(" ".join([command, *sys.argv[1:]]) + "\n")
    _then()
    kind = fault()
    if sys.argv[1:] != ["--version"]:
        atexit.register(_count_down)
    if kind == "silent":
        sys.exit(0)
    if kind == "garbage":
        print("slurm: a banner that nobody expects")
        sys.exit(0)
    if kind == "fail":
        sys.exit(f"{command}: error: Unable to contact slurm controller (connect failure)")


def _then() -> None:
    """Rename a file while this command runs: faults/<command>.then has its old and new name."""
    wish = ROOT / "faults" / f"{Path(sys.argv[0]).name}.then"
    if wish.exists():
        source, target = wish.read_text().splitlines()
        wish.unlink()
        os.rename(source, target)


def fault() -> str:
    """The fault set for this command, or nothing."""
    file = ROOT / "faults" / Path(sys.argv[0]).name
    return file.read_text().partition(" ")[0] if file.exists() else ""


def _count_down() -> None:
    """Remove a fault that was set for some calls after the last of them."""
    file = ROOT / "faults" / Path(sys.argv[0]).name
    kind, _, calls = (file.read_text() if file.exists() else "").partition(" ")
    if calls and int(calls) > 1:
        _write(file, f"{kind} {int(calls) - 1}")
    elif calls:
        file.unlink()


def policy(key: str) -> Any:
    """What the site allows.

    accounting: whether sacct answers; max_submit_jobs: of a user; max_array_size: 0 allows no arrays; max_hours: of the
    only partition; epilog_seconds: how long a job is COMPLETING; environment: variables that every job begins with, in
    place of those of the shell that submitted it
    """
    usual = {"accounting": True, "max_submit_jobs": None, "max_array_size": 1001, "max_hours": None}
    usual |= {"epilog_seconds": 0, "environment": None}
    file = ROOT / "policy.json"
    return {**usual, **(json.loads(file.read_text()) if file.exists() else {})}[key]


def live_elements() -> int:
    """How many jobs wait or run, counted as MaxSubmitJobs does."""
    return sum(state in LIVE for _, found in jobs() for state in found.values())


def add(script: str, options: dict[str, str]) -> int:
    """Take a job and start its keeper. Returns the job's id."""
    (ROOT / "jobs").mkdir(exist_ok=True)
    number = _next_number()
    folder = ROOT / "jobs" / str(number)
    (folder / "script.sh").write_text(script)
    elements, parallelism = array(options.get("array", ""))
    job = {"id": number, "elements": elements, "parallelism": parallelism, "cwd": os.getcwd(), **options}
    for element in elements:
        _write(folder / f"{element}.state", "PENDING")
    _write(folder / "job.json", json.dumps(job))
    with open(folder / "keeper.log", "ab") as log:
        subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return number


def array(text: str) -> tuple[list[str], int]:
    """The elements of `--array=text` and how many may run at a time: "0-2,7%4" -> (["0", "1", "2", "7"], 4)."""
    if not text:
        return ["-"], 1
    indices, _, limit = text.partition("%")
    found: list[str] = []
    for part in indices.split(","):
        first, _, last = part.partition("-")
        found += [str(index) for index in range(int(first), int(last or first) + 1)]
    return found, int(limit or len(found))


def jobs() -> list[tuple[dict, dict[str, str]]]:
    """Every job with the states of its elements, oldest first."""
    files = sorted((ROOT / "jobs").glob("*/job.json"), key=lambda file: int(file.parent.name))
    return [(job := json.loads(file.read_text()), states(job)) for file in files]


def states(job: dict) -> dict[str, str]:
    """Element -> state."""
    return {element: (_folder(job) / f"{element}.state").read_text() for element in job["elements"]}


def reason(job: dict, element: str) -> str:
    """Why an element that waits is held; empty if it is not."""
    file = _folder(job) / f"{element}.reason"
    return file.read_text() if file.exists() else ""


def identity(job: dict, element: str) -> str:
    """`12_3`, or `12` for a job that is not an array."""
    return str(job["id"]) if element == "-" else f"{job['id']}_{element}"


def ask(target: str, wish: str) -> None:
    """Have the keeper do something to `12` (all live elements) or `12_3`."""
    number, _, index = target.partition("_")
    for job, found in jobs():
        for element, state in found.items():
            if str(job["id"]) == number and index in ("", element) and state in LIVE:
                _write(_folder(job) / f"{element}.asked", wish)


class Keeper:
    """Runs one job's elements to their ends, as slurmctld and slurmd would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = json.loads((folder / "job.json").read_text())
        self.running: dict[str, subprocess.Popen] = {}
        self.ending: dict[str, tuple[float, int]] = {}  # when its epilog ends, and its exit code

    def run(self) -> None:
        """Until every element has ended."""
        while any(state in LIVE for state in states(self.job).values()):
            self._obey()
            self._reap()
            if not (ROOT / "hold").exists() and self._dependencies_ended():
                self._start()
            time.sleep(POLL_SECONDS)

    def _start(self) -> None:
        pending = [element for element, state in states(self.job).items() if state == "PENDING"]
        waiting = [element for element in pending if not reason(self.job, element)]
        for element in waiting[: self.job["parallelism"] - len(self.running)]:
            with open(self.folder / f"{element}.runs", "a") as runs, open(self._output(element), "ab") as output:
                runs.write(".")
                self.running[element] = subprocess.Popen(
                    ["bash", str(self.folder / "script.sh")],
                    env=self._environment(element),
                    cwd=self.job["cwd"],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            self._set(element, "RUNNING")

    def _reap(self) -> None:
        for element, process in list(self.running.items()):
            if process.poll() is not None:
                del self.running[element]
                self._set(element, "COMPLETING")
                self.ending[element] = (time.monotonic() + policy("epilog_seconds"), process.returncode)
        for element, (moment, code) in list(self.ending.items()):
            if time.monotonic() >= moment:
                del self.ending[element]
                self._set(element, "COMPLETED" if code == 0 else "FAILED")

    def _obey(self) -> None:
        for element in self.job["elements"]:
            wish = self.folder / f"{element}.asked"
            if not wish.exists():
                continue
            word = wish.read_text()
            wish.unlink()
            if process := self.running.pop(element, None):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            held = self.folder / f"{element}.reason"
            if word in REASONS:
                _write(held, REASONS[word])
            else:
                held.unlink(missing_ok=True)
            self._set(element, WISHES[word])

    def _dependencies_ended(self) -> bool:
        needed = set(re.findall(r":(\d+)", self.job.get("dependency", "")))
        return not any(state in LIVE for job, found in jobs() if str(job["id"]) in needed for state in found.values())

    def _environment(self, element: str) -> dict[str, str]:
        number = self.job["id"] if element == "-" else self.job["id"] * 1000 + int(element)
        values = {"JOB_ID": number, "JOB_NUM_NODES": 1, "NODEID": 0, "NTASKS": 1, "PROCID": 0, "LOCALID": 0}
        values |= {"JOB_NODELIST": "n1", "JOB_NAME": self.job.get("job-name", "")}
        if element != "-":
            values |= {"ARRAY_JOB_ID": self.job["id"], "ARRAY_TASK_ID": element}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
        if (own := policy("environment")) is not None:
            kept = {key: kept[key] for key in ("PATH", "FAKE_SLURM") if key in kept} | own
        return {**kept, **{f"SLURM_{key}": str(value) for key, value in values.items()}}

    def _output(self, element: str) -> str:
        values = {"A": self.job["id"], "a": element, "j": self.job["id"], "t": 0}
        return re.sub("%([Aajt])", lambda found: str(values[found[1]]), self.job.get("output", "slurm-%A.out"))

    def _set(self, element: str, state: str) -> None:
        _write(self.folder / f"{element}.state", state)


def _next_number() -> int:
    while True:
        number = 1 + max((int(folder.name) for folder in (ROOT / "jobs").iterdir()), default=0)
        try:
            (ROOT / "jobs" / str(number)).mkdir()
            return number
        except FileExistsError:
            continue


def _folder(job: dict) -> Path:
    return ROOT / "jobs" / str(job["id"])


def _write(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}-{os.getpid()}")
    temporary.write_text(text)
    temporary.rename(file)


if __name__ == "__main__":
    Keeper(Path(sys.argv[1])).run()
