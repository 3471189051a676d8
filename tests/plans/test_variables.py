"""`${...}` in the YAML of a sweep."""

from lib.plans import variables


def test_a_star_is_replaced_wherever_it_stands() -> None:
    value = {"a": "x_${*}", "b": ["${*}", {"c": ["${rates.${*}}", 3]}], "d": None}
    wanted = {"a": "x_small", "b": ["small", {"c": ["${rates.small}", 3]}], "d": None}
    assert variables.starred(value, "small") == wanted
