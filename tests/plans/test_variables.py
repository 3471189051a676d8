"""`${...}` in the YAML of a sweep."""

import pytest

from lib.base.errors import UsageError
from lib.plans import variables


@pytest.mark.parametrize("value", [None, True, [1], {"a": 1}])
def test_a_reference_inside_a_text_is_text_or_a_number(value: object) -> None:
    scope = {"x": value, "n": 2, "s": "b", "r": 1e-05}
    assert variables.resolve("${x}", scope, "here") == value
    assert variables.resolve("a-${n}-${s}-${r}", scope, "here") == "a-2-b-1e-05"
    with pytest.raises(UsageError, match=r"here: 'a-\$\{x\}': a reference inside a text must be text or a number"):
        variables.resolve("a-${x}", scope, "here")


def test_a_star_is_replaced_wherever_it_stands() -> None:
    value = {"a": "x_${*}", "b": ["${*}", {"c": ["${rates.${*}}", 3]}], "d": None}
    wanted = {"a": "x_small", "b": ["small", {"c": ["${rates.small}", 3]}], "d": None}
    assert variables.starred(value, "small") == wanted
