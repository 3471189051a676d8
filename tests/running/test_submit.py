"""Submission, from the command line to the table, against fake SLURM commands that really run what they are given."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import toys
from tests.support.toys import Toy, expected, wait_for


class FakeSite:
    """The state of the fake SLURM and its faults."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "faults").mkdir(parents=True)
        (root / "jobs").mkdir()

    def fault(self, command: str, kind: str) -> None:
        (self.root / "faults" / command).write_text(kind)

    def mend(self) -> None:
        for file in (self.root / "faults").iterdir():
            file.unlink()

    def hold(self) -> None:
        (self.root / "hold").touch()

    def release(self) -> None:
        (self.root / "hold").unlink()

    def ask(self, job: int, element: str, wish: str) -> None:
        file = self.root / "jobs" / str(job) / f"{element}.asked"
        file.with_suffix(".new").write_text(wish)  # never seen half-written
        file.with_suffix(".new").rename(file)

    def jobs(self) -> list[dict]:
        files = (self.root / "jobs").glob("*/job.json")
        return sorted((json.loads(file.read_text()) for file in files), key=lambda job: job["id"])

    def arrays(self) -> list[dict]:
        return [job for job in self.jobs() if not job["job-name"].endswith("-controller")]

    def runs(self, job: int, element: str) -> int:
        file = self.root / "jobs" / str(job) / f"{element}.runs"
        return file.stat().st_size if file.exists() else 0

    def live(self) -> bool:
        states = [file.read_text() for file in (self.root / "jobs").glob("*/*.state")]
        return any(state in ("PENDING", "RUNNING") for state in states)

    def end(self) -> None:
        for job in self.jobs():
            for element in job["elements"]:
                self.ask(job["id"], element, "cancel")
        wait_for(lambda: not self.live(), "the end of all fake jobs")


@pytest.fixture
def site(tmp_path: Path):
    site = FakeSite(tmp_path / "site")
    yield site
    site.end()


@pytest.fixture
def toy(tmp_path: Path, site: FakeSite) -> Toy:
    toy = toys.make(tmp_path / "checkout")
    toy.environment |= {"FAKE_SLURM": str(site.root), "PATH": f"{toys.FAKES}:{os.environ['PATH']}"}
    return toy


def test_a_sweep_runs_to_its_table_in_arrays_and_once(toy: Toy, site: FakeSite) -> None:
    toy.submit()
    assert toy.finish() == expected(1, 2, 3)
    wait_for(lambda: not site.live(), "the end of the controller")
    assert [job["elements"] for job in site.arrays()] == [["0", "1", "2"], ["0", "1", "2"]]
    before = len(site.jobs())
    toy.submit()
    assert len(site.jobs()) == before
    assert {site.runs(job["id"], element) for job in site.jobs() for element in job["elements"]} == {1}


def test_a_scheduler_that_cannot_be_asked_never_causes_a_second_submission(toy: Toy, site: FakeSite) -> None:
    site.hold()
    toy.submit()
    before = len(site.jobs())
    for faults in (
        {"squeue": "fail"},
        {"squeue": "garbage"},
        {"squeue": "silent"},
        {"sacct": "fail"},
        {"sacct": "garbage"},
        {"sacct": "silent"},
        {"squeue": "silent", "sacct": "silent"},
    ):
        for command, kind in faults.items():
            site.fault(command, kind)
        answer = toy.launch("submit")
        assert len(site.jobs()) == before, (faults, answer.stdout, answer.stderr)
        assert answer.returncode == 1, (faults, answer.stdout, answer.stderr)
        site.mend()
    toy.submit()
    assert len(site.jobs()) == before


def test_status_works_without_a_scheduler(toy: Toy, site: FakeSite) -> None:
    site.hold()
    toy.submit()
    site.fault("squeue", "fail")
    answer = toy.launch("status")
    assert answer.returncode == 1
    assert "unknown" in answer.stdout
    assert "squeue failed" in answer.stdout


def test_a_job_whose_number_was_lost_is_not_submitted_again(toy: Toy, site: FakeSite) -> None:
    site.hold()
    site.fault("sbatch", "mute")
    assert toy.launch("submit").returncode == 1
    site.mend()
    assert len(site.arrays()) == 1
    toy.submit()
    assert len(site.arrays()) == 1


