import io
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, MambaConfig, MambaForCausalLM

from jobs.models import hub_model
from lib.base.errors import TesseraError
from lib.models import conversion, hub, hub_fetch, loading
from lib.models.hub import CODE, MODEL_FILES, PICKLED, HubItem
from tests.support.hub_server import contents, list_again

COMMIT = "b" * 40


@pytest.fixture
def snapshot(tiny_causal_lm, hub_server):
    """The tiny model in a hub cache, fetched at a branch."""
    hub_server.add("model", "lab/tiny", contents(tiny_causal_lm))
    hub_server.head = COMMIT
    return hub_fetch.fetch([HubItem("model", "lab/tiny")])[0]


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
    with pytest.raises(TesseraError, match=r"model lab/other at main is not .* the hub cache"):
        hub_model.run(hub_model.Config("lab/other"), {}, tmp_path)


def test_a_snapshot_without_its_weights_is_refused(snapshot, tmp_path):
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(TesseraError, match=r"the hub cache .* lacks model\.safetensors"):
        hub_model.run(hub_model.Config("lab/tiny", COMMIT), {}, tmp_path)


CODE_FILE = """
import pathlib
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

pathlib.Path({mark!r}).touch()

class MineConfig(GPTNeoXConfig):
    model_type = "mine"

class MineForCausalLM(GPTNeoXForCausalLM):
    config_class = MineConfig

    def forward(self, *arguments, **named):
        found = super().forward(*arguments, **named)
        found.logits = 2 * found.logits
        return found
"""


