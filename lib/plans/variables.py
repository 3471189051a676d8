"""`${...}` references, replaced by the values they stand for."""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lib.base import config
from lib.base.errors import UsageError, suggestion

REFERENCE = re.compile(r"\$\{([^${}]+)\}")
EACH = "each"
ANY = "*"
MAX_DEPTH = 20  # of variables that refer to variables


def each_point(reference: Mapping[str, Any], scope: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """The points that `{each: node, variable: values, ...}` goes through; a number n stands for 0 to n - 1."""
    if EACH not in reference:
        raise UsageError(f"{where}: an input is a node's name or {{each: node, variable: values}}, found {reference!r}")
    columns = {key: resolve(value, scope, where) for key, value in reference.items() if key != EACH}
    lists = [list(range(value)) if type(value) is int else as_list(value) for value in columns.values()]
    for values in itertools.product(*lists):
        yield dict(zip(columns, values))


def single(value: str | list[str], where: str) -> str:
    if isinstance(value, list):
        if len(value) != 1:
            raise UsageError(f"{where}: one node is wanted, {{each: ...}} gives {len(value)}")
        return value[0]
    return value


def as_list(value: Any) -> list:
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


def starred(value: Any, text: str) -> Any:
    """`value` with every `${*}` replaced by `text`: what stands at the star of a node's name."""
    if isinstance(value, Mapping):
        return {key: starred(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [starred(item, text) for item in value]
    return value.replace("${*}", text) if isinstance(value, str) else value


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


def hashable(value: Any) -> Any:
    """A key that tells 1, 1.0, True and "1" apart."""
    return (type(value), value) if type(value) in (str, int, float, bool) else config.canonical(value)
