"""What `python -m jobs` prints: every stage once, and for each its inputs and its keys with their meaning."""

import dataclasses
import inspect
import re
import types

import pytest

from lib.artifacts import manual
from lib.artifacts.command import run
from lib.artifacts.stage import Stage, load, studies
from lib.base.config import execution

STAGES = sorted(studies())


@dataclasses.dataclass(frozen=True)
class Inner:
    """A mapping.

    size: how large it is
    seed: of the draws
    """

    size: int
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Left:
    """left: what only one of two has."""

    left: bool = False
    shared: int = 1


@dataclasses.dataclass(frozen=True)
class Right:
    """Keys.

    shared: what both have
    """

    shared: int = 1


@dataclasses.dataclass(frozen=True)
class Outer:
    """What this is: not a key.

    names: a list of names,
        in any order
    unknown: not a key either
    limit: null is no limit
    inner: a mapping
    inner.seed: of its own draws

    Prose at the end.
    """

    names: tuple[str, ...] = ("a",)
    limit: int | None = execution(None)
    inner: Inner = Inner(3)


@dataclasses.dataclass(frozen=True)
class Joined(Left, Right):
    """Two classes in one."""


def every_key(cls: type) -> list[manual.Key]:
    return [key for outer in manual.keys(cls) for key in (outer, *outer.nested)]


@pytest.mark.parametrize("name", STAGES)
def test_every_key_has_a_meaning(name: str) -> None:
    without = [key.name for key in every_key(load(name).config_class) if not key.meaning]
    assert without == []


@pytest.mark.parametrize("name", STAGES)
def test_help_names_each_input_and_key(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    stage = load(name)
    with pytest.raises(SystemExit) as end:
        run([name, "--help"])
    assert end.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    starts = {line.split(":")[0].strip().rstrip("*") for line in lines if ":" in line}
    assert {key.name for key in every_key(stage.config_class)} <= starts
    listed = {line.split()[0] for line in lines if re.match(r"  \w+ +(a path|one path)", line)}
    assert listed == {*stage.inputs, *stage.optional_inputs}


@pytest.mark.parametrize("name", STAGES)
def test_a_docstring_says_the_command_the_inputs_and_the_result(name: str) -> None:
    stage = load(name)
    text = inspect.getdoc(stage.module)
    assert f"    python -m jobs {name} --config FILE --out DIR\n" in text
    assert "Result" in text
    assert all(re.search(rf"\b{given}\b", text) for given in (*stage.inputs, *stage.optional_inputs))


@pytest.mark.parametrize("name", STAGES)
def test_a_page_has_the_line_of_mpirun_once_if_the_stage_runs_on_ranks(name: str) -> None:
    stage = load(name)
    assert len(re.findall(rf"mpirun .*-m jobs {name} ", manual.page(stage))) == int(stage.mpi)


@pytest.mark.parametrize("mpi", [False, True])
def test_a_page_says_how_to_run_on_ranks_where_the_docstring_does_not(mpi: bool) -> None:
    module = types.SimpleNamespace(__doc__="Count words.\n\n    python -m jobs words --config FILE --out DIR\n")
    stage = Stage("words", 1, (), (), (), mpi, (), Inner, module)
    line = "\n    mpirun -n 4 python -m mpi4py -m jobs words --config FILE --out DIR\n"
    assert (line in manual.page(stage), "MPI ranks" in manual.page(stage)) == (mpi, mpi)


@pytest.mark.parametrize("name", STAGES)
def test_a_headline_is_one_short_sentence(name: str) -> None:
    line = manual.headline(name)
    assert len(line) < 100
    assert line.endswith((".", "?"))


def test_the_overview_lists_every_stage_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(listed) == STAGES
    assert all(f"  {name:18}{manual.headline(name)}" in lines for name in STAGES)


def test_an_unknown_stage_suggests_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["finetun", "--help"]) == 2
    assert "unknown stage 'finetun'; did you mean 'finetune'?" in capsys.readouterr().err


def test_meanings_are_read_off_docstrings() -> None:
    names, limit, inner = manual.keys(Outer)
    assert (names.kind, names.default, names.meaning) == ("list of str", "[a]", "a list of names, in any order")
    assert (limit.kind, limit.default, limit.execution) == ("int or null", "null", True)
    assert (inner.kind, inner.meaning) == ("mapping", "a mapping")
    assert [(key.name, key.default, key.meaning) for key in inner.nested] == [
        ("size", None, "how large it is"),
        ("seed", "0", "of its own draws"),
    ]


def test_keys_that_not_all_classes_take_say_which_do() -> None:
    takers = {key.name: key.takers for key in manual.keys(Joined)}
    assert takers == {"shared": (), "left": ("test_manual",)}
