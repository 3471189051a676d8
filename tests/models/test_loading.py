import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from lib.base.errors import TesseraError
from lib.models import hub, hub_fetch, loading
from tests.support.hub_server import contents


@pytest.fixture
def broken(tiny_causal_lm, tmp_path):
    """A copy of the tiny causal model, to be damaged."""
    return shutil.copytree(tiny_causal_lm, tmp_path / "model")


def test_the_model_is_the_saved_one_ready_to_evaluate(tiny_causal_lm):
    model = loading.load_causal_lm(tiny_causal_lm)
    saved = load_file(tiny_causal_lm / "model.safetensors")
    assert not model.training
    assert model.dtype == torch.float32
    for name, weight in AutoModelForCausalLM.from_pretrained(tiny_causal_lm).state_dict().items():
        assert torch.equal(model.state_dict()[name], weight)
    assert sum(weight.numel() for weight in saved.values()) == model.num_parameters()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_caller_chooses_the_type(tiny_causal_lm, tiny_masked_lm, dtype):
    assert loading.load_causal_lm(tiny_causal_lm, dtype=dtype).dtype == getattr(torch, dtype)
    assert loading.load_masked_lm(tiny_masked_lm, dtype=dtype).dtype == getattr(torch, dtype)


def test_what_the_system_refuses_is_not_called_damaged(tiny_causal_lm, monkeypatch):
    def refuse(*given, **named):
        raise PermissionError(13, "Permission denied", "model.safetensors")

    monkeypatch.setattr(loading, "safe_open", refuse)
    with pytest.raises(PermissionError):
        loading.check(tiny_causal_lm)


def test_an_unknown_type_or_device_is_refused(tiny_causal_lm):
    with pytest.raises(TesseraError, match="unknown dtype 'int4'"):
        loading.load_causal_lm(tiny_causal_lm, dtype="int4")
    if not torch.cuda.is_available():
        with pytest.raises(TesseraError, match="device is 'cuda', but this process sees no GPU"):
            loading.load_causal_lm(tiny_causal_lm, device="cuda")


def test_weights_go_to_a_gpu_without_a_copy_in_memory(tiny_causal_lm, monkeypatch):
    """transformers is told the device when it reads the files; on a CPU it is told nothing."""
    told = []

    def read(folder, **options):
        told.append(options.get("device_map"))
        raise ValueError("not read")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda place: (80e9, 80e9))
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", read)
    for device in ("cuda", "cuda:1", "cpu"):
        with pytest.raises(TesseraError, match="not read"):
            loading.load_causal_lm(tiny_causal_lm, device=device)
    assert told == [{"": 0}, {"": 1}, None]


def test_a_model_of_the_other_kind_is_refused(tiny_causal_lm, tiny_masked_lm):
    with pytest.raises(TesseraError, match="holds RobertaForMaskedLM; give a causal language model"):
        loading.load_causal_lm(tiny_masked_lm)
    with pytest.raises(TesseraError, match="holds GPTNeoXForCausalLM; give a masked language model"):
        loading.load_masked_lm(tiny_causal_lm)


