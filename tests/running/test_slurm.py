import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.plans.resources import Resources
from lib.running import slurm, submissions
from lib.running.site import Cluster

ELEMENT = ("tessera-x-0", 3)


@pytest.mark.parametrize(
    ("job", "expected"),
    [("7", [0]), ("7_3", [3]), ("7_[1-3,8%2]", [1, 2, 3, 8]), ("7_[0-1]", [0, 1]), ("7_[5]", [5])],
)
def test_indices(job, expected) -> None:
    assert slurm.indices(job) == expected


@given(
    queued=st.booleans(),
    state=st.sampled_from([None, "RUNNING", "PENDING", "COMPLETED", "NODE_FAIL", "REQUEUED", "NONSENSE"]),
    job=st.sampled_from([None, submissions.REFUSED, "17"]),
    age=st.floats(0, 1e6),
)
def test_a_task_ends_only_on_evidence(queued, state, job, age) -> None:
    verdict = slurm.judge(
        ELEMENT, {ELEMENT: ("17", "RUNNING")} if queued else {}, {ELEMENT: state} if state else {}, job, age
    )
    if verdict == slurm.FINISHED:
        assert not queued
        assert state in slurm.TERMINAL or (state is None and job != "17")
    if queued:
        assert verdict == slurm.LIVE


def test_silence_is_unknown() -> None:
    assert slurm.judge(ELEMENT, {}, {}, "17", 1e6) == slurm.UNKNOWN
    assert slurm.judge(ELEMENT, {}, {}, None, 1.0) == slurm.UNKNOWN


def test_parameters_leave_to_the_site_what_the_file_leaves_open() -> None:
    chosen = slurm.parameters(Cluster("c"), Resources(), "n", "/snap", 4)
    assert not {"partition", "account", "gres", "mem", "gpus_per_node"} & set(chosen)


def test_gpu_tasks_take_the_gpu_side_of_the_cluster_file() -> None:
    cluster = Cluster("c", partition="cpu", gpu_partition="a100", account="x", gpu_account="y", gres="gpu:a100:{gpus}")
    chosen = slurm.parameters(cluster, Resources(gpus=2), "n", "/snap", 4)
    assert (chosen["partition"], chosen["account"], chosen["gres"]) == ("a100", "y", "gpu:a100:2")
    assert slurm.parameters(cluster, Resources(), "n", "/snap", 4)["partition"] == "cpu"


def test_the_script_is_what_the_cluster_file_says(tmp_path) -> None:
    cluster = Cluster("c", partition="cpu", account="x", wckey="w", setup=("module load cuda",), env={"A": "b c"})
    text = slurm.script(tmp_path, slurm.parameters(cluster, Resources(cpus=3, memory_gb=1.5, hours=2), "n", "/s", 4), 9)
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


def test_an_accounting_that_lags_or_lists_a_lost_job_as_running_is_no_evidence() -> None:
    assert slurm.judge(ELEMENT, {}, {ELEMENT: "RUNNING"}, "17", 5.0) == slurm.UNKNOWN


@pytest.mark.parametrize(
    ("message", "heard"),
    [
        ("Socket timed out on send/recv operation", True),
        ("Unable to contact slurm controller", True),
        ("Invalid", False),
    ],
)
def test_an_sbatch_that_may_have_been_heard_is_not_called_refused(message, heard) -> None:
    assert slurm.perhaps_sent(TesseraError(f"sbatch refused x: {message}")) == heard
