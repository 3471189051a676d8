"""`${...}` references: replaced by the values of variables, and listed."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lib.base.errors import UsageError, suggestion

REFERENCE = re.compile(r"\$\{([^${}]+)\}")
FIRST_NAME = re.compile(r"\$\{(\w+)")
ANY = "*"  # the entry of a mapping for every name that has no entry of its own
MAX_DEPTH = 20  # of variables that refer to variables


def resolve(value: Any, scope: Mapping[str, Any], where: str, depth: int = 0) -> Any:
    """`value` with every `${...}` replaced. A reference that is the whole string keeps the type of its value."""
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
    text = found if whole else value[: match.start()] + _written(found, value, where) + value[match.end() :]
    return resolve(text, scope, where, depth + 1)


def _written(found: Any, value: str, where: str) -> str:
    """What stands for a reference inside a text. Raises UsageError unless it is a text or a number."""
    if isinstance(found, bool) or not isinstance(found, (str, int, float)):
        raise UsageError(f"{where}: {value!r}: a reference inside a text must be text or a number, found {found!r}")
    return str(found)


def star_of(name: Any, stars: Iterable[str]) -> str | None:
    """What stands before the star that fits a name (`target_` for `target_big`): the longest of several."""
    fitting = [star for star in stars if str(name).startswith(star) and str(name) != star]
    return max(fitting, key=len, default=None)


def starred(value: Any, text: str) -> Any:
    """`value` with every `${*}` replaced by `text`: what stands at the star of a node's name."""
    if isinstance(value, Mapping):
        return {key: starred(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [starred(item, text) for item in value]
    return value.replace("${*}", text) if isinstance(value, str) else value


def _look_up(path: str, scope: Mapping[str, Any], where: str) -> Any:
    """The value at a dotted path. A name may contain dots itself (`learning_rates.llama_3.2_1B`)."""
    value: Any = scope
    rest = path
    while rest:
        if not isinstance(value, Mapping):
            raise UsageError(f"{where}: no variable '{path}': what comes before '{rest}' is not a mapping")
        keys = {str(key): key for key in value} if rest not in value else {rest: rest}
        name = next((key for key in keys if rest == key or rest.startswith(f"{key}.")), None)
        if name is None and ANY in value:
            return value[ANY]
        if name is None:
            raise UsageError(f"{where}: no variable '{path}'{_asked_by(rest, scope)}{suggestion(rest, keys)}")
        value, rest = value[keys[name]], rest[len(name) + 1 :]
    return value


def _asked_by(entry: str, scope: Mapping[str, Any]) -> str:
    """In words: the list of names, set by a user, that asks for an entry that there is not; empty if none does."""
    lists = ((name, value) for name, value in scope.items() if isinstance(value, list))
    asking = [name for name, value in lists for item in value if f"{entry}.".startswith(f"{item}.")]
    return f", which {asking[0]} asks for" if asking else ""


def mentioned(value: Any, variables: Mapping[str, Any]) -> set[str]:
    """The variables that a value mentions, and those that their values mention."""
    found: set[str] = set()
    new = _names_in(value)
    while new:
        found |= new
        new = {name for known in new & set(variables) for name in _names_in(variables[known])} - found
    return found


def typed(key: str, value: Any, bound: Mapping[str, Any]) -> set[str]:
    """The variables that a user sets to change the `value` of a key as written in the YAML; none if they have its name.

    bound: what leaves and lists of inputs bind variables to, as written: `level` to `${replaced}`.
    """
    names = _names_in(value)
    seen: set[str] = set()
    while again := (names & bound.keys()) - seen:
        seen |= again
        names = (names - again).union(*(_names_in(bound[name]) for name in again))
    return names - {key}


def _names_in(value: Any) -> set[str]:
    """The first names of the references in a text, or in all texts of a mapping or list."""
    if isinstance(value, str):
        return set(FIRST_NAME.findall(value))
    if isinstance(value, Mapping):
        return set().union(*map(_names_in, [*value, *value.values()]))
    return set().union(*map(_names_in, value)) if isinstance(value, list) else set()
