"""The kinds of fuzzy duplicates: one file each in this folder. A new kind is a new file and its name in NAMES.

A kind's file declares:

    LEVEL   what its levels count, ending in their symbol: "replaced tokens R"
    NAME    what figures call it: "replacement"
    PHRASE  what sentences call one of its duplicates: "a duplicate with replaced tokens"
    INPUTS  the inputs of the stage `duplicates` that this kind alone reads
    Keys    a dataclass over `Settings` with its keys, the level first; a kind without keys has its variations as levels
    check   (optional) raises ValueError for keys that do not fit together
    check_length  (optional) raises ValueError, or UsageError, for keys that do not fit the tokens of a canary
    check_inputs  (optional) raises UsageError if an input that the keys need is not among the names given
    vary    (keys, inputs, canaries: n x length ids, target tokenizer) -> how to vary, and the attempts a variation has
"""

from dataclasses import fields
from types import ModuleType
from typing import Any, get_type_hints

from lib.base import modules
from lib.base.errors import TesseraError
from lib.perturbations.settings import Settings

NAMES = ("replace", "insert", "shuffle", "paraphrase", "near_duplicates")
DECLARED = ("LEVEL", "NAME", "PHRASE", "INPUTS", "Keys", "vary")


def load(name: str) -> ModuleType:
    """The file of a kind. Raises TesseraError if it lacks a declaration."""
    return modules.load("lib.perturbations", name, DECLARED)


def keys(name: str) -> list[str]:
    """The keys that a kind has of its own, the level first. Those that cannot change the result are left out."""
    common = {field.name for field in fields(Settings)}
    own = [field for field in fields(load(name).Keys) if field.name not in common]
    return [field.name for field in own if not field.metadata.get("execution")]


def level_key(name: str) -> str:
    """The key that a kind varies first (R, n of the n-gram, tau, the largest distance), else the number of
    variations."""
    return (*keys(name), "variations")[0]


def inputs() -> dict[str, str]:
    """Input of the stage -> the kind that reads it."""
    return {given: name for name in NAMES for given in load(name).INPUTS}


def check(name: str, config: Any) -> None:
    """Raise ValueError for a key of another kind, a missing key, or keys that do not fit together."""
    own = keys(name)
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in own and value is None:
            raise ValueError(f"kind {name} needs {field.name}")
        if field.name not in own and value != field.default and _belongs_to_another(field.name):
            raise ValueError(
                f"{field.name} is {value}, but kind {name} takes {', '.join(own) or 'no keys'} only; leave it out"
            )
    if hasattr(load(name), "check"):
        load(name).check(config)


def _belongs_to_another(key: str) -> bool:
    return any(key in keys(name) for name in NAMES)


def check_declarations() -> None:
    """Raise TesseraError if two kinds declare one key in different ways, or read one input: the stage has one of
    each."""
    declared: dict[str, tuple[str, Any]] = {}
    for name in NAMES:
        kind = load(name)
        types = get_type_hints(kind.Keys)
        meant = {field.name: (types[field.name], field.default, dict(field.metadata)) for field in fields(kind.Keys)}
        for key, meaning in [*meant.items(), *((f"input {given}", name) for given in kind.INPUTS)]:
            first, other = declared.setdefault(key, (name, meaning))
            if other != meaning:
                raise TesseraError(f"lib/perturbations/{name}.py: {key} is declared otherwise in {first}.py; rename it")
