import json
import shutil

import pytest

from jobs.models import hub_model
from lib.base.errors import TesseraError
from lib.models import loading
from lib.models.hub import HubItem

COMMIT = "b" * 40


@pytest.fixture
def snapshot(tiny_causal_lm, tmp_path, monkeypatch):
    """The tiny model in a hub cache, fetched at a branch."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "cache" / "models--lab--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return shutil.copytree(tiny_causal_lm, repository / "snapshots" / COMMIT)


@pytest.mark.parametrize("revision", [COMMIT, "main"])
def test_the_pointer_holds_the_commit_and_no_weights(snapshot, tmp_path, revision):
    out = tmp_path / "out"
    out.mkdir()
    hub_model.run(hub_model.Config("lab/tiny", revision), {}, out)
    assert [path.name for path in out.iterdir()] == ["hub.json"]
    assert json.loads((out / "hub.json").read_text()) == {"repo": "lab/tiny", "revision": COMMIT}
    assert loading.load_causal_lm(out).config.model_type == "gpt_neox"
    assert len(loading.load_tokenizer(out)) > 0


def test_what_must_be_fetched(tmp_path):
    assert hub_model.hub(hub_model.Config("lab/tiny", COMMIT)) == [HubItem("model", "lab/tiny", COMMIT)]


def test_a_model_that_was_not_fetched_is_refused(snapshot, tmp_path):
    with pytest.raises(TesseraError, match=r"model lab/other at main is not .* in the hub cache"):
        hub_model.run(hub_model.Config("lab/other"), {}, tmp_path)


def test_a_snapshot_without_its_weights_is_refused(snapshot, tmp_path):
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(TesseraError, match=r"no model\.safetensors in it"):
        hub_model.run(hub_model.Config("lab/tiny", COMMIT), {}, tmp_path)
