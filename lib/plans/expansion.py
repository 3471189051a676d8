"""Sweeps: a YAML file, a profile and `--set` values become a graph of tasks.

    vars:    names and values; `${seeds}` stands for one wherever it is written, `${rates.${model}}` for an entry
    nodes:   name -> {stage, config, inputs: {input: node}, resources}
             the input `{each: node, chunk: "${chunks}"}` is the list of that node at every `chunk` (20: 0 to 19);
             a node `target_*` stands for every `target_<name>` that has no node of its own; `${*}` in it is that name
    leaves:  [{node, grid: {variable: values}, with: {variable: value}}]; the grid's product, and everything its nodes
             need, is the graph. What the grid binds labels the result; what `with` binds does not
    include: a file of `vars`, `nodes`, `profiles` (and an `include`), relative to this one, that the sweep comes over
    sweeps:  instead of all these, the names of sweeps that are run as one: a task that several need is run once, and
             each sweep's tables are collected for themselves

A profile (sweeps/profiles/<profile>.yaml) has the same `vars` and `nodes`, holds the scale and comes over the sweep;
the sweep's own `profiles: {<profile>: ...}` comes over it, `--set` last.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

from lib.artifacts.stage import Stage, check_inputs, load, task_digest
from lib.base import config
from lib.base.errors import UsageError, suggestion
from lib.plans import rates
from lib.plans.documents import check_keys
from lib.plans.plan import Leaf, Plan, Task
from lib.plans.resources import Resources
from lib.plans.variables import ANY, EACH, as_list, each_point, hashable, resolve, single, starred

NODE_KEYS = {"stage", "config", "inputs", "resources"}
LEAF_KEYS = {"node", "grid", "with"}
COMMIT = re.compile(r"[0-9a-f]{40}")


def expand(document: Mapping[str, Any], profile: str, pins: Mapping[str, str] | None = None) -> Plan:
    """The graph of tasks of a document; `pins` maps hub items at branches to commits (the hub lock)."""
    name, title = document.get("name", ""), document.get("title", "")
    if "sweeps" in document:
        parts = tuple(expand(part, profile, pins) for part in document["sweeps"])
        tasks = {digest: task for part in parts for digest, task in part.tasks.items()}
        return Plan(name, profile, title, "", tasks, [leaf for part in parts for leaf in part.leaves], parts)
    expander = _Expander(document, pins or {})
    leaves = [leaf for entry in document.get("leaves") or [] for leaf in expander.leaves(entry)]
    if not leaves:
        raise UsageError(f"sweep {name}: no leaves: the grid is empty")
    return Plan(name, profile, title, document.get("tables", ""), expander.tasks, leaves)


class _Expander:
    """Instantiates nodes at grid points, each distinct one once."""

    def __init__(self, document: Mapping[str, Any], pins: Mapping[str, str]):
        self.variables = document.get("vars") or {}
        self.nodes = dict(document.get("nodes") or {})
        entries = document.get("leaves") or []
        self.bound = {name for entry in entries for key in ("grid", "with") for name in entry.get(key) or {}}
        self.pins = pins
        self.tasks: dict[str, Task] = {}
        self.stages: dict[str, Stage] = {}
        self.free: dict[str, set[str]] = {}
        self.made: dict[tuple, tuple[str, dict[str, str]]] = {}
        self.open: list[str] = []

    def leaves(self, entry: Mapping[str, Any]) -> Iterator[Leaf]:
        check_keys(entry, LEAF_KEYS, f"leaf {entry.get('node')}")
        grid = {key: resolve(value, self.variables, "grid") for key, value in (entry.get("grid") or {}).items()}
        columns = [value if isinstance(value, list) else [value] for value in grid.values()]
        for key, column in zip(grid, columns):
            if len(set(map(hashable, column))) < len(column):
                raise UsageError(f"grid: {key}: a value stands twice in {column}")
        for values in itertools.product(*columns):
            point = dict(zip(grid, values))
            node = resolve(entry["node"], {**self.variables, **point}, "leaf")
            unlabelled = resolve(entry.get("with") or {}, {**self.variables, **point}, "with")
            digest, nodes = self.node(node, {**point, **unlabelled})
            yield Leaf(point, digest, nodes)

    def node(self, name: str, point: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """The digest of a node at a grid point, and of every node below it."""
        uses = self.uses(name)
        key = (name, *((variable, hashable(point[variable])) for variable in point if variable in uses))
        if key not in self.made:
            self.made[key] = self._make(name, point)
        return self.made[key]

    def _make(self, name: str, point: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        template, scope = self.nodes[name], {**self.variables, **point}
        where = f"node {name}"
        below: dict[str, str] = {}
        inputs = {}
        for key, reference in (template.get("inputs") or {}).items():
            found, nodes = self._input(reference, point, where)
            if found:
                inputs[key] = found
            below.update(nodes)
        task = self._task(name, template, scope, inputs)
        self.tasks.setdefault(task.digest, task)
        return task.digest, {**below, name: task.digest}

    def _input(
        self, reference: Any, point: Mapping[str, Any], where: str
    ) -> tuple[str | list[str] | None, dict[str, str]]:
        """The digest (or, for `each`, the digests) that an input stands for, and of the nodes below it."""
        scope = {**self.variables, **point}
        if isinstance(reference, Mapping):
            points = [{**point, **bound} for bound in each_point(reference, scope, where)]
            node = reference[EACH]
            return [digest for one in points for digest in [self._input(node, one, where)[0]]], {}
        target = resolve(reference, scope, where)
        return self.node(self._node_name(target, where), point) if target is not None else (None, {})

    def _task(self, name: str, template: Mapping, scope: Mapping, inputs: dict[str, Any]) -> Task:
        where = f"node {name}"
        stage = self._stage(template["stage"])
        check_inputs(stage, inputs, where)
        inputs = {
            key: as_list(value) if key in stage.lists else single(value, f"{where}: input '{key}'")
            for key, value in inputs.items()
        }
        values = config.build(stage.config_class, resolve(template.get("config") or {}, scope, where), where)
        values = self._pin(stage, values)
        resources = config.build(
            Resources, resolve(template.get("resources") or {}, scope, where), f"{where}: resources"
        )
        resources = rates.applied(stage.name, replace(resources, mpi=stage.mpi))
        digest = task_digest(stage, values, inputs)
        return Task(
            digest, stage.name, stage.version, stage.label(values), name, config.plain(values), inputs, resources
        )

    def _pin(self, stage: Stage, values: Any) -> Any:
        """`values` with a branch of the hub replaced by the commit that it was resolved to, if it was, and with
        whatever else the stage reads off the world now (`pin`: what lies in a local folder)."""
        if hasattr(stage.module, "pin"):
            values = stage.module.pin(values)
        revision = getattr(values, "revision", None)
        if not self.pins or not revision or COMMIT.fullmatch(revision):
            return values
        commits = [self.pins[str(item)] for item in stage.module.hub(values) if str(item) in self.pins]
        return replace(values, revision=commits[0]) if commits else values

    def _stage(self, name: str) -> Stage:
        if name not in self.stages:
            self.stages[name] = load(name)
        return self.stages[name]

    def _node_name(self, name: Any, where: str) -> str:
        """`name`, which is a node: of its own, or one that a node such as `target_*` stands for."""
        if name not in self.nodes:
            pattern = next((key for key in self.nodes if key.endswith(ANY) and str(name).startswith(key[:-1])), None)
            if pattern is None:
                raise UsageError(f"{where}: no node '{name}'{suggestion(name, self.nodes)}")
            self.nodes[name] = starred(self.nodes[pattern], name.removeprefix(pattern[:-1]))
        return name

    def uses(self, name: str) -> set[str]:
        """The variables that a node, or any node below it, mentions."""
        if name in self.open:
            raise UsageError(f"nodes need each other in a circle: {' -> '.join([*self.open, name])}")
        if name not in self.free:
            self._node_name(name, "leaf")
            check_keys(self.nodes[name], NODE_KEYS, f"node {name}")
            for key in ("inputs", "config", "resources"):
                check_keys(self.nodes[name].get(key) or {}, None, f"node {name}: {key}")
            if "stage" not in self.nodes[name]:
                raise UsageError(f"node {name}: missing key 'stage'")
            self.open.append(name)
            text = yaml.safe_dump(self.nodes[name])
            found = self._mentioned(text)
            for reference in (self.nodes[name].get("inputs") or {}).values():
                bound = set(reference) if isinstance(reference, Mapping) else set()
                for below in self._matching(reference.get(EACH) if bound else reference):
                    found |= self.uses(below) - bound
            self.free[name] = found
            self.open.pop()
        return self.free[name]

    def _mentioned(self, text: str) -> set[str]:
        """The variables in a text, and those in their values."""
        found, new = set(), set(re.findall(r"\$\{(\w+)", text))
        while new:
            found |= new
            texts = [yaml.safe_dump(self.variables[name]) for name in new if name in self.variables]
            new = {name for text in texts for name in re.findall(r"\$\{(\w+)", text)} - found
        return found

    def _matching(self, reference: Any) -> list[str]:
        """The nodes that an input such as `injected_${kind}` can stand for."""
        if not isinstance(reference, str):
            return []
        if not self._mentioned(reference) & self.bound:
            known = resolve(reference, self.variables, "inputs")
            return [known] if known in self.nodes else []
        pattern = ".*".join(map(re.escape, re.split(r"\$\{.*\}", reference)))
        return [name for name in self.nodes if re.fullmatch(pattern, name)]
