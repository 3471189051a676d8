"""From a document to a plan: each leaf's grid is multiplied out, and every node below its points becomes a task."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.base import config
from lib.base.errors import UsageError
from lib.costs import devices
from lib.costs.devices import Device
from lib.costs.facts import Facts, together
from lib.plans import changes, tasks
from lib.plans.costing import Cost
from lib.plans.documents import check_keys
from lib.plans.nodes import EACH, Nodes
from lib.plans.plan import Leaf, Plan, Task
from lib.plans.variables import resolve, typed

LEAF_KEYS = {"node", "grid", "with"}
INPUT = "a node's name or {each: node, variable: values}"  # what an input may be
Point = Mapping[str, Any]  # variable -> value


def expand(
    document: Mapping[str, Any],
    profile: str,
    pins: Mapping[str, str] | None = None,
    device: Device | None = None,
    max_hours: float = math.inf,
    root: Path | None = None,
) -> Plan:
    """The plan of a document (see documents.py). Raises UsageError for a variable that is set and that nothing uses.

    pins: hub items at branches -> commits (the hub lock); device: the GPU that hours are computed for; max_hours: the
    highest limit of a task whose limit is computed; root: the folder of outputs, whose results say what inputs were.
    """
    setting = tasks.Setting(pins or {}, device or devices.find(None, document.get("name", "")), max_hours, root)
    plan, idle = _expanded(document, profile, setting)
    if idle:
        name, users = next(iter(idle.items()))
        would = f"; the nodes {', '.join(users)} would, which no result needs" if users else ""
        raise UsageError(f"--set {name}: nothing in this plan uses '{name}'{would}")
    return plan


def _expanded(document: Mapping[str, Any], profile: str, setting: tasks.Setting) -> tuple[Plan, dict[str, list[str]]]:
    """The plan, and the variables that are set and that nothing in it uses, with the nodes that would use them."""
    name, title = document.get("name", ""), document.get("title", "")
    if "sweeps" in document:
        return _union(document, [_expanded(part, profile, setting) for part in document["sweeps"]], profile)
    expander = _Expander(document, setting)
    leaves = list(expander.leaves())
    if not leaves:
        raise UsageError(f"sweep {name}: no leaves: the grid is empty{expander.emptied()}")
    study, show_texts = document.get("tables", ""), _show_texts(document)
    changed = document.get("changed") or {}
    settings = expander.affecting(changed)
    plan = Plan(name, profile, title, study, expander.tasks, leaves, expander.costs, (), settings, show_texts)
    return plan, expander.idle(changed)


def _union(
    document: Mapping[str, Any], made: list[tuple[Plan, dict[str, list[str]]]], profile: str
) -> tuple[Plan, dict[str, list[str]]]:
    """The plan of a sweep of sweeps; what one of these uses, the whole uses."""
    parts = tuple(part for part, _ in made)
    shared = {digest: task for part in parts for digest, task in part.tasks.items()}
    costs = {digest: cost for part in parts for digest, cost in part.costs.items()}
    settings = {key: value for part in parts for key, value in part.settings.items()}
    leaves = [leaf for part in parts for leaf in part.leaves]
    plan = Plan(
        document.get("name", ""), profile, document.get("title", ""), "", shared, leaves, costs, parts, settings
    )
    changed = [changes.variables_of(part.get("changed") or {}) for part in document["sweeps"]]
    used = {name for names, (_, idle) in zip(changed, made) for name in names - idle.keys()}
    return plan, {name: users for _, idle in made for name, users in idle.items() if name not in used}


def _show_texts(document: Mapping[str, Any]) -> bool:
    """Whether the report may show texts of the data: the variable `show_texts`, true where there is none."""
    value = (document.get("vars") or {}).get("show_texts", True)
    if not isinstance(value, bool):
        raise UsageError(f"sweep {document.get('name', '')}: vars: show_texts: must be true or false, found {value!r}")
    return value


@dataclass(frozen=True)
class _Made:
    """A node made at one point: the digest of its task, and of every node it needs (and its own) by name; its facts.

    Two nodes may have the same task and only one of them facts (the tokenizer of a model, and the model).
    """

    digest: str
    nodes: dict[str, str]
    facts: Facts


class _Expander:
    """Makes nodes at points, each distinct one once, and collects their tasks (inputs before users)."""

    def __init__(self, document: Mapping[str, Any], setting: tasks.Setting):
        self.tasks: dict[str, Task] = {}
        self.costs: dict[str, Cost] = {}
        self._variables = document.get("vars") or {}
        self._entries = _entries(document)
        free = {name for entry in self._entries for key in ("grid", "with") for name in entry.get(key) or {}}
        self._nodes = Nodes(document.get("nodes") or {}, self._variables, free)
        self._setting = setting
        self._bound: dict[str, Any] = {}  # variable -> what binds it where the present task is, as written
        self._made: dict[tuple, _Made] = {}

    def leaves(self) -> Iterator[Leaf]:
        """All leaves, entry by entry: one for each point of an entry's grid."""
        for entry in self._entries:
            yield from self._leaves_of(entry)

    def affecting(self, changed: changes.Changes) -> dict[str, Any]:
        """Those of the changed values on which results depend, once all leaves are made."""
        nodes = {key[0]: self._nodes.template(key[0], "leaf") for key in self._made}
        return changes.affecting(changed, self._entries, nodes, self._variables)

    def idle(self, changed: changes.Changes) -> dict[str, list[str]]:
        """The changed variables that nothing in the plan uses -> the nodes that would, once all leaves are made."""
        return changes.idle(changed, self._entries, {key[0] for key in self._made}, self._nodes.all(), self._variables)

    def emptied(self) -> str:
        """Which variables are empty lists, so that no result is asked for."""
        lists = [(name, value) for entry in self._entries for name, value in (entry.get("grid") or {}).items()]
        empty = [sorted(typed(*one, {})) or [one[0]] for one in lists if resolve(one[1], self._variables, "grid") == []]
        names = ", ".join(dict.fromkeys(name for several in empty for name in several))
        return f", because nothing is in: {names}" if names else ""

    def _leaves_of(self, entry: Mapping[str, Any]) -> Iterator[Leaf]:
        self._bound = {**(entry.get("grid") or {}), **(entry.get("with") or {})}
        for point in _points(entry.get("grid") or {}, self._variables):
            scope = {**self._variables, **point}
            node = _text(resolve(entry["node"], scope, "leaf"), f"leaf {entry['node']}: node", "a node's name")
            unlabelled = resolve(entry.get("with") or {}, scope, "with")
            made = self._at(node, {**point, **unlabelled})
            yield Leaf(point, made.digest, made.nodes)

    def _at(self, name: str, point: Point) -> _Made:
        """A node at a point. It is made once for each combination of values of its variables."""
        uses = self._nodes.variables_of(name)
        key = (name, *((variable, _hashable(value)) for variable, value in point.items() if variable in uses))
        if key not in self._made:
            self._made[key] = self._make(name, point)
        return self._made[key]

    def _make(self, name: str, point: Point) -> _Made:
        template = self._nodes.template(name, "leaf")
        _text(template["stage"], f"node {name}: stage", "a stage's name")
        inputs: dict[str, str | list[str]] = {}
        facts: dict[str, Facts] = {}
        below: dict[str, str] = {}
        for key, reference in (template.get("inputs") or {}).items():
            several = isinstance(reference, Mapping)
            made = self._inputs(reference, point, f"node {name}: input '{key}'")
            if made:
                inputs[key] = [one.digest for one in made] if several else made[0].digest
                facts[key] = together([one.facts for one in made])
                below.update({} if several else made[0].nodes)
        try:
            task, cost = tasks.make(name, template, {**self._variables, **point}, inputs, facts, self._setting)
        except UsageError as error:
            raise UsageError(f"{error}{self._as_typed(str(error), template.get('config') or {})}") from error
        self._keep(task, cost)
        return _Made(task.digest, {**below, name: task.digest}, cost.facts)

    def _as_typed(self, error: str, written: Mapping[str, Any]) -> str:
        """Which variables a user has set, where an error names the keys of a node's configuration."""
        named = [key for key in written if re.search(rf"\b{re.escape(key)} is ", error)]
        found = {key: sorted(typed(key, written[key], self._bound)) for key in named}
        said = {key: f"{key} is set by the variable {', '.join(names)}" for key, names in found.items() if names}
        empty = {key: ", to which no value was given" for key in said if f"{key} is null" in error}
        return "".join(f" ({words}{empty.get(key, '')})" for key, words in said.items())

    def _keep(self, task: Task, cost: Cost) -> None:
        """Add a task; of two nodes with the same one, that counts for which hours are known."""
        if task.digest not in self.tasks or (cost.computed and not self.costs[task.digest].computed):
            self.tasks[task.digest], self.costs[task.digest] = task, cost

    def _inputs(self, reference: Any, point: Point, where: str) -> list[_Made]:
        """What an input refers to: one node, several by `{each: ...}`, or none."""
        if isinstance(reference, Mapping):
            return self._each(reference, point, where)
        made = self._input(reference, point, where)
        return [made] if made else []

    def _input(self, reference: Any, point: Point, where: str) -> _Made | None:
        """The node that an input refers to; None if the reference resolves to null."""
        name = resolve(reference, {**self._variables, **point}, where)
        if name is None:
            return None
        _text(name, where, INPUT)
        if not self._nodes.has(name):
            raise UsageError(self._nodes.unknown(name, str(reference), where, typed("", reference, self._bound)))
        return self._at(name, point)

    def _each(self, reference: Mapping[str, Any], point: Point, where: str) -> list[_Made]:
        """The node in `{each: node, variable: values, ...}` at every combination of the values."""
        if EACH not in reference:
            raise UsageError(f"{where}: must be {INPUT}, found {reference!r}")
        scope = {**self._variables, **point}
        self._bound |= reference
        values = {name: resolve(value, scope, where) for name, value in reference.items() if name != EACH}
        ranges = {name: list(range(value)) if type(value) is int else value for name, value in values.items()}
        found = [self._input(reference[EACH], {**point, **bound}, where) for bound in _product(ranges)]
        return [made for made in found if made]


