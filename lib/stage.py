"""One stage run by one command: `python -m jobs.<stage> --config FILE --out DIR`.

A stage with MPI = True runs on any number of ranks: `mpirun -n 4 python -m mpi4py -m jobs.<stage> ...`.

The YAML (or JSON) file is flat: the stage's configuration, and `inputs:` that maps names to paths of artifact
directories or files, from the current folder. An input may also stand at the top level.
"""

import argparse
import importlib
import os
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib import attempts, blocks, config, mpi, names, store, yamls
from lib.errors import TesseraError, UsageError, suggestion

FOLLOWER_SECONDS = 1.0


@dataclass(frozen=True)
class Stage:
    """What a module in jobs/ declares."""

    name: str
    version: int
    inputs: tuple[str, ...]
    optional_inputs: tuple[str, ...]
    lists: tuple[str, ...]  # inputs that may be several
    mpi: bool  # whether all ranks of an MPI world run it together
    slug: tuple[str, ...]
    config_class: type
    module: Any

    def label(self, values: Any) -> str:
        """The readable part of the artifact's folder name."""
        return "-".join(f"{_short(field)}{getattr(values, field)}" for field in self.slug)


def load(name: str) -> Stage:
    """The stage in `jobs/<name>.py`. Raises UsageError for a name that is none."""
    folder = Path(__file__).parent.parent / "jobs"
    known = [file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")]
    if name not in known:
        raise UsageError(f"unknown stage '{name}'{suggestion(name, known)}")
    module = importlib.import_module(f"jobs.{name}")
    return Stage(
        name, module.VERSION, tuple(module.INPUTS), tuple(getattr(module, "OPTIONAL_INPUTS", ())),
        tuple(getattr(module, "LISTS", ())), getattr(module, "MPI", False), tuple(getattr(module, "SLUG", ())),
        module.Config, module,
    )  # fmt: skip


def task_digest(stage: Stage, values: Any, inputs: Mapping[str, str | list[str]]) -> str:
    """The digest that names a task: stage, version, science configuration, digests of its inputs."""
    return config.digest(
        {"stage": stage.name, "version": stage.version, "config": config.science(values), "inputs": dict(inputs)}
    )


def check_inputs(stage: Stage, given: Mapping[str, Any], where: str) -> None:
    """Raise UsageError for an input that the stage does not know, or one it lacks."""
    known = stage.inputs + stage.optional_inputs
    for name in given:
        if name not in known:
            raise UsageError(f"{where}: unknown input '{name}'{suggestion(name, known)}")
    for name in stage.inputs:
        if given.get(name) is None:
            raise UsageError(f"{where}: missing input '{name}' of stage {stage.name}")


def main(name: str, argv: list[str] | None = None) -> int:
    """Run one stage as the command line says. Returns 0 done, 1 failed, 2 usage."""
    arguments = _parser(name).parse_args(argv)
    code = _guarded(name, arguments)
    if code:
        mpi.abort(code)
    return code


def _guarded(name: str, arguments: argparse.Namespace) -> int:
    try:
        stage = load(name)
        values, inputs = read_config(stage, arguments.config)
        return _run(stage, values, inputs, arguments.out.resolve(), arguments.attempt)
    except UsageError as error:
        return _say(error, 2)
    except (TesseraError, OSError) as error:
        return _say(error, 1)
    except Exception:
        traceback.print_exc()
        return 1


def _say(error: Exception, code: int) -> int:
    if not mpi.leading():  # what every rank finds, the leading one says for all, and ends all
        time.sleep(FOLLOWER_SECONDS)
    print(f"error: {error}", file=sys.stderr)
    return code


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


def _run(stage: Stage, values: Any, inputs: dict[str, Any], out: Path, number: int | None) -> int:
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
    store.remove_private(out)
    if hasattr(stage.module, "clean"):  # checkpoints go only once nothing can need them any more
        stage.module.clean(out)
    print(f"{out}: done ({stage.name} {digest})")
    return 0


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
        blocks.claim(out / names.BLOCKS, digest)
    if _leading():
        (out / names.DONE).unlink(missing_ok=True)  # of another configuration, or damaged
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


def _short(field: str) -> str:
    return "".join(word[0] for word in field.split("_"))


def _parser(name: str) -> argparse.ArgumentParser:
    stage_doc = (importlib.import_module(f"jobs.{name}").__doc__ or name).splitlines()[0]
    parser = argparse.ArgumentParser(prog=f"python -m jobs.{name}", description=stage_doc)
    parser.add_argument("--config", type=Path, required=True, help="YAML: configuration and inputs")
    parser.add_argument("--out", type=Path, required=True, help="the artifact directory")
    parser.add_argument("--attempt", type=int, help=argparse.SUPPRESS)
    return parser
