"""Scores of generated texts against torch's own cross-entropy, one text at a time, and what is refused."""

import math
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from jobs.prefix import generate, score_generations
from lib.artifacts import command, store
from lib.base import hdf5
from lib.generation.decoding import Decoding
from lib.prefix import generated as prefix_generated
from lib.prefix import prompts, prompts_file

N, P, S, C = 7, 6, 3, 10


@pytest.fixture(scope="module")
def generated(tiny_causal_lm, tmp_path_factory) -> dict[str, list[Path] | Path]:
    """prompts.h5, and two parts of random continuations in another order; one ends at once, one half-way."""
    root, draws = tmp_path_factory.mktemp("generated"), np.random.default_rng(0)
    tokenizer = AutoTokenizer.from_pretrained(tiny_causal_lm)
    ids = np.array(tokenizer("The QUICK Brown fox, Été! " * 20)["input_ids"])[: N * (P + S)].reshape(N, -1)
    windows = [prompts.Window(row, 0, ids[row], "", 0) for row in range(N)]
    prompts_file.write(root / "prompts.h5", windows, P, S, tokenizer, {})
    made = draws.integers(2, 258, (N, C))
    made[2, 0], made[2, 1:] = 0, -1
    made[5, 4], made[5, 5:] = 0, -1
    parts = [write_part(root / f"part{n}.h5", rows, ids, made) for n, rows in enumerate(([3, 4, 5, 6], [0, 1, 2]))]
    return {"prompts": root / "prompts.h5", "generations": parts}


def write_part(path: Path, rows: list[int], ids: np.ndarray, made: np.ndarray) -> Path:
    with hdf5.create(path) as file:
        hdf5.write(file, "row", np.array(rows, "<u8"))
        hdf5.write(file, "prompt", ids[rows, :P].astype("<u4"))
        hdf5.write(file, "continuation", made[rows])
    return path


