import json
import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base import config, yamls
from lib.base.errors import UsageError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@dataclass(frozen=True)
class Example:
    seed: int
    rate: float = 0.5
    kind: Literal["exact", "replace"] = "exact"
    sizes: tuple[int, ...] = ()
    name: str | None = None
    batch_size: int = config.execution(8)


def test_wrong_key_suggests_the_right_one() -> None:
    with pytest.raises(UsageError, match=r"here: unknown key 'sed'; did you mean 'seed'\?"):
        config.build(Example, {"sed": 1}, "here")


def test_missing_key_is_named() -> None:
    with pytest.raises(UsageError, match="missing key 'seed'"):
        config.build(Example, {}, "here")


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", 1.5), ("seed", True), ("seed", "1"), ("kind", "fuzzy"), ("sizes", 3), ("sizes", ["a"]), ("name", 1)],
)
def test_wrong_type_is_refused(key: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"here: {key}"):
        config.build(Example, {"seed": 1, key: value}, "here")


def test_a_value_below_its_minimum_is_named_and_none_passes() -> None:
    config.at_least(1, seed=1, rate=None)
    with pytest.raises(ValueError, match=r"rate is 0\.5; it must be at least 1"):
        config.at_least(1, seed=2, rate=0.5)


def test_ints_are_floats_and_lists_are_tuples() -> None:
    built = config.build(Example, {"seed": 1, "rate": 1, "sizes": [1, 2], "name": None}, "here")
    assert (built.rate, built.sizes) == (1.0, (1, 2))
    assert isinstance(built.rate, float)


def test_execution_fields_are_not_part_of_the_science() -> None:
    small, large = Example(1, batch_size=1), Example(1, batch_size=64)
    assert config.digest(config.science(small)) == config.digest(config.science(large))
    assert config.digest(config.science(small)) != config.digest(config.science(Example(2)))


@dataclass(frozen=True)
class Grown(Example):
    later: int = config.added(7)


def test_a_field_that_was_added_is_part_of_the_science_only_when_it_is_not_its_default() -> None:
    assert config.science(Grown(1)) == config.science(Grown(1, later=7)) == config.science(Example(1))
    assert config.science(Grown(1, later=8)) == {**config.science(Example(1)), "later": 8}
    assert config.plain(Grown(1))["later"] == 7


@dataclass(frozen=True)
class Shrunk(Example):
    FORMER: ClassVar = {"gone": False}


def test_a_field_that_is_gone_stays_part_of_the_science_and_is_no_key() -> None:
    assert config.science(Shrunk(1)) == {**config.science(Example(1)), "gone": False}
    assert config.plain(Shrunk(1)) == config.plain(Example(1))
    with pytest.raises(UsageError, match="unknown key 'gone'"):
        config.build(Shrunk, {"seed": 1, "gone": False}, "here")


@given(JSON)
def test_canonical_is_json_and_ignores_key_order(value: object) -> None:
    assert json.loads(config.canonical(value)) == value
    if isinstance(value, dict):
        assert config.canonical(dict(reversed(value.items()))) == config.canonical(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: 2}, {"a": {1, 2}}, object()])
def test_a_value_without_a_stable_form_is_an_error(value: object) -> None:
    with pytest.raises(UsageError, match="no stable form"):
        config.digest(value)


def test_yaml_reads_2e_5_as_a_number_and_refuses_repeated_keys(tmp_path) -> None:
    assert yamls.parse("{a: 2e-5, b: 1E3, c: e5}") == {"a": 2e-5, "b": 1000.0, "c": "e5"}
    file = tmp_path / "x.yaml"
    file.write_text("a: 1\na: 2\n")
    with pytest.raises(UsageError, match=r"x\.yaml.*'a' is given twice"):
        yamls.read(file)


@dataclass(frozen=True)
class Outer:
    inner: Example
    rate: float = 1.0


def test_a_config_inside_a_config_is_as_strict() -> None:
    built = config.build(Outer, {"inner": {"seed": 3, "sizes": [1]}}, "here")
    assert built == Outer(Example(3, sizes=(1,)))
    with pytest.raises(UsageError, match=r"here: inner: unknown key 'sede'; did you mean 'seed'\?"):
        config.build(Outer, {"inner": {"sede": 1}}, "here")
    with pytest.raises(UsageError, match="here: inner is 3; it must be Example"):
        config.build(Outer, {"inner": 3}, "here")


def test_a_config_inside_a_config_dumps_and_digests() -> None:
    small, large = (Outer(Example(1, batch_size=size)) for size in (1, 64))
    assert config.build(Outer, config.plain(large), "here") == large
    assert config.digest(config.science(small)) == config.digest(config.science(large))
    assert config.digest(config.science(small)) != config.digest(config.science(Outer(Example(2))))
