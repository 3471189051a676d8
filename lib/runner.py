"""What a scheduler's task runs: one stage, in a process of its own, with its log beside the artifact.

The engine pickles two strings, the submit file and the digest; the code is the snapshot's.
"""

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lib import attempts, freeze, mpi, names, store, survey, warm
from lib.cluster import Resources
from lib.errors import TesseraError
from lib.freeze import Submit
from lib.processes import die_with_parent
from lib.sweep import Task

LOCK = ".lock"


def run_task(submit_file: str, digest: str) -> None:
    """Run the task unless it is done. Raises TesseraError naming the log when its stage fails."""
    submit = freeze.read(Path(submit_file))
    task = submit.tasks[digest]
    directory = survey.directory(Path(submit.root), task)
    directory.mkdir(parents=True, exist_ok=True)
    with _lock(directory):
        if store.is_done(directory, digest):
            print(f"{directory}: already done")
            return
        write_task(submit, task, directory)
        _run(submit, task, directory)
    if not store.is_done(directory, digest):
        raise TesseraError(f"{directory}: {store.missing_reason(directory, digest)} after its stage has ended")


def write_task(submit: Submit, task: Task, directory: Path) -> None:
    """Write task.json, with which `python -m jobs.<stage> --config task.json --out DIR` repeats the task by hand."""

    def place(given: str | list[str]) -> str | list[str]:
        if isinstance(given, list):
            return [str(place(digest)) for digest in given]
        return str(survey.directory(Path(submit.root), submit.tasks[given]))

    inputs = {name: place(given) for name, given in task.inputs.items()}
    store.write_json(directory / names.TASK, {**task.config, "inputs": inputs})


def command(task: Task, directory: Path, number: int) -> list[str]:
    """The command line of a task: under srun or mpirun where its stage has MPI ranks, torchrun where it trains on
    several (one a GPU), else one process."""
    stage = ["-m", f"jobs.{task.stage}", "--config", str(directory / names.TASK), "--out", str(directory)]
    stage += ["--attempt", str(number)]
    if task.resources.mpi:
        return [*launcher(task.resources), sys.executable, "-m", "mpi4py", *stage]
    ranks = task.resources.gpus or task.resources.ranks
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    return [sys.executable, *torchrun, *stage]


def launcher(resources: Resources) -> list[str]:
    """srun inside a job, so that ranks start on all its nodes; mpirun elsewhere; nothing for one rank.

    Ranks are not bound to cores: two tasks on one machine would be bound to the same ones.
    """
    ranks = ["-n", str(resources.ranks)]
    if resources.ranks == 1:
        return []
    if mpi_type := os.environ.get(mpi.SRUN_TYPE):
        return ["srun", f"--mpi={mpi_type}", "--kill-on-bad-exit=1", f"--cpus-per-task={resources.cpus}", *ranks]
    mpirun = Path(sys.executable).with_name("mpirun")
    return [str(mpirun) if mpirun.exists() else "mpirun", "--oversubscribe", "--bind-to", "none", *ranks]


def as_root() -> dict[str, str]:
    """What Open MPI wants to hear before root may start ranks; nothing for others."""
    return {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"} if os.geteuid() == 0 else {}


def environment(submit: Submit, cpus: int, ranks: int = 1) -> dict[str, str]:
    """A stage's environment: the snapshot's code, its share of the cores, the hub offline, as many ranks as asked."""
    threads = str(cpus)
    return {
        **os.environ,
        **as_root(),
        mpi.RANKS: str(ranks),
        "PYTHONPATH": submit.snapshot,
        "TESSERA_CAMPAIGN": submit.campaign,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "NUMBA_NUM_THREADS": threads,
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }


def _run(submit: Submit, task: Task, directory: Path) -> None:
    number, log = attempts.reserve(directory)
    line = command(task, directory, number)
    with open(log, "ab") as output:
        output.write(f"$ {shlex.join(line)}\n".encode())
    attempts.begin(directory, number, submit.campaign)  # a stage that dies before it begins has failed all the same
    code = _fork(task, line, log) if warm.suits(task.stage, task.resources.cpus, task.resources.gpus) else None
    if code is None:
        code = _process(submit, task, line, log)
    if code != 0:
        error = TesseraError(f"{task.stage} {task.digest} ended with {_spell(code)}; log: {log}")
        attempts.close(directory, number, f"ended with {_spell(code)}")
        raise error


def _fork(task: Task, line: list[str], log: Path) -> int | None:
    """The exit code of the stage in a fork of the warm process; None when that does not answer."""
    try:
        return warm.run(task.stage, line[line.index("--config") :], log)
    except OSError as error:
        print(f"no warm process ({error}): starting one of its own", file=sys.stderr)
        return None


def _process(submit: Submit, task: Task, line: list[str], log: Path) -> int:
    with open(log, "ab") as output:
        return subprocess.run(
            line, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=submit.snapshot,
            env=environment(submit, task.resources.cpus, task.resources.ranks), preexec_fn=die_with_parent,
        ).returncode  # fmt: skip


@contextlib.contextmanager
def _lock(directory: Path) -> Iterator[None]:
    """One runner an artifact on this machine: a second one waits, then finds the task done."""
    with open(directory / LOCK, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:  # some parallel file systems have no flock; the scheduler keeps tasks apart there
            print(f"{directory}: not locked ({error}); relying on the scheduler", file=sys.stderr)
        yield


def held(directory: Path) -> bool:
    """Whether a runner on this machine holds the artifact."""
    if not (directory / LOCK).exists():
        return False
    with open(directory / LOCK) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False


def _spell(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def run_controller(submit_file: str, _: str) -> None:
    """Repeat the launcher's command from the snapshot. Raises TesseraError when it fails."""
    submit = freeze.read(Path(submit_file))
    line = [sys.executable, "launch.py", *submit.command, f"--campaign={submit.campaign}"]
    line += [f"--controller={submit.controller}"]
    code = subprocess.run(line, cwd=submit.snapshot, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent).returncode
    if code != 0:
        raise TesseraError(f"{shlex.join(line)} ended with {_spell(code)}")
