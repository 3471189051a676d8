"""Submission, from the command line to the table, against fake SLURM commands that really run what they are given."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lib.base import places
from lib.running import container
from tests.support import toys
from tests.support.fake_site import FakeSite
from tests.support.toys import Toy, expected, wait_for


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
    told, cluster, image = toy.root / "told", toy.root / "env" / "clusters" / "toy.yaml", toy.root / "tessera.sif"
    image.touch()
    toy.environment["FAKE_PYTHON"] = sys.executable
    toys.edit(cluster, "name: toy\n", f"name: toy\ncontainer: {{image: {image}}}\n")
    toys.edit(cluster, "name: toy\n", f"name: toy\nnotify: [sh, -c, 'echo $TESSERA_OUTCOME $TESSERA_DONE >> {told}']\n")
    toy.submit()
    assert toy.finish() == expected(1, 2, 3)
    wait_for(lambda: not site.live(), "the end of the controller")
    assert [job["elements"] for job in site.arrays()] == [["0", "1", "2"], ["0", "1", "2"]]
    before = len(site.jobs())
    toy.submit()
    assert len(site.jobs()) == before
    assert {site.runs(job["id"], element) for job in site.jobs() for element in job["elements"]} == {1}
    assert told.read_text() == "done 6\n"  # by the last controller; a command with nothing to do tells nobody
    calls = Path(f"{image}.calls").read_text().splitlines()
    assert len(calls) == 6  # every task ran in the container, and nothing else
    assert all(f" --bind={toy.outputs} " in call and f" {image} {container.PYTHON} -m jobs " in call for call in calls)


HINDERED = """    import pathlib
    if config.number == 2 and not (out / "attempts/0002.log").exists():
        raise ValueError("no such luck")
    while config.number == 3 and not pathlib.Path("GO").exists():
        time.sleep(0.05)
