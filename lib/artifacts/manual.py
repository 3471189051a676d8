"""What `python -m jobs` and `python -m jobs STAGE --help` print, read off the stages themselves.

A stage's docstring tells what it does, how it is configured and what it writes. The docstring of its `Config` tells
what each key means, in lines `<key>: <meaning>`; lines that are indented further belong to the key above them.
"""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator

from lib.artifacts.stage import Stage, studies
from lib.base import config, places

WIDTH = 110
STUDIES = {
    "mosaic": "fuzzy duplicates: canaries, their near-copies, fine-tuning, membership inference",
    "prefix": "prefix attacks: does a model continue its training data word for word?",
    "corpus": "near-duplicates in a corpus: tokens, suffix array, exact duplicates, scan",
    "texts": "texts to train on and to inject into",
    "models": "models and tokenizers: fetched, converted, trained",
}


@dataclasses.dataclass(frozen=True)
class Key:
    """One key of a configuration. default: as YAML spells it, None where the key must be given."""

    name: str
    kind: str
    default: str | None
    execution: bool
    meaning: str


def keys(cls: type) -> list[Key]:
    """The keys of a configuration class, in the order of its fields; `meaning` is empty where no docstring has one."""
    kinds, meanings = config.kinds(cls), _meanings(cls)
    return [
        Key(
            field.name, kinds[field.name], _default(field), bool(field.metadata.get("execution")),
            meanings.get(field.name, ""),
        )
        for field in dataclasses.fields(cls)
    ]  # fmt: skip


def overview() -> str:
    """All stages by study, a line each."""
    lines = ["usage: python -m jobs STAGE --config FILE --out DIR     (STAGE --help: its keys, inputs and result)"]
    for study, about in STUDIES.items():
        names = [name for name, its in studies().items() if its == study]
        lines += ["", f"{study}: {about}", *(f"  {name:18}{headline(name)}" for name in names)]
    return "\n".join(lines)


def headline(name: str) -> str:
    """The first line of a stage's docstring, without importing the stage."""
    source = (places.JOBS / studies()[name] / f"{name}.py").read_text()
    return (ast.get_docstring(ast.parse(source)) or name).splitlines()[0]


def page(stage: Stage) -> str:
    """A stage's docstring, its inputs and its keys."""
    return "\n\n".join([inspect.getdoc(stage.module) or stage.name, "\n".join(_inputs(stage)), "\n".join(_keys(stage))])


def _inputs(stage: Stage) -> Iterator[str]:
    yield "inputs (paths of artifact directories or files):"
    for name in stage.inputs + stage.optional_inputs:
        kind = "one path, or a list of paths" if name in stage.lists else "a path"
        yield f"  {name:20}{kind}{'' if name in stage.inputs else '; may be left out'}"


def _keys(stage: Stage) -> Iterator[str]:
    found = keys(stage.config_class)
    yield "keys (those with * cannot change the result):" if found else "keys: none"
    for key in found:
        default = "must be given" if key.default is None else f"default {key.default}"
        yield f"  {key.name}{'*' if key.execution else ''}: {key.kind}; {default}"
        yield from textwrap.wrap(key.meaning, WIDTH, initial_indent="      ", subsequent_indent="      ")


def _meanings(cls: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            names = {field.name for field in dataclasses.fields(base)}
            found |= _paragraphs(inspect.cleandoc(base.__doc__ or ""), names)
    return found


def _paragraphs(text: str, names: set[str]) -> dict[str, str]:
    """The lines `<name>: <meaning>` of a text, each with the indented lines below it."""
    found: dict[str, str] = {}
    current = ""
    for line in text.splitlines():
        name, colon, meaning = line.partition(":")
        if colon and name in names:
            current, found[name] = name, meaning.strip()
        elif current and line.startswith(" "):
            found[current] += f" {line.strip()}"
        else:
            current = ""
    return found


def _default(field: dataclasses.Field) -> str | None:
    if field.default is not dataclasses.MISSING:
        return config.spelled(field.default)
    return None if field.default_factory is dataclasses.MISSING else config.spelled(field.default_factory())
