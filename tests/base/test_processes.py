"""Oracle: the processes that /proc shows, found by a variable of the test's own."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.base import processes
from lib.base.places import ROOT
from tests.support.toys import wait_for

# A child, a daemon in a session of its own whose parent has gone, and one that heeds no SIGTERM.
TREE = """
sleep 60 &
(setsid sleep 60 &)
(trap '' TERM; sleep 60; sleep 60) &
echo > "$READY"
"""
RUNNER = """
import os, sys
from lib.base import interrupts, processes
with interrupts.raised(even_if_ignored=True):
    try:
        sys.exit(processes.run(["sh", "-c", sys.argv[1]], os.environ))
    except interrupts.Interrupted as asked:
        sys.exit(asked.exit_code)
"""


class Family:
    """A runner and all that it has started."""

    def __init__(self, folder: Path, then: str) -> None:
        self.ready = folder / "ready"
        self.word = f"FAMILY={uuid.uuid4()}"
        name, value = self.word.split("=")
        environment = {**os.environ, name: value, "READY": str(self.ready), "PYTHONPATH": str(ROOT)}
        self.runner = subprocess.Popen([sys.executable, "-c", RUNNER, TREE + then], env=environment)
        wait_for(self.ready.exists, "the tree")

    def lines(self) -> list[str]:
        """The command lines of those that live."""
        return [Path(f"/proc/{pid}/cmdline").read_text() for pid in self.living()]

    def living(self) -> list[int]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.word.encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
        return sorted(found)


@pytest.mark.parametrize(
    ("then", "act", "code"),
    [
        ("exit 3", lambda family: None, 3),
        ("sleep 60", lambda family: family.runner.terminate(), 128 + signal.SIGTERM),
        ("sleep 60", lambda family: family.runner.send_signal(signal.SIGHUP), 128 + signal.SIGHUP),
        ("trap '' TERM; sleep 60", lambda family: family.runner.terminate(), 128 + signal.SIGTERM),
    ],
)
def test_nothing_that_a_program_started_outlives_its_run(tmp_path: Path, then: str, act: Callable, code: int) -> None:
    family = Family(tmp_path, then)
    act(family)
    assert family.runner.wait(timeout=60) == code
    assert family.living() == []


def test_the_program_dies_with_a_runner_that_is_killed(tmp_path: Path) -> None:
    family = Family(tmp_path, "exec sleep 1234")
    wait_for(lambda: "sleep\0001234\0" in family.lines(), "the program")
    family.runner.kill()
    family.runner.wait()
    wait_for(lambda: "sleep\0001234\0" not in family.lines(), "the end of the program")
    for pid in family.living():
        os.kill(pid, signal.SIGKILL)


def test_a_process_whose_parent_has_gone_already_ends_at_once() -> None:
    gone = subprocess.Popen(["sleep", "60"])
    known = processes.identity(gone.pid)
    assert processes.alive(known)
    gone.kill()
    wait_for(lambda: not processes.alive(known), "its end, which nobody has waited for yet")
    code = f"from lib.base import processes; processes.die_with({known!r}); print('lives')"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (-signal.SIGKILL, "")
    gone.wait()


def test_of_a_process_on_another_host_nothing_is_concluded() -> None:
    assert processes.alive("1-1@elsewhere-4026531836")
    assert not processes.alive(f"1-1@{processes.identity().partition('@')[2]}")


@pytest.mark.parametrize(("code", "words"), [(-9, "ended with signal SIGKILL"), (3, "ended with exit code 3")])
def test_exit_codes_in_words(code: int, words: str) -> None:
    assert processes.exit_reason(code) == words
