"""Every task of the profile `paper` has the settings of the published experiments, key by key.

What is written here was read off the published code and papers, not off our YAML files. Where we keep another way on
purpose (a fault of the published code that no setting of it needs), sweeps/README.md says so.
"""

import functools

import pytest

from lib.plans import documents, expansion
from lib.plans import plan as plans

MODELS = {"gptneo1B": 2e-5, "gemma2B": 3e-5, "llama_3.2_1B": 2e-5, "phi2": 6e-5}
REFERENCE, MASKED = "meta-llama/Llama-2-7b-hf", "FacebookAI/roberta-base"
PUBLISHED = {
    "canaries": {
        "n": 100, "length": 100, "start_token": None, "top_k": 50, "top_p": 0.9, "sampled_tokens": 124,
        "end_of_text": "discard", "max_jaccard": 0.2, "separator": "", "dtype": "float32",
    },
    "candidates": {"dtype": "float32"},
    "inject": {
        "edges": "glued", "order": "original_first", "slots": "anew", "bos_policy": "tokenizer",
        "sequence_tokens": 2048,
    },
    "books": {
        "source": "hub", "repo": "imperial-cpg/project-gutenberg-extended", "titles": "sweeps/published/books.csv",
        "n_books": 100, "n_held_out": 2, "min_tokens": 0, "first_tokens": 0,
    },
    "finetune": {
        "context": 2048, "batch_size": 2, "epochs": 1, "precision": "fp32", "schedule": "linear", "warmup_ratio": 0.0,
        "weight_decay": 0.01, "max_grad_norm": 1.0, "bos_policy": "tokenizer", "scoring_bos_policy": "none",
        "unlabelled": "eos", "evaluate_every": 50, "save_dtype": "float32",
    },
    "membership": {"bos_policy": "none", "trained_bos": "any", "dtype": "float32"},
    "reference_scores": {"dtype": "float32"},
    "extraction": {
        "prompt_tokens": 50, "suffix_tokens": 50, "bos_policy": "none", "trained_bos": "any", "dtype": "float32",
    },
    "paraphrases": {
        "rephrasings": 9, "per_answer": 9, "turns": "system", "temperature": 0.6, "top_p": 0.9, "top_k": 50,
        "max_new_tokens": 1024, "dtype": "float32",
    },
    "targets": {"buckets": (100, 1000, 10000), "tolerance": 0.01, "n_per_bucket": 100, "min_unique_tokens": 50},
    "near_duplicates": {"length": 100, "max_distance": 50},
}  # fmt: skip
NODES = {
    "injected_scramble": {"order": "random"},
    "reference_scores": {"bos": ""},
    "pretrained_scores": {"bos_policy": "none"},
}
# What `corrected` changes, and nothing else: node or stage -> keys.
CORRECTED = {
    "canaries": {"top_k": 0, "top_p": 1.0},
    "inject": {"edges": "space", "order": "random"},
    "injected_scramble": {"edges": "space"},
    "finetune": {"scoring_bos_policy": "tokenizer", "unlabelled": "padding"},
    "membership": {"bos_policy": "tokenizer", "trained_bos": "same"},
    "extraction": {"bos_policy": "tokenizer", "trained_bos": "same"},
    "reference_scores": {"bos": None},
    "pretrained_scores": {"bos_policy": "tokenizer"},
}
OTHERS = ("all", "slimpajama", "dedup")
MOSAIC = [name for name in documents.names() if name not in OTHERS and not name.startswith("prefix")]


@functools.cache
def planned(name: str, profile: str, *settings: str) -> plans.Plan:
    return expansion.expand(documents.read(name, profile, list(settings)), profile)


@pytest.mark.parametrize("name", [*MOSAIC, "slimpajama"])
def test_every_task_has_the_published_settings(name: str) -> None:
    for task in planned(name, "paper").tasks.values():
        wanted = {**PUBLISHED.get(task.stage, {}), **NODES.get(task.node, {})}
        ours = _ablated(name, task.stage)
        found = {key: task.config[key] for key in wanted if key not in ours}
        assert found == {key: value for key, value in wanted.items() if key not in ours}, task.node


