"""The methods in prose: of every study, with the numbers of the plan."""

import re

import pytest

from lib.plans import documents, expansion
from lib.studies import paragraph


def text_of(name, profile, *changed):
    plan = expansion.expand(documents.read(name, profile, list(changed)), profile)
    return paragraph.write(plan, plan.leaves)


@pytest.mark.parametrize(
    ("name", "profile", "parts"),
    [
        ("near_dupls", "laptop", ("50 of 100 tokens", "Seeds: 1, 2 and 3.", "replaced tokens R = 1, 5, 10, 15")),
        ("prefix_sizes", "paper", ("EleutherAI/pythia-160m", "monology/pile-uncopyrighted", "50 tokens")),
        ("prefix_sizes", "paper", ("(10,000)", "greedy decoding and sampling at temperature 1, top-k 50, top-p 1")),
        ("prefix_sizes", "laptop", ("We planted passages", "We trained causal", "one of every document", "greedy")),
        ("dedup", "laptop", ("windows of 100 tokens, at least 50", "the first stays", "20 in all", "tokenised again")),
        ("audit", "laptop", ("a threshold: 0.001, 0.01, 0.1 and 0.5.", "compared with control texts")),
        (
            "audit",
            "smoke",
            ("each text (at most 1)", "with 1 and 3 tokens", "A reference model (gpt_neox_tinier) read"),
        ),
        ("audit", "smoke", ("about 5 of every 25 tokens was examined", "and controls, of each the first 6 texts.")),
        ("audit", "laptop", ("every token behind the first prompt was", "are king_james, licences and controls.")),
        ("slimpajama", "paper", ("cerebras/SlimPajama-627B", "about 100, 1000 and 10000 copies", "distance of 50")),
    ],
)
def test_it_has_the_settings_of_the_plan_and_no_gaps(name, profile, parts):
    text = text_of(name, profile)
    for part in parts:
        assert part in text, part
    assert not re.search(r"[{}]|  |\(\)| [.,;)]|None|\[", text)


@pytest.mark.parametrize(
    ("name", "profile", "sentences"),
    [
        ("near_dupls", "laptop", ["the 10 tokens that a causal language model (SmolLM2"]),
        ("near_dupls", "smoke", ["the 10 likeliest tokens of a masked language model (trained by us)."]),
        (
            "top_k",
            "paper",
            [
                "the 10, 100 and 1000 likeliest tokens of a masked language model (FacebookAI/roberta-base).",
                "the whole vocabulary of a masked language model (FacebookAI/roberta-base).",
            ],
        ),
        ("shuffles", "smoke", []),
    ],
)
def test_it_says_how_tokens_are_replaced_and_which_attacks_there_are(name, profile, sentences):
    text = text_of(name, profile)
    assert text.count("A replaced token is drawn from ") == len(sentences)
    for sentence in sentences:
        assert f"A replaced token is drawn from {sentence}" in text
    assert "attacks (loss, ratio, zlib, " in text
    assert "ReCaLL" not in text_of(name, profile, "nodes.scores.config.recall_shots=0")


def test_another_setting_is_another_number():
    text = text_of("near_dupls", "laptop", "canaries=7", "replaced=[1,2,3,4,5,6,7,8,9,10]", "seeds=[4]")
    assert "7 of 100 tokens" in text
    assert "R = 1 to 10 (10 values)" in text
    assert text.endswith("Seed: 4.")


def test_it_says_nothing_was_planted_or_trained_where_that_is_so(tmp_path):
    """Weights of others prompted with documents of one's own; only the model that ranks is trained."""
    (tmp_path / "a.txt").write_text("mine")
    own = ("n_prompts=0", "models=[SmolLM2-135M]", "per_document=3")
    text = text_of("prefix_sizes", "laptop", f"corpus={tmp_path}", *own)
    assert "planted" not in text
    assert "We trained" not in text
    for part in (str(tmp_path), "up to 3 of every document", "against a small causal language model", "not attacked"):
        assert part in text, part


def test_it_speaks_of_what_is_finished_alone():
    """Not of the settings that a partial collection lacks, nor of the stages that only they need."""
    plan = expansion.expand(documents.read("near_dupls", "laptop", []), "laptop")
    done = [leaf for leaf in plan.leaves if leaf.labels["seed"] == 2 and leaf.labels["kind"] == "exact"][:2]
    text = paragraph.write(plan, done)
    assert text.endswith("The settings compared: exact copies, exact copies ν = 1 and 3. Seed: 2.")
    assert "1 and 3 times in all" in text
    assert "altered copies" not in text
    assert "replaced token" not in text


def test_it_says_what_was_done_where_that_is_less_than_was_asked_for():
    plan = expansion.expand(documents.read("slimpajama", "laptop", ["scanned=[0]"]), "laptop")
    done = {"targets": "25 targets with 10 copies and 3 targets with 100 copies"}
    text = paragraph.write(plan, plan.leaves, done)
    assert "25 targets with 10 copies and 3 targets with 100 copies were drawn." in text
    assert "25 targets each" not in text
    assert "found by hashes, in 1 chunk together" in text  # not in the 20 that the corpus was cut into
