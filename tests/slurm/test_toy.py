"""Faults whose logic does not depend on the stages, on a real cluster with toy stages."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.support.toys import Toy, expected, wait_for

pytestmark = pytest.mark.slurm
SPOOL = Path(os.environ.get("TESSERA_SLURM_DIR", "/var/lib/tessera-slurm"))


def test_more_tasks_than_the_site_allows_in_an_array(toy: Toy, cluster) -> None:
    assert any(line.split() == ["MaxArraySize", "=", "11"] for line in cluster.ask("scontrol", "show", "config"))
    numbers = list(range(1, 14))
    toy.submit(f"--set=numbers={numbers}")
    assert toy.finish() == expected(*numbers)

    def completed() -> list[int]:
        rows = cluster.accounting(_submits(toy))
        ended = [row["name"] for row in rows if "_" in row["job"] and row["state"] == "COMPLETED"]
        return sorted(Counter(ended).values())

    wait_for(lambda: completed() == [2, 2, 11, 11], "every element in the accounting, which lags behind", poll=0.5)


def test_code_edited_after_the_submission_does_not_run(toy: Toy, drained) -> None:
    toy.submit()
    assert {row["state"] for row in drained.queue()} == {"PENDING"}
    for file in (toy.root / "jobs" / "toy" / "count.py", toy.root / "lib" / "base" / "hdf5.py"):
        file.write_text("raise SystemExit('edited after the submission')\n")
    drained.resume()
    assert toy.finish() == expected(1, 2, 3)


@pytest.mark.parametrize("answer", ["exit 1", "exit 0", "echo slurm: a banner"])
@pytest.mark.parametrize("commands", [["squeue"], ["sacct"], ["squeue", "sacct"]])
def test_no_answer_never_causes_a_second_submission(toy: Toy, drained, tmp_path, commands, answer) -> None:
    toy.submit()
    before = drained.queue()
    for command in commands:
        (tmp_path / command).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / command).chmod(0o755)
    toy.environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    assert toy.launch("submit").returncode == ("squeue" in commands)
    assert drained.queue() == before


def test_a_node_that_falls_silent_while_its_task_lives_on(toy: Toy, cluster) -> None:
    """SLURM gives the task to the other node while the first, cut off, still writes: one result, once."""
    toy.submit("--set=numbers=[1]", "--set=seconds=12")
    wait_for(lambda: any(toy.outputs.glob("store/count/*/.tmp-*")), "a task that writes")
    name = next(row["node"] for row in cluster.queue() if row["state"] == "RUNNING")
    daemon = int((SPOOL / "run" / f"slurmd.{name}.pid").read_text())
    os.kill(daemon, signal.SIGSTOP)
    try:
        cluster.node(name, "down")
        wait_for(lambda: _running_elsewhere(cluster, name), "the task on the other node")
        assert toy.finish() == expected(1)
    finally:
        os.kill(daemon, signal.SIGCONT)
    assert list(toy.attempts("count").values()) == [["done"]]


def _running_elsewhere(cluster, name: str) -> bool:
    return any(row["state"] == "RUNNING" and row["node"] != name for row in cluster.queue())


def _submits(toy: Toy) -> tuple[str, ...]:
    files = toy.folder.glob("submits/*.json")
    return tuple(f"{toy.folder.name}.{file.stem}." for file in files if not file.name.endswith(".jobs.json"))


def test_a_held_job_is_shown(toy: Toy, drained) -> None:
    toy.submit("--set=numbers=[1]")
    (job,) = {row["array"] for row in drained.queue() if not row["name"].endswith(".controller")}
    drained.ask("scontrol", "hold", job)
    assert "JobHeld" in toy.launch("status", "--set=numbers=[1]").stdout
    drained.ask("scontrol", "release", job)
    drained.resume()
    assert toy.finish() == expected(1)


def test_variables_of_the_shell_do_not_win_over_the_script(toy: Toy, cluster) -> None:
    toy.environment |= {
        "SBATCH_PARTITION": "nowhere",
        "SLURM_MEM_PER_CPU": "1",
        "SQUEUE_FORMAT": "%i",
        "SBATCH_HOLD": "1",
    }
    toy.submit("--set=numbers=[1]")
    assert toy.finish() == expected(1)