def test_a_refused_submission_says_why_and_can_be_repeated(toy: Toy, site: FakeSite) -> None:
    site.fault("sbatch", "refuse")
    answer = toy.launch("submit")
    assert answer.returncode == 1
    assert "Invalid account" in answer.stderr
    assert not site.jobs()
    site.mend()
    site.hold()
    toy.submit()
    assert len(site.arrays()) == 1


def test_more_tasks_than_an_array_may_have(toy: Toy, site: FakeSite) -> None:
    site.hold()
    toy.environment["FAKE_SLURM_MAX_ARRAY_SIZE"] = "2"
    toy.submit("--set=numbers=[1,2,3,4,5]")
    assert [job["elements"] for job in site.arrays()] == [["0", "1"], ["0", "1"], ["-"]]


def foreign_jobs(toy: Toy, count: int) -> None:
    """Submit jobs of the same user that do not belong to the sweep."""
    script = toy.root / "foreign.sh"
    script.write_text("#!/bin/bash\n#SBATCH --job-name=foreign\ntrue\n")
    for _ in range(count):
        subprocess.run(["sbatch", str(script)], env=toy.environment, cwd=toy.root, check=True, capture_output=True)


def limit_jobs(toy: Toy, limit: int) -> None:
    cluster = toy.root / "env" / "clusters" / "toy.yaml"
    cluster.write_text(cluster.read_text() + f"max_submit_jobs: {limit}\n")


def test_all_jobs_of_the_user_count_towards_the_limit(toy: Toy, site: FakeSite) -> None:
    limit_jobs(toy, 5)
    site.hold()
    foreign_jobs(toy, 2)
    toy.submit()
    assert [job["elements"] for job in site.arrays() if job["job-name"] != "foreign"] == [["0", "1"]]
    assert sum(len(job["elements"]) for job in site.jobs()) == 5
    site.release()
    assert toy.finish() == expected(1, 2, 3)


def test_no_place_left_for_any_job_is_an_error(toy: Toy, site: FakeSite) -> None:
    limit_jobs(toy, 5)
    site.hold()
    foreign_jobs(toy, 4)
    answer = toy.launch("submit")
    assert answer.returncode == 1
    assert "max_submit_jobs 5" in answer.stderr.replace("\n", " ")
    assert len(site.jobs()) == 4
    site.release()
    wait_for(lambda: not site.live(), "the end of the others' jobs")
    toy.submit()
    assert toy.finish() == expected(1, 2, 3)


def test_code_edited_after_the_submission_does_not_run(toy: Toy, site: FakeSite) -> None:
    site.hold()
    toy.submit("--set=numbers=[3]")
    for file in (toy.root / "jobs" / "toy" / "count.py", toy.root / "lib" / "base" / "hdf5.py"):
        file.write_text("raise SystemExit('edited after the submission')\n")
    site.release()
    assert toy.finish() == expected(3)


def test_killed_while_writing_requeued_and_lost_with_its_node(toy: Toy, site: FakeSite) -> None:
    toy.submit("--set=seconds=1.5")
    writing = {number: _temporary(toy, number) for number in (1, 2, 3)}
    os.kill(int(writing[1].name.split("-")[-2]), signal.SIGKILL)
    site.ask(1, "1", "requeue")
    site.ask(1, "2", "node_fail")
    assert toy.finish() == expected(1, 2, 3)
    assert site.runs(1, "1") == 2
    assert all(outcomes.count("done") == 1 for outcomes in toy.attempts("count").values())


@pytest.mark.parametrize("kind", ["", "fail"])
def test_without_a_name_the_cluster_is_taken_where_sbatch_knows_one(toy: Toy, site: FakeSite, kind: str) -> None:
    site.fault("sbatch", kind)
    command = [sys.executable, "launch.py", "plan", "toy", "--profile=toy"]
    answer = subprocess.run(command, cwd=toy.root, env=toy.environment, capture_output=True, text=True, check=True)
    assert ("on SLURM" in answer.stdout) == (kind == "")
    assert ("not configured for any cluster" in answer.stderr) == (kind == "fail")


