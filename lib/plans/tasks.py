"""A node at one point becomes a task: its configuration built and pinned, its resources computed, its digest taken."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lib.artifacts.stage import Stage, check_inputs, check_needs, load, task_digest
from lib.base import config
from lib.base.errors import UsageError
from lib.costs.devices import Device
from lib.costs.facts import Given, UnknownFact
from lib.plans import costing
from lib.plans.costing import Cost
from lib.plans.plan import Task
from lib.plans.resources import Resources
from lib.plans.variables import resolve

COMMIT = re.compile(r"[0-9a-f]{40}")
Inputs = Mapping[str, str | list[str]]  # input -> digest, or digests


@dataclass(frozen=True)
class Setting:
    """What is the same for all tasks of a plan.

    pins: hub items -> commits; device: the GPU that hours are for; max_hours: the highest limit that is computed; root:
    the folder of outputs, whose results say what inputs were.
    """

    pins: Mapping[str, str]
    device: Device
    max_hours: float
    root: Path | None = None


def make(
    node: str, template: Mapping[str, Any], scope: Mapping[str, Any], inputs: Inputs, given: Given, setting: Setting
) -> tuple[Task, Cost]:
    """The task of a node whose variables have the values in `scope`, and its cost. given: the facts of its inputs."""
    where = f"node {node}"
    stage = load(template["stage"])
    check_inputs(stage, inputs, where)
    inputs = {name: _as_declared(stage, name, value, where) for name, value in inputs.items()}
    values = config.build(stage.config_class, resolve(template.get("config") or {}, scope, where), where)
    check_needs(stage, values, inputs, where)
    values = _pinned(stage, values, setting)
    _check(stage, values, given, where)
    asked = _resources(stage, values, resolve(template.get("resources") or {}, scope, where), where)
    facts = costing.facts_of(stage, values, given, resolve(template.get("facts"), scope, where), where)
    resources, cost = costing.priced(stage, values, given, facts, asked, setting.device, setting.max_hours)
    task = Task(
        digest=task_digest(stage, values, inputs),
        stage=stage.name,
        version=stage.version,
        label=stage.label(values),
        node=node,
        config=config.plain(values),
        inputs=inputs,
        resources=resources,
    )
    return task, cost


def _as_declared(stage: Stage, name: str, value: str | list[str], where: str) -> str | list[str]:
    """An input as a list if the stage takes a list, else as one digest."""
    if name in stage.lists:
        return value if isinstance(value, list) else [value]
    if isinstance(value, str):
        return value
    if len(value) != 1:
        raise UsageError(f"{where}: input '{name}': must be one node, {{each: ...}} gives {len(value)}")
    return value[0]


def _check(stage: Stage, values: Any, given: Given, where: str) -> None:
    """Raise UsageError for what the stage's own `check` says: it cannot succeed on inputs of which that is known."""
    if not hasattr(stage.module, "check"):
        return
    try:
        stage.module.check(values, given)
    except UnknownFact:
        return
    except (ValueError, UsageError) as error:
        raise UsageError(f"{where}: {error}") from error


def _resources(stage: Stage, values: Any, given: Mapping[str, Any], where: str) -> Resources:
    resources = config.build(Resources, given, f"{where}: resources")
    return replace(resources, mpi=stage.mpi, torchrun=stage.torchrun, network=stage.needs_network(values))


def _pinned(stage: Stage, values: Any, setting: Setting) -> Any:
    """`values` with whatever may change later fixed now.

    The stage's own `pin` fixes what a local folder holds. A branch of the hub becomes the commit in `pins`, if any.
    """
    if hasattr(stage.module, "pin"):
        values = stage.module.pin(values, setting.root)
    pins, revision = setting.pins, getattr(values, "revision", None)
    if not pins or not revision or COMMIT.fullmatch(revision):
        return values
    commits = [pins[str(item)] for item in stage.module.hub(values) if str(item) in pins]
    return replace(values, revision=commits[0]) if commits else values
