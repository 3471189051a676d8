"""Runs: their names depend on sweep, profile and settings that change results, and on nothing else."""

import re
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base.errors import UsageError
from lib.plans import documents, expansion, runs
from lib.plans.plan import Plan
from tests.base.test_yamls import VALUES


def planned(sweep: str, profile: str, *settings: str) -> Plan:
    return expansion.expand(documents.read(sweep, profile, list(settings)), profile)


def test_without_settings_the_laptop_has_the_short_name_and_every_other_profile_its_own() -> None:
    names = {profile: planned("near_dupls", profile).run for profile in ("laptop", "smoke", "paper")}
    assert names == {"laptop": "near_dupls", "smoke": "near_dupls--smoke", "paper": "near_dupls--paper"}


@pytest.mark.parametrize(
    "setting",
    [
        "seeds=[1,2,3]",  # the profile's own value
        "seeds=[ 1, 2, 3 ]",
        "keep_weights=false",  # a variable that only a field without influence on results uses
        "nodes.finetuned.config.micro_batch=1",
        "nodes.finetuned.resources.cpus=2",
        "nodes.duplicates_shuffle.config.method=paper",
    ],
)
def test_what_changes_no_result_makes_no_other_run(setting) -> None:
    assert planned("near_dupls", "laptop", setting).run == "near_dupls"


def test_a_variable_that_nothing_in_the_plan_uses_is_refused() -> None:
    """It would change nothing, and nobody would notice: the repository of a model that is not asked for."""
    for sweep, profile, setting, users in (
        ("prefix_sizes", "paper", "repo=me/model", "model_hub, tokenizer_hub"),
        ("near_dupls", "laptop", "method=paper", "duplicates_shuffle"),
        ("slimpajama", "laptop", "text_key=body", "files"),
    ):
        with pytest.raises(UsageError, match=f"nothing in this plan uses '.*'; the nodes {users} would"):
            planned(sweep, profile, setting)
        assert planned(sweep, profile, "show_texts=false").tasks  # the report uses it
    assert planned("prefix_sizes", "paper", "repo=me/model", "models=[hub]").tasks
    assert planned("all", "smoke", "method=uniform", "taus=[0.5]").tasks  # one of its sweeps has shuffles


# profile, and ways to type the same settings
SAME = [
    ("laptop", ["seeds=[2]"], ["vars.seeds=[ 2 ]"], ["seeds=2"], ["seeds=[5]", "keep_weights=false", "seeds=[2]"]),
    ("laptop", ["replaced=[5]"], ["replaced=5"]),
    ("smoke", ["learning_rates.gpt_neox_tiny=1e-3"], ["learning_rates={gpt_neox_tiny: 0.001}"]),
    ("smoke", ["nodes.finetuned.config.weight_decay=0.3"], ["nodes.finetuned.config.weight_decay=3e-1"]),
    ("smoke", ["nodes.non_members.config={role: non_member, n: 9}"]),
    ("paper", ["nodes.target_*.config.revision=x"]),
    ("smoke", ["injections={exact: exact, replace: fuzzy}"]),
]


def test_a_run_is_what_its_settings_change_however_they_are_typed() -> None:
    """Its name is one of a folder, and its settings, typed again, give the same tasks."""
    names = set()
    for profile, *ways in SAME:
        plans = [planned("near_dupls", profile, *typed) for typed in ways]
        again = planned("near_dupls", profile, *runs.assignments(plans[0].settings))
        assert again.tasks.keys() == plans[0].tasks.keys()
        (name,) = {plan.run for plan in [*plans, again]}
        assert re.fullmatch(rf"near_dupls--{profile}--[\w.-]{{1,40}}-[0-9a-f]{{8}}", name)
        assert runs.sweep_and_profile(name) == ("near_dupls", profile)
        names.add(name)
    assert len(names) == len(SAME)
    assert planned("near_dupls", "smoke", "seeds=[2]").run.startswith("near_dupls--smoke--seeds-2-")


def test_a_part_of_a_sweep_of_sweeps_is_the_run_of_its_own_settings() -> None:
    plan = planned("all", "smoke", "ks=[10]")
    names = {part.name: part.run for part in plan.parts}
    assert names == {
        part: planned(part, "smoke", *(["ks=[10]"] if "top_k" in part or "dist" in part else [])).run for part in names
    }
    assert names["near_dupls"] == "near_dupls--smoke"
    assert plan.run.startswith("all--smoke--ks-10-")


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["seeds", "corpus", "nodes.n.config.k"]), VALUES, max_size=2))
def test_a_shell_that_runs_the_command_passes_the_settings_on(chosen) -> None:
    """By the rules of the shell, and by those of Makefile, which splits SET at blanks."""
    words = shlex.split(runs.command("near_dupls", "smoke", chosen))
    found = [word.removeprefix("--set=") for word in words if word.startswith("--set=")]
    if words[0] == "make":
        assert words[1:3] == ["sweep-near-dupls", "PROFILE=smoke"]
        found = [setting for word in words[3:] for setting in word.removeprefix("SET=").split()]
    assert found == runs.assignments(chosen)