"""


def test_small_gpu_tasks_share_a_job_and_each_keeps_its_own_record(toy: Toy, site: FakeSite) -> None:
    """The second task of three fails in its first attempt. While the third one runs, the job is requeued."""
    small, count = "{stage: count, resources: {gpus: 1, expected_hours: 0.1}, ", toy.root / "jobs/toy/count.py"
    toys.edit(toy.root / "sweeps/toy.yaml", "{stage: count, ", small)
    toys.edit(count, "VERSION = 1", "VERSION = 1\nIMPORTS_TORCH = True")  # so that they are forks of a warm process
    toys.edit(count, toys.RUN, toys.RUN + HINDERED.replace("GO", str(toy.root / "go")))
    toys.edit(toy.root / "lib/base/gpus.py", 'int(os.environ.get(ASKED, "0"))', "0")  # there is none
    toys.edit(toy.root / "lib/running/warm_process.py", "    _import()\n", "")
    assert "YES=1" in toy.launch("submit").stderr  # there is no terminal to ask
    assert not site.jobs()
    toy.submit("--yes")
    third = "store/count/n3-*/attempts/0001.json"
    wait_for(lambda: any(toy.outputs.glob(third)), third)
    (job,) = site.arrays()
    assert job["elements"] == ["-"]
    assert "1 live tasks: failed, and their job runs others" in toy.launch("status").stdout
    site.ask(1, "-", "requeue")
    wait_for(lambda: site.runs(1, "-") == 2, "the second start of the job")
    (toy.root / "go").touch()
    assert toy.finish() == expected(1, 2, 3)
    one, two, three = toy.attempts("count").values()
    assert (one, two, three[1:]) == (["done"], ["failed", "done"], ["done"])
    logs = "".join(log.read_text() for log in toy.folder.glob("submits/*/*.out"))
    assert "no such luck" not in logs  # it is in the task's own
    assert "already done" in logs
    assert "in a new process" not in logs


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
        assert answer.returncode == ("squeue" in faults), (faults, answer.stdout, answer.stderr)
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
    toy.submit()
    site.mend()
    assert len(site.arrays()) == 1
    toy.submit()
    assert len(site.arrays()) == 1
    site.release()
    no_harm(site, toy, 1, 2, 3)


def test_a_refused_submission_says_why_and_can_be_repeated(toy: Toy, site: FakeSite) -> None:
    site.fault("sbatch", "refuse")
    answer = toy.launch("submit")
    assert answer.returncode == 1
    assert answer.stderr.count("Invalid account") == 1
    assert "check `account`" in answer.stderr.replace("\n", " ")
    assert not site.jobs()
    for command in ("status", "logs"):
        said = toy.launch(command)
        assert said.stdout.count("3 tasks not submitted: sbatch refused toy.") == 1
        assert "failed" not in said.stdout.partition("not submitted")[2]
        assert said.returncode == (command == "status")
    site.mend()
    site.hold()
    toy.submit()
    assert len(site.arrays()) == 1


def test_more_tasks_than_an_array_may_have(toy: Toy, site: FakeSite) -> None:
    site.hold()
    site.allow(max_array_size=2)
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
    command = [sys.executable, "launch.py", "plan", "toy", "--profile=laptop"]
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
    toys.edit(file, toys.RUN, broken)
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
    guard = '[ -z "$SLURM_ARRAY_TASK_ID" ] || no-such-program load'
    cluster.write_text(cluster.read_text() + f"setup: ['{guard}']\n")
    toy.submit()
    wait_for(lambda: not site.live(), "the end of all jobs")
    assert len(site.arrays()) == 3
    status = toy.launch("status").stdout
    assert status.count("its job ended before the task began: setup: no-such-program load") == 3


def test_another_commands_controller_does_not_stand_in_for_ones_own(toy: Toy, site: FakeSite) -> None:
    site.hold()
    toy.submit("--set=numbers=[1]")
    toy.submit("--set=numbers=[1,2]")
    controllers = [job for job in site.jobs() if job["job-name"].endswith(".controller")]
    assert len(controllers) == 2
    toy.submit("--set=numbers=[1,2]")
    assert len([job for job in site.jobs() if job["job-name"].endswith(".controller")]) == 2
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
    (toy.folder / "submits" / ".tmp-99-x.json").write_text("{")
    toy.submit()


def no_harm(site: FakeSite, toy: Toy, *numbers: int) -> None:
    """The sweep ends with its table, and no task was done twice."""
    assert toy.finish() == expected(*numbers)
    wait_for(lambda: not site.live(), "the end of all jobs")
    for stage in ("count", "total"):
        assert all(outcomes.count("done") == 1 for outcomes in toy.attempts(stage).values())


@pytest.mark.parametrize("limit", [1, 2])
def test_few_jobs_at_a_time(toy: Toy, site: FakeSite, limit: int) -> None:
    """One command is enough, although the cluster file does not know MaxSubmitJobs (test_strict_site.py: it does)."""
    site.allow(max_submit_jobs=limit)
    answer = toy.submit("--set=numbers=[1,2]")
    stayed = "this command stays" in answer.stdout
    assert stayed if limit == 1 else limit == 2 or not stayed
    no_harm(site, toy, 1, 2)


def test_a_controller_waits_for_a_place_beside_other_jobs(toy: Toy, site: FakeSite) -> None:
    """Foreign jobs fill the limit when the first controller acts."""
    site.allow(max_submit_jobs=3)
    toy.submit("--set=numbers=[1]")
    held = toy.root / "foreign.sh"
    held.write_text("#!/bin/bash\n#SBATCH --job-name=foreign\nsleep 2\n")
    wait_for(lambda: bool(toy.attempts("count")), "the first task")
    subprocess.run(["sbatch", str(held)], env=toy.environment, cwd=toy.root, check=False, capture_output=True)
    no_harm(site, toy, 1)


def test_a_site_without_accounting(toy: Toy, site: FakeSite) -> None:
    """A stage is killed, an element is cancelled: the queue and the tasks' own records are enough."""
    site.allow(accounting=False)
    toy.submit("--set=seconds=1.5", "--set=numbers=[1,2]")
    temporary = _temporary(toy, 1)
    os.kill(int(temporary.name.split("-")[-2]), signal.SIGKILL)
    _temporary(toy, 2)
    site.ask(1, "1", "cancel")
    assert "no accounting" in toy.launch("status", "--set=numbers=[1,2]").stdout
    no_harm(site, toy, 1, 2)


