"""Every shipped YAML file expands; what it names is there."""

import importlib.metadata
import math
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from lib.base import yamls
from lib.base.errors import UsageError
from lib.costs import devices
from lib.launcher import costs, hub_needs
from lib.launcher.sweep import Sweep
from lib.perturbations import shuffle
from lib.plans import costing, documents, expansion, tasks
from lib.plans import plan as plans
from lib.running import site as running_site

PROFILES = sorted(file.stem for file in (documents.FOLDER / "profiles").glob("*.yaml"))
CLUSTERS = sorted(running_site.FOLDER.glob("*.yaml"))
EXPECTED = {
    ("near_dupls", "paper"): {"hub_model": 3, "finetune": 90, "membership": 90, "duplicates": 40, "canaries": 10},
    ("near_dupls", "laptop"): {"pretrain": 1, "finetune": 39, "membership": 39, "duplicates": 24, "canaries": 6},
    ("insertions", "paper"): {"finetune": 170, "duplicates": 90, "canaries": 10},
    ("shuffles", "paper"): {"finetune": 300, "duplicates": 250, "canaries": 10},
    ("top_k", "paper"): {"finetune": 210, "duplicates": 160, "canaries": 10, "candidates": 20},
    ("ablations", "paper"): {"finetune": 400, "duplicates": 70, "canaries": 50},
    ("architectures", "paper"): {"finetune": 203, "duplicates": 50, "canaries": 10},
    ("prefix_sizes", "paper"): {"prompts": 2, "generate": 34, "score_generations": 30},
    ("prefix_lengths", "paper"): {"prompts": 4, "generate": 96, "score_generations": 64},
    ("prefix_subsets", "paper"): {"prompts": 17, "generate": 102, "score_generations": 68},
    ("prefix_draws", "paper"): {"prompts": 5, "generate": 20, "score_generations": 10},
    ("prefix_sizes", "laptop"): {"pretrain": 5, "prompts": 1, "generate": 4, "score_generations": 4},
}
PREFIX = ("prefix_sizes", "prefix_lengths", "prefix_subsets", "prefix_draws")
MOSAIC = ("near_dupls", "insertions", "shuffles", "top_k", "ablations")


def expanded(name: str, profile: str, *settings: str) -> plans.Plan:
    return expansion.expand(documents.read(name, profile, list(settings)), profile)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", documents.names())
def test_every_sweep_expands_in_every_profile(name: str, profile: str) -> None:
    plan = expanded(name, profile)
    stages = [task.stage for task in plan.tasks.values()]
    for stage, count in EXPECTED.get((name, profile), {}).items():
        assert stages.count(stage) == count, stage


@pytest.mark.parametrize("file", CLUSTERS, ids=lambda file: file.stem)
def test_every_cluster_file_is_read_and_has_room(file: Path) -> None:
    site = running_site.read(file)
    profile = "paper" if site.gpus_per_node else "smoke"
    for task in expanded("near_dupls", profile).tasks.values():
        assert not [*running_site.excesses_of(task, site)]


def test_the_paper_profile_is_the_published_study() -> None:
    plan = expanded("near_dupls", "paper", "models=[gptneo1B,gemma2B,llama_3.2_1B,phi2]")
    rates = {leaf.labels["model"]: plan.tasks[leaf.nodes["finetuned"]].config["learning_rate"] for leaf in plan.leaves}
    assert rates == {"gptneo1B": 2e-5, "gemma2B": 3e-5, "llama_3.2_1B": 2e-5, "phi2": 6e-5}
    levels = {
        kind: sorted({leaf.labels["level"] for leaf in plan.leaves if leaf.labels["kind"] == kind})
        for kind in ("exact", "replace")
    }
    assert levels == {"exact": list(range(1, 11)), "replace": [1, 5, 10, 15, 20, 25, 50, 75]}
    canaries = [task.config for task in plan.tasks.values() if task.stage == "canaries"]
    assert {(config["n"], config["length"]) for config in canaries} == {(100, 100)}
    assert sorted({config["seed"] for config in canaries}) == [1, 2, 3, 4, 5]


