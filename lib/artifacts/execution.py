"""Running one stage: read its configuration, find its inputs, record the attempt, write DONE.json last.

The YAML (or JSON) file is flat: the stage's configuration, and `inputs:`, which maps names to paths of artifact
directories or files, relative to the current folder. An input may also stand at the top level.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.artifacts import attempts, checkpoints, damage, store
from lib.artifacts import inputs as given_inputs
from lib.artifacts.inputs import Inputs
from lib.artifacts.stage import Stage, check_inputs, check_needs, task_digest
from lib.base import blocks, config, gpus, mpi, places, progress, yamls
from lib.base.errors import Damaged, TesseraError, UsageError


def read_config(stage: Stage, file: Path) -> tuple[Any, dict[str, Any]]:
    """The configuration in a YAML file, and its input paths (a list of paths for an input in the stage's LISTS)."""
    values = yamls.read(file)
    given = values.pop("inputs", None) or {}
    if not isinstance(given, dict):
        raise UsageError(f"{file}: inputs: must be a mapping of names to paths, found {given!r}")
    at_top = {name: values.pop(name) for name in stage.inputs + stage.optional_inputs if name in values}
    given = {**given, **at_top}
    check_inputs(stage, given, str(file))
    inputs = {
        name: _paths(stage, name, value, f"{file}: input '{name}'")
        for name, value in given.items()
        if value is not None
    }
    built = config.build(stage.config_class, values, str(file))
    check_needs(stage, built, inputs, str(file))
    return built, inputs


def _paths(stage: Stage, name: str, value: Any, where: str) -> Path | list[Path]:
    if name in stage.lists:
        found = [_existing(path, where) for path in (value if isinstance(value, list) else [value])]
        if not found:
            raise UsageError(f"{where}: the list is empty; give at least one path")
        return found
    if isinstance(value, list):
        raise UsageError(f"{where}: must be one path, found a list of {len(value)}")
    return _existing(value, where)


def _existing(value: Any, where: str) -> Path:
    path = Path(str(value)).expanduser()
    if not path.exists():
        raise UsageError(
            f"{where}: {path} does not exist (paths are relative to the current folder, {Path.cwd()}); it takes what a "
            "stage has made (its --out), or a file or folder of yours; of a hub model the stage hub_model makes it"
        )
    return path.resolve()


@dataclass(frozen=True)
class _Job:
    """One stage with its configuration and inputs, to be run into the directory `out`."""

    stage: Stage
    values: Any
    inputs: dict[str, Any]
    out: Path
    world: Any  # the ranks of an MPI stage, else None

    def is_leading(self) -> bool:
        """Whether this process keeps the records. The other ranks only work."""
        return self.world.rank == 0 if self.world else _is_first_process()

    def work(self) -> None:
        """Run the stage's own code, once the GPUs are there that its task asked for."""
        if self.stage.imports_torch:
            gpus.require()
        self.stage.module.run(self.values, self.inputs, self.out)
        if self.world:
            self.world.barrier()  # the stage is done only when every rank is


@dataclass(frozen=True)
class _Status:
    """The digest of a task, what it reads, and whether its artifact is done already."""

    digest: str
    inputs: Inputs
    done: bool


def run(stage: Stage, values: Any, inputs: dict[str, Any], out: Path, number: int | None) -> int:
    """Run a stage into `out` unless it is done there. Returns 0.

    number: the attempt that a runner has reserved; None if the stage was started by hand.
    """
    job = _Job(stage, values, inputs, out, mpi.world() if stage.mpi else None)
    if job.is_leading():
        _lead(job, number)
    else:
        _follow(job)
    return 0


def _lead(job: _Job, number: int | None) -> None:
    """Compare the inputs, do the work, mark the artifact as done, and complete the record of the attempt."""
    status = _prepared(job, number)
    if status.done:
        _tell_ranks(job, done=True)
        print(f"{job.out}: already done ({job.stage.name} {status.digest})")
        return
    with _recorded(job, _begin_attempt(job.out, number)):
        given_inputs.compare(status.inputs)
        _tell_ranks(job, done=False)  # they have waited for the comparison
        job.work()
        given_inputs.check_unchanged(status.inputs)
        read = {digest: found[0] for digest, found in status.inputs.contents.items()}
        store.write_done(job.out, status.digest, job.stage.name, job.stage.version, read)
        (job.out / places.DROPPED).unlink(missing_ok=True)  # the weights are there again
    _remove_scratch(job.out)
    print(f"{job.out}: done ({job.stage.name} {status.digest})")


def _follow(job: _Job) -> None:
    """Do the work of a rank that keeps no record."""
    done = job.world.bcast(None) if job.world else _prepare(job).done
    if done:
        return
    try:
        job.work()
    except Exception as error:
        if job.world:  # the leading rank will be ended before it can report the error
            attempts.close_last(job.out, f"rank {job.world.rank}: {attempts.describe(error)}", _set_back(job, error))
        raise


def _tell_ranks(job: _Job, done: bool) -> None:
    if job.world:
        job.world.bcast(done)


def _prepared(job: _Job, number: int | None) -> _Status:
    try:
        return _prepare(job)
    except store.NotFinished as error:
        if number is not None:  # the runner's record; by hand there is none yet
            attempts.close(job.out, number, attempts.describe(error), outcome=attempts.SET_BACK)
        raise


def _prepare(job: _Job) -> _Status:
    """The status of the task. If it is not done, its directory is made ready."""
    inputs = given_inputs.identify(job.inputs)
    digest = task_digest(job.stage, job.values, inputs.digests)
    if store.is_done(job.out, digest, inputs.contents):
        return _Status(digest, inputs, done=True)
    _refuse_other_result(job.out, digest)
    job.out.mkdir(parents=True, exist_ok=True)
    if job.stage.mpi:
        blocks.claim(job.out / places.BLOCKS, digest)
    # the rest of one whose weights were dropped is valid until then
    if _is_first_process() and not store.is_dropped(job.out, digest, inputs.contents):
        _clear(job.out, digest, inputs)
    return _Status(digest, inputs, done=False)


def _clear(out: Path, digest: str, inputs: Inputs) -> None:
    """Take what is damaged or outdated out of the way, and say why."""
    if (out / places.DONE).exists():
        print(f"{out}: made again: {store.missing_reason(out, digest, inputs.contents)}", flush=True)
    damage.clear(out)
    (out / places.DONE).unlink(missing_ok=True)


def _refuse_other_result(out: Path, digest: str) -> None:
    """Raise UsageError if `out` is a file, or holds the finished result of another task: files would be mixed."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: this is a file; name a directory")
    other = store.finished_digest(out)
    if other not in (None, digest):
        raise UsageError(
            f"--out {out}: it holds the result of another configuration, input or version (digest {other}, this one is "
            f"{digest}); name another directory, or delete that one"
        )


def _begin_attempt(out: Path, number: int | None) -> dict[str, Any]:
    if number is None:  # started by hand: no runner has closed the records of earlier attempts
        attempts.close_running(out, attempts.KILLED)
    progress.forget(out)
    return attempts.begin(out, number)


@contextmanager
def _recorded(job: _Job, record: dict[str, Any]) -> Iterator[None]:
    """Complete the record of the attempt when the block ends. What is damaged is moved aside."""
    started = time.monotonic()
    try:
        yield
    except BaseException as error:
        try:
            set_back = _set_back(job, error)
        except TesseraError as worse:  # the disk damages one file after another
            attempts.end(job.out, record, time.monotonic() - started, worse)
            raise
        attempts.end(job.out, record, time.monotonic() - started, error, set_back)
        raise
    attempts.end(job.out, record, time.monotonic() - started, None)


def _set_back(job: _Job, error: BaseException) -> bool:
    """Whether the task has to wait until something damaged, which is moved aside, is made again."""
    return isinstance(error, store.NotFinished) or (isinstance(error, Damaged) and damage.mend(error, job.out))


def _remove_scratch(out: Path) -> None:
    """Remove what only an unfinished task needs: half-written files, blocks, checkpoints."""
    store.remove_private(out)
    shutil.rmtree(out / places.BLOCKS, ignore_errors=True)
    checkpoints.remove_all(out / places.CHECKPOINTS)


def _is_first_process() -> bool:
    """Whether this process is the first rank (torchrun sets RANK, MPI launchers set their own variables)."""
    return mpi.leading() and os.environ.get("RANK", "0") == "0"
