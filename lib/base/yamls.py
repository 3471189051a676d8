"""YAML as its version 1.2 has it (the core schema): what is written is what is read.

Booleans are `true` and `false` alone; numbers are decimal (`012` is 12), `0o14` or `0xc`; `yes`, `on`, `23:59:00`,
`2026-01-01` and `1_000` are strings. A key given twice is an error. Of version 1.1 the merge key `<<` stays.
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lib.base.errors import UsageError

PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")  # a string that needs no quotes, if YAML does not read a number or the like
TAG = "tag:yaml.org,2002:"
# What a scalar without quotes is: the first that fits (https://yaml.org/spec/1.2.2/#103-core-schema), else a string.
CORE = {
    "null": r"null|Null|NULL|~|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "merge": r"<<",
}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one, where there is
    """The core schema; a repeated key is an error."""

    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {  # noqa: RUF012
        None: [(TAG + name, re.compile(rf"(?:{pattern})\Z")) for name, pattern in CORE.items()]
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != TAG + "merge":
                value = self.construct_object(key)
                if value in found:
                    raise _error(f"key '{key.value}' is given twice", key)
                found.add(value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        text = self.construct_scalar(node)
        try:
            if re.fullmatch(CORE["int"], text):
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError as error:  # of more digits than Python converts, or under an explicit tag
            raise _error(f"no number: {error}", node) from error

    def construct_yaml_bool(self, node: yaml.ScalarNode) -> bool:
        return self.construct_scalar(node).lower() == "true"


def _error(problem: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_Loader.add_constructor(TAG + "int", _Loader.construct_number)
_Loader.add_constructor(TAG + "float", _Loader.construct_number)
_Loader.add_constructor(TAG + "bool", _Loader.construct_yaml_bool)


def read(file: Path) -> dict[str, Any]:
    """The mapping in a YAML file (UTF-8). Raises UsageError naming the file and the line."""
    try:
        values = parse(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: not UTF-8 ({error}); save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{file}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{file}: must be a mapping of keys to values, found {type(values).__name__}")
    return values


def in_a_line(error: yaml.YAMLError) -> str:
    """What is wrong with a text of one line, without the place in it."""
    parts = (getattr(error, "context", None), getattr(error, "problem", None))
    return " ".join(", ".join(filter(None, parts)).split()) or str(error)


def parse(text: str) -> Any:
    """The value of a YAML text. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_Loader)


def spelled(value: Any) -> str:
    """A value as YAML that `--set` reads as the same value; equal values alike, without blanks unless it has some."""
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(_spelled_key(key) + spelled(item) for key, item in value.items())) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(spelled, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value:+}".replace("inf", ".inf").replace("+nan", ".nan")
    if isinstance(value, str) and PLAIN.fullmatch(value) and parse(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _spelled_key(key: Any) -> str:
    """A key and its colon: after quotes YAML needs no blank."""
    return f"{json.dumps(key, ensure_ascii=False)}:" if isinstance(key, str) else f"{spelled(key)}: "