def test_every_hub_model_of_the_paper_profile_is_at_a_commit() -> None:
    plan = expanded("near_dupls", "paper", "models=[gptneo1B,gemma2B,llama_3.2_1B,phi2]")
    models = [item for item in hub_needs.items(plan) if item.kind == "model"]
    assert len(models) == 6
    assert all(tasks.COMMIT.fullmatch(item.revision) for item in models)


def test_models_of_the_hub_stand_in_one_list() -> None:
    """No other YAML names a model's repository or commit; what is fine-tuned has a rate."""
    listed = yamls.read(documents.FOLDER / "common" / "models.yaml")["vars"]["hub_models"]
    others = [file for file in documents.FOLDER.rglob("*.yaml") if file.name != "models.yaml"]
    for model in listed.values():
        assert [file for file in others if model["repo"] in file.read_text()] == []
        assert re.fullmatch(r"main|refs/pr/\d+|[0-9a-f]{40}", model["revision"])
    for file in others:
        for stage_line in re.findall(r"stage: hub_model\n\s+config: (.*)", file.read_text()):
            assert re.match(r'\{repo: "\$\{(hub_models\..*\.repo|repo)\}"', stage_line), file
    targets = {leaf.labels["model"] for leaf in expanded("ablations", "paper").leaves}
    assert all(listed[model]["learning_rate"] > 0 for model in targets)


def test_the_laptop_needs_nothing_of_the_hub() -> None:
    assert hub_needs.items(expanded("near_dupls", "laptop")) == []


def test_the_laptops_packages_are_the_pinned_ones() -> None:
    (text,) = [task for task in expanded("near_dupls", "laptop").tasks.values() if task.stage == "text"]
    for package in text.config["packages"]:
        name, _, version = package.partition("==")
        assert importlib.metadata.version(name) == version


def test_members_and_non_members_share_no_stream_and_the_exact_curve_is_trained_once() -> None:
    plan = expanded("near_dupls", "laptop", "seeds=[1]")
    roles = [task.config["role"] for task in plan.tasks.values() if task.stage == "canaries"]
    assert sorted(roles) == ["member", "non_member"]
    assert len(plan.leaves) == len({leaf.digest for leaf in plan.leaves})


@pytest.mark.parametrize("profile", PROFILES)
def test_all_sweeps_share_the_exact_duplicates_of_the_main_one(profile: str) -> None:
    """Fine-tuned once for each model and seed: whatever else is exact is another setting or model.

    `laptop` has more seeds in the main sweep than in the others.
    """
    plan = expanded("all", profile)
    models = {leaf.labels["model"] for leaf in plan.parts[0].leaves}
    exact = {
        part.name: {leaf.nodes["finetuned"] for leaf in part.leaves if own_exact(leaf, models)} for part in plan.parts
    }
    assert [name for name in exact if not exact[name] <= exact["near_dupls"]] == []
    assert len(plan.tasks) < sum(len(part.tasks) for part in plan.parts)


def own_exact(leaf: plans.Leaf, models: set[str]) -> bool:
    return leaf.labels["kind"] == "exact" and not leaf.setting() and leaf.labels["model"] in models


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", MOSAIC)
def test_no_two_results_of_a_sweep_have_the_same_labels(name: str, profile: str) -> None:
    leaves = expanded(name, profile).leaves
    words = [(*(leaf.labels[key] for key in plans.POINT), leaf.setting()) for leaf in leaves]
    assert len(set(words)) == len(words) == len({leaf.digest for leaf in leaves})


@pytest.mark.parametrize("profile", PROFILES)
def test_families_share_all_that_is_not_the_model(profile: str) -> None:
    """One tokenizer: canaries, duplicates, books, injected texts and the scores of the reference are the same tasks."""
    plan = expanded("architectures", profile)
    models = list(dict.fromkeys(leaf.labels["model"] for leaf in plan.leaves))
    shared: dict[tuple, set[frozenset]] = {}
    for leaf in plan.leaves:
        below = {name: digest for name, digest in leaf.nodes.items() if _is_shared(name, plan.tasks[digest].stage)}
        place = *(leaf.labels[name] for name in ("seed", "kind", "level")), leaf.labels.get("ngram")
        shared.setdefault(place, set()).add(frozenset(below.items()))
    assert len(models) >= 2
    assert all(len(found) == 1 for found in shared.values())
    rates = {
        (leaf.labels["model"], leaf.labels["learning_rate"]) for leaf in plan.leaves if "learning_rate" in leaf.labels
    }
    assert {model for model, _ in rates} == set(models[1:])
    assert len(rates) >= 2 * len(models[1:])


