"""YAML as people write it: `2e-5` is a number, a key given twice is an error."""

import re
from pathlib import Path
from typing import Any

import yaml

from lib.base.errors import UsageError


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML 1.2's floats (PyYAML reads 2e-5 as a string), and no silent loss of a repeated key."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1 and key != "<<":
                raise yaml.constructor.ConstructorError(None, None, f"key '{key}' stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)


def read(file: Path) -> dict[str, Any]:
    """A YAML mapping. Raises UsageError that names the file and the line."""
    try:
        values = parse(file.read_text())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: no valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{file}: a mapping of keys to values is wanted, found {type(values).__name__}")
    return values


def parse(text: str) -> Any:
    """The value of a YAML text. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_Loader)
