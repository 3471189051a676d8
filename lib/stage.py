"""One stage run by one command: `python -m jobs.<stage> --config FILE --out DIR`.

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

from lib import attempts, config, names, store, yamls
from lib.errors import TesseraError, UsageError, suggestion


@dataclass(frozen=True)
class Stage:
    """What a module in jobs/ declares."""

    name: str
    version: int
    inputs: tuple[str, ...]
    optional_inputs: tuple[str, ...]
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
        tuple(getattr(module, "SLUG", ())), module.Config, module,
    )  # fmt: skip


def task_digest(stage: Stage, values: Any, inputs: Mapping[str, str]) -> str:
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
        if name not in given:
            raise UsageError(f"{where}: missing input '{name}' of stage {stage.name}")


def main(name: str, argv: list[str] | None = None) -> int:
    """Run one stage as the command line says. Returns 0 done, 1 failed, 2 usage."""
    arguments = _parser(name).parse_args(argv)
    try:
        stage = load(name)
        values, inputs = read_config(stage, arguments.config)
        return _run(stage, values, inputs, arguments.out.resolve(), arguments.attempt)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (TesseraError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def read_config(stage: Stage, file: Path) -> tuple[Any, dict[str, Path]]:
    """The configuration and the input paths that a YAML file gives."""
    values = yamls.read(file)
    given = values.pop("inputs", None) or {}
    if not isinstance(given, dict):
        raise UsageError(f"{file}: inputs: a mapping of names to paths is wanted, found {given!r}")
    given = dict(given)
    for name in stage.inputs + stage.optional_inputs:
        if name in values:
            given[name] = values.pop(name)
    check_inputs(stage, given, str(file))
    inputs = {name: _existing(path, f"{file}: input '{name}'") for name, path in given.items() if path is not None}
    return config.build(stage.config_class, values, str(file)), inputs


def _run(stage: Stage, values: Any, inputs: dict[str, Path], out: Path, number: int | None) -> int:
    digest = task_digest(stage, values, {name: store.input_digest(path) for name, path in inputs.items()})
    if store.is_done(out, digest):
        print(f"{out}: already done ({stage.name} {digest})")
        return 0
    out.mkdir(parents=True, exist_ok=True)
    if not _leading():  # one rank keeps the records; the others only work
        stage.module.run(values, inputs, out)
        return 0
    (out / names.DONE).unlink(missing_ok=True)  # of another configuration, or damaged
    record = attempts.begin(out, number)
    started = time.monotonic()
    try:
        stage.module.run(values, inputs, out)
        store.write_done(out, digest, stage.name, stage.version)
    except BaseException as error:
        attempts.end(out, record, time.monotonic() - started, error)
        if isinstance(error, Exception) and not isinstance(error, TesseraError):
            traceback.print_exc()
            return 1
        raise
    attempts.end(out, record, time.monotonic() - started, None)
    store.remove_private(out)
    if hasattr(stage.module, "clean"):  # checkpoints go only once nothing can need them any more
        stage.module.clean(out)
    print(f"{out}: done ({stage.name} {digest})")
    return 0


def _leading() -> bool:
    """Whether this process is the first rank (torchrun sets RANK, Open MPI and PMIx their own)."""
    return all(os.environ.get(key, "0") == "0" for key in ("RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK"))


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
