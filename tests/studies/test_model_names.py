"""Reports call a model of one's own by where it is from."""

from pathlib import Path

import pytest

from lib.plans import documents, expansion
from lib.studies import model_names, paragraph


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


def labels(name: str, profile: str, *settings: str) -> list[str]:
    plan = expansion.expand(documents.read(name, profile, list(settings)), profile)
    named = model_names.named(plan)
    assert model_names.named(named) == named
    assert named.tasks is plan.tasks
    return list(dict.fromkeys(leaf.labels["model"] for leaf in named.leaves))


def audit(profile: str, *settings: str):
    plan = expansion.expand(documents.read("audit", profile, list(settings)), profile)
    return plan, model_names.named(plan)


@pytest.mark.parametrize("name", ["audit", "prefix_sizes"])
def test_a_model_of_the_hub_is_its_repository_and_the_others_keep_their_names(name):
    own = ["models=[hub,pythia-160m]", "repo=someone/thing"]
    assert labels(name, "paper", *own) == ["someone/thing", "pythia-160m"]


def test_a_package_is_itself_and_a_folder_is_its_name(tmp_path):
    mine = folder(tmp_path / "a" / "mine")
    own = ["models=[package,folder,SmolLM2-135M]", "package=some-gguf==1.0", f"folder={mine}"]
    assert labels("audit", "laptop", *own) == ["some-gguf==1.0", "mine", "SmolLM2-135M"]


def test_folders_of_one_name_stay_apart_and_from_other_models(tmp_path):
    mine, other = (folder(tmp_path / above / "SmolLM2-135M") for above in "ab")
    own = ("models=[folder,SmolLM2-135M]", f"folder={mine}", "reference=folder", f"reference_folder={other}")
    plan, named = audit("laptop", *own)
    assert {leaf.labels["model"] for leaf in named.leaves} == {"a/SmolLM2-135M", "SmolLM2-135M"}
    text = paragraph.write(named, named.leaves)
    assert "We used a/SmolLM2-135M and b/SmolLM2-135M, read from local folders." in text
    assert "A reference model (b/SmolLM2-135M) read" in text
    assert paragraph.write(plan, plan.leaves) == text


def test_the_methods_name_model_and_texts_but_not_where_these_are_hidden(tmp_path):
    for name in ("letters", "novels"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("words")
    own = ["models=[hub]", "repo=someone/thing", f"texts={tmp_path / 'letters'}", f"controls={tmp_path / 'novels'}"]
    text, hidden = (
        paragraph.write(plan, plan.leaves)
        for plan, _ in (audit("paper", *own, f"show_texts={shown}") for shown in ("true", "false"))
    )
    assert "We used someone/thing from" in text
    assert "The collections of texts are texts (from letters) and controls (from novels)." in text
    assert "The collections of texts are texts and controls." in hidden
    assert "letters" not in hidden
