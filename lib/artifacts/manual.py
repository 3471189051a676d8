"""What `python -m jobs` and `python -m jobs STAGE --help` print, read off the stages themselves.

A stage's docstring tells what it does, how it is configured and what it writes. The docstring of its `Config` tells
what each key means, in lines `key: meaning`. Indented lines below one continue it. The keys of a mapping are explained
in its own class, or as `mapping.key: meaning` by the class that has the mapping.
"""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib.artifacts.stage import Stage, studies
from lib.base import config, places, yamls

WIDTH = 110
USAGE = "usage: python -m jobs STAGE --config FILE --out DIR     (STAGE --help: its keys, inputs and result)"
MPIRUN = "mpirun -n 4 python -m mpi4py -m jobs {stage} --config FILE --out DIR"


@dataclasses.dataclass(frozen=True)
class Key:
    """One key of a configuration.

    default: as YAML spells it; None for a key that must be given
    takers: where a configuration joins several (the kinds of duplicates), those that take the key; empty for all
    nested: the keys of a mapping
    """

    name: str
    kind: str
    default: str | None
    execution: bool
    meaning: str
    takers: tuple[str, ...] = ()
    nested: "tuple[Key, ...]" = ()


def keys(cls: type) -> list[Key]:
    """The keys of a configuration class, in the order of its fields; `meaning` is empty where no docstring has one."""
    kinds, meanings = config.kinds(cls), _meanings(cls)
    return [_key(cls, field, kinds[field.name], meanings) for field in dataclasses.fields(cls)]


def overview() -> str:
    """All stages by study, a line each."""
    lines = [USAGE]
    for study in sorted(set(studies().values())):
        names = [name for name, its in studies().items() if its == study]
        lines += ["", f"{study}: {_about(study)}", *(f"  {name:18}{headline(name)}" for name in names)]
    return "\n".join(lines)


def headline(name: str) -> str:
    """The first line of a stage's docstring, without importing the stage."""
    return _first_line(places.JOBS / studies()[name] / f"{name}.py")


def _about(study: str) -> str:
    """What the folder of a study says of it."""
    return _first_line(places.JOBS / study / "__init__.py")


def _first_line(file: Path) -> str:
    """The first line of a file's docstring; the file's name if there is none."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return (ast.get_docstring(ast.parse(text)) or file.stem).splitlines()[0]


def page(stage: Stage) -> str:
    """A stage's docstring, how it runs on several ranks (if it can, and the docstring does not say), inputs, keys."""
    about = inspect.getdoc(stage.module) or stage.name
    ranks = [_ranks(stage)] if stage.mpi and "mpirun" not in about else []
    return "\n\n".join([about, *ranks, "\n".join(_inputs(stage)), "\n".join(_keys(stage))])


def _ranks(stage: Stage) -> str:
    return f"It runs on any number of MPI ranks, such as four:\n\n    {MPIRUN.format(stage=stage.name)}"


def _inputs(stage: Stage) -> Iterator[str]:
    yield "inputs (paths of artifact directories or files):"
    for name in stage.inputs + stage.optional_inputs:
        kind = "one path, or a list of paths" if name in stage.lists else "a path"
        yield f"  {name:20}{kind}{'' if name in stage.inputs else '; may be left out'}"


def _keys(stage: Stage) -> Iterator[str]:
    found = sorted(keys(stage.config_class), key=lambda key: bool(key.takers))
    yield "keys (those with * cannot change the result):" if found else "keys: none"
    for key in found:
        yield from _lines(key, "  ")


def _lines(key: Key, indent: str) -> Iterator[str]:
    default = "must be given" if key.default is None else f"default {key.default}"
    takers = f"; for {', '.join(key.takers)}" if key.takers else ""
    yield f"{indent}{key.name}{'*' if key.execution else ''}: {key.kind}; {default}{takers}"
    yield from textwrap.wrap(key.meaning, WIDTH, initial_indent=f"{indent}    ", subsequent_indent=f"{indent}    ")
    for inner in key.nested:
        yield from _lines(inner, f"{indent}    ")


def _key(cls: type, field: dataclasses.Field, kind: str, meanings: dict[str, str]) -> Key:
    inner = keys(field.type) if isinstance(field.type, type) and dataclasses.is_dataclass(field.type) else []
    nested = [dataclasses.replace(key, meaning=meanings.get(f"{field.name}.{key.name}", key.meaning)) for key in inner]
    return Key(
        field.name, "mapping" if nested else kind, _default(field), bool(field.metadata.get("execution")),
        meanings.get(field.name, ""), _takers(cls, field.name), tuple(nested),
    )  # fmt: skip


def _takers(cls: type, name: str) -> tuple[str, ...]:
    joined = [base for base in cls.__bases__ if dataclasses.is_dataclass(base)]
    having = [base for base in joined if name in base.__dataclass_fields__]
    return tuple(base.__module__.rpartition(".")[2] for base in having) if len(having) < len(joined) else ()


def _meanings(cls: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            found |= _paragraphs(inspect.cleandoc(base.__doc__ or ""), set(_names(base)))
    return found


def _names(cls: type) -> Iterator[str]:
    for field in dataclasses.fields(cls):
        yield field.name
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            yield from (f"{field.name}.{inner}" for inner in _names(field.type))


def _paragraphs(text: str, names: set[str]) -> dict[str, str]:
    """The lines `name: meaning` of a text, each with the indented lines below it."""
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
        return _spelled(field.default)
    return None if field.default_factory is dataclasses.MISSING else _spelled(field.default_factory())


def _spelled(value: Any) -> str:
    return yamls.spelled(config.plain(value) if dataclasses.is_dataclass(value) else value)
