"""A sweep's YAML with what it includes, its profile and `--set` values merged into one document."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lib.base import places, yamls
from lib.base.errors import UsageError, suggestion

FOLDER = places.SWEEPS
KEYS = {"name", "title", "tables", "include", "vars", "nodes", "leaves", "profiles"}
UNION_KEYS = {"name", "title", "sweeps"}
INCLUDED_KEYS = {"include", "vars", "nodes", "profiles"}
PROFILE_KEYS = {"vars", "nodes"}


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
    check_keys(document, UNION_KEYS, str(file))
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
    check_keys(scale, PROFILE_KEYS, str(profile_file))
    own = (sweep.pop("profiles", None) or {}).get(profile) or {}
    check_keys(own, PROFILE_KEYS, f"{file}: profiles: {profile}")
    return merge(merge(sweep, scale), own)


def _included(file: Path, keys: set[str] = KEYS, users: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The document of a file over that of the file it includes, if it does. `users`: the files that include it."""
    document = yamls.read(file)
    check_keys(document, keys, str(file))
    if "include" not in document:
        return document
    base = (file.parent / str(document.pop("include"))).resolve()
    if not base.is_file():
        raise UsageError(f"{file}: include: no file {base}")
    if base in (file.resolve(), *users):
        raise UsageError(f"{file}: include: {base} includes this file; a circle has no beginning")
    return merge(_included(base, INCLUDED_KEYS, (*users, file.resolve())), document)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the entries of `over`, mappings merged, everything else replaced."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merge(result[key], value) if both else value
    return result


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


def check_keys(mapping: Any, keys: set[str] | None, where: str) -> None:
    """Raise UsageError for what is no mapping, or has a key that is not one of `keys` (None: any)."""
    if not isinstance(mapping, Mapping):
        raise UsageError(f"{where}: a mapping is wanted, found {mapping!r}")
    for key in mapping if keys is not None else ():
        if key not in keys:
            raise UsageError(f"{where}: unknown key '{key}'{suggestion(key, keys)}")