def test_a_folder_that_is_no_model_is_named_with_what_it_holds(tmp_path):
    (tmp_path / "canaries.h5").touch()
    with pytest.raises(TesseraError, match=r"no config\.json .* found: canaries\.h5"):
        loading.load_causal_lm(tmp_path)
    with pytest.raises(TesseraError, match=r"nowhere: no model in it.*no such folder"):
        loading.load_causal_lm(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{nope", "[]", '{"model_type": "mine", "auto_map": null}'])
def test_a_damaged_configuration_is_named(broken, text):
    (broken / "config.json").write_text(text)
    for read in (loading.load_causal_lm, loading.check):
        with pytest.raises(TesseraError, match=r"config\.json: not a model that transformers knows"):
            read(broken)


@pytest.mark.parametrize("text", ["", "{nope", "[]", "{}", '{"weight_map": 1}'])
def test_a_damaged_index_of_weights_is_named(broken, text):
    (broken / "model.safetensors.index.json").write_text(text)
    with pytest.raises(TesseraError, match=r"index\.json: not an index of weights .*; fetch or make"):
        loading.load_causal_lm(broken)


def test_a_folder_without_a_tokenizer_is_named(broken):
    (broken / "tokenizer.json").unlink()
    with pytest.raises(TesseraError, match="model: no tokenizer in it"):
        loading.load_tokenizer(broken)


def test_weights_that_are_not_all_there_are_refused(broken):
    weights = load_file(broken / "model.safetensors")
    del weights["embed_out.weight"]
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(TesseraError, match=r"the weights lack lm_head\.weight|the weights lack embed_out\.weight"):
        loading.load_causal_lm(broken)


def test_damaged_weights_are_named(broken):
    whole = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TesseraError, match="model: the model cannot be loaded"):
        loading.load_causal_lm(broken)
    with pytest.raises(TesseraError, match=r"model\.safetensors: missing or damaged weights"):
        loading.check(broken)


def test_pickled_weights_are_not_read(broken):
    (broken / "model.safetensors").rename(broken / "pytorch_model.bin")
    for read in (loading.load_causal_lm, loading.check):
        with pytest.raises(TesseraError, match=r"no model\.safetensors in it \(pickled weights are not read\)"):
            read(broken)


def test_code_from_the_directory_is_not_run(broken):
    config = json.loads((broken / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.Model"}}
    (broken / "config.json").write_text(json.dumps(config))
    (broken / "mine.py").write_text("open(__file__ + '.ran', 'w')\nfrom transformers import GPTNeoXConfig as Mine")
    with pytest.raises(TesseraError, match=r"config\.json: not a model that transformers knows"):
        loading.load_causal_lm(broken)
    pointer = {"repo": "a/b", "revision": "c", "converted": ["x"], "trust_remote_code": "false"}
    (broken / "hub.json").write_text(json.dumps(pointer))
    with pytest.raises(TesseraError, match=r"config\.json: not a model that transformers knows"):
        loading.load_causal_lm(broken)
    assert not list(broken.glob("*.ran"))


def test_a_pointer_leads_to_the_snapshot_in_the_cache(tiny_causal_lm, tmp_path, hub_server):
    commit = "a" * 40
    pointer = tmp_path / "artifact"
    pointer.mkdir()
    (pointer / "hub.json").write_text(json.dumps({"repo": "lab/tiny", "revision": commit}))
    with pytest.raises(TesseraError, match=f"lab/tiny at {commit} is not"):
        loading.load_causal_lm(pointer)
    hub_server.add("model", "lab/tiny", contents(tiny_causal_lm))
    assert hub_fetch.fetch([hub.HubItem("model", "lab/tiny", commit)]) == [loading.source(pointer)]
    loading.check(pointer)
    ids = torch.arange(9)[None]
    wanted = loading.load_causal_lm(tiny_causal_lm)(ids).logits
    assert torch.equal(loading.load_causal_lm(pointer)(ids).logits, wanted)


def test_a_damaged_pointer_is_named(tmp_path):
    (tmp_path / "hub.json").write_text('{"repo": "lab/tiny"}')
    with pytest.raises(TesseraError, match=r"hub\.json: does not name a hub model"):
        loading.load_tokenizer(tmp_path)


def test_what_save_writes_is_what_load_reads(tiny_masked_lm, tmp_path):
    model, tokenizer = loading.load_masked_lm(tiny_masked_lm), loading.load_tokenizer(tiny_masked_lm)
    loading.save(model, tokenizer, tmp_path)
    again = loading.load_masked_lm(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values()))
    assert loading.load_tokenizer(tmp_path).get_vocab() == tokenizer.get_vocab()


def test_the_tokenizer_is_the_one_that_transformers_chooses(tiny_tokenizer):
    ours, theirs = loading.load_tokenizer(tiny_tokenizer), AutoTokenizer.from_pretrained(tiny_tokenizer)
    text = "The quick\n\nbrown fox, d\u00e9j\u00e0 vu <mask> <|endoftext|> 0123"
    assert type(ours) is type(theirs)
    assert ours(text).input_ids == theirs(text).input_ids
    assert np.array_equal(ours.all_special_ids, theirs.all_special_ids)


def test_loading_a_tokenizer_does_not_import_torch(tiny_tokenizer):
    code = (
        "import sys; from lib.models import loading; loading.load_tokenizer(sys.argv[1]); print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code, tiny_tokenizer], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
