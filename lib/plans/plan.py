"""A plan: the tasks of a sweep, and its leaves (the results asked for)."""

from dataclasses import dataclass, field
from typing import Any

from lib.plans import runs
from lib.plans.costing import Cost
from lib.plans.resources import Resources

POINT = ("model", "seed", "kind", "level")  # labels with their own columns in the tables; the others are a setting


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

    @property
    def keeps_weights(self) -> bool:
        """Whether the weights in its result stay when everything that reads them is done."""
        return bool(self.config.get("keep_weights", True))

    def needs(self) -> list[str]:
        """The digests of all inputs."""
        return [digest for given in self.inputs.values() for digest in ([given] if isinstance(given, str) else given)]


@dataclass(frozen=True)
class Leaf:
    """A result asked for: its point of the grid, its task, and the task of every node that it needs."""

    labels: dict[str, Any]
    digest: str
    nodes: dict[str, str]

    def point(self) -> dict[str, Any]:
        """Model, seed, kind, level and setting, which identify a result of a mosaic sweep in the tables."""
        return {**{name: self.labels[name] for name in POINT}, "setting": self.setting()}

    def setting(self) -> str:
        """The labels beyond model, seed, kind and level: `ngram=2;method=paper`; empty if there are none."""
        return ";".join(f"{name}={_label_text(value)}" for name, value in self.labels.items() if name not in POINT)


@dataclass(frozen=True)
class Plan:
    """An expanded sweep: its tasks, inputs before their users, and its leaves.

    show_texts: whether its report may show texts of the data.
    """

    name: str
    profile: str
    title: str
    tables: str
    tasks: dict[str, Task]
    leaves: list[Leaf]
    costs: dict[str, Cost] = field(default_factory=dict)  # digest -> what the task costs
    parts: tuple["Plan", ...] = ()  # the plans of a sweep of sweeps, each with its own tables
    settings: dict[str, Any] = field(default_factory=dict)  # those that differ from the profile's and change results
    show_texts: bool = True

    @property
    def run(self) -> str:
        """The name of the run, and of the folder of its results."""
        return runs.name(self.name, self.profile, self.settings)

    def droppable(self) -> set[str]:
        """The tasks whose weights are dropped when everything that reads them is done."""
        return {digest for digest, task in self.tasks.items() if not task.keeps_weights}

    def readers(self) -> dict[str, set[str]]:
        """Task -> the tasks that read its result. A part of a plan may lack what its tasks read (login_node.py)."""
        found: dict[str, set[str]] = {digest: set() for digest in self.tasks}
        for digest, task in self.tasks.items():
            for needed in found.keys() & task.needs():
                found[needed].add(digest)
        return found


def _label_text(value: Any) -> str:
    """A value as in YAML: `true`, not `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
