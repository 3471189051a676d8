"""Sweeps: a YAML file, a profile and `--set` values become a graph of tasks.

    vars:    names and values; `${seeds}` stands for one wherever it is written, `${rates.${model}}` for an entry
    nodes:   name -> {stage, config, inputs: {input: node}, resources}
             the input `{each: node, chunk: "${chunks}"}` is the list of that node at every `chunk` (20: 0 to 19)
    leaves:  [{node, grid: {variable: values}, with: {variable: value}}]; the grid's product, and everything its nodes
             need, is the graph. What the grid binds labels the result; what `with` binds does not
    include: a file of `vars`, `nodes` and `profiles`, relative to this one, that the sweep comes over
    sweeps:  instead of all these, the names of sweeps that are run as one: a task that several need is run once, and
             each sweep's tables are collected for themselves

A profile (sweeps/profiles/<profile>.yaml) has the same `vars` and `nodes`, holds the scale and comes over the sweep;
the sweep's own `profiles: {<profile>: ...}` comes over it, `--set` last.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from lib import config, rates, yamls
from lib.cluster import Resources
from lib.errors import UsageError, suggestion
from lib.stage import Stage, check_inputs, load, task_digest

FOLDER = Path(__file__).parent.parent / "sweeps"
KEYS = {"name", "title", "tables", "include", "vars", "nodes", "leaves", "profiles"}
UNION_KEYS = {"name", "title", "sweeps"}
INCLUDED_KEYS = {"vars", "nodes", "profiles"}
PROFILE_KEYS = {"vars", "nodes"}
NODE_KEYS = {"stage", "config", "inputs", "resources"}
LEAF_KEYS = {"node", "grid", "with"}
POINT = ("model", "seed", "kind", "level")  # labels with a column of their own in the tables; the others are a setting
REFERENCE = re.compile(r"\$\{([^${}]+)\}")
COMMIT = re.compile(r"[0-9a-f]{40}")
EACH = "each"
ANY = "*"
MAX_DEPTH = 20  # of variables that refer to variables


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


def names() -> list[str]:
    """The sweeps that exist."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def parts(name: str) -> list[str]:
    """The sweeps that `name` stands for: those of a sweep of sweeps; itself, also where its file is gone."""
    file = FOLDER / f"{name}.yaml"
    return list(yamls.read(file).get("sweeps", [name])) if file.is_file() else [name]


def read(name: str, profile: str, settings: list[str]) -> dict[str, Any]:
    """The sweep's document with its profile merged and `key=value` settings applied.

    Of a sweep of sweeps it has those documents under `sweeps`; a setting goes to all that know what it sets.
    """
    file = _existing(FOLDER / f"{name.replace('-', '_')}.yaml", name, names(), "sweep")
    document = yamls.read(file)
    if "sweeps" in document:
        return _union(file, document, profile, settings)
    document = _scaled(file, profile)
    for setting in settings:
        _set(document, setting)
    return document


def _union(file: Path, document: dict[str, Any], profile: str, settings: list[str]) -> dict[str, Any]:
    _known(document, UNION_KEYS, str(file))
    parts = [
        _scaled(_existing(FOLDER / f"{name}.yaml", name, names(), "sweep"), profile) for name in document["sweeps"]
    ]
    for setting in settings:
        errors = [error for part in parts if (error := _refused(part, setting))]
        if len(errors) == len(parts):
            raise errors[0]
    return {**document, "sweeps": parts}


def _refused(document: dict[str, Any], setting: str) -> UsageError | None:
    try:
        _set(document, setting)
    except UsageError as error:
        return error
    return None


def _scaled(file: Path, profile: str) -> dict[str, Any]:
    """The document of a file with what it includes below it and its profile over it."""
    profiles = [path.stem for path in (FOLDER / "profiles").glob("*.yaml")]
    profile_file = _existing(FOLDER / "profiles" / f"{profile}.yaml", profile, profiles, "profile")
    sweep, scale = _included(file), yamls.read(profile_file)
    _known(scale, PROFILE_KEYS, str(profile_file))
    own = (sweep.pop("profiles", None) or {}).get(profile) or {}
    _known(own, PROFILE_KEYS, f"{file}: profiles: {profile}")
    return merge(merge(sweep, scale), own)


