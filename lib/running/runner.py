"""What SLURM or the local loop starts for a task: one stage in a process of its own, with its log beside the
artifact; and what the controller job runs.

A batch job comes here by lib/running/job.py, the local loop by `python -m lib.running.runner FILE DIGEST`. The code is
that of the snapshot. Nothing that a runner starts outlives it.
"""

import contextlib
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lib.artifacts import attempts, code_version, heartbeat, store
from lib.artifacts.lock import exclusive
from lib.base import interrupts, mpi, places, processes
from lib.base.errors import TesseraError, exit_code
from lib.base.interrupts import Interrupted
from lib.plans import finished
from lib.plans.plan import Task
from lib.plans.resources import Resources
from lib.running import container, controllers, drops, environment, snapshot, submissions, warm_process
from lib.running.submissions import Submit

NO_LAUNCHER = "its launcher was killed"
ALONE = ("--prtemca", "plm", "^slurm", "--prtemca", "ras", "^slurm")  # mpirun would call srun, and crash without one
LAUNCHER_GONE = signal.SIGHUP  # what the kernel sends to a runner of a local run; the launcher itself sends SIGTERM


def run_task(submit: Submit, digest: str) -> None:
    """Run a task unless it is done. Raises TesseraError naming the log if its stage fails, and ends as by convention
    if a signal asks for it."""
    with interrupts.raised(even_if_ignored=True):
        try:
            _run_task(submit, submit.tasks[digest])
        except Interrupted as asked:
            print(f"ended by {asked}", file=sys.stderr)
            sys.exit(asked.exit_code)


def run_element(submit: Submit, digests: Sequence[str]) -> None:
    """Run the tasks of one element of an array, one after the other; a task that fails keeps no other from running.

    Raises TesseraError at the end if any has failed. A signal ends the task that runs, and none begins after it.
    """
    if len(digests) == 1:
        run_task(submit, digests[0])
        return
    with _warm(submit, [submit.tasks[digest] for digest in digests]):
        failed = {digest: error for digest in digests if (error := _error(submit, digest))}
    if failed:
        names = ", ".join(failed)
        first = next(iter(failed.values()))
        raise TesseraError(f"{len(failed)} of the {len(digests)} tasks of this job failed: {names}") from first


