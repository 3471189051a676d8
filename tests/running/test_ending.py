"""Nothing lives on: whoever of a local run gets whatever signal, what it started ends, and the same command goes on.

The sweep has a stage of each kind: a process of its own, a fork of the warm process, ranks under mpirun. Its processes
are found by a variable that the test puts into the launcher's environment.
"""

import fcntl
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.artifacts import attempts
from lib.base import places, processes
from lib.base.errors import TesseraError
from lib.plans.plan import Task
from lib.plans.resources import Resources
from lib.running import ending, runner
from lib.running.submissions import Submit
from tests.support import toys
from tests.support.toys import Toy, wait_for

FORKED = toys.COUNT.replace("VERSION = 1", "VERSION = 1\nIMPORTS_TORCH = True")
RANKS = toys.COUNT.replace("VERSION = 1", "VERSION = 1\nMPI = True").replace(
    "    with hdf5", "    if mpi.world().rank:\n        return time.sleep(config.seconds)\n    with hdf5"
)
SWEEP = """
name: toy
vars: {seconds: 60}
nodes:
  count: {stage: count, config: {number: "${number}", seconds: "${seconds}"}}
  forked: {stage: forked, config: {number: "${number}", seconds: "${seconds}"}}
  ranks: {stage: ranks, config: {number: "${number}", seconds: "${seconds}"}, resources: {ranks: 2}}
  counted: {stage: total, inputs: {count: count}}
  counted_by_fork: {stage: total, inputs: {count: forked}}
  counted_by_ranks: {stage: total, inputs: {count: ranks}}
leaves:
  - {node: counted, grid: {number: [1]}}
  - {node: counted_by_fork, grid: {number: [2]}}
  - {node: counted_by_ranks, grid: {number: [3]}}
"""
STAGES = ("count", "forked", "ranks")
COMMANDS = {  # kind of process: its command line
    "runner": r"-m lib\.running\.runner ",
    "warm": r"-m lib\.running\.warm_process",
    "stage": r"python\S* -m jobs count",
    "mpirun": r"(mpirun|prterun) ",
    "rank": r"^\S+python\S* -m mpi4py -m jobs ranks",
}
MARK = "TRIAL"


LOCK = Path("sweeps/toy/submit.lock")
DEAD = {"host": socket.gethostname(), "pid": 1, "birth": "0", "since": 0.0}


def held_by(folder: Path, content: str) -> Path:
    (folder / LOCK).parent.mkdir(parents=True)
    (folder / LOCK).write_text(content)
    return folder / LOCK


@pytest.mark.parametrize(
    ("content", "words", "stays"),
    [
        (json.dumps(DEAD), "process 1, which held the sweep, is gone", False),
        ("{", "submit.lock is damaged; `submit` takes the sweep over", True),
    ],
)
def test_cancel_says_what_is_with_a_lock_that_nobody_holds(tmp_path: Path, content, words, stays) -> None:
    lock = held_by(tmp_path, content)
    assert words in ending.cancel(tmp_path, "toy")
    assert lock.exists() == stays


def test_cancel_of_nothing_and_of_another_host(tmp_path: Path) -> None:
    assert ending.cancel(tmp_path, "toy") == "nothing is running"
    held_by(tmp_path, json.dumps({**DEAD, "host": "elsewhere"}))
    with pytest.raises(TesseraError, match=r"process 1 on elsewhere; cancel it there.* `submit` takes the sweep over"):
        ending.cancel(tmp_path, "toy")


def test_cancel_ends_what_lives_on_without_a_launcher(tmp_path: Path) -> None:
    environment = {**os.environ, processes.RUN: f"1-0@here:{tmp_path / LOCK}"}
    left = subprocess.Popen(["sleep", "60"], env=environment)
    other = subprocess.Popen(["sleep", "60"], env={**environment, processes.RUN: f"1-0@here:{tmp_path}/other"})
    assert ending.cancel(tmp_path, "toy") == "killed 1 processes that no launcher had ended"
    assert left.wait() == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    other.wait()


def test_cancel_kills_a_launcher_that_does_not_heed_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(ending, "CANCEL_SECONDS", 0.2)
    deaf = subprocess.Popen(["sh", "-c", "trap '' TERM; echo; sleep 60"], stdout=subprocess.PIPE)
    deaf.stdout.readline()
    content = {**DEAD, "pid": deaf.pid, "birth": processes.birth(deaf.pid)}
    lock = held_by(tmp_path, json.dumps(content))
    assert f"killed process {deaf.pid}, which did not end" in ending.cancel(tmp_path, "toy")
    assert deaf.wait() == -signal.SIGKILL
    assert not lock.exists()


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    """The toy with these stages; the warm process imports nothing, and the machine seems to have eight cores."""
    toy = toys.make(tmp_path_factory.mktemp("ending") / "checkout")
    (toy.root / "jobs/toy/forked.py").write_text(FORKED)
    (toy.root / "jobs/toy/ranks.py").write_text(RANKS.replace("from lib.base import", "from lib.base import mpi,"))
    (toy.root / "sweeps/toy.yaml").write_text(SWEEP)
    toys.edit(toy.root / "lib/running/warm_process.py", "    _import()\n", "")
    toys.edit(toy.root / "lib/running/local.py", "len(os.sched_getaffinity(0))", "8")
    toy.environment[MARK] = str(toy.root)
    yield toy
    for pid in family(toy):
        os.kill(pid, signal.SIGKILL)