def _included(file: Path) -> dict[str, Any]:
    """The document of a file over that of the file it includes, if it does."""
    document = yamls.read(file)
    _known(document, KEYS, str(file))
    if "include" not in document:
        return document
    base = file.parent / str(document.pop("include"))
    if not base.is_file():
        raise UsageError(f"{file}: include: no file {base}")
    common = yamls.read(base)
    _known(common, INCLUDED_KEYS, str(base))
    return merge(common, document)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the entries of `over`, mappings merged, everything else replaced."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result


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
        self.nodes = document.get("nodes") or {}
        entries = document.get("leaves") or []
        self.bound = {name for entry in entries for key in ("grid", "with") for name in entry.get(key) or {}}
        self.pins = pins
        self.tasks: dict[str, Task] = {}
        self.stages: dict[str, Stage] = {}
        self.free: dict[str, set[str]] = {}
        self.made: dict[tuple, tuple[str, dict[str, str]]] = {}
        self.open: list[str] = []

    def leaves(self, entry: Mapping[str, Any]) -> Iterator[Leaf]:
        _known(entry, LEAF_KEYS, f"leaf {entry.get('node')}")
        grid = {key: resolve(value, self.variables, "grid") for key, value in (entry.get("grid") or {}).items()}
        columns = [value if isinstance(value, list) else [value] for value in grid.values()]
        for key, column in zip(grid, columns):
            if len(set(map(_hashable, column))) < len(column):
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
        key = (name, *((variable, _hashable(point[variable])) for variable in point if variable in uses))
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
            points = [{**point, **bound} for bound in _each(reference, scope, where)]
            node = reference[EACH]
            return [digest for one in points for digest in [self._input(node, one, where)[0]]], {}
        target = resolve(reference, scope, where)
        return self.node(self._node_name(target, where), point) if target is not None else (None, {})

    def _task(self, name: str, template: Mapping, scope: Mapping, inputs: dict[str, Any]) -> Task:
        where = f"node {name}"
        stage = self._stage(template["stage"])
        check_inputs(stage, inputs, where)
        inputs = {
            key: _as_list(value) if key in stage.lists else _single(value, f"{where}: input '{key}'")
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
        if name not in self.nodes:
            raise UsageError(f"{where}: no node '{name}'{suggestion(name, self.nodes)}")
        return name

    def uses(self, name: str) -> set[str]:
        """The variables that a node, or any node below it, mentions."""
        if name in self.open:
            raise UsageError(f"nodes need each other in a circle: {' -> '.join([*self.open, name])}")
        if name not in self.free:
            self._node_name(name, "leaf")
            _known(self.nodes[name], NODE_KEYS, f"node {name}")
            for key in ("inputs", "config", "resources"):
                _known(self.nodes[name].get(key) or {}, None, f"node {name}: {key}")
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


def _each(reference: Mapping[str, Any], scope: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """The points that `{each: node, variable: values, ...}` goes through; a number n stands for 0 to n - 1."""
    if EACH not in reference:
        raise UsageError(f"{where}: an input is a node's name or {{each: node, variable: values}}, found {reference!r}")
    columns = {key: resolve(value, scope, where) for key, value in reference.items() if key != EACH}
    lists = [list(range(value)) if type(value) is int else _as_list(value) for value in columns.values()]
    for values in itertools.product(*lists):
        yield dict(zip(columns, values))


def _single(value: str | list[str], where: str) -> str:
    if isinstance(value, list):
        if len(value) != 1:
            raise UsageError(f"{where}: one node is wanted, {{each: ...}} gives {len(value)}")
        return value[0]
    return value


def _as_list(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def resolve(value: Any, scope: Mapping[str, Any], where: str, depth: int = 0) -> Any:
    """`value` with every `${...}` replaced; one that is the whole string keeps its type."""
    if depth > MAX_DEPTH:
        raise UsageError(f"{where}: {value!r} refers to itself")
    if isinstance(value, Mapping):
        return {key: resolve(item, scope, where, depth) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, scope, where, depth) for item in value]
    match = REFERENCE.search(value) if isinstance(value, str) else None
    if match is None:
        return value
    found = _look_up(match.group(1), scope, where)
    whole = match.group(0) == value
    return resolve(
        found if whole else value[: match.start()] + str(found) + value[match.end() :], scope, where, depth + 1
    )


def _look_up(path: str, scope: Mapping[str, Any], where: str) -> Any:
    """The value at a dotted path; a name may have dots itself (`learning_rates.llama_3.2_1B`).

    Where a mapping has an entry `*`, it stands for every name that has none.
    """
    value: Any = scope
    rest = path
    while rest:
        if not isinstance(value, Mapping):
            raise UsageError(f"{where}: no variable '{path}': what stands before '{rest}' is no mapping")
        keys = {str(key): key for key in value} if rest not in value else {rest: rest}
        name = next((key for key in keys if rest == key or rest.startswith(f"{key}.")), None)
        if name is None and ANY in value:
            return value[ANY]
        if name is None:
            raise UsageError(f"{where}: no variable '{path}'{suggestion(rest, keys)}")
        value, rest = value[keys[name]], rest[len(name) + 1 :]
    return value


def _set(document: dict[str, Any], setting: str) -> None:
    """Apply `key=value`: a variable's name, or a dotted path such as nodes.target.config.steps."""
    path, separator, text = setting.partition("=")
    if not separator:
        raise UsageError(f"--set {setting}: key=value is wanted")
    if path.split(".")[0] not in ("nodes", "vars"):
        path = f"vars.{path}"
    place, folder, rest = document, "", path
    while rest not in place and "." in rest:  # a name may have dots itself
        folder = _first_name(rest, place)
        if folder not in place:
            raise UsageError(f"--set {setting}: no '{folder}'{suggestion(folder, place)}")
        place, rest = place[folder], rest[len(folder) + 1 :]
        if not isinstance(place, dict):
            raise UsageError(f"--set {setting}: '{folder}' has no entries")
    if not folder:
        raise UsageError(f"--set {setting}: name an entry of it, such as {rest}.<name>=...")
    free = folder in ("config", "resources", "inputs")  # the stage knows which keys these may have
    if rest not in place and not free:
        raise UsageError(f"--set {setting}: no '{rest}'{suggestion(rest, place)}")
    try:
        place[rest] = yamls.parse(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {setting}: no valid YAML value: {error}") from error


def _first_name(path: str, known: Mapping[str, Any]) -> str:
    """The known name that a dotted path begins with, else what stands before its first dot."""
    return next((str(key) for key in known if path.startswith(f"{key}.")), path.split(".")[0])


def _existing(file: Path, name: str, known: list[str], kind: str) -> Path:
    if not file.is_file():
        raise UsageError(f"no {kind} '{name}'{suggestion(name, known)}")
    return file


def _known(mapping: Any, keys: set[str] | None, where: str) -> None:
    """Raise UsageError for what is no mapping, or has a key that is not one of `keys` (None: any)."""
    if not isinstance(mapping, Mapping):
        raise UsageError(f"{where}: a mapping is wanted, found {mapping!r}")
    for key in mapping if keys is not None else ():
        if key not in keys:
            raise UsageError(f"{where}: unknown key '{key}'{suggestion(key, keys)}")


def _spelled(value: Any) -> str:
    """As YAML has it: `true`, not `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _hashable(value: Any) -> Any:
    """A key that tells 1, 1.0, True and "1" apart."""
    return (type(value), value) if type(value) in (str, int, float, bool) else config.canonical(value)
