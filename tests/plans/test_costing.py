"""Facts flow from node to node, hours come out of them, and what is not known is said."""

import math
import re
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from lib.artifacts.stage import Stage
from lib.base import config
from lib.base.errors import UsageError
from lib.costs import devices
from lib.costs.facts import Facts, Given
from lib.costs.work import Phase, Work
from lib.plans import costing, disk, documents, expansion, rates, tasks
from lib.plans.plan import Plan

A100 = devices.find("A100-80GB", "")


@dataclass(frozen=True)
class Train:
    epochs: int = 1
    keep_weights: bool = config.execution(True)


@dataclass(frozen=True)
class Nothing:
    pass


def trained(values: Train, given: Given) -> Work:
    flops = 6 * given["model"].size.parameters * values.epochs * given["text"].tokens
    return Work((Phase(flops=flops),), gpu=90e9, results=1e9, weights=3e9, scratch=2e9)


STAGES = {
    "source": Stage("source", 1, (), (), (), False, (), Nothing, None),
    "train": Stage(
        "train",
        1,
        ("model", "text"),
        (),
        (),
        False,
        (),
        Train,
        SimpleNamespace(work=trained, facts=lambda values, given: Facts(model=given["model"].model)),
    ),
    "use": Stage("use", 1, ("model",), (), (), False, (), Nothing, None),
}
MODEL = {"parameters": 1e9, "layers": 1, "width": 1, "vocabulary": 1}


@pytest.fixture(autouse=True)
def stages(monkeypatch) -> None:
    monkeypatch.setattr(tasks, "load", lambda name: STAGES[name])


def plan(max_hours: float = math.inf, **changes) -> Plan:
    document = {
        "name": "s",
        "vars": {"keep": True, "sizes": {"big": MODEL, "*": None}},
        "nodes": {
            "model": {"stage": "source", "facts": {"model": "${sizes.${model}}"}},
            "text": {"stage": "source", "facts": {"texts": 100, "tokens_a_text": 1e5}},
            "trained": {
                "stage": "train",
                "config": {"keep_weights": "${keep}"},
                "inputs": {"model": "model", "text": "text"},
                "resources": {"gpus": 1, "hours": 2},
            },
            "used": {"stage": "use", "inputs": {"model": "trained"}},
        },
        "leaves": [{"node": "used", "grid": {"model": ["big"]}}],
    }
    return expansion.expand(documents.merge(document, changes), "p", None, A100, max_hours)


def the(found: Plan, node: str) -> str:
    (digest,) = [digest for digest, task in found.tasks.items() if task.node == node]
    return digest


def test_hours_are_those_of_the_operations() -> None:
    """6 x 1e9 weights x 1e7 tokens at 19.5e12 x 0.6 a second, and 45 s to start."""
    found = plan()
    resources = found.tasks[the(found, "trained")].resources
    assert resources.expected_hours == pytest.approx((6e16 / (19.5e12 * 0.6) + 45) / 3600)
    assert resources.hours == 5  # three times 1.44, in whole hours
    assert resources.memory_gb == round(costing.RAM_SAFETY * devices.RAM_BASE / 1e9)


@pytest.mark.parametrize(("site", "limit"), [(4, 4), (9, 5), (1.5, 2)])
def test_a_computed_limit_is_at_most_the_sites_unless_the_task_is_expected_to_take_longer(site, limit) -> None:
    found = plan(max_hours=site)
    assert found.tasks[the(found, "trained")].resources.hours == limit


def test_a_limit_and_memory_that_are_given_stand() -> None:
    found = plan(nodes={"trained": {"resources": {"hours": 9, "memory_gb": 77}}})
    resources = found.tasks[the(found, "trained")].resources
    assert (resources.hours, resources.memory_gb) == (9, 77)


def test_facts_and_costs_are_no_part_of_a_digest() -> None:
    other = plan(vars={"sizes": {"big": {**MODEL, "parameters": 2e9}}}, nodes={"text": {"facts": {"texts": 7}}})
    assert set(other.tasks) == set(plan().tasks)
    assert set(plan(vars={"keep": False}).tasks) == set(plan().tasks)


