"""Which variables of the user's shell reach a task. Every case is a name that the program concerned documents."""

import ast
import contextlib
from pathlib import Path

import pytest

from lib.base import gpus as gpus_of_process
from lib.base import mpi
from lib.base.places import ROOT
from lib.plans.resources import Resources
from lib.running import batch, environment, site, slurm
from lib.running.site import Cluster

REMOVED = """
PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONOPTIMIZE PYTHONHASHSEED PYTHONIOENCODING
SBATCH_PARTITION SBATCH_ARRAY_INX SLURM_MEM_PER_CPU SLURM_JOB_ID SLURM_NTASKS SRUN_CPUS_PER_TASK SALLOC_ACCOUNT
SQUEUE_FORMAT SACCT_FORMAT SCANCEL_INTERACTIVE SCONTROL_ALL SINFO_PARTITION SLURM_CLUSTERS SLURM_TIME_FORMAT
SPANK_PRIVATE_TMP _SLURM_SPANK_OPTION_pyxis_container_image SUBMITIT_EXECUTOR
OMPI_COMM_WORLD_RANK OMPI_MCA_orte_hnp_uri PMIX_RANK PMI_RANK PRTE_LAUNCHED MPI_LOCALNRANKS
RANK WORLD_SIZE LOCAL_RANK MASTER_ADDR TORCHELASTIC_RUN_ID
OMP_NUM_THREADS MKL_NUM_THREADS MKL_CBWR NUMBA_NUM_THREADS NUMBA_DISABLE_JIT OPENBLAS_NUM_THREADS
NVIDIA_TF32_OVERRIDE ONEDNN_DEFAULT_FPMATH_MODE
HF_HUB_OFFLINE HF_DATASETS_OFFLINE TRANSFORMERS_CACHE TRANSFORMERS_OFFLINE HUGGINGFACE_HUB_CACHE
TESSERA_RANKS TESSERA_GPUS TESSERA_CAMPAIGN TESSERA_COMMIT
"""
KEPT = """
PATH HOME USER LANG TZ TMPDIR LD_LIBRARY_PATH SLURM_CONF SLURM_JWT HF_HOME HF_HUB_CACHE HF_TOKEN HF_ENDPOINT
https_proxy OMPI_MCA_btl CUDA_VISIBLE_DEVICES CUDA_HOME NUMBA_CACHE_DIR TESSERA_KERNELS PYTHONPYCACHEPREFIX
PYTORCH_CUDA_ALLOC_CONF MY_API_KEY RANKING
"""


@pytest.mark.parametrize("name", REMOVED.split())
def test_what_changes_a_result_or_belongs_to_an_enclosing_job_does_not_pass(name: str) -> None:
    assert not environment.passes(name)


@pytest.mark.parametrize("name", KEPT.split())
def test_places_access_and_what_is_not_known_pass(name: str) -> None:
    assert environment.passes(name)


def test_surroundings_are_what_passes(monkeypatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    found = environment.surroundings()
    assert "SLURM_JOB_ID" not in found
    assert found["SLURM_CONF"] == "/etc/slurm.conf"


@pytest.mark.parametrize(("gpus", "seen"), [(0, ""), (1, "3")])
def test_a_stage_sees_gpus_as_given_if_it_asks_for_them(monkeypatch, gpus: int, seen: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    submit = type("Submit", (), {"snapshot": "/s", "campaign": "c", "id": "s", "commit": "abc"})
    found = environment.of_stage(submit, Resources(cpus=2, gpus=gpus))
    assert found["CUDA_VISIBLE_DEVICES"] == seen
    assert (found["OMP_NUM_THREADS"], found[mpi.RANKS], found["PYTHONPATH"]) == ("2", "1", "/s")
    assert found[gpus_of_process.ASKED] == str(gpus)


@pytest.mark.parametrize(
    ("asked", "threads"),
    [
        ({"torchrun": True, "gpus": 4}, "2"),
        ({"torchrun": True, "ranks": 3}, "2"),  # eight cores for three: none has to wait for another
        ({"torchrun": True, "gpus": 16}, "1"),
        ({"gpus": 4}, "8"),  # one process
        ({"mpi": True, "ranks": 4}, "8"),  # cpus are those of one rank
    ],
)
def test_processes_of_one_task_share_its_cores(asked: dict, threads: str) -> None:
    submit = type("Submit", (), {"snapshot": "/s", "campaign": "c", "id": "s", "commit": "abc"})
    found = environment.of_stage(submit, Resources(cpus=8, **asked))
    assert {found[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")} == {threads}


CALLS = {
    "sbatch": lambda: batch._sbatch(Path("script.sh"), "name"),
    "sbatch --version": lambda: site.load(None),
    "squeue": slurm.queue,
    "sacct": lambda: slurm.history(["1"]),
    "scontrol show": lambda: slurm.max_array_size(Cluster("c")),
    "scontrol release": lambda: slurm.release(["1"]),
    "scontrol requeue": lambda: slurm.requeue("1"),
    "scancel": lambda: slurm.cancel(["1"]),
    "sinfo": slurm.partitions,
    "srun": slurm.mpi_types,
}


def test_commands_of_slurm_see_no_option_of_the_shell(tmp_path: Path, monkeypatch) -> None:
    """Each call of each command, recorded by a script in its place."""
    for command in {name.split()[0] for name in CALLS}:
        (tmp_path / command).write_text(f'#!/bin/sh\necho "{command} $1:" $(env) >> {tmp_path}/seen\n')
        (tmp_path / command).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in REMOVED.split():
        monkeypatch.setenv(name, "leaked")
    for call in CALLS.values():
        with contextlib.suppress(slurm.SchedulerUnavailable, batch.Unanswered):  # the script prints no table
            call()
    seen = (tmp_path / "seen").read_text().splitlines()
    assert [line.split()[0] for line in seen] == [name.split()[0] for name in CALLS]
    assert all("leaked" not in line for line in seen)


def test_nothing_is_started_with_the_whole_shell_by_default() -> None:
    """Every process that these packages start is given its variables."""
    for file in [*(ROOT / "lib" / "running").glob("*.py"), *(ROOT / "lib" / "launcher").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("subprocess.run", "subprocess.Popen"):
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert given.get("env", "os.environ") != "os.environ", f"{file}:{node.lineno}"
