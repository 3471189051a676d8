"""Reading YAML: `2e-5` is a number, and a key given twice is an error."""

import re
from pathlib import Path
from typing import Any

import yaml

from lib.base.errors import UsageError


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Floats as in YAML 1.2 (PyYAML reads 2e-5 as a string); a repeated key is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1 and key != "<<":
                raise yaml.constructor.ConstructorError(None, None, f"key '{key}' is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)


def read(file: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises UsageError naming the file and the line."""
    try:
        values = parse(file.read_text())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{file}: must be a mapping of keys to values, found {type(values).__name__}")
    return values


def parse(text: str) -> Any:
    """The value of a YAML text. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_Loader)
