import numpy as np
import pytest
import torch

from jobs.models import pretrain, tokenizer
from lib.artifacts.command import main
from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.models import loading

TEXTS = [f"Document {n} says that the quick brown fox number {n} jumps over a lazy dog. " * 4 for n in range(40)]
SMALL = {"vocab_size": 300, "width": 16, "layers": 1, "heads": 2, "context": 16, "batch_size": 4, "steps": 6}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A finished text artifact."""
    path = tmp_path_factory.mktemp("text")
    with hdf5.create(path / "text.h5") as file:
        hdf5.write_texts(file, "train", TEXTS)
    return path


def run(out, inputs, **changes):
    out.mkdir(exist_ok=True)
    pretrain.run(pretrain.Config(**{"objective": "causal", **SMALL, **changes}), inputs, out)
    return out


@pytest.mark.parametrize(
    ("objective", "load"), [("causal", loading.load_causal_lm), ("masked", loading.load_masked_lm)]
)
def test_the_result_is_a_model_that_loads_and_repeats_byte_for_byte(text, tmp_path, objective, load):
    first = run(tmp_path / "a", {"text": text}, objective=objective)
    second = run(tmp_path / "b", {"text": text}, objective=objective)
    files = sorted(path.name for path in first.iterdir())
    assert {"model.safetensors", "config.json", "tokenizer.json", "metrics.h5"} <= set(files)
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in files)
    loss = hdf5.read(first / "metrics.h5", "loss")
    assert loss.shape == (6,)
    assert loss[0] == pytest.approx(np.log(300), abs=0.3)
    assert len(loading.load_tokenizer(first)) == load(first).config.vocab_size == 300


@pytest.mark.parametrize("architecture", ["gpt_neox", "mamba", "rwkv"])
def test_the_architecture_and_its_size_are_stored_and_printed(text, tmp_path, capsys, architecture):
    made = run(tmp_path / "out", {"text": text}, architecture=architecture, layers=2)
    model = loading.load_causal_lm(made)
    assert model.config.model_type == architecture
    counted = sum(weight.numel() for weight in model.parameters())
    stored = hdf5.attributes(made / "metrics.h5")
    assert (stored["n_parameters"], stored["architecture"]) == (counted, architecture)
    log = capsys.readouterr().out
    assert f"{architecture} of {counted} parameters" in log
    assert ("mamba: the compiled scan" in log) == (architecture == "mamba")


def test_the_random_state_of_the_process_changes_nothing(text, tmp_path):
    torch.manual_seed(1)
    first = run(tmp_path / "a", {"text": text})
    torch.manual_seed(2)
    second = run(tmp_path / "b", {"text": text})
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()


def test_a_given_tokenizer_is_used_and_must_fit(text, tmp_path):
    (tmp_path / "tokenizer").mkdir()
    tokenizer.run(tokenizer.Config(vocab_size=310), {"text": text}, tmp_path / "tokenizer")
    inputs = {"text": text, "tokenizer": tmp_path / "tokenizer"}
    made = run(tmp_path / "out", inputs, vocab_size=310)
    assert (made / "tokenizer.json").read_bytes() == (tmp_path / "tokenizer" / "tokenizer.json").read_bytes()
    with pytest.raises(TesseraError, match=r"vocab_size: 300, but the tokenizer .* has 310"):
        run(tmp_path / "other", inputs)
    with pytest.raises(TesseraError, match="a masked model needs a tokenizer with a mask token"):
        run(tmp_path / "masked", inputs, vocab_size=310, objective="masked")


@pytest.mark.parametrize("texts", [[], [""]])
def test_an_empty_corpus_is_named(tmp_path, texts):
    with hdf5.create(tmp_path / "text.h5") as file:
        hdf5.write_texts(file, "train", texts)
    with pytest.raises(TesseraError, match="no text in `train`; name more packages"):
        run(tmp_path / "out", {"text": tmp_path})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("heads: 3", "width is 16; it must be a multiple of heads"),
        ("steps: 0", "must be at least 1"),
        ("state_size: 0", "must be at least 1"),
        ("architecture: rwkv5", "architecture is 'rwkv5'; it must be one of 'gpt_neox', 'mamba', 'rwkv'"),
        ("architecture: rwkv", "layers is 1; it must be at least 2"),
        ("objective: prefix", "objective is 'prefix'; it must be one of 'causal', 'masked'"),
        ("layer: 2", "unknown key 'layer'; did you mean 'layers'"),
    ],
)
def test_a_wrong_configuration_is_a_usage_error(text, tmp_path, capsys, line, message):
    settings = {"objective": "causal", **SMALL}
    settings.pop(line.partition(":")[0], None)
    lines = [f"{key}: {value}" for key, value in settings.items()] + [line, f"inputs: {{text: {text}}}"]
    (tmp_path / "pretrain.yaml").write_text("\n".join(lines))
    assert main("pretrain", ["--config", str(tmp_path / "pretrain.yaml"), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("architecture", ["mamba", "rwkv"])
def test_a_masked_recurrent_model_is_refused(architecture):
    with pytest.raises(ValueError, match=f"architecture {architecture} is a causal one"):
        pretrain.Config(objective="masked", architecture=architecture)
