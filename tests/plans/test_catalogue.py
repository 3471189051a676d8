"""What sweeps there are, and what their variables mean."""

from typing import Any

import pytest

from lib.plans import catalogue, documents
from lib.plans.nodes import Nodes
from lib.plans.variables import mentioned

OWN = [name for name in documents.names() if documents.parts(name) == [name]]


def used(document: dict[str, Any]) -> set[str]:
    """The variables that the leaves of a document, and the nodes below them, mention."""
    entries, scope = document["leaves"], document["vars"]
    free = {name for entry in entries for key in ("grid", "with") for name in entry.get(key) or {}}
    nodes = Nodes(document["nodes"], scope, free)
    below = (nodes._variables_in({"inputs": {"leaf": entry["node"]}}) for entry in entries)
    return mentioned(entries, scope).union(*below) & set(scope)


@pytest.mark.parametrize("name", OWN)
def test_every_variable_that_a_sweep_uses_has_a_meaning_and_the_others_have_none(name: str) -> None:
    read = {profile: documents.read(name, profile, []) for profile in documents.profiles()}
    found = {variable.name: variable for variable in catalogue.variables(name)}
    for profile, document in read.items():
        assert used(document) - set(found) == set()
        values = {each.name: each.values[profile] for each in found.values() if profile in each.values}
        assert values == {each: document["vars"][each] for each in found if each in document["vars"]}
    assert [each.name for each in found.values() if not each.meaning or not each.values] == []


def test_a_sweep_of_sweeps_has_the_variables_of_its_parts() -> None:
    found = {variable.name: variable.values for variable in catalogue.variables("all")}
    for name in ("ablations", "top_k"):
        assert {variable.name for variable in catalogue.variables(name)} <= set(found)
    assert found["ks"]["smoke"] == [10, 100]  # of top_k, which is before distances


def test_profiles_with_one_value_stand_together() -> None:
    variable = catalogue.Variable("x", "", {"a": 1, "b": 2, "c": 1, "d": True})
    assert list(catalogue.by_value(variable)) == [(["a", "c"], 1), (["b"], 2), (["d"], True)]
