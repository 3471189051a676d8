"""The environment of tasks: which variables of the user's shell pass, which are set here, which are removed.

A table of env/README.md says the same for users. `surroundings` is what a process that runs tasks is started with: a
runner of a local run, the warm process, sbatch. `of_stage` is what a runner starts a stage with. What the set-up lines
of a cluster file export comes between the two, so it reaches the stage.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lib.artifacts import code_version
from lib.base import gpus, mpi, processes
from lib.plans.resources import Resources
from lib.running.submissions import Submit


def _names(words: str) -> tuple[str, ...]:
    return tuple(words.split())


# Options of SLURM's commands, in the user's shell or of an enclosing job: they would win over our scripts.
SCHEDULER = _names(
    "SLURM_ _SLURM_ SLURMD_ SPANK_ SBATCH_ SRUN_ SALLOC_ SQUEUE_ SACCT_ SCANCEL_ SCONTROL_ SINFO_ SPRIO_ SSTAT_ "
    "SUBMITIT_"
)
# Ranks of an enclosing mpirun, srun or torchrun.
RANKS = _names("OMPI_ PRTE_ PMIX_ PMI_ PALS_ HYDRA_ HYDI_ MPI_LOCAL TORCHELASTIC_")
RANKS_OF_TORCH = _names(
    "RANK LOCAL_RANK GROUP_RANK ROLE_RANK WORLD_SIZE LOCAL_WORLD_SIZE GROUP_WORLD_SIZE ROLE_WORLD_SIZE ROLE_NAME "
    "MASTER_ADDR MASTER_PORT"
)
# Set by this project for the processes below one of its own.
OURS = _names(
    "TESSERA_RANKS TESSERA_GPUS TESSERA_SRUN_MPI TESSERA_RUN TESSERA_WARM TESSERA_CAMPAIGN TESSERA_SUBMIT "
    "TESSERA_COMMIT TESSERA_CONTAINER"
)
# The code that Python reads, and how libraries round and order their sums.
COMPUTING = _names(
    "PYTHON OMP_ GOMP_ KMP_ MKL_ OPENBLAS_ GOTO_ BLIS_ VECLIB_ NUMEXPR_ NUMBA_ RAYON_ ONEDNN_ DNNL_ NVIDIA_TF32 "
    "TORCH_ALLOW_TF32 ATEN_CPU_CAPABILITY TORCHDYNAMO_ TORCHINDUCTOR_"
)
# Whether and where the hub is read; HF_HOME, HF_HUB_CACHE, HF_ENDPOINT and HF_TOKEN say it, for all processes alike.
HUB = _names(
    "HF_HUB_OFFLINE HF_DATASETS_OFFLINE TRANSFORMERS_ PYTORCH_TRANSFORMERS_ PYTORCH_PRETRAINED_ HUGGINGFACE_HUB_CACHE "
    "TOKENIZERS_"
)
# Exceptions from the above: they name places, the cluster or a network, and change no result.
PASS = _names(
    "SLURM_CONF SLURM_JWT SLURM_SACK_ OMPI_MCA_ OMPI_ALLOW_RUN_AS_ROOT PRTE_MCA_ PMIX_MCA_ PYTHONDONTWRITEBYTECODE "
    "PYTHONPYCACHEPREFIX PYTHONFAULTHANDLER NUMBA_CACHE_ TORCHINDUCTOR_CACHE_DIR"
)
# Exceptions from the exceptions: an enclosing mpirun sets them.
OF_MPIRUN = _names("OMPI_MCA_orte_ OMPI_MCA_ess_ OMPI_MCA_prte_ OMPI_MCA_initial_wdir PRTE_MCA_ess_")


def passes(name: str) -> bool:
    """Whether a variable of the user's shell, or of a job in which we are started, reaches the processes of tasks."""
    if name.startswith(OF_MPIRUN) or name in RANKS_OF_TORCH:
        return False
    return name.startswith(PASS) or not name.startswith((*SCHEDULER, *RANKS, *OURS, *COMPUTING, *HUB))


def surroundings() -> dict[str, str]:
    """The variables of this process that pass."""
    return {name: value for name, value in os.environ.items() if passes(name)}


def answer(
    line: Sequence[str], seconds: float, more: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """What a program says that is asked among these variables and `more`, with nothing to read. Raises OSError if it
    cannot be started, subprocess.TimeoutExpired after so many seconds."""
    return subprocess.run(
        line,
        env={**surroundings(), **(more or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=seconds,
        check=False,
    )


def of_runner(snapshot: str, launcher: str, lock: Path) -> dict[str, str]:
    """The environment of a runner of a local run, and of the warm process.

    It carries the mark of the run: the identity of the launcher, and the lock that it holds.
    """
    return {**surroundings(), processes.RUN: f"{launcher}:{lock}", **_of_python(snapshot)}


def _of_python(snapshot: str) -> dict[str, str]:
    return {"PYTHONPATH": snapshot, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def launcher() -> str | None:
    """The identity of the launcher that this process works for; None without one on this machine."""
    return os.environ[processes.RUN].partition(":")[0] if processes.RUN in os.environ else None


def launcher_is_gone() -> bool:
    """Whether this process works for a launcher of this machine that does not live any more."""
    return (known := launcher()) is not None and not processes.alive(known)


def as_root() -> dict[str, str]:
    """The variables with which Open MPI lets root start ranks; empty for other users."""
    return {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}


def of_stage(submit: Submit, resources: Resources, around: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a stage: the snapshot's code, its number of threads, ranks and GPUs, the hub offline.

    around: that of the runner. A task that asks for no GPU sees none; one that does sees those that this process sees.
    """
    threads = str(resources.threads)
    hidden = {} if resources.gpus else {gpus.VISIBLE: ""}
    return {
        **around,
        **as_root(),
        **hidden,
        mpi.RANKS: str(resources.ranks),
        gpus.ASKED: str(resources.gpus),
        **_of_python(submit.snapshot),
        "TESSERA_CAMPAIGN": submit.campaign,
        "TESSERA_SUBMIT": submit.id,
        code_version.COMMIT: submit.commit,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "NUMBA_NUM_THREADS": threads,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",  # a 0 of the user's would count more than HF_HUB_OFFLINE
        "TOKENIZERS_PARALLELISM": "false",
    }
