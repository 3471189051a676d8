"""`--set key=value`: one value of a sweep's document, given on the command line; `--settings`: several."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lib.base import yamls
from lib.base.errors import UsageError, suggestion
from lib.plans.variables import ANY, REFERENCE, star_of

SECTIONS = ("vars", "nodes")
OPEN_MAPPINGS = ("config", "resources", "inputs")  # of a node: the stage knows which keys these may have
# A quoted part of a value (quotes inside a word are letters), blanks, or one other character.
PIECE = re.compile(r"""(?<=[=\[{,:\s])(?:'(?:[^']|'')*'|"(?:\\.|[^"\\])*")|\s+|.""", re.DOTALL)
SECTION = rf"\.(?=(?:{'|'.join(OPEN_MAPPINGS)})(?:\.|$))"


def split(text: str) -> list[str]:
    """The settings in a text: parted by blanks, but for those inside the quotes, brackets and braces of a value."""
    settings, depth = [""], 0
    for piece in PIECE.findall(text):
        depth += (piece in "[{") - (piece in "]}")
        if piece.isspace() and depth <= 0:
            settings.append("")
        else:
            settings[-1] += piece
    return list(filter(None, settings))


def apply_to_all(documents: Sequence[dict[str, Any]], settings: Sequence[str]) -> None:
    """Apply each setting to every document that knows its key. Raises UsageError if none of them does."""
    for setting in settings:
        errors = [error for document in documents if (error := _try_to_apply(document, setting))]
        if errors and len(errors) == len(documents):
            raise errors[0]


def _try_to_apply(document: dict[str, Any], setting: str) -> UsageError | None:
    try:
        apply(document, setting)
    except UsageError as error:
        return error
    return None


def apply(document: dict[str, Any], setting: str) -> None:
    """Apply `key=value`. The key is a variable's name, or a dotted path such as nodes.target.config.steps.

    Where a list stands, a single value is the list of it, so that both ways of typing it are one run.
    """
    where = f"--set {setting}"
    path, separator, text = setting.partition("=")
    if not separator:
        raise UsageError(f"{where}: must be key=value; a value with blanks stands in quotes: key='a value'")
    name = path.split(".")[0]
    mapping, key = _find(document, path if name in SECTIONS else f"vars.{path}", where)
    used = document.get("about")
    if used and name not in (*SECTIONS, *used):  # a variable that a profile has for other sweeps
        raise UsageError(f"{where}: this sweep does not use '{name}'{suggestion(name, used)}")
    try:
        value = yamls.parse(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{where}: the value is not valid YAML: {yamls.in_a_line(error)}") from error
    mapping[key] = [value] if _is_single(value) and _is_list(mapping.get(key), document) else value


def _is_single(value: Any) -> bool:
    """Whether a value is a text, which refers to no variable, or a number."""
    return isinstance(value, (str, int, float)) and not (isinstance(value, str) and REFERENCE.search(value))


def _is_list(value: Any, document: Mapping[str, Any]) -> bool:
    """Whether a value, or that of the variable which it refers to, is a list."""
    seen: set[str] = set()
    while isinstance(value, str) and (found := REFERENCE.fullmatch(value)) and found[1] not in seen:
        seen.add(found[1])
        value = (document.get("vars") or {}).get(found[1])
    return isinstance(value, list)


def _find(document: dict[str, Any], path: str, where: str) -> tuple[dict[str, Any], str]:
    """The mapping that a dotted path leads to, and the key in it. A name may contain dots itself."""
    mapping, name, rest = document, "", path
    while _key(mapping, rest) not in mapping and "." in rest:
        name = _first_name(rest, mapping)
        mapping, rest = _entry(mapping, name, where), rest[len(name) + 1 :]
    if not name:
        raise UsageError(f"{where}: name an entry of it, such as {rest}.<name>=...")
    key = _key(mapping, rest)
    if key not in mapping and name not in OPEN_MAPPINGS:
        raise UsageError(f"{where}: no '{rest}'{suggestion(rest, mapping)}")
    return mapping, key


def _key(mapping: Mapping[Any, Any], name: str) -> Any:
    """The key that is written `name` (a number, perhaps); `name` itself if there is none."""
    return name if name in mapping else next((key for key in mapping if str(key) == name), name)


def _first_name(path: str, known: Mapping[str, Any]) -> str:
    """The known name that a dotted path begins with, or one that a star stands for, or the part before its first dot.

    A name at a star ends where the node's own sections begin: `model_pythia-2.8b` of `model_pythia-2.8b.config.dtype`.
    """
    named = next((str(key) for key in known if path.startswith(f"{key}.")), None)
    return named or re.split(SECTION if _has_star(known, path) else r"\.", path, maxsplit=1)[0]


def _entry(mapping: dict[Any, Any], name: str, where: str) -> dict[Any, Any]:
    key = _key(mapping, name)
    if key in OPEN_MAPPINGS or _has_star(mapping, name):
        mapping.setdefault(key, {})
    if key not in mapping:
        raise UsageError(f"{where}: no '{name}'{suggestion(name, mapping)}")
    if not isinstance(mapping[key], dict):
        raise UsageError(f"{where}: '{name}' has no entries")
    return mapping[key]


def _has_star(mapping: Mapping[str, Any], name: str) -> bool:
    """Whether an entry such as `target_*` stands for a name: what is set comes over it."""
    stars = [str(key)[:-1] for key in mapping if key != ANY and str(key).endswith(ANY)]
    return star_of(name, stars) is not None
