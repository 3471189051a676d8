"""Running one stage: read its configuration, find its inputs, record the attempt, write DONE.json last.

The YAML (or JSON) file is flat: the stage's configuration, and `inputs:`, which maps names to paths of artifact
directories or files, relative to the current folder. An input may also stand at the top level.
"""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.artifacts import attempts, checkpoints, store
from lib.artifacts.stage import Stage, check_inputs, task_digest
from lib.base import blocks, config, mpi, places, yamls
from lib.base.errors import UsageError


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
    return config.build(stage.config_class, values, str(file)), inputs


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
        raise UsageError(f"{where}: {path} does not exist (paths are relative to the current folder, {Path.cwd()})")
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
        """Run the stage's own code."""
        self.stage.module.run(self.values, self.inputs, self.out)
        if self.world:
            self.world.barrier()  # the stage is done only when every rank is


@dataclass(frozen=True)
class _Status:
    """The digest of a task, and whether its artifact is done already."""

    digest: str
    done: bool


def run(stage: Stage, values: Any, inputs: dict[str, Any], out: Path, number: int | None) -> int:
    """Run a stage into `out` unless it is done there. Returns 0.

    number: the attempt that a runner has reserved; None if the stage was started by hand.
    """
    job = _Job(stage, values, inputs, out, mpi.world() if stage.mpi else None)
    status, record = _begin(job, number)
    if not status.done and job.is_leading():
        _lead(job, status.digest, record)
    elif not status.done:
        _follow(job)
    elif job.is_leading():
        print(f"{out}: already done ({stage.name} {status.digest})")
    return 0


def _begin(job: _Job, number: int | None) -> tuple[_Status, dict[str, Any]]:
    """The status, the same on every rank, and the leading rank's record, which is written before any rank works."""
    status, record = None, {}
    if job.is_leading() or not job.world:
        status = _prepare(job)
    if job.is_leading() and not status.done:
        record = _begin_attempt(job.out, number)
    return job.world.bcast(status) if job.world else status, record


def _prepare(job: _Job) -> _Status:
    """The status of the task. If it is not done, its directory is made ready."""
    digests = {name: _input_digests(path) for name, path in job.inputs.items()}
    digest = task_digest(job.stage, job.values, digests)
    if store.is_done(job.out, digest):
        return _Status(digest, done=True)
    _refuse_other_result(job.out, digest)
    job.out.mkdir(parents=True, exist_ok=True)
    if job.stage.mpi:
        blocks.claim(job.out / places.BLOCKS, digest)
    if _is_first_process() and not store.is_dropped(job.out, digest):  # the rest of a dropped one is valid until then
        (job.out / places.DONE).unlink(missing_ok=True)  # damaged
    return _Status(digest, done=False)


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
    return attempts.begin(out, number)


def _lead(job: _Job, digest: str, record: dict[str, Any]) -> None:
    """Do the work, complete the record of the attempt, and mark the artifact as done."""
    started = time.monotonic()
    try:
        job.work()
        store.write_done(job.out, digest, job.stage.name, job.stage.version)
        (job.out / places.DROPPED).unlink(missing_ok=True)  # the weights are there again
    except BaseException as error:
        attempts.end(job.out, record, time.monotonic() - started, error)
        raise
    attempts.end(job.out, record, time.monotonic() - started, None)
    _remove_scratch(job.out)
    print(f"{job.out}: done ({job.stage.name} {digest})")


def _follow(job: _Job) -> None:
    """Do the work of a rank that keeps no record."""
    try:
        job.work()
    except Exception as error:
        if job.world:  # the leading rank will be ended before it can report the error
            attempts.close_last(job.out, f"rank {job.world.rank}: {attempts.describe(error)}")
        raise


def _remove_scratch(out: Path) -> None:
    """Remove what only an unfinished task needs: half-written files, blocks, checkpoints."""
    store.remove_private(out)
    shutil.rmtree(out / places.BLOCKS, ignore_errors=True)
    checkpoints.remove_all(out / places.CHECKPOINTS)


def _input_digests(path: Path | list[Path]) -> str | list[str]:
    return [store.input_digest(one) for one in path] if isinstance(path, list) else store.input_digest(path)


def _is_first_process() -> bool:
    """Whether this process is the first rank (torchrun sets RANK, MPI launchers set their own variables)."""
    return mpi.leading() and os.environ.get("RANK", "0") == "0"
