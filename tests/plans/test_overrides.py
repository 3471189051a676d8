"""Several settings in one text, as `make ... SET=` gives them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base.errors import UsageError
from lib.plans import overrides

TEXT = st.text("ab '\"[]{}:,=\\", max_size=8)
VALUES = st.recursive(TEXT | st.integers(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner))


def applied(text: str) -> dict:
    document = {"vars": {"a": None, "b": None}, "nodes": {"n": {"config": {}}}}
    for setting in overrides.split(text):
        overrides.apply(document, setting)
    return document


@settings(max_examples=40)
@given(a=VALUES, b=VALUES)
def test_a_value_as_json_keeps_its_blanks_quotes_and_brackets(a: object, b: object) -> None:
    """Whatever a value is, and whatever comes behind it, both arrive: JSON is the oracle."""
    assert applied(f"  a={json.dumps(a)}   b={json.dumps(b)} ")["vars"] == {"a": a, "b": b}


@pytest.mark.parametrize(
    ("text", "a", "b"),
    [
        ("a='/data/my books' b=8", "/data/my books", 8),
        ("a='it''s' b=/mary's/books", "it's", "/mary's/books"),
        ("a=[1, 2] b={x: 'y z', \"*\":[q w, r]}", [1, 2], {"x": "y z", "*": ["q w", "r"]}),
        ("a=x=y\nb=ü", "x=y", "ü"),
    ],
)
def test_settings_as_people_write_them(text: str, a: object, b: object) -> None:
    assert applied(text)["vars"] == {"a": a, "b": b}


def test_a_path_of_a_node_is_a_setting_like_others() -> None:
    assert applied("nodes.n.config.note='a b' a=1")["nodes"]["n"]["config"] == {"note": "a b"}


@pytest.mark.parametrize("text", ["a=/my books", "a=1 b"])
def test_a_blank_without_quotes_is_an_error_that_shows_quotes(text: str) -> None:
    with pytest.raises(UsageError, match="must be key=value; a value with blanks stands in quotes: key='a value'"):
        applied(text)


def test_a_value_that_is_no_yaml_is_said_in_one_line():
    with pytest.raises(UsageError) as caught:
        overrides.apply({"vars": {"seeds": [1]}}, "seeds=[1,2")
    assert "--set seeds=[1,2: the value is not valid YAML: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("typed", "value"), [("2", [2]), ("a b", ["a b"]), ("0.5", [0.5]), ("true", [True])])
@pytest.mark.parametrize("key", ["seeds", "others", "again", "nodes.n.config.files"])
def test_where_a_list_stands_a_single_value_is_the_list_of_it(key: str, typed: str, value: list) -> None:
    variables = {"seeds": [1], "others": "${seeds}", "again": "${others}", "size": 3, "circle": "${circle}"}
    document = {"vars": variables, "nodes": {"n": {"config": {"files": []}}}}
    mapping = document["nodes"]["n"]["config"] if key.startswith("nodes") else variables
    for text, found in (("'a b'" if " " in typed else typed, value), ("[7]", [7]), ("${size}", "${size}")):
        overrides.apply(document, f"{key}={text}")
        assert mapping[key.rpartition(".")[2]] == found
    for other in ("size=4", "circle=4", f"{key}=null"):
        overrides.apply(document, other)
    assert (variables["size"], variables["circle"], mapping[key.rpartition(".")[2]]) == (4, 4, None)
