"""Configurations: strict dataclasses, canonical JSON, digests."""

import dataclasses
import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from lib.base.errors import UsageError, suggestion

DIGEST_LENGTH = 12
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def execution(default: Any) -> Any:
    """A field that cannot change results, such as a batch size. It is not part of the digest."""
    return dataclasses.field(default=default, metadata={"execution": True})


def added(default: Any) -> Any:
    """A field that is newer than artifacts that must stay valid. At its default it is not part of the digest."""
    return dataclasses.field(default=default, metadata={"added": True})


def at_least(least: float, **values: float | None) -> None:
    """Raise ValueError naming the first value below `least`. None means that a value was not given, and passes."""
    for name, value in values.items():
        if value is not None and not value >= least:  # NaN fails as well
            raise ValueError(f"{name} is {value}; it must be at least {least}")


def build(cls: type, mapping: Mapping[str, Any], where: str) -> Any:
    """An instance of the dataclass `cls` from a mapping.

    Raises UsageError for an unknown key (with a suggestion), a missing one, or a value of the wrong type;
    the message begins with `where` (a file or node name).
    """
    if not isinstance(mapping, Mapping):
        raise UsageError(f"{where}: must be a mapping of keys to values, found {mapping!r}")
    hints, required = _declared(cls)
    for key in mapping:
        if key not in hints:
            raise UsageError(f"{where}: unknown key '{key}'{suggestion(key, hints)}")
    for name in required:
        if name not in mapping:
            raise UsageError(f"{where}: missing key '{name}' (required by {cls.__module__})")
    values = {key: _coerce(value, hints[key], where, key) for key, value in mapping.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def science(config: Any) -> dict[str, Any]:
    """The fields of a config that can change results, as a dict.

    A class whose results outlive a field names it in `FORMER`, with the value that all of them had.
    """
    cls: type = type(config)
    values = {name: getattr(config, name) for name in science_names(cls)}
    later = _added(cls)
    now = {name: _nested(science, value) for name, value in values.items() if name not in later or value != later[name]}
    return {**getattr(config, "FORMER", {}), **now}


@functools.cache
def science_names(cls: type) -> list[str]:
    """The fields of a config that can change results."""
    return [field.name for field in dataclasses.fields(cls) if not field.metadata.get("execution")]


def plain(config: Any) -> dict[str, Any]:
    """All fields of a config, as a dict."""
    cls: type = type(config)
    return {name: _nested(plain, getattr(config, name)) for name in _declared(cls)[0]}


def kinds(cls: type) -> dict[str, str]:
    """Every field of a config and the name of its type, as in error messages."""
    return {name: _type_name(hint) for name, hint in _declared(cls)[0].items()}


def canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces. Raises UsageError for a value without a stable form."""
    return _ENCODER.encode(_stable(value))


def digest(value: Any) -> str:
    """The first 12 hex digits of the SHA-256 of `canonical(value)`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:DIGEST_LENGTH]


@functools.cache  # a sweep builds thousands of one class
def _declared(cls: type) -> tuple[dict[str, Any], list[str]]:
    """The type of every field, and the names of those without a default."""
    hints, fields = typing.get_type_hints(cls), dataclasses.fields(cls)
    return {field.name: hints[field.name] for field in fields}, [field.name for field in fields if _required(field)]


@functools.cache
def _added(cls: type) -> dict[str, Any]:
    """The fields that came later, with their defaults."""
    return {field.name: field.default for field in dataclasses.fields(cls) if field.metadata.get("added")}


def _nested(dump: Callable[[Any], dict[str, Any]], value: Any) -> Any:
    """A field that is a config itself, as a dict."""
    return dump(value) if dataclasses.is_dataclass(value) else value


def _required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _stable(value: Any) -> Any:
    if value is None or type(value) in (str, bool, int):
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise UsageError(f"no stable form: the mapping {value!r} has keys that are not strings")
        return {key: _stable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_stable(item) for item in value]
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise UsageError(
        f"no stable form: {value!r} ({type(value).__name__}); use finite numbers, strings, lists, mappings"
    )


def _coerce(value: Any, hint: Any, where: str, key: str) -> Any:
    """`value` as the type `hint`. An int may stand for a float, a list for a tuple; nothing else is converted."""
    if type(value) is hint:
        return value
    for option in typing.get_args(hint) if _is_union(hint) else (hint,):
        fits, result = _fit(value, option, where, key)
        if fits:
            return result
    found = "null" if value is None else repr(value)
    raise UsageError(f"{where}: {key} is {found}; it must be {_type_name(hint)}{_remedy(value, hint)}")


def _remedy(value: Any, hint: Any) -> str:
    """What to write, where a scalar of YAML is of another type than was meant."""
    options = set(typing.get_args(hint)) if _is_union(hint) else {hint}
    if isinstance(value, str) and options & {int, float}:
        return ": a number, without quotes, unit or `_`"
    if isinstance(value, str) and bool in options:
        return ": true or false"
    return "; put it in quotes" if str in options and isinstance(value, (bool, int, float)) else ""


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _fit(value: Any, hint: Any, where: str, key: str) -> tuple[bool, Any]:
    """Whether `value` is of the type `hint`, and the value converted to it."""
    origin = typing.get_origin(hint)
    if origin is tuple and isinstance(value, (list, tuple)):
        return True, tuple(_coerce(item, typing.get_args(hint)[0], where, key) for item in value)
    if origin is dict and isinstance(value, Mapping):
        of_key, of_value = typing.get_args(hint)
        keys = (_coerce(name, of_key, where, f"a key of {key}") for name in value)
        return True, {name: _coerce(value[name], of_value, where, f"{key}: {name}") for name in keys}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return True, build(hint, value, f"{where}: {key}")
    if origin is typing.Literal:
        return any(value == known and type(value) is type(known) for known in typing.get_args(hint)), value
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return True, float(value)
    if hint is type(None):
        return value is None, None
    if origin is None and isinstance(hint, type):
        return isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool), value
    return False, None


def _type_name(hint: Any) -> str:
    """How error messages and the help of a stage name a type: as YAML does, `list of int`, `int or null`."""
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    if _is_union(hint):
        return " or ".join(map(_type_name, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return f"list of {_type_name(typing.get_args(hint)[0])}"
    if hint is type(None):
        return "null"
    return getattr(hint, "__name__", str(hint)) if typing.get_origin(hint) is None else str(hint)
