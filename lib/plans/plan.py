"""What a sweep expands to: tasks, leaves (the results asked for), and the plan that holds both."""

from dataclasses import dataclass
from typing import Any

from lib.plans.resources import Resources

POINT = ("model", "seed", "kind", "level")  # labels with a column of their own in the tables; the others are a setting


@dataclass(frozen=True)
class Task:
    """One unit of work: a stage with its configuration and the digests of its inputs."""

    digest: str
    stage: str
    version: int
    label: str
    node: str
    config: dict[str, Any]
    inputs: dict[str, str | list[str]]
    resources: Resources

    def needs(self) -> list[str]:
        """The digests of all inputs."""
        return [digest for given in self.inputs.values() for digest in ([given] if isinstance(given, str) else given)]


@dataclass(frozen=True)
class Leaf:
    """A wanted result: the grid point it belongs to and the task of every node it needs."""

    labels: dict[str, Any]
    digest: str
    nodes: dict[str, str]

    def point(self) -> dict[str, Any]:
        """Model, seed, kind, level and setting: what tells a result of a mosaic sweep in the tables."""
        return {**{name: self.labels[name] for name in POINT}, "setting": self.setting()}

    def setting(self) -> str:
        """The labels beyond model, seed, kind and level: `ngram=2;method=paper`; empty where there are none."""
        return ";".join(f"{name}={_spelled(value)}" for name, value in self.labels.items() if name not in POINT)


@dataclass(frozen=True)
class Plan:
    """A sweep expanded: its tasks (inputs before users) and leaves."""

    name: str
    profile: str
    title: str
    tables: str
    tasks: dict[str, Task]
    leaves: list[Leaf]
    parts: tuple["Plan", ...] = ()  # of a sweep of sweeps, whose tables are those of its parts


def _spelled(value: Any) -> str:
    """As YAML has it: `true`, not `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