def family(toy: Toy) -> dict[int, str]:
    """Process id -> command line of everything that a launcher of this test has started, itself included."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={toy.root}\0".encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def of_kind(toy: Toy, kind: str) -> list[int]:
    """The processes of a kind, oldest first."""
    return sorted(pid for pid, line in family(toy).items() if re.search(COMMANDS[kind], line))


def working(toy: Toy) -> dict[str, int]:
    """Stage -> the process that does its work now, by the records of attempts."""
    lines, found = family(toy), {}
    for stage in STAGES:
        for file in (toy.outputs / "store" / stage).glob("*/attempts/[0-9]*.json"):
            record = json.loads(file.read_text())
            is_stage = record["argv"][0].endswith("jobs/__main__.py")
            if record["outcome"] == "running" and is_stage and record["pid"] in lines:
                found[stage] = record["pid"]
    return found


def start(toy: Toy, shell: str = "", **streams) -> subprocess.Popen:
    """A launcher, after commands of the shell that starts it. Returns when every stage works."""
    line = [sys.executable, "launch.py", "submit", "toy", "--profile=laptop", "--cluster=local", "--max-failures=9"]
    line = ["sh", "-c", f'{shell} exec "$@"', "sh", *line]
    streams = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, **streams}
    launcher = subprocess.Popen(line, cwd=toy.root, env=toy.environment, text=True, **streams)
    wait_for(lambda: set(working(toy)) == set(STAGES) and len(of_kind(toy, "rank")) == 2, "all stages", poll=0.2)
    return launcher


def outcomes(toy: Toy) -> set[str]:
    """Of every attempt; of a failed one with its error."""
    files = [file for stage in STAGES for file in toy.outputs.glob(f"store/{stage}/*/attempts/[0-9]*.json")]
    records = [json.loads(file.read_text()) for file in files]
    return {": ".join([one["outcome"], *([one["error"]] if one["outcome"] == "failed" else [])]) for one in records}


@pytest.mark.parametrize("number", ["INT", "TERM", "KILL"])
def test_a_signal_to_the_launcher_ends_all_and_nothing_has_failed(toy: Toy, number: str) -> None:
    launcher = start(toy)
    launcher.send_signal(signal.Signals[f"SIG{number}"])
    _, errors = launcher.communicate(timeout=60)
    wait_for(lambda: not family(toy), "the end of all")
    assert "Traceback" not in errors
    if number != "KILL":
        assert launcher.returncode == 128 + signal.Signals[f"SIG{number}"]
        assert "the same command continues" in errors
        assert not list(toy.outputs.glob("sweeps/toy/*lock"))
    assert outcomes(toy) == {"interrupted"}


@pytest.mark.parametrize(("launcher", "outcome"), [("1-0", "interrupted"), (None, "failed")])
def test_a_stage_that_ends_with_its_launcher_has_not_failed(tmp_path: Path, monkeypatch, launcher, outcome) -> None:
    """It may end before the signal reaches its runner, which sees an exit code."""
    submit = Submit("s", 0.0, "c", str(tmp_path), str(places.ROOT), [], [], {})
    monkeypatch.setattr("lib.running.runner._start", lambda *_: -signal.SIGKILL)
    monkeypatch.setattr("lib.running.snapshot.difference", lambda _: "")
    here = processes.identity()
    monkeypatch.setenv(processes.RUN, f"{launcher}@{here.partition('@')[2]}:lock" if launcher else f"{here}:lock")
    task = Task("d", "count", 1, "", "count", {}, {}, Resources())
    with pytest.raises(TesseraError, match="SIGKILL"):
        runner._run(submit, task, tmp_path)
    assert [one["outcome"] for one in attempts.read(tmp_path)] == [outcome]


def test_cancel_ends_one_that_ignores_interrupts_and_hangups_as_under_nohup(toy: Toy) -> None:
    launcher = start(toy, "trap '' INT HUP;")
    for number in (signal.SIGINT, signal.SIGHUP):
        launcher.send_signal(number)
    said = toy.launch("cancel", "--cluster=local")
    assert (said.returncode, said.stdout) == (0, f"ended process {launcher.pid} and its tasks\n")
    assert not family(toy)
    assert launcher.wait() == 128 + signal.SIGTERM
    assert outcomes(toy) == {"interrupted"}


def _control(terminal: int) -> None:
    """Make it the terminal of this process, as a login shell does."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY)


