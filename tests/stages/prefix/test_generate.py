"""The generate stage: the same result from any shards, batches and parts, after a kill too, and clear refusals."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoTokenizer, MambaConfig, MambaForCausalLM

from jobs.prefix import generate
from lib.artifacts import command, store
from lib.base import blocks, hdf5
from lib.base.errors import TesseraError
from lib.base.progress import Advance
from lib.prefix import discoverable, prompts, prompts_file

N, P, S, C = 11, 9, 4, 12
SAMPLING = {"kind": "sample", "temperature": 0.8, "top_k": 30, "seed": 1}
EXACT = ("row", "document", "subset", "repetitions", "prompt", "suffix", "continuation", "exact", "matched_tokens",
         "edit_similarity", "bleu", "suffix_in_prompt")  # fmt: skip


@pytest.fixture(scope="module")
def prompt_file(tiny_tokenizer, tmp_path_factory) -> Path:
    draws = np.random.default_rng(0)
    windows = [
        prompts.Window(3 * number, number, draws.integers(2, 400, P + S), f"subset {number % 2}", number)
        for number in range(N)
    ]
    windows[4].ids[:] = np.tile(windows[4].ids[:S], 4)[: P + S]  # the suffix is in the prompt, wherever it is cut
    path = tmp_path_factory.mktemp("prompts") / "prompts.h5"
    prompts_file.write(path, windows, P, S, AutoTokenizer.from_pretrained(tiny_tokenizer), {})
    return path


@pytest.fixture(scope="module")
def tiny_mamba(tiny_tokenizer, tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("mamba")
    MambaForCausalLM(
        MambaConfig(vocab_size=400, hidden_size=16, state_size=4, num_hidden_layers=1, eos_token_id=0)
    ).save_pretrained(path)
    AutoTokenizer.from_pretrained(tiny_tokenizer).save_pretrained(path)
    return path


def run(out: Path, model: Path, prompt_file: Path, **changes) -> int:
    config = {"inputs": {"model": str(model), "prompts": str(prompt_file)}, "continuation_tokens": C, **changes}
    file = out.with_suffix(".yaml")
    file.write_text(yaml.safe_dump({"decoding": SAMPLING, **config}))
    return command.main("generate", ["--config", str(file), "--out", str(out)])


def read(out: Path) -> dict[str, np.ndarray]:
    file = out / "generations.h5"
    return {name: hdf5.read(file, name) for name in hdf5.rows(file)}


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray], rows=slice(None)) -> None:
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        if name in EXACT:
            np.testing.assert_array_equal(found[name], values[rows], err_msg=name)
        else:
            np.testing.assert_allclose(found[name], values[rows], atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def whole(tiny_causal_lm, prompt_file, tmp_path_factory) -> dict[str, np.ndarray]:
    out = tmp_path_factory.mktemp("generate") / "out"
    assert run(out, tiny_causal_lm, prompt_file) == 0
    assert sorted(path.name for path in out.iterdir()) == ["DONE.json", "attempts", "generations.h5"]
    return read(out)


def test_columns_and_what_they_say(whole, prompt_file) -> None:
    given = prompts_file.read(prompt_file)
    assert whole["continuation"].shape == (N, C)
    assert whole["continuation"].dtype == np.int64
    np.testing.assert_array_equal(whole["prompt"], given.prompt)
    np.testing.assert_array_equal(whole["repetitions"], np.arange(N))
    np.testing.assert_array_equal(whole["suffix_in_prompt"], np.arange(N) == 4)
    np.testing.assert_array_equal(whole["exact"], (whole["continuation"][:, :S] == given.suffix).all(1))
    assert (whole["suffix_nll"] > 0).all()
    for column, p in enumerate((0.1, 0.5, 0.9)):
        np.testing.assert_array_equal(
            whole["samples_needed"][:, column], discoverable.samples_needed(whole["suffix_log_p"], p)
        )
    assert (whole["samples_needed"][:, 1] > 1).all()


def test_greedy_says_how_many_samples_the_model_itself_would_need(tiny_causal_lm, prompt_file, tmp_path) -> None:
    assert run(tmp_path / "out", tiny_causal_lm, prompt_file, decoding={"kind": "greedy"}) == 0
    found = read(tmp_path / "out")
    np.testing.assert_array_equal(found["samples_needed"][:, 1], discoverable.samples_needed(-found["suffix_nll"], 0.5))
    assert hdf5.attributes(tmp_path / "out" / "generations.h5")["samples_needed_from"] == "model"


def test_attributes_say_how_and_by_what(tiny_mamba, prompt_file, tmp_path) -> None:
    assert run(tmp_path / "out", tiny_mamba, prompt_file, bos="document") == 0
    about = hdf5.attributes(tmp_path / "out" / "generations.h5")
    n_parameters = MambaForCausalLM.from_pretrained(tiny_mamba).num_parameters()
    expected = {"family": "mamba", "n_parameters": n_parameters, "bos": 0, "dtype": "float32"}
    expected |= {"model": store.input_digest(tiny_mamba), "samples_needed_from": "decoding"}
    assert about == expected | {f"decoding_{key}": value for key, value in {"top_p": 1.0, **SAMPLING}.items()}


@pytest.mark.parametrize("changes", [{"shard_prompts": 3, "batch_size": 2}, {"shard_prompts": 1}])
def test_shards_and_batches_change_nothing(whole, tiny_causal_lm, prompt_file, tmp_path, changes) -> None:
    assert run(tmp_path / "out", tiny_causal_lm, prompt_file, **changes) == 0
    assert_same(read(tmp_path / "out"), whole)


def test_parts_are_ranges_that_cover_all(whole, tiny_causal_lm, prompt_file, tmp_path) -> None:
    rows = []
    for part in range(3):
        out = tmp_path / str(part)
        assert run(out, tiny_causal_lm, prompt_file, part=part, parts=3) == 0
        rows.extend(read(out)["row"].tolist())
        assert_same(read(out), whole, slice(11 * part // 3, 11 * (part + 1) // 3))
    assert rows == list(range(N))


@pytest.mark.parametrize("architecture", ["tiny_causal_lm", "tiny_mamba"])
def test_a_killed_task_goes_on_at_its_first_missing_shard(
    architecture, prompt_file, tmp_path, monkeypatch, request
) -> None:
    model, made = request.getfixturevalue(architecture), []
    assert run(tmp_path / "whole", model, prompt_file) == 0
    shard = generate._Worker.shard

    def counted(self, rows: slice, advance: Advance) -> dict[str, np.ndarray]:
        if len(made) == 2:
            made.append("killed")
            raise KeyboardInterrupt
        made.append(rows)
        return shard(self, rows, advance)

    monkeypatch.setattr(generate._Worker, "shard", counted)
    out = tmp_path / "out"
    assert run(out, model, prompt_file, shard_prompts=4, batch_size=3) == 130
    assert not (out / "DONE.json").exists()
    assert run(out, model, prompt_file, shard_prompts=4, batch_size=5) == 0  # an execution setting may change
    assert made == [slice(0, 4), slice(4, 8), "killed", slice(8, 11)]
    assert_same(read(out), read(tmp_path / "whole"))
    assert not (out / ".blocks").exists()


def test_shards_of_other_settings_are_not_taken_over(whole, tiny_causal_lm, prompt_file, tmp_path, monkeypatch) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(generate, "_assemble", lambda *arguments: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run(out, tiny_causal_lm, prompt_file, decoding={"kind": "greedy"}) == 130
    assert len(list((out / ".blocks").glob("*.h5"))) == 1
    monkeypatch.undo()
    assert run(out, tiny_causal_lm, prompt_file) == 0
    assert_same(read(out), whole)


def test_a_damaged_shard_is_named_and_made_again(tiny_causal_lm, prompt_file, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(blocks, "read", lambda folder, name: (_ for _ in ()).throw(KeyboardInterrupt))
    assert run(out, tiny_causal_lm, prompt_file) == 130
    monkeypatch.undo()
    (block,) = (out / ".blocks").glob("*.h5")
    block.write_bytes(block.read_bytes()[:3000])
    assert run(out, tiny_causal_lm, prompt_file) == 0
    assert f"{block}: damaged; it is made again" in capsys.readouterr().out


def foreign(path: Path, prompt: np.ndarray) -> Path:
    with hdf5.create(path) as file:
        hdf5.write(file, "prompt", prompt)
        hdf5.write(file, "suffix", np.full((len(prompt), S), 7))
    return path


def test_refusals(tiny_causal_lm, prompt_file, tmp_path, capsys) -> None:
    ids = np.full((N, P), 5)
    ids[8, 3] = 400
    beyond = foreign(tmp_path / "beyond.h5", ids)
    cases = [
        (beyond, {"shard_prompts": 4}, 1, "beyond.h5: rows from 8: row 0: token id 400"),
        (prompt_file, {"continuation_tokens": 3}, 1, "have 4 tokens; it must be at least that"),
        (prompt_file, {"parts": 12}, 1, "has only 11 prompts"),
        (prompt_file, {"part": 2, "parts": 2}, 2, "part is 2; it must be 0 to 1"),
        (prompt_file, {"decoding": {"kind": "sample", "top_q": 1}}, 2, "unknown key 'top_q'; did you mean 'top_"),
        (prompt_file, {"decoding": {"kind": "beam"}}, 2, "kind is 'beam'; it must be one of 'greedy', 'sample'"),
    ]
    for number, (file, changes, code, message) in enumerate(cases):
        assert run(tmp_path / str(number), tiny_causal_lm, file, **changes) == code
        assert message in capsys.readouterr().err


def test_another_tokenizer_is_refused(tiny_causal_lm, prompt_file, tmp_path, capsys) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_causal_lm, model)
    tokenizer = AutoTokenizer.from_pretrained(tiny_causal_lm)
    tokenizer.add_tokens(["unseen"])  # a longer vocabulary that spells the same is no other one
    tokenizer.save_pretrained(model)
    assert run(tmp_path / "longer", model, prompt_file) == 0
    given = prompts_file.read(prompt_file)
    with hdf5.create(tmp_path / "other.h5") as opened:
        opened.attrs[prompts_file.SPELLING] = prompts_file.spelling(tokenizer, given.prompt + 1)
        hdf5.write(opened, "prompt", given.prompt)
        hdf5.write(opened, "suffix", given.suffix)
    assert run(tmp_path / "out", model, tmp_path / "other.h5") == 1
    assert "made with another tokenizer" in capsys.readouterr().err


def test_a_prompt_keeps_its_key_wherever_it_stands(prompt_file) -> None:
    given = prompts_file.read(prompt_file)
    keys = generate.keys(3, given, slice(0, N))
    np.testing.assert_array_equal(generate.keys(3, given, slice(4, 6)), keys[4:6])
    assert len(set(keys.tolist())) == N
    assert not np.isin(generate.keys(4, given, slice(0, N)), keys).any()


def test_prompts_of_one_document_have_keys_of_their_own(prompt_file) -> None:
    given = prompts_file.read(prompt_file)
    several = replace(given, document=np.array([7, 3, 7, 7, *range(100, 100 + N - 4)], dtype="<u8"))
    assert generate.turns(several.document).tolist() == [0, 0, 1, 2] + [0] * (N - 4)
    keys = generate.keys(3, several, slice(0, N))
    assert len(set(keys.tolist())) == N
    np.testing.assert_array_equal(generate.keys(3, several, slice(2, 4)), keys[2:4])
    first = replace(given, document=np.array([7], dtype="<u8"))
    assert generate.keys(3, first, slice(0, 1))[0] == keys[0]  # as where a document has one prompt


def test_no_prompts_is_an_error(tiny_causal_lm, tmp_path) -> None:
    file = foreign(tmp_path / "none.h5", np.zeros((0, P), int))
    with pytest.raises(TesseraError, match="with at least one row"):
        generate.run(generate.Config(), {"model": tiny_causal_lm, "prompts": file}, tmp_path)
