"""Stages: what a file in jobs/ declares, and the digests of its tasks."""

import functools
import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lib.base import config, places
from lib.base.errors import UsageError, suggestion


@dataclass(frozen=True)
class Stage:
    """What a module in jobs/ declares."""

    name: str
    version: int
    inputs: tuple[str, ...]
    optional_inputs: tuple[str, ...]
    lists: tuple[str, ...]  # inputs that may be lists of artifacts
    mpi: bool  # whether MPI ranks run it together
    slug: tuple[str, ...]  # fields that the folder's name shows
    config_class: type
    module: Any

    def label(self, values: Any) -> str:
        """The readable part of the artifact's folder name."""
        return "-".join(f"{_short(field)}{getattr(values, field)}" for field in self.slug)

    @property
    def imports_torch(self) -> bool:
        """Whether it declares that it imports torch and transformers."""
        return getattr(self.module, "IMPORTS_TORCH", False)

    @property
    def torchrun(self) -> bool:
        """Whether it declares that torchrun starts it, one process for each GPU."""
        return getattr(self.module, "TORCHRUN", False)

    def needs_network(self, values: Any) -> bool:
        """Whether a task with this configuration sends requests to other machines, as its `network` says."""
        return hasattr(self.module, "network") and self.module.network(values)


@functools.cache  # a plan asks for each stage thousands of times
def load(name: str) -> Stage:
    """The stage in `jobs/<study>/<name>.py`. Raises UsageError if there is no such file."""
    known = studies()
    if name not in known:
        raise UsageError(f"unknown stage '{name}'{suggestion(name, known)}")
    module = importlib.import_module(f"jobs.{known[name]}.{name}")
    return Stage(
        name=name,
        version=module.VERSION,
        inputs=tuple(module.INPUTS),
        optional_inputs=tuple(getattr(module, "OPTIONAL_INPUTS", ())),
        lists=tuple(getattr(module, "LISTS", ())),
        mpi=getattr(module, "MPI", False),
        slug=tuple(getattr(module, "SLUG", ())),
        config_class=module.Config,
        module=module,
    )


def _short(field: str) -> str:
    """The initials of a field: `learning_rate` -> `lr`."""
    return "".join(word[0] for word in field.split("_"))


@functools.cache
def studies() -> dict[str, str]:
    """Stage -> study, for every file in jobs/."""
    files = sorted(places.JOBS.glob("*/*.py"))
    return {file.stem: file.parent.name for file in files if not file.stem.startswith("_")}


def task_digest(stage: Stage, values: Any, inputs: Mapping[str, str | list[str]]) -> str:
    """The digest that names a task: stage, version, science configuration, digests of its inputs."""
    return config.digest(
        {"stage": stage.name, "version": stage.version, "config": config.science(values), "inputs": dict(inputs)}
    )


def check_inputs(stage: Stage, given: Mapping[str, Any], where: str) -> None:
    """Raise UsageError for an unknown input, or a missing one."""
    known = stage.inputs + stage.optional_inputs
    for name in given:
        if name not in known:
            raise UsageError(f"{where}: unknown input '{name}'{suggestion(name, known)}")
    for name in stage.inputs:
        if given.get(name) is None:
            raise UsageError(f"{where}: missing input '{name}' of stage {stage.name}")


def check_needs(stage: Stage, values: Any, given: Collection[str], where: str) -> None:
    """Raise UsageError for an input that this configuration needs, as the stage's own `check_inputs` says."""
    if not hasattr(stage.module, "check_inputs"):
        return
    try:
        stage.module.check_inputs(values, given)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