def test_a_terminal_that_dies_ends_all(toy: Toy) -> None:
    ours, theirs = pty.openpty()
    launcher = start(toy, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=lambda: _control(theirs))
    os.close(theirs)
    os.close(ours)
    launcher.wait(timeout=60)
    wait_for(lambda: not family(toy), "the end of all")
    assert outcomes(toy) == {"interrupted"}


def runner_of(toy: Toy, stage: str) -> int:
    (folder,) = (toy.outputs / "store" / stage).iterdir()
    return next(pid for pid in of_kind(toy, "runner") if folder.name.split("-")[-1] in family(toy)[pid])


def _works_again(toy: Toy, stage: str, worked: dict[str, int]) -> None:
    def again() -> bool:
        return working(toy).get(stage) not in (None, worked[stage]) and len(of_kind(toy, "rank")) == 2

    wait_for(again, f"another attempt at {stage}", poll=0.2)


def test_whoever_is_killed_below_the_launcher_its_own_end_with_it_and_the_task_starts_again(toy: Toy) -> None:
    launcher = start(toy)
    victims = [
        ("count", lambda: runner_of(toy, "count"), signal.SIGKILL),
        ("count", lambda: working(toy)["count"], signal.SIGKILL),
        ("forked", lambda: working(toy)["forked"], signal.SIGKILL),
        ("forked", lambda: runner_of(toy, "forked"), signal.SIGKILL),
        ("ranks", lambda: runner_of(toy, "ranks"), signal.SIGKILL),
        ("ranks", lambda: of_kind(toy, "mpirun")[0], signal.SIGKILL),
        ("ranks", lambda: of_kind(toy, "rank")[1], signal.SIGKILL),
    ]
    for stage, victim, number in victims:
        before, worked = family(toy), working(toy)
        os.kill(victim(), number)
        _works_again(toy, stage, worked)
        assert len(family(toy)) == len(before), (stage, number, family(toy))
        assert {**working(toy), stage: 0} == {**worked, stage: 0}, "the others go on"
    os.kill(of_kind(toy, "warm")[0], signal.SIGKILL)
    assert set(working(toy)) == set(STAGES), "forks outlive the warm process"
    os.kill(launcher.pid, signal.SIGTERM)
    launcher.communicate(timeout=60)
    wait_for(lambda: not family(toy), "the end of all")


def test_a_runner_of_a_job_that_is_asked_to_end_ends_its_ranks_and_was_cut_off(toy: Toy) -> None:
    """As SLURM asks at a time limit, a preemption and scancel; without a launcher on this machine."""
    submit = max(toy.folder.glob("submits/*.json"))
    (digest,) = [folder.name.split("-")[-1] for folder in (toy.outputs / "store" / "ranks").iterdir()]
    code = "from pathlib import Path; from lib.running import runner, submissions; "
    code += f"runner.run_task(submissions.read(Path({str(submit)!r})), {digest!r})"
    runner = subprocess.Popen([sys.executable, "-c", code], cwd=toy.root, env=toy.environment)
    wait_for(lambda: "ranks" in working(toy), "the ranks", poll=0.2)
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(timeout=60) == 128 + signal.SIGTERM
    assert not family(toy)
    last = max(toy.outputs.glob("store/ranks/*/attempts/[0-9]*.json"))
    record = json.loads(last.read_text())
    assert (record["outcome"], record["error"]) == ("failed", "ended by SIGTERM")


def test_the_same_command_ends_with_the_same_table(toy: Toy) -> None:
    toy.submit("--cluster=local", "--set=seconds=0")
    assert toy.totals() == toys.expected(1, 2, 3)
    assert all(found[-1] == "done" for stage in STAGES for found in toy.attempts(stage).values())
    assert not family(toy)


def test_commands_of_tests_that_run_in_a_background_can_be_interrupted() -> None:
    code = "from tests.support import signals; import subprocess, sys; signals.let_commands_be_interrupted()\n"
    code += "print(subprocess.run(['grep', 'SigIgn', '/proc/self/status'], capture_output=True, text=True).stdout)"
    shell = f"trap '' INT HUP; exec {sys.executable} -c \"$0\""
    line = ["bash", "-c", shell, code]
    said = subprocess.run(line, cwd=places.ROOT, capture_output=True, text=True, check=True).stdout
    ignored = int(said.split()[1], 16)
    assert not ignored & (1 << signal.SIGINT - 1 | 1 << signal.SIGHUP - 1)