@pytest.fixture
def with_code(snapshot, tmp_path, monkeypatch):
    """The model made one that only the repository's own code can read; the code leaves a mark where it runs."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    config = json.loads((snapshot / "config.json").read_text())
    classes = {"AutoConfig": "code_of_mine.MineConfig", "AutoModelForCausalLM": "code_of_mine.MineForCausalLM"}
    config |= {"model_type": "mine", "architectures": ["MineForCausalLM"], "auto_map": classes}
    (snapshot / "config.json").write_text(json.dumps(config))
    weights = load_file(snapshot / "model.safetensors")  # transformers itself renames this one of GPT-NeoX
    weights["lm_head.weight"] = weights.pop("embed_out.weight")
    save_file(weights, snapshot / "model.safetensors", {"format": "pt"})
    (snapshot / "code_of_mine.py").write_text(CODE_FILE.format(mark=str(tmp_path / "ran")))
    return snapshot


def made(out: Path, config: hub_model.Config, **inputs: Path) -> Path:
    """The artifact, of the snapshot as the test has left it."""
    list_again(hub.cache() / "models--lab--tiny" / "snapshots" / COMMIT)
    out.mkdir()
    hub_model.run(config, inputs, out)
    return out


def test_code_of_the_repository_runs_only_where_that_is_asked_for(with_code, tiny_causal_lm, tmp_path, capsys):
    with pytest.raises(TesseraError, match=r"needs code of its repository.*`trust_remote_code: true`"):
        made(tmp_path / "off", hub_model.Config("lab/tiny", COMMIT))
    assert not (tmp_path / "ran").exists()
    out = made(tmp_path / "on", hub_model.Config("lab/tiny", COMMIT, trust_remote_code=True))
    assert "lab/tiny: code of the repository may run (trust_remote_code)" in capsys.readouterr().out
    assert json.loads((out / "hub.json").read_text())["trust_remote_code"] is True
    ids = torch.arange(9)[None]
    plain, own = loading.load_causal_lm(tiny_causal_lm), loading.load_causal_lm(out)
    assert "runs code of its repository" in capsys.readouterr().out
    assert (tmp_path / "ran").exists()
    assert torch.equal(own(ids).logits, 2 * plain(ids).logits)


def test_code_that_does_not_run_here_is_found_without_the_weights(with_code, tmp_path):
    """As that of BTLM-3B, which imports what transformers 5 has removed."""
    code = with_code / "code_of_mine.py"
    code.write_text("from transformers.pytorch_utils import prune_conv1d_layer\n" + code.read_text())
    config = json.loads((with_code / "config.json").read_text())
    config["auto_map"]["AutoConfig"] = "configuration_of_mine.MineConfig"
    (with_code / "config.json").write_text(json.dumps(config))
    (with_code / "configuration_of_mine.py").write_text(
        "from transformers import GPTNeoXConfig\n\nclass MineConfig(GPTNeoXConfig):\n    model_type = 'mine'\n"
    )
    with pytest.raises(TesseraError, match=r"does not run with transformers 5.*prune_conv1d_layer"):
        made(tmp_path / "out", hub_model.Config("lab/tiny", COMMIT, trust_remote_code=True))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_of_another_repository_does_not_run(with_code, tmp_path, file):
    """It would be of whatever commit the cache has, not of the one that was named."""
    found = json.loads((with_code / file).read_text())
    found["auto_map"] = {"AutoConfig": "lab/other--code_of_mine.MineConfig"}
    (with_code / file).write_text(json.dumps(found))
    with pytest.raises(TesseraError, match=rf"{file}: auto_map names code of another repository \(lab/other\)"):
        made(tmp_path / "out", hub_model.Config("lab/tiny", COMMIT, trust_remote_code=True))


def test_code_that_does_not_run_here_is_found_before_weights_are_written_anew(with_code, tmp_path):
    pickle_weights(with_code)
    (with_code / "code_of_mine.py").write_text("import no_such_package")
    both = hub_model.Config("lab/tiny", COMMIT, trust_remote_code=True, pickled_weights=True)
    with pytest.raises(TesseraError, match="no_such_package"):
        made(tmp_path / "out", both)
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_a_repository_with_code_that_transformers_does_not_need_runs_none(with_code, tmp_path):
    config = json.loads((with_code / "config.json").read_text())
    config |= {"model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"]}
    (with_code / "config.json").write_text(json.dumps(config))
    out = made(tmp_path / "off", hub_model.Config("lab/tiny", COMMIT))
    assert loading._configuration(out, with_code).model_type == "gpt_neox"
    assert not (tmp_path / "ran").exists()


def pickle_weights(snapshot: Path) -> dict:
    """Pickled weights in place of safetensors, one of them twice."""
    weights = load_file(snapshot / "model.safetensors")
    (snapshot / "model.safetensors").unlink()
    torch.save({**weights, "again": next(iter(weights.values()))}, snapshot / "pytorch_model.bin")
    return weights


def test_pickled_weights_are_read_only_where_that_is_asked_for(snapshot, tiny_causal_lm, tmp_path, capsys):
    pickle_weights(snapshot)
    with pytest.raises(TesseraError, match=r"no safetensors weights .pickled ones are not read"):
        made(tmp_path / "off", hub_model.Config("lab/tiny", COMMIT))
    out = made(tmp_path / "on", hub_model.Config("lab/tiny", COMMIT, pickled_weights=True))
    assert "written anew: pickled weights" in capsys.readouterr().out
    assert json.loads((out / "hub.json").read_text())["converted"] == ["pickled weights"]
    ids = torch.arange(9)[None]
    assert torch.equal(loading.load_causal_lm(out)(ids).logits, loading.load_causal_lm(tiny_causal_lm)(ids).logits)
    assert len(loading.load_tokenizer(out)) == len(loading.load_tokenizer(tiny_causal_lm))


class Harmful:
    def __init__(self, mark: str):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def test_a_pickle_of_anything_but_tensors_is_refused_and_not_run(snapshot, tmp_path):
    pickle_weights(snapshot)
    torch.save({"weight": Harmful(str(tmp_path / "harmed"))}, snapshot / "pytorch_model.bin")
    with pytest.raises(TesseraError, match=r"pytorch_model\.bin: not tensors alone"):
        made(tmp_path / "out", hub_model.Config("lab/tiny", COMMIT, pickled_weights=True))
    assert not (tmp_path / "harmed").exists()


DAMAGED = {
    "nothing": b"",
    "no pickle": b"hello world, this is text",
    "a list": [torch.ones(2)],
    "a dictionary of dictionaries": {"model": {"weight": torch.ones(2)}},
    "a number beside weights": {"step": 1, "weight": torch.ones(2)},
}


def stored(content, old: bool) -> bytes:
    if isinstance(content, bytes):
        return content
    target = io.BytesIO()
    torch.save(content, target, _use_new_zipfile_serialization=not old)
    return target.getvalue()


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_pickle_is_named(snapshot, tmp_path, content, old):
    pickle_weights(snapshot)
    (snapshot / "pytorch_model.bin").write_bytes(stored(content, old))
    with pytest.raises(TesseraError, match=r"pytorch_model\.bin: not tensors alone"):
        made(tmp_path / "out", hub_model.Config("lab/tiny", COMMIT, pickled_weights=True))


@pytest.mark.parametrize("old", [False, True])
def test_a_pickle_that_is_cut_anywhere_is_named(snapshot, tmp_path, old):
    pickle_weights(snapshot)
    whole = stored({"a": torch.ones(50), "b": torch.ones(2)}, old)
    for place in range(0, len(whole) - 1, len(whole) // 40):
        (tmp_path / "pytorch_model.bin").write_bytes(whole[:place])
        with pytest.raises(TesseraError, match=r"pytorch_model\.bin: not tensors alone"):
            conversion.convert(tmp_path, tmp_path / "out", pickled=True)


@pytest.mark.parametrize("text", ["[]", '{"d_model": 32, "n_layer": 2, "ssm_cfg": {}}',
                                  '{"d_model": 32, "n_layer": 2, "ssm_cfg": "x", "vocab_size": 9}'])  # fmt: skip
def test_a_configuration_that_is_none_is_named(snapshot, tmp_path, text):
    (snapshot / "config.json").write_text(text)
    list_again(snapshot)
    with pytest.raises(TesseraError, match=r"config\.json: "):
        hub_model.run(hub_model.Config("lab/tiny", COMMIT), {}, tmp_path)


def test_pickled_shards_are_all_read(snapshot, tiny_causal_lm, tmp_path):
    weights = pickle_weights(snapshot)
    (snapshot / "pytorch_model.bin").unlink()
    shards = {name: f"pytorch_model-0000{i % 2 + 1}-of-00002.bin" for i, name in enumerate(weights)}
    for shard in set(shards.values()):
        torch.save({name: weights[name] for name in weights if shards[name] == shard}, snapshot / shard)
    (snapshot / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": shards}))
    out = made(tmp_path / "out", hub_model.Config("lab/tiny", COMMIT, pickled_weights=True))
    assert all(torch.equal(weight, weights[name]) for name, weight in load_file(out / "model.safetensors").items())
    (snapshot / shards[next(iter(shards))]).unlink()
    with pytest.raises(TesseraError, match=r"no pytorch_model-00001-of-00002\.bin in it"):
        made(tmp_path / "lacking", hub_model.Config("lab/tiny", COMMIT, pickled_weights=True))


@pytest.mark.parametrize("pickled", [False, True])
def test_mamba_in_its_own_format_gives_the_same_logits(snapshot, tiny_tokenizer, tmp_path, pickled):
    """As state-spaces/mamba-2.8b-slimpj is written: other names, an unpadded vocabulary, no tokenizer."""
    torch.manual_seed(0)
    config = MambaConfig(hidden_size=32, num_hidden_layers=2, vocab_size=56, state_size=4, time_step_rank=3)
    model = MambaForCausalLM(config).eval()
    weights = {name.replace("embeddings.", "embedding."): weight for name, weight in model.state_dict().items()}
    for file in snapshot.iterdir():
        file.unlink()
    if pickled:
        torch.save(weights, snapshot / "pytorch_model.bin")
    else:
        del weights["lm_head.weight"]  # tied
        save_file(weights, snapshot / "model.safetensors")
    original = {
        "d_model": 32,
        "n_layer": 2,
        "vocab_size": 53,
        "ssm_cfg": {"d_state": 4, "dt_rank": 3},
        "rms_norm": True,
    }
    (snapshot / "config.json").write_text(json.dumps(original))
    asked = hub_model.Config("lab/tiny", COMMIT, pickled_weights=pickled)
    out = made(tmp_path / "out", asked, tokenizer=tiny_tokenizer)
    ids = torch.randint(0, 53, (2, 20))
    with torch.no_grad():
        torch.testing.assert_close(loading.load_causal_lm(out)(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            AutoModelForCausalLM.from_pretrained(out)(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-5
        )
    assert loading.load_tokenizer(out).get_vocab() == loading.load_tokenizer(tiny_tokenizer).get_vocab()


def test_other_kinds_of_mamba_are_refused(snapshot, tmp_path):
    plain = {"d_model": 32, "n_layer": 2, "vocab_size": 53, "ssm_cfg": {}}
    for odd in ({"ssm_cfg": {"layer": "Mamba2"}}, {"rms_norm": False}, {"d_intermediate": 64}):
        (snapshot / "config.json").write_text(json.dumps({**plain, **odd}))
        list_again(snapshot)
        with pytest.raises(TesseraError, match="not a plain Mamba"):
            hub_model.run(hub_model.Config("lab/tiny", COMMIT), {}, tmp_path)


def test_code_and_pickles_are_fetched_where_they_are_asked_for():
    both = hub_model.Config("lab/tiny", COMMIT, trust_remote_code=True, pickled_weights=True)
    assert hub_model.hub(both) == [HubItem("model", "lab/tiny", COMMIT, (*MODEL_FILES, *CODE, *PICKLED))]


@pytest.mark.parametrize("path", ["/data/model", "./model", "~/model", "data/models/mine"])
def test_a_path_is_no_repository(path) -> None:
    with pytest.raises(ValueError, match=r"it must be owner/name.*A model in a folder"):
        hub_model.Config(repo=path)