def _error(submit: Submit, digest: str) -> Exception | None:
    """Run a task. Returns, and prints, the error if it fails."""
    try:
        run_task(submit, digest)
    except (TesseraError, OSError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error
    return None


@contextlib.contextmanager
def _warm(submit: Submit, tasks: Sequence[Task]) -> Iterator[None]:
    """A warm process for tasks with equal resources, if any is one process that imports torch.

    The job's log has what it says.
    """
    resources = tasks[0].resources
    in_image = container.of_job() is not None  # where forks would not be children of this process
    forks = resources.processes == 1 and any(warm_process.imports_torch(task.stage) for task in tasks)
    if in_image or not forks:
        yield
        return
    variables = environment.of_stage(submit, resources)
    with tempfile.TemporaryDirectory(prefix="tessera-", ignore_cleanup_errors=True) as folder:  # of this node
        with warm_process.server(Path(folder), variables, submit.snapshot, resources, wait=True) as found:
            os.environ.update(found)
            yield
        sys.stderr.write((Path(folder) / warm_process.LOG).read_text(encoding="utf-8", errors="replace"))


def _run_task(submit: Submit, task: Task) -> None:
    directory = finished.directory(Path(submit.root), task)
    directory.mkdir(parents=True, exist_ok=True)
    with exclusive(directory), heartbeat.kept(directory / places.ALIVE):
        if finished.is_done(Path(submit.root), submit.tasks, task) or _unneeded(submit, task):
            print(f"{directory}: already done")
            return
        write_task(submit, task, directory)
        _run(submit, task, directory)
    if reason := finished.missing_reason(Path(submit.root), submit.tasks, task):
        raise TesseraError(f"{directory}: not done although its stage has ended: {reason}")
    _drop_weights(submit, task)


def _unneeded(submit: Submit, task: Task) -> bool:
    """Whether the task was done for another sweep since it was queued, so that its weights have come and gone."""
    try:
        return drops.unneeded(Path(submit.root), task)
    except (TesseraError, OSError) as error:
        print(f"making the weights of {task.digest} again; not known whether they are needed: {error}", file=sys.stderr)
        return False


def _drop_weights(submit: Submit, task: Task) -> None:
    """Drop what the task was the last to read. If that fails, the task is done all the same, and collection tries."""
    try:
        drops.after(Path(submit.root), submit.tasks, task)
    except (TesseraError, OSError) as error:
        print(f"weights that {task.digest} has read were not dropped: {error}", file=sys.stderr)


def write_task(submit: Submit, task: Task, directory: Path) -> None:
    """Write task.json, with which `python -m jobs <stage> --config task.json --out DIR` repeats the task by hand."""

    def place(given: str | list[str]) -> str | list[str]:
        if isinstance(given, list):
            return [str(place(digest)) for digest in given]
        return str(finished.directory(Path(submit.root), submit.tasks[given]))

    inputs = {name: place(given) for name, given in task.inputs.items()}
    store.write_json(directory / places.TASK, {**task.config, "inputs": inputs})


def command(task: Task, directory: Path, number: int, entrance: Sequence[str] = ()) -> list[str]:
    """The command line of a task. entrance: the words that run it in a container, if there is one.

    An MPI stage starts under srun or mpirun, training on several ranks (one for each GPU) under torchrun, and
    everything else as one process, which sees all GPUs of its task.
    """
    python = container.PYTHON if entrance else sys.executable
    stage = ["-m", "jobs", task.stage, "--config", str(directory / places.TASK), "--out", str(directory)]
    stage += ["--attempt", str(number)]
    if task.resources.mpi:
        launcher = rank_launcher(task.resources, python)
        outside = launcher[:1] == ["srun"]  # which an image does not have
        before = [*launcher, *entrance] if outside else [*entrance, *launcher]
        return [*before, python, "-m", "mpi4py", *stage]
    ranks = task.resources.processes
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"] if ranks > 1 else []
    return [*entrance, python, *torchrun, *stage]


def rank_launcher(resources: Resources, python: str = sys.executable) -> list[str]:
    """srun inside a SLURM job, so that ranks start on all its nodes; mpirun elsewhere; nothing for one rank.

    In a container mpirun is the image's own, and starts the ranks of a job on one node: it needs nothing of the site.
    Ranks are not bound to cores, because two tasks on one machine would be bound to the same cores.
    python: of the environment that has mpirun
    """
    ranks = ["-n", str(resources.ranks)]
    if resources.ranks == 1:
        return []
    in_image = python == container.PYTHON
    alone = in_image and os.environ.get("SLURM_JOB_NUM_NODES") == "1"
    if (mpi_type := os.environ.get(mpi.SRUN_TYPE)) and not alone:
        return ["srun", f"--mpi={mpi_type}", "--kill-on-bad-exit=1", f"--cpus-per-task={resources.cpus}", *ranks]
    mpirun = Path(python).with_name("mpirun")
    options = ["--oversubscribe", "--bind-to", "none", *(ALONE if in_image else ())]
    return [str(mpirun) if in_image or mpirun.exists() else "mpirun", *options, *ranks]


def _run(submit: Submit, task: Task, directory: Path) -> None:
    entrance = container.entrance(container.of_job(), task.resources, Path(submit.root))  # before there is an attempt
    number, log = attempts.reserve(directory)
    line = command(task, directory, number, entrance)
    with open(log, "ab") as output:
        output.write(f"$ {shlex.join(line)}\n".encode())
    attempts.begin(directory, number, submit.campaign, submit.id)  # so that a stage that dies at once has a record
    if problem := snapshot.difference(Path(submit.snapshot)):
        attempts.close(directory, number, problem)
        raise TesseraError(problem)
    try:
        code = _start(submit, task, line, log)
    except Interrupted as asked:
        with interrupts.delayed():  # a second signal must not cut the record off
            _close_interrupted(directory, number, asked)
        raise
    if code != 0:
        reason = processes.exit_reason(code)
        if environment.launcher_is_gone():  # a stage may feel it before its runner does
            attempts.close(directory, number, NO_LAUNCHER, outcome=attempts.INTERRUPTED)
        attempts.close(directory, number, reason)
        raise TesseraError(f"{task.stage} {task.digest} {reason}; log: {log}")


def _close_interrupted(directory: Path, number: int, asked: Interrupted) -> None:
    """Complete the record of an attempt that a signal ended; a launcher that lives knows better why, and does it."""
    if environment.launcher() is None:
        attempts.close(directory, number, f"ended by {asked}")
    elif asked.number == LAUNCHER_GONE:
        attempts.close(directory, number, NO_LAUNCHER, outcome=attempts.INTERRUPTED)


def _start(submit: Submit, task: Task, line: list[str], log: Path) -> int:
    """The exit code of the stage, in a fork of the warm process if there is one that suits, else in a process."""
    with open(log, "ab") as output:
        if warm_process.suits(task.stage, task.resources):
            try:
                return warm_process.run(task.stage, line[line.index("--config") :], output)
            except OSError as error:
                print(f"the warm process does not answer ({error}); starting a new process", file=sys.stderr)
        variables = environment.of_stage(submit, task.resources)
        return processes.run(line, variables, stdout=output, stderr=output, cwd=submit.snapshot)


def run_controller(file: Path, submit: Submit) -> None:
    """Repeat the launcher's command from the snapshot. Raises TesseraError if it fails. file: that of `submit`."""
    controllers.forget_acted(file)
    line = [sys.executable, "launch.py", *submit.command, f"--campaign={submit.campaign}"]
    line += [f"--controller={submit.controller}"]
    with interrupts.raised(even_if_ignored=True):
        code = processes.run_alone(line, {**os.environ, code_version.COMMIT: submit.commit}, cwd=submit.snapshot)
    controllers.record_acted(file)  # it may have failed before it could do so itself
    if code != 0:
        raise TesseraError(f"{shlex.join(line)} {processes.exit_reason(code)}")


def main(submit_file: str, digest: str) -> int:
    """Run a task for the local loop, and end when that does. Returns 0, 1 failed, 73 or 74 failed by a
    disk (see errors.exit_code), or by convention after a signal."""
    with interrupts.raised(even_if_ignored=True):
        try:
            if (launcher := environment.launcher()) is None:
                raise TesseraError("only a launcher on this machine starts tasks in this way; type its command again")
            processes.die_with(launcher, LAUNCHER_GONE)
            run_task(submissions.read(Path(submit_file)), digest)
            return 0
        except (TesseraError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return exit_code(error)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