def _ablated(name: str, stage: str) -> set[str]:
    """The keys that the sweep ablations varies."""
    return {"n", "length"} if (name, stage) == ("ablations", "canaries") else set()


def test_models_rates_seeds_levels() -> None:
    plan = planned("near_dupls", "paper", f"models=[{','.join(MODELS)}]")
    found = {leaf.labels["model"]: plan.tasks[leaf.nodes["finetuned"]].config["learning_rate"] for leaf in plan.leaves}
    assert found == MODELS
    assert {leaf.labels["seed"] for leaf in plan.leaves} == {1, 2, 3, 4, 5}
    assert _levels(plan, "exact") == list(range(1, 11))
    assert _levels(plan, "replace") == [1, 5, 10, 15, 20, 25, 50, 75]
    repos = {task.node: task.config["repo"] for task in plan.tasks.values() if task.stage == "hub_model"}
    assert (repos["reference"], repos["masked_lm"]) == (REFERENCE, MASKED)


def _levels(plan: plans.Plan, kind: str) -> list[int]:
    return sorted({leaf.labels["level"] for leaf in plan.leaves if leaf.labels["kind"] == kind})


def test_replacements_are_nine_variations_by_ten_candidates() -> None:
    for task in planned("near_dupls", "paper").tasks.values():
        if task.stage == "duplicates":
            wanted = {"kind": "replace", "strategy": "mlm", "top_k": 10, "variations": 9, "same_positions": False}
            assert {key: task.config[key] for key in wanted} == wanted


def test_extraction_has_the_two_sizes_of_the_published_figures() -> None:
    found = {(leaf.labels["kind"], leaf.labels["model"]) for leaf in planned("extraction", "paper").leaves}
    assert found == {("exact", "gptneo1B"), ("replace", "gptneo2.7B")}


@pytest.mark.parametrize("name", MOSAIC)
def test_the_profile_corrected_changes_what_it_says_and_nothing_else(name: str) -> None:
    paper, corrected = (planned(name, profile) for profile in ("paper", "corrected"))
    assert [leaf.labels for leaf in paper.leaves] == [leaf.labels for leaf in corrected.leaves]
    for one, other in zip(paper.leaves, corrected.leaves):
        assert set(one.nodes) == set(other.nodes)
        for node in one.nodes:
            before, after = (plan.tasks[leaf.nodes[node]] for plan, leaf in ((paper, one), (corrected, other)))
            changed = {key: value for key, value in after.config.items() if value != before.config[key]}
            assert changed == CORRECTED.get(node, CORRECTED.get(after.stage, {})), node


@pytest.mark.parametrize("name", ["prefix_sizes", "prefix_lengths", "prefix_subsets", "prefix_draws"])
def test_every_task_of_the_prefix_attack_has_the_published_settings(name: str) -> None:
    """Float32, 50 tokens to continue with, and sampling as `generate` does it beside greedy decoding."""
    plan = planned(name, "paper")
    generated = [task.config for task in plan.tasks.values() if task.stage == "generate"]
    decoded = [config["decoding"] for config in generated]
    decodings = {(how["kind"], how["temperature"], how["top_k"], how["top_p"]) for how in decoded}
    assert decodings == {("greedy", 1.0, 0, 1.0), ("sample", 1.0, 50, 1.0)}
    assert {config["dtype"] for config in generated} == {"float32"}
    prompts = [task.config for task in plan.tasks.values() if task.stage == "prompts"]
    assert {(config["n_prompts"], config["suffix_tokens"]) for config in prompts} == {(10_000, 50)}
    seeds = {config["seed"] for config in prompts}
    assert seeds == ({33, 36, 53, 63, 66} if name == "prefix_draws" else {33})