def test_a_held_job_is_shown_and_one_that_slurm_held_is_released(toy: Toy, site: FakeSite) -> None:
    site.hold()
    toy.submit("--set=numbers=[1,2]")
    site.ask(1, "0", "hold")
    site.ask(1, "1", "launch_fail")
    wait_for(lambda: all((site.root / "jobs" / "1" / f"{i}.reason").exists() for i in "01"), "two held elements")
    site.release()
    status = toy.launch("status", "--set=numbers=[1,2]").stdout
    assert "1 task waits (JobHeldUser): held by you; `scontrol release JOB` lets" in status
    assert "1 task waits (launch failed requeued held): " in status
    assert status.count("to start at 2026-01-01T00:00:00") == 1  # squeue gives a time for the first element
    assert "released jobs that SLURM held" in toy.submit("--set=numbers=[1,2]").stderr
    no_harm(site, toy, 1, 2)


def test_code_edited_before_the_command_is_typed_again(toy: Toy, site: FakeSite) -> None:
    """The old controller would go on with the old code: it is cancelled. What runs is waited for."""
    site.hold()
    toy.submit("--set=numbers=[1]")
    total = toy.root / "jobs" / "toy" / "total.py"
    toys.edit(total, ".sum()", ".sum() + 1")
    toys.edit(total, "VERSION = 1", "VERSION = 2")
    assert "cancelled toy" in toy.submit("--set=numbers=[1]").stderr
    assert len(site.arrays()) == 1
    site.release()
    assert toy.finish() == {1: expected(1)[1] + 1}
    wait_for(lambda: not site.live(), "the end of all jobs")
    assert len(toy.attempts("count")) == len(toy.attempts("total")) == 1


def test_sweeps_that_share_tasks_run_them_once(toy: Toy, site: FakeSite) -> None:
    sweep = toy.root / "sweeps" / "toy.yaml"
    (toy.root / "sweeps" / "twin.yaml").write_text(sweep.read_text().replace("name: toy", "name: twin"))
    site.hold()
    toy.submit("--set=numbers=[1]", "--set=seconds=1")
    answer = toy.launch("submit", "--set=numbers=[1]", "--set=seconds=1", sweep="twin")
    assert answer.returncode == 0, answer.stderr
    site.release()
    twin = places.tables(toy.outputs, toys.run_name("twin", *toy.flags)) / "toy.csv"
    wait_for(twin.exists, "the table of the second sweep")
    no_harm(site, toy, 1)
    assert twin.read_bytes() == toy.table.read_bytes()
    files = [file for file in toy.outputs.glob("sweeps/*/submits/*.json") if not file.name.endswith(".jobs.json")]
    sent = [
        digest for file in files for array in json.loads(file.read_bytes())["arrays"] for digest in array["digests"]
    ]
    assert len(sent) == len(set(sent)) == 2


def test_one_failing_sbatch_is_tried_again(toy: Toy, site: FakeSite) -> None:
    """In the user's command, and in a controller."""
    site.fault("sbatch", "mute 1")
    toy.submit("--set=numbers=[1]", "--set=seconds=1")
    site.fault("sbatch", "mute 1")
    no_harm(site, toy, 1)
    assert len(site.arrays()) == 2


def test_a_damaged_submit_file(toy: Toy, site: FakeSite) -> None:
    """Nothing refuses to work for ever: `cancel` finds jobs by name, and the command starts again."""
    site.hold()
    toy.submit("--set=numbers=[1]")
    (file,) = (toy.folder / "submits").glob("*[0-9a-f].json")
    file.write_bytes(file.read_bytes()[:40])
    assert "damaged; its live jobs: 1, 2" in toy.launch("status", "--set=numbers=[1]").stdout
    assert "cancelled 2 jobs" in toy.launch("cancel", "--set=numbers=[1]").stdout
    wait_for(lambda: not site.live(), "the end of all jobs")
    toy.submit("--set=numbers=[1]")
    site.release()
    no_harm(site, toy, 1)