def test_facts_reach_the_users_of_a_result() -> None:
    found = plan()
    assert found.costs[the(found, "trained")].facts.size.parameters == 1e9


def test_what_is_not_known_is_named_and_the_nodes_own_hours_stand() -> None:
    changes = {"trained": {"resources": {"expected_hours": 0.7}}}
    found = plan(nodes=changes, leaves=[{"node": "used", "grid": {"model": ["other"]}}])
    digest = the(found, "trained")
    assert (found.costs[digest].unknown, found.costs[digest].computed) == ("model", False)
    assert found.tasks[digest].resources.expected_hours == 0.7


def test_a_task_without_a_gpu_keeps_its_hours_but_its_disk_is_computed() -> None:
    found = plan(nodes={"trained": {"resources": {"gpus": 0, "expected_hours": 0.7}}})
    digest = the(found, "trained")
    assert found.tasks[digest].resources.expected_hours == 0.7
    assert (found.costs[digest].weights_gb, found.costs[digest].gpu_gb) == (3, 0)


def test_more_memory_than_the_card_has_is_an_error_that_names_the_node() -> None:
    found = plan()
    cost = found.costs[the(found, "trained")]
    (found_excess,) = costing.gpu_excesses(cost, A100, "node trained")
    assert re.match(r"node trained: needs 90 GB of GPU memory .* A100-80GB has 85 GB", found_excess.text)
    assert not [*costing.gpu_excesses(cost, devices.find("H200-141GB", ""), "node trained")]


def test_a_wrong_fact_is_an_error_that_names_the_node() -> None:
    with pytest.raises(UsageError, match=r"node text: facts: unknown key 'token_a_text'; did you mean 'tokens_a_text'"):
        plan(nodes={"text": {"facts": {"token_a_text": 1}}})


@pytest.mark.parametrize(("keep", "end", "dropped"), [(True, 4, 0), (False, 1, 3)])
def test_disk_at_the_end_and_at_the_peak(keep: bool, end: float, dropped: float) -> None:
    found = plan(vars={"keep": keep})
    need = disk.needed(found, found.tasks, at_once=8)
    assert (need.end, need.dropped, need.scratch, need.peak) == (end, dropped, 2, 6)
    assert disk.needed(found, [], at_once=8).peak == 0


def test_scratch_is_that_of_the_tasks_that_run_together() -> None:
    more = {"stage": "train", "config": {"epochs": 2}, "inputs": {"model": "model", "text": "text"}}
    leaves = [{"node": node, "grid": {"model": ["big"]}} for node in ("used", "more")]
    found = plan(nodes={"more": more}, leaves=leaves)
    assert [disk.needed(found, found.tasks, at_once).scratch for at_once in (1, 2, 3)] == [2, 4, 4]


@pytest.mark.parametrize("order", [("known", "bare"), ("bare", "known")])
def test_of_two_nodes_with_one_task_each_has_its_own_facts(order: tuple[str, str]) -> None:
    """The tokenizer of a model and the model are one task of the hub; only one of the nodes states a size."""
    nodes = {
        "known": {"stage": "source", "facts": {"model": MODEL, "texts": 2, "tokens_a_text": 3}},
        "bare": {"stage": "source"},
    }
    for name in order:
        inputs = {"model": name, "text": "known"}
        nodes[f"from_{name}"] = {"stage": "train", "inputs": inputs, "resources": {"gpus": 1}}
    found = plan(nodes=nodes, leaves=[{"node": f"from_{name}"} for name in order])
    (trained_once,) = [digest for digest, task in found.tasks.items() if task.stage == "train"]
    assert found.costs[trained_once].computed


def test_corpora_take_disk_by_token() -> None:
    asked = rates.Resources(tokens=5e9, ranks=2)
    assert rates.on_disk("tokenize", asked) == (10, 10)
    assert rates.on_disk("suffix_array", asked) == (40, 0)
    assert rates.on_disk("canaries", asked) == rates.on_disk("tokenize", rates.Resources()) == (0, 0)
