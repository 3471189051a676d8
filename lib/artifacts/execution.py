"""One stage run to its end: its configuration read, its inputs found, every attempt on record, DONE.json written last.

The YAML (or JSON) file is flat: the stage's configuration, and `inputs:` that maps names to paths of artifact
directories or files, from the current folder. An input may also stand at the top level.
"""

import os
import shutil
import time
from pathlib import Path
from typing import Any

from lib.artifacts import attempts, store
from lib.artifacts.stage import Stage, check_inputs, task_digest
from lib.base import blocks, config, mpi, places, yamls
from lib.base.errors import UsageError


def read_config(stage: Stage, file: Path) -> tuple[Any, dict[str, Any]]:
    """The configuration and the input paths that a YAML file gives (a list of paths for the stage's LISTS)."""
    values = yamls.read(file)
    given = values.pop("inputs", None) or {}
    if not isinstance(given, dict):
        raise UsageError(f"{file}: inputs: a mapping of names to paths is wanted, found {given!r}")
    given = dict(given)
    for name in stage.inputs + stage.optional_inputs:
        if name in values:
            given[name] = values.pop(name)
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
            raise UsageError(f"{where}: the list is empty")
        return found
    if isinstance(value, list):
        raise UsageError(f"{where}: one path is wanted, found a list of {len(value)}")
    return _existing(value, where)


def run(stage: Stage, values: Any, inputs: dict[str, Any], out: Path, number: int | None) -> int:
    """Run a stage into `out` unless it is done there; `number`: the attempt that a runner has reserved. Returns 0."""
    world = mpi.world() if stage.mpi else None
    leading = world.rank == 0 if world else _leading()
    state = _prepare(stage, values, inputs, out) if leading or not world else None
    record = _begin(out, number) if leading and not state[1] else {}  # before any rank works
    digest, finished = world.bcast(state) if world else state
    if finished:
        if leading:
            print(f"{out}: already done ({stage.name} {digest})")
        return 0
    if not leading:  # one rank keeps the records; the others only work
        return _follow(stage, values, inputs, out, world)
    started = time.monotonic()
    try:
        _work(stage, values, inputs, out, world)
        store.write_done(out, digest, stage.name, stage.version)
    except BaseException as error:
        attempts.end(out, record, time.monotonic() - started, error)
        raise
    attempts.end(out, record, time.monotonic() - started, None)
    _remove_scratch(out)
    print(f"{out}: done ({stage.name} {digest})")
    return 0


def _remove_scratch(out: Path) -> None:
    """Remove what only an unfinished task needs: half-written files, blocks, checkpoints."""
    store.remove_private(out)
    for scratch in (places.BLOCKS, places.CHECKPOINTS):
        shutil.rmtree(out / scratch, ignore_errors=True)


def _begin(out: Path, number: int | None) -> dict[str, Any]:
    if number is None:  # by hand: nobody waited for an earlier attempt
        attempts.close_killed(out)
    return attempts.begin(out, number)


def _follow(stage: Stage, values: Any, inputs: dict[str, Any], out: Path, world: Any) -> int:
    try:
        _work(stage, values, inputs, out, world)
    except Exception as error:
        if world:  # which ends the leading rank before it can say why
            attempts.close_last(out, f"rank {world.rank}: {attempts.describe(error)}")
        raise
    return 0


def _prepare(stage: Stage, values: Any, inputs: dict[str, Any], out: Path) -> tuple[str, bool]:
    """The task's digest and whether it is done; if not, its directory is made ready."""
    digest = task_digest(stage, values, {name: _input_digests(path) for name, path in inputs.items()})
    if store.is_done(out, digest):
        return digest, True
    out.mkdir(parents=True, exist_ok=True)
    if stage.mpi:
        blocks.claim(out / places.BLOCKS, digest)
    if _leading():
        (out / places.DONE).unlink(missing_ok=True)  # of another configuration, or damaged
    return digest, False


def _work(stage: Stage, values: Any, inputs: dict[str, Any], out: Path, world: Any) -> None:
    stage.module.run(values, inputs, out)
    if world:
        world.barrier()  # done means done on every rank


def _input_digests(path: Path | list[Path]) -> str | list[str]:
    return [store.input_digest(one) for one in path] if isinstance(path, list) else store.input_digest(path)


def _leading() -> bool:
    """Whether this process is the first rank (torchrun sets RANK, MPI launchers their own)."""
    return mpi.leading() and os.environ.get("RANK", "0") == "0"


def _existing(value: Any, where: str) -> Path:
    path = Path(str(value)).expanduser()
    if not path.exists():
        raise UsageError(f"{where}: {path} does not exist (paths are from the current folder, {Path.cwd()})")
    return path.resolve()
