"""Which variables of the user's shell reach a task. Every case is a name that the program concerned documents."""

import pytest

from lib.base import mpi
from lib.plans.resources import Resources
from lib.running import environment

REMOVED = """
PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONOPTIMIZE PYTHONHASHSEED PYTHONIOENCODING
SBATCH_PARTITION SBATCH_ARRAY_INX SLURM_MEM_PER_CPU SLURM_JOB_ID SLURM_NTASKS SRUN_CPUS_PER_TASK SALLOC_ACCOUNT
SQUEUE_FORMAT SACCT_FORMAT SCANCEL_INTERACTIVE SUBMITIT_EXECUTOR
OMPI_COMM_WORLD_RANK OMPI_MCA_orte_hnp_uri PMIX_RANK PMI_RANK PRTE_LAUNCHED MPI_LOCALNRANKS
RANK WORLD_SIZE LOCAL_RANK MASTER_ADDR TORCHELASTIC_RUN_ID
OMP_NUM_THREADS MKL_NUM_THREADS MKL_CBWR NUMBA_NUM_THREADS NUMBA_DISABLE_JIT OPENBLAS_NUM_THREADS
NVIDIA_TF32_OVERRIDE ONEDNN_DEFAULT_FPMATH_MODE
HF_HUB_OFFLINE HF_DATASETS_OFFLINE TRANSFORMERS_CACHE TRANSFORMERS_OFFLINE HUGGINGFACE_HUB_CACHE
TESSERA_RANKS TESSERA_CAMPAIGN TESSERA_COMMIT
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
