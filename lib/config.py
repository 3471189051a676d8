"""Configurations: strict dataclasses, canonical JSON, digests."""

import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from lib.errors import UsageError, suggestion

DIGEST_LENGTH = 12


def execution(default: Any) -> Any:
    """A field that cannot change results (batch size, cadence): no part of the digest."""
    return dataclasses.field(default=default, metadata={"execution": True})


def build(cls: type, mapping: Mapping[str, Any], where: str) -> Any:
    """An instance of the dataclass `cls` from a mapping.

    Raises UsageError for an unknown key (with a suggestion), a missing one, or a value of the wrong type;
    the message begins with `where` (a file or node name).
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in mapping:
        if key not in fields:
            raise UsageError(f"{where}: unknown key '{key}'{suggestion(key, fields)}")
    missing = [name for name, field in fields.items() if name not in mapping and _required(field)]
    if missing:
        raise UsageError(f"{where}: missing key '{missing[0]}' (required by {cls.__module__})")
    hints = _hints(cls)
    values = {key: _coerce(value, hints[key], f"{where}: {key}") for key, value in mapping.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def science(config: Any) -> dict[str, Any]:
    """The fields of a config that can change results, as a dict."""
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if not field.metadata.get("execution")
    }


def canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces. Raises UsageError for a value without a stable form."""
    return json.dumps(_stable(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """The first 12 hex digits of the SHA-256 of `canonical(value)`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:DIGEST_LENGTH]


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(cls: type) -> dict[str, Any]:
    if cls not in _HINTS:  # get_type_hints compiles strings; a sweep builds thousands of one class
        _HINTS[cls] = typing.get_type_hints(cls)
    return _HINTS[cls]


def _required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _stable(value: Any) -> Any:
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise UsageError(f"no stable form: the mapping {value!r} has keys that are no strings")
        return {key: _stable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_stable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"no stable form: {value!r} is no finite number")
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise UsageError(f"no stable form: {value!r} ({type(value).__name__}); use numbers, strings, lists, mappings")


def _coerce(value: Any, hint: Any, where: str) -> Any:
    """`value` as `hint` says: YAML's ints are good floats, lists become tuples; nothing else is converted."""
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    for option in options:
        fits, result = _fit(value, option, where)
        if fits:
            return result
    raise UsageError(f"{where}: {value!r} is no {_spell(hint)}")


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _fit(value: Any, hint: Any, where: str) -> tuple[bool, Any]:
    origin = typing.get_origin(hint)
    if origin is tuple and isinstance(value, (list, tuple)):
        return True, tuple(_coerce(item, typing.get_args(hint)[0], where) for item in value)
    if origin is dict and isinstance(value, Mapping):
        return True, dict(value)
    if origin is typing.Literal:
        return value in typing.get_args(hint), value
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return True, float(value)
    if hint is type(None):
        return value is None, None
    if origin is None and isinstance(hint, type):
        return isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool), value
    return False, None


def _spell(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    return getattr(hint, "__name__", str(hint)) if typing.get_origin(hint) is None else str(hint)
