"""YAML 1.2: the core schema of the specification, table by table, and what is left of 1.1."""

import json
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base import yamls
from lib.base.errors import UsageError

# Section 10.3.2 of the specification, its own examples first; then what version 1.1 reads as something else.
CORE = {
    "~": None, "null": None, "NULL": None, "true": True, "True": True, "FALSE": False,
    "0": 0, "0o7": 7, "0x3A": 58, "-19": -19, "012": 12, "+3": 3, "08": 8,
    "0.": 0.0, "-0.0": -0.0, ".5": 0.5, "+12e03": 12000.0, "-2E+05": -200000.0, "2e-5": 2e-5, "1.e3": 1000.0,
    ".inf": math.inf, "-.Inf": -math.inf, "+.INF": math.inf,
}  # fmt: skip
STRINGS = ["yes", "Yes", "no", "on", "Off", "y", "n", "tRue", "nUll", "inf", "nan", "-.nan", "e5", ".", "="]
STRINGS += ["23:59:00", "1:30", "190:20:30.15", "2026-01-01", "2026-01-01T10:00:00Z", "1.2.3", ".5."]
STRINGS += ["1_000", "0b11", "0o8", "-0x1", "0x"]

NUMBERS = st.integers() | st.floats(allow_nan=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("aβ*1 :-", max_size=3) | st.integers(), inner),
    max_leaves=6,
)


@pytest.mark.parametrize(("text", "value"), CORE.items())
def test_scalars_of_the_core_schema(text: str, value: object) -> None:
    found = yamls.parse(f"a: {text}")["a"]
    assert (type(found), found) == (type(value), value)
    assert type(yamls.parse(f"[{text}]")[0]) is type(value)
    assert yamls.parse(f"'{text}'") == text


def test_not_a_number_and_nothing() -> None:
    assert math.isnan(yamls.parse(".NaN"))
    assert yamls.parse("a:") == {"a": None}


@pytest.mark.parametrize("text", STRINGS)
def test_what_only_version_1_1_reads_as_something_else_is_a_string(text: str) -> None:
    assert yamls.parse(f"{{{text!r}: {text}, b: [{text}]}}") == {text: text, "b": [text]}


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text("abc-:. 01", max_size=6),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("ab1", min_size=1), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(values)
def test_json_means_what_it_says(value: object) -> None:
    """JSON is a part of YAML 1.2."""
    assert yamls.parse(json.dumps(value)) == value


def test_merge_keys_stay() -> None:
    text = "base: &base {a: 1, b: 2}\nover: {<<: *base, b: 3}\nseveral: {<<: [*base, {c: 4}], a: 0}"
    assert yamls.parse(text) == {
        "base": {"a": 1, "b": 2}, "over": {"a": 1, "b": 3}, "several": {"a": 0, "b": 2, "c": 4}
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2",
        "1: a\n01: b",
        "{a: {b: 1, 'b': 2}}",
        "!!int abc",
        "a: " + "9" * 5000,
        "!!python/none x",
        "a: [",
        "? [1]\n: 2",
    ],
)
def test_what_is_no_yaml_is_one_kind_of_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(yaml.YAMLError):
        yamls.parse(text)
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"a\.yaml: not valid YAML: "):
        yamls.read(tmp_path / "a.yaml")


def test_files_are_utf8_with_or_without_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    for encoding in ("utf-8", "utf-8-sig"):
        file.write_text("é: 東京", encoding=encoding)
        assert yamls.read(file) == {"é": "東京"}
    file.write_text("é: 1", encoding="latin-1")
    with pytest.raises(UsageError, match=r"a\.yaml: not UTF-8 .*; save it as UTF-8"):
        yamls.read(file)
    file.write_text("- 1", encoding="utf-8")
    with pytest.raises(UsageError, match="must be a mapping of keys to values, found list"):
        yamls.read(file)
    with pytest.raises(UsageError, match=r"gone\.yaml: No such file"):
        yamls.read(tmp_path / "gone.yaml")


@settings(max_examples=50)
@given(VALUES)
def test_a_spelled_value_is_read_as_the_same_value(value) -> None:
    read = yamls.parse(yamls.spelled(value))
    assert read == value
    assert yamls.spelled(read) == yamls.spelled(value)  # so that 1, 1.0 and true are told apart