def _is_shared(node: str, stage: str) -> bool:
    return stage in ("canaries", "duplicates", "books", "inject") or node == "reference_scores"


def test_ten_likely_replacements_are_the_main_sweep() -> None:
    main = {leaf.digest for leaf in expanded("near_dupls", "paper").leaves}
    tens = {leaf.digest for leaf in expanded("top_k", "paper").leaves if leaf.labels.get("k") == 10}
    assert len(tens) == 40
    assert tens < main


def test_settings_are_those_of_the_published_table() -> None:
    wanted = {
        "insert": {f"inserted_tokens={x}" for x in (1, 5, 10)},
        "scramble": {"inserted_tokens=inf"},
        "shuffle": {f"ngram={n}{how}" for n in (2, 5, 10) for how in ("", ";method=paper")},
        "replace": {"k=10", "k=100", "k=1000", "k=random"},
    }
    leaves = [leaf for name in ("insertions", "shuffles", "top_k") for leaf in expanded(name, "paper").leaves]
    for kind, settings in wanted.items():
        assert {leaf.setting() for leaf in leaves if leaf.labels["kind"] == kind} == settings
    taus = {leaf.labels["level"] for leaf in leaves if leaf.setting() == "ngram=10"}
    assert sorted(taus) == [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_shuffle_that_is_asked_for_can_be_had(profile: str) -> None:
    plan = expanded("shuffles", profile)
    (length,) = {task.config["length"] for task in plan.tasks.values() if task.stage == "canaries"}
    asked = {
        (task.config["ngram"], task.config["tau"], task.config["method"])
        for task in plan.tasks.values()
        if task.stage == "duplicates"
    }
    for ngram, tau, method in asked:
        order = shuffle.variation(range(length), ngram, tau, method, np.random.default_rng(0))
        inverted = shuffle.inverted_pairs(order) / math.comb(length, 2)
        assert inverted == pytest.approx(tau, abs=0.5 * shuffle.step_of(length, ngram) + 0.01)


@pytest.mark.parametrize("name", PREFIX)
def test_the_prefix_attack_on_a_laptop_needs_nothing_of_the_hub_and_other_models_share_prompts(name: str) -> None:
    plan = expanded(name, "laptop")
    assert hub_needs.items(plan) == []
    for leaf in plan.leaves:
        task = plan.tasks[leaf.digest]
        assert task.inputs["small"] != task.inputs["large"]
        assert {plan.tasks[part].inputs["prompts"] for part in task.inputs["generations"]} == {task.inputs["prompts"]}
    trained: dict[tuple, set[str]] = {}
    for leaf in plan.leaves:
        if "135M" not in leaf.labels["model"]:
            drawn = trained.setdefault((leaf.labels["prompt_tokens"], leaf.labels["draw"]), set())
            drawn.add(plan.tasks[leaf.digest].inputs["prompts"])
    assert all(len(digests) == 1 for digests in trained.values())


@pytest.mark.parametrize("name", PREFIX)
def test_the_paper_profile_is_the_published_prefix_attack(name: str) -> None:
    plan = expanded(name, "paper")
    makers = [task for task in plan.tasks.values() if task.stage in ("generate", "score_generations")]
    assert {task.config["dtype"] for task in makers} == {"float32"}
    decodings = {tuple(task.config["decoding"].values())[:4] for task in makers if task.stage == "generate"}
    assert decodings == {("greedy", 1.0, 0, 1.0), ("sample", 1.0, 50, 1.0)}
    prompts = [task.config for task in plan.tasks.values() if task.stage == "prompts"]
    assert {config["n_prompts"] for config in prompts} == {10_000}
    assert all(config["per_document"] > 1 for config in prompts)
    assert len({tuple(leaf.labels.items()) for leaf in plan.leaves}) == len({leaf.digest for leaf in plan.leaves})


def test_the_published_models_lengths_and_draws_of_the_prefix_attack() -> None:
    models = {name: {leaf.labels["model"] for leaf in expanded(name, "paper").leaves} for name in PREFIX}
    sizes = {"370m", "790m", "1.4b", "2.8b"}
    mamba, pythia = {f"mamba-{size}" for size in sizes}, {"pythia-410m", "pythia-1b", "pythia-1.4b", "pythia-2.8b"}
    assert models["prefix_lengths"] == mamba | pythia
    rwkv = {"rwkv-4-169m", "rwkv-4-430m", "rwkv-4-1b5", "rwkv-4-3b"}
    assert mamba | pythia | rwkv | {"mamba-2.8b-slimpj"} < models["prefix_sizes"]
    draws = expanded("prefix_draws", "paper")
    assert models["prefix_draws"] == {"mamba-2.8b"}
    assert {task.config["seed"] for task in draws.tasks.values() if task.stage == "prompts"} == {33, 36, 53, 63, 66}


def test_a_model_has_prompts_of_what_it_was_trained_on() -> None:
    plan = expanded("prefix_sizes", "paper", "models=[mamba-2.8b,mamba-2.8b-slimpj,btlm-3b-8k]")
    read = {leaf.labels["model"]: plan.tasks[plan.tasks[leaf.digest].inputs["prompts"]].config for leaf in plan.leaves}
    pile, slim = "monology/pile-uncopyrighted", "cerebras/SlimPajama-627B"
    wanted = {"mamba-2.8b": pile, "mamba-2.8b-slimpj": slim, "btlm-3b-8k": slim}
    assert {model: config["repo"] for model, config in read.items()} == wanted


def test_code_and_pickles_of_the_hub_are_read_of_models_that_say_so_alone() -> None:
    asked = {"models": "[pythia-70m,rwkv-4-3b,btlm-3b-8k,mamba-2.8b-slimpj]", "smalls": '{"*":pythia-160m}'}
    plan = expanded("prefix_sizes", "paper", *(f"{key}={value}" for key, value in asked.items()))
    found = {task.config["repo"]: task.config for task in plan.tasks.values() if task.stage == "hub_model"}
    btlm, rwkv = "cerebras/btlm-3b-8k-base", "RWKV/rwkv-4-3b-pile"
    assert {repo for repo, config in found.items() if config["trust_remote_code"]} == {btlm}
    assert {repo for repo, config in found.items() if config["pickled_weights"]} == {btlm, rwkv}


def test_the_prefix_attack_takes_other_models_and_texts_by_settings(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"text": "mine"}\n')
    plan = expanded("prefix_sizes", "paper", "models=[gpt-neo-1.3B,rwkv-4-430m,pythia-1b]", f"corpus={tmp_path}")
    assert len({plan.tasks[leaf.digest].inputs["prompts"] for leaf in plan.leaves}) == 2  # one for each tokenizer
    own = expanded("prefix_sizes", "paper", "models=[hub]", "repo=me/mine", 'smalls={"*":pythia-160m}')
    repositories = {task.config.get("repo") for task in own.tasks.values()}
    assert {"me/mine", "EleutherAI/pythia-160m"} <= repositories
    small = expanded("prefix_sizes", "laptop", "models=[hub]", "repo=me/small")
    assert "me/small" in {task.config.get("repo") for task in small.tasks.values()}
    with pytest.raises(UsageError, match=r"continuation_tokens is 32; it must be at least the 50 suffix_tokens"):
        expanded("prefix_sizes", "laptop", "suffix_tokens=50")
    mine = ('decodings={"mine":{"kind":"sample","top_k":40}}', "decoded=[mine]")
    sampled = expanded("prefix_sizes", "laptop", *mine)
    found = [task.config["decoding"] for task in sampled.tasks.values() if task.stage == "generate"]
    assert {(how["kind"], how["top_k"]) for how in found} == {("sample", 40)}


@pytest.mark.parametrize("profile", ["paper", "laptop", "smoke"])
def test_a_corpus_of_ones_own_needs_no_other_setting_and_says_what_it_costs(profile: str, tmp_path: Path) -> None:
    """One chunk, buckets that need not be filled, and hours that follow from its bytes; the named ones stay strict."""
    (tmp_path / "mine.txt").write_text("mine " * 90_000)
    plan = expanded("slimpajama", profile, f"corpus={tmp_path}")
    by_stage = {task.stage: task for task in plan.tasks.values()}
    assert len([task for task in plan.tasks.values() if task.stage == "tokenize"]) == 1
    assert by_stage["targets"].config["unfilled"] == "take"
    for stage in ("tokenize", "duplicate_groups", "targets", "count", "near_duplicates"):
        assert by_stage[stage].resources.tokens == pytest.approx(9e4, rel=1e-3)  # one for each word
        assert by_stage[stage].resources.expected_hours > 0
    named = {task.stage: task for task in expanded("slimpajama", profile).tasks.values()}
    assert named["targets"].config["unfilled"] == "fail"


@pytest.mark.parametrize("name", documents.names())
def test_every_sweep_of_the_paper_profile_says_what_it_costs(name: str, tmp_path: Path) -> None:
    """Hours of every task on a GPU are computed, all fit the card, and `plan` prints hours and disk."""
    site = running_site.read(running_site.FOLDER / "example-a100.yaml")
    device = devices.find(site.gpu, "")
    plan = expansion.expand(documents.read(name, "paper", []), "paper", None, device, site.max_hours)
    for digest, task in plan.tasks.items():
        if task.resources.gpus:
            assert plan.costs[digest].computed, (task.node, plan.costs[digest].unknown)
            assert 0.01 < task.resources.expected_hours < task.resources.hours / 2
        assert not [*costing.gpu_excesses(plan.costs[digest], device, task.node)]
        assert not [*running_site.excesses_of(task, site)]
        if task.stage == "finetune":  # one for each GPU of a node
            assert site.gpus_per_node * task.resources.memory_gb <= site.memory_gb_per_node
            assert site.gpus_per_node * task.resources.cpus <= site.cpus_per_node
    with open(tmp_path / "out", "w+") as file:
        costs.show(Sweep(plan, site, tmp_path, device), set(), Console(file=file, width=200))
        file.seek(0)
        text = file.read()
    assert re.search(r"disk: [\d.,]+ [MG]B at the peak, [\d.,]+ [MG]B at least, [\d.,]+ [MG]B at the end", text)
    on_gpus = any(task.resources.gpus for task in plan.tasks.values())
    assert ("not measured" in text) == on_gpus


def test_a_published_fine_tuning_takes_the_published_time() -> None:
    """Two hours of an A100 (180 for 90 of them): GPT-Neo 1.3B, fp32 without TF32, batch 2, 2,048 tokens, 100 books."""
    published = ("precision=fp32", "batch_size=2", "micro_batch=2", "gradient_checkpointing=false", "deepspeed=zero0")
    published += ("evaluate_every=0", "evaluations=4")
    plan = expanded("near_dupls", "paper", *(f"nodes.finetuned.config.{setting}" for setting in published))
    hours = {task.resources.expected_hours for task in plan.tasks.values() if task.stage == "finetune"}
    assert all(1.6 < value < 2.8 for value in hours), hours


def test_every_hub_model_has_a_size() -> None:
    listed = yamls.read(documents.FOLDER / "common" / "models.yaml")["vars"]
    assert {model["repo"] for model in listed["hub_models"].values()} <= set(listed["model_sizes"])


def test_the_paper_profile_drops_weights_and_others_keep_them() -> None:
    for profile in PROFILES:
        tuned = [task for task in expanded("near_dupls", profile).tasks.values() if task.stage == "finetune"]
        assert {task.keeps_weights for task in tuned} == {profile not in ("paper", "corrected")}, profile
