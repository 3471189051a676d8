import subprocess

import pytest

from lib.base import places
from lib.plans.resources import Resources
from lib.running import batch, slurm, submissions
from lib.running.site import Cluster
from lib.running.slurm import Job


@pytest.mark.parametrize(
    ("job", "expected"),
    [("7", [0]), ("7_3", [3]), ("7_[1-3,8%2]", [1, 2, 3, 8]), ("7_[0-1]", [0, 1]), ("7_[5]", [5])],
)
def test_indices(job, expected) -> None:
    assert slurm.indices(job) == expected


@pytest.mark.parametrize(
    ("reason", "stuck", "released"),
    [
        ("Resources", False, False),
        ("JobArrayTaskLimit", False, False),
        ("AssocGrpCPUMinutesLimit", False, False),
        ("JobHeldUser", True, False),
        ("JobHeldAdmin", True, False),
        ("launch failed requeued held", True, True),
        ("job requeued in held state", True, False),
        ("DependencyNeverSatisfied", True, False),
        ("BadConstraints", True, False),
        ("InvalidQOS", True, False),
        ("PartitionTimeLimit", True, False),
        ("QOSMaxWallDurationPerJobLimit", True, False),
        ("AssocMaxCpuPerJobLimit", True, False),
        ("QOSMaxJobsPerUserLimit", False, False),
    ],
)
def test_a_reason_to_wait_says_whether_the_job_will_start(reason, stuck, released) -> None:
    job = slurm.Job("7", "PENDING", reason)
    assert (job.is_stuck(), job.was_held_by_slurm()) == (stuck, released)
    assert not slurm.Job("7", "RUNNING", reason).is_stuck()
    assert slurm.Job("7", "REQUEUED", reason).is_stuck() == stuck
    assert slurm.Job("7", "SPECIAL_EXIT", reason).is_stuck()
    assert bool(job.remark()) == (reason not in slurm.ORDINARY)


def test_parameters_leave_to_the_site_what_the_file_leaves_open() -> None:
    chosen = batch.parameters(Cluster("c"), Resources(), "n", "/snap", 4)
    assert not {"partition", "account", "gres", "mem", "gpus_per_node"} & set(chosen)


def test_gpu_tasks_take_the_gpu_side_of_the_cluster_file() -> None:
    cluster = Cluster("c", partition="cpu", gpu_partition="a100", account="x", gpu_account="y", gres="gpu:a100:{gpus}")
    chosen = batch.parameters(cluster, Resources(gpus=2), "n", "/snap", 4)
    assert (chosen["partition"], chosen["account"], chosen["gres"]) == ("a100", "y", "gpu:a100:2")
    assert batch.parameters(cluster, Resources(), "n", "/snap", 4)["partition"] == "cpu"


def test_the_script_is_what_the_cluster_file_says(tmp_path) -> None:
    cluster = Cluster("c", partition="cpu", account="x", wckey="w", setup=("module load cuda",), env={"A": "b c"})
    asked = batch.parameters(cluster, Resources(cpus=3, memory_gb=1.5, hours=2), "n", "/s", 4)
    text = batch.script(tmp_path / "x.json", "n", asked, 9)
    for line in (
        "#SBATCH --partition=cpu",
        "#SBATCH --account=x",
        "#SBATCH --wckey=w",
        "#SBATCH --array=0-8%4",
        "#SBATCH --cpus-per-task=3",
        "#SBATCH --mem=1536M",
        "#SBATCH --time=120",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        "module load cuda",
        "export A='b c'",
        "export PYTHONPATH=/s",
    ):
        assert line in text.splitlines()
    assert text.endswith(f"-m lib.running.job {tmp_path / 'x.json'} n\n")
    assert "--signal" not in text


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Batch job submission failed: Socket timed out on send/recv operation", batch.Unanswered),
        ("Unable to contact slurm controller (connect failure)", batch.Unanswered),
        ("Batch job submission failed: Invalid account or account/partition combination specified", batch.Refused),
        ("AssocMaxSubmitJobLimit", batch.LimitReached),
        ("QOSMaxSubmitJobPerUserLimit", batch.LimitReached),
        ("Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)", batch.LimitReached),
    ],
)
def test_what_sbatch_says_tells_a_limit_a_refusal_and_no_answer_apart(message, kind) -> None:
    assert batch._kind(f"sbatch: error: {message}") is kind


def test_more_jobs_than_a_command_line_has_room_for_are_asked_for_in_parts(monkeypatch) -> None:
    """The kernel refuses a word of more than 128 kB: 15,000 ids of eight digits are one. `true` stands for sacct."""
    asked = []

    def answer(command: list[str], **options) -> subprocess.CompletedProcess:
        asked.append(command)
        real(["true", *command[1:]], check=True)
        return subprocess.CompletedProcess(command, 0, "JobID|JobName|State\n", "")

    real = subprocess.run
    monkeypatch.setattr(slurm.subprocess, "run", answer)
    ids, names = [str(10**7 + job) for job in range(15000)], [f"run.{'x' * 30}.{job}" for job in range(5000)]
    assert slurm.history(ids, names) == {}
    words = [word.partition("=") for command in asked for word in command]
    assert [job for key, _, word in words if key == "--jobs" for job in word.split(",")] == ids
    assert [name for key, _, word in words if key == "--name" for name in word.split(",")] == names


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("kill -9 $$", batch.Unanswered),
        ("exit 1", batch.Unanswered),
        ("exit 0", batch.Unanswered),
        ("echo a banner", batch.Unanswered),
        ("echo sbatch: error: Invalid account >&2; exit 1", batch.Refused),
    ],
)
def test_an_sbatch_that_was_killed_or_says_nothing_has_not_refused(tmp_path, monkeypatch, script, kind) -> None:
    (tmp_path / "sbatch").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(kind) as raised:
        batch._sbatch(tmp_path / "script", "name")
    assert type(raised.value) is kind


ID = submissions.new_id()


@pytest.mark.parametrize("run", ["near_dupls", "near_dupls--laptop--rates-0.5-1a2b3c4d", "tessera-study"])
@pytest.mark.parametrize("array", [0, 12, "controller"])
def test_squeue_shows_the_run_first_and_the_jobs_of_a_submission_are_found(run: str, array: int | str) -> None:
    name, of_earlier_versions = places.job(run, ID, array), f"tessera-{ID}-{array}"
    assert name.startswith(f"{run}.")
    others = [f"tessera-{submissions.new_id()}-0", places.job(run, submissions.new_id(), 0), "my.script", "bash"]
    queued = {(one, 0): Job(str(number), "PENDING") for number, one in enumerate([name, of_earlier_versions, *others])}
    assert slurm.jobs_of(queued, {ID}) == {"0", "1"}
