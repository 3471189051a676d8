import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib.base import mpi
from lib.base.errors import TesseraError, exit_code
from lib.base.places import ROOT
from lib.plans.plan import Task
from lib.plans.resources import Resources
from lib.running import batch, container, environment, runner
from lib.running.container import Container
from lib.running.site import Cluster, excesses, ranks_per_node
from tests.support import toys
from tests.support.toys import wait_for


def task(**resources) -> Task:
    return Task("abc", "count", 1, "", "node", {}, {}, Resources(**resources))


def test_one_rank_needs_no_launcher(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv(mpi.SRUN_TYPE, "pmix")
    line = runner.command(task(mpi=True), tmp_path, 1)
    assert line[:4] == [sys.executable, "-m", "mpi4py", "-m"]


def test_ranks_start_under_mpirun_here_and_under_srun_in_a_job(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.delenv(mpi.SRUN_TYPE, raising=False)
    here = runner.command(task(mpi=True, ranks=3), tmp_path, 1)
    assert Path(here[0]).name == "mpirun"
    assert here[here.index("-n") + 1] == "3"
    monkeypatch.setenv(mpi.SRUN_TYPE, "pmi2")
    job = runner.command(task(mpi=True, ranks=80), tmp_path, 1)
    assert job[:3] == ["srun", "--mpi=pmi2", "--kill-on-bad-exit=1"]
    assert job[job.index("-n") + 1] == "80"


def test_in_a_container_the_image_starts_what_a_node_can_start_alone(monkeypatch, tmp_path: Path) -> None:
    image = tmp_path / "tessera.sif"
    image.touch()
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    for name in ("HF_HUB_CACHE", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(container.VARIABLE, Container(str(image), binds=("/usr:/data",)).as_variable())
    monkeypatch.setenv(mpi.SRUN_TYPE, "pmix")
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "1")

    def line(**asked) -> list[str]:
        one = task(**asked)
        return runner.command(one, tmp_path, 1, container.entrance(container.of_job(), one.resources, tmp_path))

    binds = [f"--bind={tmp_path}", f"--bind={tmp_path}/cache", "--bind=/usr:/data"]
    enter = ["apptainer", "exec", *binds, str(image)]
    stage = ["-m", "jobs", "count"]
    python = [container.PYTHON]
    assert line()[:10] == [*enter, *python, *stage]
    assert line(gpus=2)[:11] == ["apptainer", "exec", "--nv", *binds, str(image), *python, *stage]
    assert line(gpus=2, torchrun=True)[7:11] == [*python, "-m", "torch.distributed.run", "--standalone"]
    here = line(mpi=True, ranks=3)
    assert here[: len(enter)] == enter
    assert here[len(enter)] == str(container.ENVIRONMENT / "bin" / "mpirun")
    assert "srun" not in here
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "2")
    across = line(mpi=True, ranks=3)
    assert across[:2] == ["srun", "--mpi=pmix"]
    assert across[across.index("apptainer") :][: len(enter) + 3] == [*enter, *python, "-m", "mpi4py"]
    monkeypatch.setenv("PATH", f"{toys.FAKES}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_PYTHON", sys.executable)
    seen = subprocess.run([*enter, *python, "-c", "print(6 * 7)"], capture_output=True, text=True, check=True)
    assert seen.stdout == "42\n"


def test_ranks_of_training_start_under_torchrun(tmp_path: Path) -> None:
    assert "--nproc-per-node=2" in runner.command(task(torchrun=True, ranks=2), tmp_path, 1)
    assert "--nproc-per-node=4" in runner.command(task(torchrun=True, gpus=4), tmp_path, 1)
    alone = (task(torchrun=True), task(torchrun=True, gpus=1), task(gpus=4))  # the last may spread one model over GPUs
    assert not any("torch.distributed.run" in runner.command(one, tmp_path, 1) for one in alone)


def test_mpirun_gives_the_world_that_was_asked_for(tmp_path: Path, monkeypatch) -> None:
    """The runner's own command, with a program of two lines in place of the stage."""
    monkeypatch.delenv(mpi.SRUN_TYPE, raising=False)
    line = runner.command(task(mpi=True, ranks=3), tmp_path, 1)
    program = "from lib.base import mpi; world = mpi.world(); print(world.allgather(world.rank))"
    line = [*line[: line.index("mpi4py") + 1], "-c", program]
    submit = type("Submit", (), {"snapshot": str(ROOT), "campaign": "c", "id": "s", "commit": "0"})
    for started, code, words in ((3, 0, "[0, 1, 2]"), (4, 1, "4 ranks were started, but this one sees 3")):
        answer = subprocess.run(
            line, env=environment.of_stage(submit, Resources(ranks=started)), capture_output=True, text=True, timeout=60
        )
        assert answer.returncode == code, answer.stderr
        assert words in answer.stdout + answer.stderr


def test_no_library_of_a_stage_asks_the_hub_whatever_the_users_variables_say(monkeypatch) -> None:
    """Oracle: what the libraries themselves make of the environment."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "0")
    code = (
        "import datasets, huggingface_hub; from transformers.utils.hub import is_offline_mode; "
        "print(datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE, is_offline_mode())"
    )
    submit = type("Submit", (), {"snapshot": str(ROOT), "campaign": "c", "id": "s", "commit": "0"})
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=environment.of_stage(submit, Resources()),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.stdout.split() == ["True", "True", "True"], answer.stderr


def test_ranks_die_with_the_mpirun_that_is_killed(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv(mpi.SRUN_TYPE, raising=False)
    line = runner.command(task(mpi=True, ranks=2), tmp_path, 1)
    program = f"""
import os, pathlib, time
from lib.base import mpi
pathlib.Path({str(tmp_path)!r}, str(mpi.world().rank)).write_text(str(os.getpid()))
time.sleep(60)
"""
    submit = type("Submit", (), {"snapshot": str(ROOT), "campaign": "c", "id": "s", "commit": "0"})
    line = [*line[: line.index("mpi4py") + 1], "-c", program]
    started = subprocess.Popen(line, env=environment.of_stage(submit, Resources(ranks=2)), stderr=subprocess.DEVNULL)
    files = [tmp_path / rank for rank in "01"]
    wait_for(lambda: all(file.exists() and file.read_text() for file in files), "two ranks")
    started.kill()
    started.wait()
    wait_for(lambda: not any(Path("/proc", file.read_text()).exists() for file in files), "the end of the ranks")


@pytest.mark.parametrize(
    ("ranks", "limits", "nodes"),
    [
        (80, {"ranks_per_node": 40}, (2, 40)),
        (81, {"ranks_per_node": 40}, (3, 27)),
        (10, {"cpus_per_node": 16}, (1, 10)),
        (30, {"cpus_per_node": 16}, (2, 15)),
        (30, {}, (1, 30)),
    ],
)
def test_as_few_nodes_as_the_cluster_allows_evenly_filled(ranks: int, limits: dict, nodes: tuple[int, int]) -> None:
    assert ranks_per_node(Resources(ranks=ranks, mpi=True), Cluster("x", **limits)) == nodes
    assert ranks_per_node(Resources(ranks=ranks), Cluster("x", **limits)) == (1, 1)


def test_a_job_of_ranks_asks_for_their_nodes_and_memory() -> None:
    cluster = Cluster("x", ranks_per_node=40, memory_gb_per_node=100)
    resources = Resources(ranks=80, mpi=True, memory_gb=2)
    found = batch.parameters(cluster, resources, "name", "/snapshot", 4)
    assert (found["nodes"], found["ntasks_per_node"], found["cpus_per_task"]) == (2, 40, 1)
    assert found["mem"] == f"{80 * 1024}M"
    assert "export TESSERA_SRUN_MPI=pmix" in found["setup"]
    assert not [*excesses(resources, cluster, "node x")]
    (too_much,) = excesses(Resources(ranks=80, mpi=True, memory_gb=3), cluster, "node x")
    assert "memory_gb 120" in too_much.text


def test_a_job_of_several_tasks_runs_all_and_ends_as_the_first_that_failed(monkeypatch, capsys) -> None:
    errors = {"b": OSError(errno.ENOSPC, "no space"), "c": TesseraError("no luck")}
    ran = []

    def run_task(submit: object, digest: str) -> None:
        ran.append(digest)
        if digest in errors:
            raise errors[digest]

    monkeypatch.setattr(runner, "run_task", run_task)
    submit = SimpleNamespace(tasks={digest: task(gpus=1) for digest in "abcd"})
    with pytest.raises(TesseraError, match="2 of the 4 tasks of this job failed: b, c") as raised:
        runner.run_element(submit, "abcd")
    assert ran == list("abcd")
    assert exit_code(raised.value) == os.EX_CANTCREAT
    assert "error: no luck" in capsys.readouterr().err
    runner.run_element(submit, "ad")
    with pytest.raises(OSError, match="no space"):  # alone
        runner.run_element(submit, "b")