@pytest.fixture(scope="module")
def small_lm(tiny_tokenizer, tmp_path_factory) -> dict[str, Path]:
    """A Llama with the same tokenizer, and with one that cuts texts into bytes under other ids."""
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=400, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=256, initializer_range=0.3,
    )  # fmt: skip
    model, found = LlamaForCausalLM(config), {}
    for name in ("same", "other"):
        found[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(found[name])
    AutoTokenizer.from_pretrained(tiny_tokenizer).save_pretrained(found["same"])
    byte_tokenizer().save_pretrained(found["other"])
    return found


def byte_tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet(), reverse=True)
    tokenizer = Tokenizer(models.BPE({letter: index for index, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def run(out: Path, generated: dict, large: Path, small: Path | None = None, **changes) -> int:
    inputs = {"generations": [str(path) for path in generated["generations"]], "prompts": str(generated["prompts"])}
    inputs |= {"large": str(large)} | ({"small": str(small)} if small else {})
    out.with_suffix(".yaml").write_text(yaml.safe_dump({"inputs": inputs, **changes}))
    return command.main("score_generations", ["--config", str(out.with_suffix(".yaml")), "--out", str(out)])


def read(out: Path) -> dict[str, np.ndarray]:
    file = out / "prefix_scores.h5"
    return {name: hdf5.read(file, name) for name in hdf5.rows(file)}


def by_row(generated: dict) -> list[tuple[list[int], list[int]]]:
    """Prompt and continuation of every row, without its end."""
    found = {}
    for file in generated["generations"]:
        columns = (hdf5.read(file, name).tolist() for name in ("row", "prompt", "continuation"))
        for row, prompt, made in zip(*columns):
            found[row] = (prompt, [index for index in made if index > 0])
    return [found[row] for row in range(N)]


@torch.no_grad()
def nll(model, context: list[int], ids: list[int]) -> float:
    everything = torch.tensor([[*context, *ids]])
    losses = torch.nn.functional.cross_entropy(model(everything).logits[0, :-1], everything[0, 1:], reduction="none")
    return losses[max(0, len(context) - 1) :].sum().item()


@pytest.mark.parametrize("small", ["same", "other"])
def test_published_scores_of_whole_texts(generated, tiny_causal_lm, small_lm, tmp_path, small) -> None:
    assert run(tmp_path / "out", generated, tiny_causal_lm, small_lm[small], batch_size=3) == 0
    found, tokenizer = read(tmp_path / "out"), AutoTokenizer.from_pretrained(tiny_causal_lm)
    large, little = (AutoModelForCausalLM.from_pretrained(path) for path in (tiny_causal_lm, small_lm[small]))
    theirs = AutoTokenizer.from_pretrained(small_lm[small])
    texts = []
    for row, (prompt, made) in enumerate(by_row(generated)):
        ids = prompt + made
        texts.append(tokenizer.decode(ids))
        lower = tokenizer(texts[-1].lower())["input_ids"]
        other = ids if small == "same" else theirs(texts[-1])["input_ids"]
        for name, model, scored in (("large", large, ids), ("lower", large, lower), ("small", little, other)):
            np.testing.assert_allclose(found[f"nll_{name}"][row], nll(model, [], scored), rtol=1e-5)
            assert found[f"tokens_{name}"][row] == len(scored) - 1
            mean = nll(model, [], scored) / (len(scored) - 1)
            np.testing.assert_allclose(found[f"log_perplexity_{name}"][row], mean, rtol=1e-5)
    np.testing.assert_array_equal(found["zlib_bytes"], [len(zlib.compress(text.encode())) for text in texts])
    ratio = found["log_perplexity_small"] / found["log_perplexity_large"]
    np.testing.assert_allclose(found["ranking/small"], ratio)
    assert {name.split("/")[1] for name in found if "/" in name} == {"perplexity", "small", "lowercase", "zlib"}
    strings = [
        hdf5.read_texts(tmp_path / "out" / "prefix_scores.h5", name) for name in ("prompt_text", "continuation_text")
    ]
    assert ["".join(pair) for pair in zip(*strings)] == texts


def test_continuations_alone_given_their_prompts(generated, tiny_causal_lm, tmp_path) -> None:
    assert run(tmp_path / "out", generated, tiny_causal_lm, scored="continuation") == 0
    found, model = read(tmp_path / "out"), AutoModelForCausalLM.from_pretrained(tiny_causal_lm)
    for row, (prompt, made) in enumerate(by_row(generated)):
        assert found["tokens_large"][row] == len(made)
        expected = nll(model, prompt, made) if made else math.nan
        np.testing.assert_allclose(found["nll_large"][row], expected, rtol=1e-5)
        assert np.isnan(found["min_k"][row]) == np.isnan(found["ranking/perplexity"][row]) == (not made)
    assert "nll_small" not in found


def test_nothing_depends_on_batch_size_or_the_order_of_parts(generated, tiny_causal_lm, small_lm, tmp_path) -> None:
    other = generated | {"generations": generated["generations"][::-1]}
    assert run(tmp_path / "a", generated, tiny_causal_lm, small_lm["same"], batch_size=1) == 0
    assert run(tmp_path / "b", other, tiny_causal_lm, small_lm["same"], batch_size=7) == 0
    found, again = read(tmp_path / "a"), read(tmp_path / "b")
    for name, values in found.items():
        np.testing.assert_allclose(values, again[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def whole_way(generated, tiny_causal_lm, tmp_path_factory) -> Callable[[str], dict[str, list[Path] | Path]]:
    """Two parts as the generate stage makes them, with texts that end early among them; by its `bos`."""
    root, made = tmp_path_factory.mktemp("made"), {}

    def parts(bos: str) -> dict[str, list[Path] | Path]:
        for part in (0, 1) if bos not in made else ():
            config = generate.Config(
                Decoding("sample", 3.0, 0, 1.0, 1), continuation_tokens=C, part=part, parts=2, bos=bos, batch_size=2
            )
            (root / f"{bos}{part}").mkdir()
            inputs = {"model": tiny_causal_lm, "prompts": generated["prompts"]}
            generate.run(config, inputs, root / f"{bos}{part}")
        made[bos] = [root / f"{bos}{part}" / "generations.h5" for part in (1, 0)]
        return generated | {"generations": made[bos]}

    return parts


@pytest.mark.parametrize("bos", ["none", "document"])
@pytest.mark.parametrize("scored", ["all", "continuation"])
def test_what_generation_found_is_what_a_pass_finds(
    whole_way, tiny_causal_lm, tmp_path, monkeypatch, scored: str, bos: str
) -> None:
    given, passes = whole_way(bos), []
    by_ids = prefix_generated.by_ids
    monkeypatch.setattr(prefix_generated, "by_ids", lambda *args, **kwargs: passes.append(1) or by_ids(*args, **kwargs))
    assert run(tmp_path / "found", given, tiny_causal_lm, scored=scored, bos=bos) == 0
    assert not passes
    monkeypatch.setattr(score_generations, "measured", lambda *args: None)
    assert run(tmp_path / "pass", given, tiny_causal_lm, scored=scored, bos=bos) == 0
    assert passes
    found, wanted = read(tmp_path / "found"), read(tmp_path / "pass")
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5, err_msg=name)


def test_what_another_model_type_or_opening_found_is_not_used(whole_way, tiny_causal_lm, small_lm) -> None:
    files, first = whole_way("document")["generations"], np.array([0])
    own = store.input_digest(tiny_causal_lm)
    assert score_generations.measured(files, own, "float32", first)["mu"].shape == (N, P + C)
    assert score_generations.measured(files, store.input_digest(small_lm["same"]), "float32", first) is None
    assert score_generations.measured(files, own, "bfloat16", first) is None
    assert score_generations.measured(files, own, "float32", first[:0]) is None


def test_refusals(generated, tiny_causal_lm, tmp_path, capsys) -> None:
    shutil.copytree(tiny_causal_lm, tmp_path / "copy")
    bad = tmp_path / "bad.h5"
    ids, made = np.full((N, P + S), 3), np.full((N, C), 3)
    write_part(bad, list(range(N)), ids, made)
    beyond = tmp_path / "beyond.h5"
    made = np.where(np.arange(C) == 4, 400, made)
    write_part(beyond, list(range(N)), prompts_file.read(generated["prompts"]).prompt, made)
    first, second = generated["generations"]
    cases = [
        ({"generations": [first]}, {}, 1, "missing [0, 1, 2], more than once []"),
        ({"generations": [first, second, first]}, {}, 1, "more than once [3, 4, 5, 6]"),
        ({"generations": [bad]}, {}, 1, "continues other prompts"),
        ({"generations": [beyond]}, {}, 1, "row 0: token id 400"),
        ({}, {"small": tmp_path / "copy"}, 2, "is the large model"),
        ({}, {"small": tiny_causal_lm}, 2, "is the large model"),
        ({}, {"batch_size": 0}, 2, "at least 1"),
    ]
    for number, (changed, settings, code, message) in enumerate(cases):
        assert run(tmp_path / str(number), generated | changed, tiny_causal_lm, **settings) == code
        assert message in capsys.readouterr().err


def test_a_character_cut_by_the_end_of_the_prompt_is_kept_whole() -> None:
    from lib.prefix import generated as prefix_generated

    tokenizer = byte_tokenizer()
    ids = np.array([tokenizer("aÉb")["input_ids"]])
    given = prefix_generated.decoded(ids[:, :2], ids[:, 2:], [], tokenizer)
    assert given.prompt_texts == ["a\ufffd"]
    assert given.continuation_texts == ["\ufffdb"]
    assert score_generations.summed("m", [np.array([-1.0, -2.0]), np.zeros(0)])["nll_m"][0] == 3