def _entries(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of `leaves`. Raises UsageError, with its place in the list, for one that is not as it must be."""
    found, where = document.get("leaves") or [], f"sweep {document.get('name', '')}: leaves"
    if not isinstance(found, list):
        raise UsageError(f"{where}: must be a list of {{node, grid, with}}, found {found!r}")
    for number, entry in enumerate(found, 1):
        _check_entry(entry, f"{where}: number {number}")
    return found


def _check_entry(entry: Any, where: str) -> None:
    check_keys(entry, LEAF_KEYS, where)
    if "node" not in entry:
        raise UsageError(f"{where}: missing key 'node'")
    for key in ("grid", "with"):
        check_keys(entry.get(key) or {}, None, f"{where}: {key}")


def _text(value: Any, where: str, wanted: str) -> str:
    """`value`, which must be text. Raises UsageError that says what was `wanted`."""
    if not isinstance(value, str):
        raise UsageError(f"{where}: must be {wanted}, found {value!r}")
    return value


def _points(grid: Mapping[str, Any], scope: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The points of a grid as written. Raises UsageError for a value that is given twice."""
    resolved = resolve(grid, scope, "grid")
    for name, values in resolved.items():
        if isinstance(values, list) and len(set(map(_hashable, values))) < len(values):
            names = sorted(typed(name, grid[name], {})) or [name]
            raise UsageError(f"grid: {', '.join(names)}: a value is given twice in {values}")
    return _product(resolved)


def _product(columns: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of the values; what is not a list is a single value."""
    lists = [value if isinstance(value, list) else [value] for value in columns.values()]
    return (dict(zip(columns, values)) for values in itertools.product(*lists))


def _hashable(value: Any) -> Any:
    """A key that tells 1, 1.0, True and "1" apart."""
    return (type(value), value) if type(value) in (str, int, float, bool) else config.canonical(value)
