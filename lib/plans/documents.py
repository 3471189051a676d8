"""Reading a sweep: its YAML file, what it includes, a profile and `--set` values become one document.

A sweep (sweeps/<name>.yaml) has these keys:

    name, title  the first names its folder of results, the second is the heading of its report
    question     what it answers, in one line; `laptop`: how long that takes in the profile `laptop` on two cores
    tables       the study whose tables and figures are made (lib/studies/<study>)
    vars         names and values. `${seeds}` stands for the value wherever it is written, `${rates.${model}}` for an
                 entry of it
    about        variable -> its meaning, in one line
    nodes        name -> {stage, config, inputs, resources, facts}. `inputs` maps an input to a node; the input
                 `{each: node, chunk: "${chunks}"}` is the list of that node at every `chunk` (the number 20 stands
                 for 0 to 19). A node `target_*` stands for every `target_<name>` that has no node of its own, and
                 `${*}` in it is that name. `facts` say what is known of its result (lib/costs/facts.py)
    leaves       the results asked for, a list of {node, grid: {variable: values}, with: {variable: value}}. Each point
                 of the grid's product is one result. The grid's variables label it in the tables; those of `with` do
                 not
    include      a file, relative to this one, with `vars`, `about`, `nodes`, `profiles` and perhaps an `include` of
                 its own; this file adds to it
    profiles     profile -> {vars, nodes} that apply to this sweep alone

or, for a sweep of sweeps, `name`, `title`, `question`, `laptop` and `sweeps`, a list of names. These sweeps are run as
one: a task that several of them need is run once, and each has its own tables.

A profile (sweeps/profiles/<profile>.yaml) has `vars` and `nodes` that set the scale, and perhaps a `base`, the profile
that it changes. Later values replace earlier ones, in this order: the included file, the sweep, the profile, the
sweep's own `profiles: {<profile>: ...}` (both of the base first), `--set`.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from lib.base import places, yamls
from lib.base.errors import UsageError, suggestion
from lib.plans import changes, overrides

FOLDER = places.SWEEPS
KEYS = {"name", "title", "question", "laptop", "tables", "include", "vars", "about", "nodes", "leaves", "profiles"}
UNION_KEYS = {"name", "title", "question", "laptop", "sweeps"}
INCLUDED_KEYS = {"include", "vars", "about", "nodes", "profiles"}
PROFILE_KEYS = {"vars", "nodes"}
SCALE_KEYS = {*PROFILE_KEYS, "base"}
SECTIONS = ("vars", "about", "nodes", "profiles")  # mappings
TEXTS = ("name", "title", "question", "laptop", "tables", "base", "include")


def names() -> list[str]:
    """All sweeps, by name."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def profiles() -> list[str]:
    """All profiles, by name."""
    return sorted(file.stem for file in (FOLDER / "profiles").glob("*.yaml"))


def parts(name: str) -> list[str]:
    """The sweeps of a sweep of sweeps. For any other name, also one without a file, the name itself."""
    file = FOLDER / f"{name}.yaml"
    document = yamls.read(file) if file.is_file() else {}
    return _part_names(document, file) if "sweeps" in document else [name]


def read(name: str, profile: str, settings: list[str]) -> dict[str, Any]:
    """The document of a sweep, with its profile and the `key=value` settings applied.

    For a sweep of sweeps, `sweeps` holds the documents of its parts, and a setting goes to every part that knows it.
    `changed` of a document says what the settings have changed (changes.between).
    """
    file = _sweep_file(name.replace("-", "_"))
    document = yamls.read(file)
    if "sweeps" in document:
        _check_document(document, UNION_KEYS, str(file))
        documents = [_with_profile(_sweep_file(part), profile) for part in _part_names(document, file)]
        return {**document, "sweeps": _changed(documents, settings)}
    return _changed([_with_profile(file, profile)], settings)[0]


def _changed(documents: list[dict[str, Any]], settings: list[str]) -> list[dict[str, Any]]:
    """The documents with the settings applied."""
    if not settings:
        return [{**one, "changed": {}} for one in documents]
    defaults = deepcopy(documents)
    overrides.apply_to_all(documents, settings)
    return [{**one, "changed": changes.between(default, one)} for default, one in zip(defaults, documents, strict=True)]


def _part_names(document: Mapping[str, Any], file: Path) -> list[str]:
    found = document["sweeps"]
    if not isinstance(found, list) or not all(isinstance(part, str) for part in found):
        raise UsageError(f"{file}: sweeps: must be a list of names of sweeps, found {found!r}")
    return found


def _sweep_file(name: str) -> Path:
    return _existing(FOLDER / f"{name}.yaml", name, names(), "sweep")


def _existing(file: Path, name: str, known: list[str], kind: str) -> Path:
    if not file.is_file():
        raise UsageError(f"no {kind} '{name}'{suggestion(name, known)}")
    return file


def _with_profile(file: Path, profile: str) -> dict[str, Any]:
    """The document in a file, merged with the file that it includes and with its profile."""
    sweep = _with_included(file)
    own = sweep.pop("profiles", None) or {}
    for name, scale in _scales(profile):
        of_sweep = own.get(name) or {}
        _check_document(of_sweep, PROFILE_KEYS, f"{file}: profiles: {name}")
        sweep = merge(merge(sweep, scale), of_sweep)
    return sweep


def _scales(profile: str, users: tuple[str, ...] = ()) -> list[tuple[str, dict[str, Any]]]:
    """A profile and what it is based on, the base first: names and documents. users: the profiles based on it."""
    file = _existing(FOLDER / "profiles" / f"{profile}.yaml", profile, profiles(), "profile")
    document = yamls.read(file)
    _check_document(document, SCALE_KEYS, str(file))
    base = document.pop("base", None)
    if base in (profile, *users):
        raise UsageError(f"{file}: base: {base} is based on this profile; remove one of the two")
    return [*(_scales(base, (*users, profile)) if base else []), (profile, document)]


def _with_included(file: Path, keys: set[str] = KEYS, users: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The document in a file, merged with the file that it includes, if any. users: the files that include it."""
    document = yamls.read(file)
    _check_document(document, keys, str(file))
    if "include" not in document:
        return document
    base = (file.parent / str(document.pop("include"))).resolve()
    if not base.is_file():
        raise UsageError(f"{file}: include: no file {base}")
    if base in (file.resolve(), *users):
        raise UsageError(f"{file}: include: {base} includes this file; remove one of the two includes")
    return merge(_with_included(base, INCLUDED_KEYS, (*users, file.resolve())), document)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the entries of `over`: mappings are merged, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result


def _check_document(document: Any, keys: set[str], where: str) -> None:
    """Raise UsageError for an unknown key, a section that is no mapping, a name that is no text."""
    check_keys(document, keys, where)
    for key in SECTIONS:
        check_keys(document.get(key) or {}, None, f"{where}: {key}")
    for key in TEXTS:
        if not isinstance(document.get(key, ""), str):
            raise UsageError(f"{where}: {key}: must be text, found {document[key]!r}")
    for name in document.get("nodes") or {}:
        if not isinstance(name, str):
            raise UsageError(f"{where}: nodes: the name {name!r} must be text; put it in quotes")


def check_keys(mapping: Any, keys: set[str] | None, where: str) -> None:
    """Raise UsageError unless `mapping` is a mapping and all its keys are among `keys` (None allows any)."""
    if not isinstance(mapping, Mapping):
        raise UsageError(f"{where}: must be a mapping of keys to values, found {mapping!r}")
    for key in mapping:
        if keys is not None and key not in keys:
            raise UsageError(f"{where}: unknown key '{key}'{suggestion(key, keys)}")
