"""Collection of the prefix attack from artifacts made by hand: checksums, parts, pooled corpora, whose repetitions."""

import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from lib.artifacts import attempts, store
from lib.base import hdf5, places
from lib.base.errors import TesseraError
from lib.plans import documents, expansion
from lib.plans import finished as plans_finished
from lib.plans import plan as plans
from lib.plans.plan import Plan, Task
from lib.studies import collect
from lib.studies.prefix import collect as prefix_collect
from lib.studies.prefix import results

N, SUFFIX, CONTINUATION = 6, 2, 3


@pytest.fixture(scope="module")
def plan() -> Plan:
    return expansion.expand(documents.read("prefix_lengths", "smoke", ["parts=2"]), "smoke")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, plan: Plan) -> Path:
    """Every task of the plan done, for tests that only read."""
    root = tmp_path_factory.mktemp("prefix")
    for digest, task in plan.tasks.items():
        place = plans_finished.directory(root, task)
        place.mkdir(parents=True)
        write(place, plan, task)
        attempts.end(place, attempts.begin(place, None), 1.0, None)
        store.write_done(place, digest, task.stage, task.version)
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """The same, to be damaged."""
    return shutil.copytree(whole, tmp_path / "root")


def write(place: Path, plan: Plan, task: Task) -> None:
    if task.stage == "generate":
        rows = np.arange(N * task.config["part"] // 2, N * (task.config["part"] + 1) // 2)
        length = plan.tasks[task.inputs["prompts"]].config["prompt_tokens"]
        family = plan.tasks[task.inputs["model"]].config["architecture"]
        write_generations(place / places.GENERATIONS, rows, length, family)
    elif task.stage == "score_generations":
        write_scores(place / places.PREFIX_SCORES)
    else:
        (place / "result.txt").write_text(task.stage)


def write_generations(path: Path, rows: np.ndarray, length: int, family: str) -> None:
    with hdf5.create(path) as file:
        file.attrs.update({"family": family, "n_parameters": 10 if family == "mamba" else 12, "decoding_kind": "greedy",
                           "decoding_temperature": 1.0, "decoding_top_k": 0, "decoding_top_p": 1.0})  # fmt: skip
        hdf5.write(file, "row", rows)
        hdf5.write(file, "prompt", np.add.outer(rows, np.arange(length)))
        hdf5.write(file, "suffix", np.add.outer(rows, np.arange(SUFFIX)))
        hdf5.write(file, "document", rows)
        hdf5.write(file, "subset", np.array([b"prose", b"code"])[rows % 2])
        hdf5.write(file, "repetitions", np.array([1, 32])[rows // 3])
        exact = (rows < 3) if family == "mamba" else (rows < 1)
        hdf5.write(file, "exact", exact)
        hdf5.write(file, "matched_tokens", exact * SUFFIX)
        hdf5.write(file, "suffix_in_prompt", np.zeros(len(rows), bool))
        for name in ("edit_similarity", "bleu", "suffix_nll"):
            hdf5.write(file, name, exact * 1.0)
        hdf5.write(file, "suffix_log_p", np.where(exact, 0.0, -np.inf))


def write_scores(path: Path) -> None:
    with hdf5.create(path) as file:
        file.attrs["scored"] = "all"
        hdf5.write(file, "row", np.arange(N))
        for name in ("log_perplexity_large", "log_perplexity_small", "log_perplexity_lower", "zlib_bytes"):
            hdf5.write(file, name, np.arange(N) + 1.0)
        for name in ("prompt", "continuation", "suffix"):
            hdf5.write_texts(file, f"{name}_text", [f"{name} {i}" for i in range(N)])


def test_tables_say_what_the_artifacts_hold_and_the_console_by_model_and_length(
    whole: Path, plan: Plan, monkeypatch
) -> None:
    monkeypatch.setattr(results, "draw", lambda found: [])  # figures have tests of their own
    console = Console(file=StringIO(), width=100)
    collect.run(whole, plan, console)
    printed = console.file.getvalue()
    assert "4 tokens" in printed
    assert "50 %" in printed
    table = pd.read_csv(places.tables(whole, plan.run) / "memorized.csv")
    assert sorted(set(table["prompt_tokens"])) == [4, 16]
    everything = table[(table["subset"] == "all") & table["repetitions"].isna()]
    assert everything[["model", "prompt_tokens", "n_prompts", "memorized"]].to_numpy().tolist() == [
        ["gpt_neox_tiny", 4, N, 1], ["gpt_neox_tiny", 16, N, 1], ["mamba_tiny", 4, N, 3], ["mamba_tiny", 16, N, 3],
    ]  # fmt: skip
    assert sorted(set(table["repetitions"].dropna())) == [1, 32]
    assert (places.tables(whole, plan.run) / "samples_mamba_tiny_4_greedy_0.csv").is_file()


def test_prompts_that_several_corpora_share_are_counted_once(whole: Path, plan: Plan) -> None:
    """As of a model of SlimPajama in prefix_subsets, where every subset of the Pile stands for SlimPajama's prompts."""
    one = plan.leaves[0]
    leaves = [replace(one, labels={**one.labels, "corpus": corpus}) for corpus in ("ArXiv", "Github")]
    (read,) = prefix_collect.read_attacks(whole, plan, leaves)
    assert len(read.document) == N


@pytest.mark.parametrize("stage", ["generate", "score_generations"])
def test_a_flipped_byte_is_found(root: Path, plan: Plan, stage: str) -> None:
    task = [task for task in plan.tasks.values() if task.stage == stage][-1]
    file = next(plans_finished.directory(root, task).glob("*.h5"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(TesseraError, match=f"{file.name}: not what was written"):
        list(prefix_collect.read_attacks(root, plan, plan.leaves))


def test_repetitions_are_those_of_the_models_own_training_text_only(whole: Path, plan: Plan) -> None:
    (one, *_) = plan.leaves
    (read,) = prefix_collect.read_attacks(whole, plan, [one])
    assert read.repetitions.tolist() == [1, 1, 1, 32, 32, 32]
    task = plan.tasks[one.digest]
    text = next(digest for digest, other in plan.tasks.items() if other.stage == "repeated_text")
    assert text in plan.tasks[task.inputs["large"]].needs()
    other = plans.Task(**{**vars(plan.tasks[task.inputs["large"]]), "inputs": {"text": "another"}})
    elsewhere = Plan(**{**vars(plan), "tasks": {**plan.tasks, task.inputs["large"]: other}})
    assert not prefix_collect._trained_on(elsewhere, task)


def test_an_unfinished_part_leaves_its_setting_out_and_says_so(root: Path, plan: Plan) -> None:
    leaf = plan.leaves[0]
    part = plan.tasks[plan.tasks[leaf.digest].inputs["generations"][1]]
    (plans_finished.directory(root, part) / places.DONE).unlink()
    finished, missing = collect.split(
        plan, prefix_collect.whole(plan, plans_finished.done(root, plan)), prefix_collect.READ
    )
    assert (missing, len(finished)) == ([leaf], len(plan.leaves) - 1)


def test_corpora_of_one_model_and_length_are_one_attack(whole: Path, plan: Plan) -> None:
    one = plan.leaves[0]
    other = Plan(**{**vars(plan), "tasks": {**plan.tasks, "other": plan.tasks[one.digest]}})
    leaves = [plans.Leaf({**one.labels, "corpus": digest}, digest, one.nodes) for digest in (one.digest, "other")]
    (found,) = prefix_collect.read_attacks(whole, other, leaves)
    assert len(found.document) == 2 * N


def test_labels_of_a_leaf_tell_attacks_apart(whole: Path, plan: Plan) -> None:
    """Two draws and two decodings of one model are four attacks, whose prompts were asked for by their stage."""
    (leaf, *_) = plan.leaves
    labels = [{"decoding": how, "draw": seed} for how in ("greedy", "published") for seed in (33, 36)]
    leaves = [plans.Leaf({**leaf.labels, **more}, leaf.digest, leaf.nodes) for more in labels]
    task = plan.tasks[str(plan.tasks[leaf.digest].inputs["prompts"])]
    asked = plans.Task(**{**vars(task), "config": {**task.config, "n_prompts": 9}})
    other = Plan(**{**vars(plan), "tasks": {**plan.tasks, task.digest: asked}})
    found = list(prefix_collect.read_attacks(whole, other, leaves))
    assert [{"decoding": one.decoding, "draw": one.draws[0]} for one in found] == labels
    assert {tuple(one.asked) for one in found} == {(9,) * N}
    (open_end,) = prefix_collect.read_attacks(whole, plan, [leaf])
    assert open_end.asked.tolist() == [0] * N


def test_the_methods_say_how_many_prompts_there_are(root: Path, plan: Plan) -> None:
    """What was asked for is said where the prompts are not at hand."""
    assert prefix_collect._drawn(root, plan, plan.leaves) == {}
    for digest, task in plan.tasks.items():
        if task.stage == "prompts":
            place = plans_finished.directory(root, task)
            with hdf5.create(place / places.PROMPTS) as file:
                hdf5.write(file, "document", np.arange(N))
            store.write_done(place, digest, task.stage, task.version)
    assert prefix_collect._drawn(root, plan, plan.leaves)["number"].split(",")[0] == str(N)