def test_cancelled_then_submitted_again(toy: Toy, site: FakeSite) -> None:
    site.hold()
    toy.submit()
    assert toy.launch("cancel").returncode == 0
    wait_for(lambda: not site.live(), "the end of all jobs")
    site.release()
    toy.submit()
    assert toy.finish() == expected(1, 2, 3)


def test_a_task_that_always_fails_stops_the_sweep_with_its_error(toy: Toy, site: FakeSite) -> None:
    file = toy.root / "jobs" / "toy" / "count.py"
    broken = 'def run(config, inputs, out):\n    raise ValueError("no such luck")\n'
    file.write_text(file.read_text().replace("def run(config, inputs, out):\n", broken, 1))
    toy.submit("--set=numbers=[1]", "--max-failures=2")
    wait_for(lambda: not site.live(), "the end of all jobs")
    assert list(toy.attempts("count").values()) == [["failed", "failed"]]
    assert "no such luck" in toy.launch("status", "--set=numbers=[1]").stdout


def _temporary(toy: Toy, number: int) -> Path:
    """The private file that a count task is writing."""
    pattern = f"store/count/n{number}-*/.tmp-*-count.h5"
    wait_for(lambda: any(toy.outputs.glob(pattern)), pattern, poll=0.01)
    return next(toy.outputs.glob(pattern))


def test_a_stage_that_dies_before_it_begins_stops_the_sweep(toy: Toy, site: FakeSite) -> None:
    count = toy.root / "jobs" / "toy" / "count.py"
    death = 'import os\nif os.environ.get("TESSERA_CAMPAIGN"):\n    raise ImportError("libcuda.so is not there")\n'
    count.write_text(death + count.read_text())
    toy.submit()
    wait_for(lambda: not site.live(), "the end of all jobs")
    assert len(site.arrays()) == 3
    answer = toy.launch("status")
    assert answer.returncode == 1
    assert "ended with exit code 1" in answer.stdout


def test_jobs_that_die_before_their_task_begins_stop_the_sweep(toy: Toy, site: FakeSite) -> None:
    cluster = toy.root / "env" / "clusters" / "toy.yaml"
    guard = '[ -z "$SLURM_ARRAY_TASK_ID" ] || exit 1'
    cluster.write_text(cluster.read_text() + f"setup: ['{guard}']\n")
    toy.submit()
    wait_for(lambda: not site.live(), "the end of all jobs")
    assert len(site.arrays()) == 3


def test_another_commands_controller_does_not_stand_in_for_ones_own(toy: Toy, site: FakeSite) -> None:
    site.hold()
    toy.submit("--set=numbers=[1]")
    toy.submit("--set=numbers=[1,2]")
    controllers = [job for job in site.jobs() if job["job-name"].endswith("-controller")]
    assert len(controllers) == 2
    toy.submit("--set=numbers=[1,2]")
    assert len([job for job in site.jobs() if job["job-name"].endswith("-controller")]) == 2
    site.release()
    wait_for(lambda: not site.live(), "the end of all jobs")
    assert len(toy.attempts("total")) == 2


def test_a_task_that_ends_while_slurm_is_asked_is_not_submitted_again(toy: Toy, site: FakeSite, monkeypatch) -> None:
    """The launcher looks at the artifact, then the task ends, then SLURM reports its end."""
    toy.submit()
    toy.finish()
    wait_for(lambda: not site.live(), "the end of all jobs")
    before = len(site.jobs())
    marker = next((toy.outputs / "store" / "count").glob("*/DONE.json"))
    hidden = marker.with_suffix(".hidden")
    marker.rename(hidden)
    (site.root / "faults" / "squeue.then").write_text(f"{hidden}\n{marker}")
    toy.launch("submit")
    assert len(site.jobs()) == before


def test_a_half_written_submit_file_is_ignored(toy: Toy, site: FakeSite) -> None:
    toy.submit()
    toy.finish()
    (toy.outputs / "sweeps" / "toy" / "submits" / ".tmp-99-x.json").write_text("{")
    toy.submit()
