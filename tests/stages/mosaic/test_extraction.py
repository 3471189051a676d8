"""The stage `extraction` against greedy decoding by hand; its refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from jobs.mosaic import extraction
from lib.artifacts.command import main
from lib.base import hdf5, places
from lib.base.errors import TesseraError
from lib.models import loading
from lib.prefix import bleu

P, S, N = 5, 4, 6


@pytest.fixture(scope="module")
def inputs(tiny_causal_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Members whose suffix is what the model says itself, but for the last token of every second one."""
    folder, stream = tmp_path_factory.mktemp("canaries"), np.random.default_rng(0)
    sides = {"members": stream.integers(2, 400, (N, 12)), "non_members": stream.integers(2, 400, (N, 12))}
    for row in sides["members"]:
        row[P : P + S] = greedy(tiny_causal_lm, row[:P])
    sides["members"][::2, P + S - 1] = 399 - sides["members"][::2, P + S - 1] % 300
    for side, tokens in sides.items():
        with hdf5.create(folder / f"{side}.h5") as file:
            hdf5.write(file, "tokens", tokens.astype("<u4"))
    return {"target": tiny_causal_lm, **{side: folder / f"{side}.h5" for side in sides}}


def greedy(directory: Path, prompt: np.ndarray) -> list[int]:
    model, ids = loading.load_causal_lm(directory), [0, *prompt.tolist()]
    with torch.inference_mode():
        for _ in range(S):
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[-S:]


def run(out: Path, inputs: dict[str, Path], **settings) -> Path:
    out.mkdir(exist_ok=True)
    extraction.run(extraction.Config(**{"prompt_tokens": P, "suffix_tokens": S, **settings}), inputs, out)
    return out / places.EXTRACTED


def test_what_the_model_says_is_found_and_the_rest_is_not(inputs, tmp_path: Path, capsys) -> None:
    path = run(tmp_path, inputs)
    exact = hdf5.read(path, "members/exact")
    assert exact.tolist() == [False, True] * (N // 2)
    assert hdf5.read(path, "members/matched_tokens").tolist() == [S - 1, S] * (N // 2)
    np.testing.assert_allclose(hdf5.read(path, "members/edit_similarity"), [1 - 1 / S, 1] * (N // 2))
    assert (hdf5.read(path, "members/bleu")[exact] == 1).all()
    assert not hdf5.read(path, "non_members/exact").any()
    assert f"{N // 2} of {N} members and 0 of {N} non-members" in capsys.readouterr().out


def test_word_bleu_is_that_of_the_decoded_texts(inputs, tmp_path: Path) -> None:
    path, tokenizer = run(tmp_path, inputs), AutoTokenizer.from_pretrained(inputs["target"])
    for side in ("members", "non_members"):
        suffixes = hdf5.read(inputs[side], "tokens")[:, P : P + S]
        made = hdf5.read(path, f"{side}/continuation")
        texts = [
            tokenizer.batch_decode([r[r >= 0] for r in rows], skip_special_tokens=True) for rows in (made, suffixes)
        ]
        assert hdf5.read(path, f"{side}/word_bleu").tolist() == [bleu.word_score(*pair) for pair in zip(*texts)]


def test_likelihoods_are_those_of_a_plain_pass(inputs, tmp_path: Path) -> None:
    path, model = run(tmp_path, inputs), loading.load_causal_lm(inputs["target"])
    tokens = torch.from_numpy(hdf5.read(inputs["members"], "tokens").astype(np.int64))[:, : P + S]
    with torch.inference_mode():
        logits = model(torch.cat([torch.zeros(N, 1, dtype=torch.long), tokens], dim=1)).logits.log_softmax(-1)
    log_p = logits[:, P:-1].gather(2, tokens[:, P:, None]).sum((1, 2)).double().numpy()
    np.testing.assert_allclose(hdf5.read(path, "members/suffix_nll"), -log_p, rtol=1e-5)
    needed = np.ceil(np.log(0.5) / np.log1p(-np.exp(log_p)))
    np.testing.assert_allclose(hdf5.read(path, "members/samples_needed")[:, 1], needed, rtol=1e-3)


def test_batch_size_changes_no_text(inputs, tmp_path: Path) -> None:
    one, other = (run(tmp_path / str(size), inputs, batch_size=size) for size in (1, 64))
    np.testing.assert_array_equal(hdf5.read(one, "members/continuation"), hdf5.read(other, "members/continuation"))


def test_refusals(inputs, tmp_path: Path, capsys) -> None:
    with pytest.raises(TesseraError, match=r"need canaries of 13 tokens, but those in .*members\.h5 have 12 tokens"):
        run(tmp_path, inputs, prompt_tokens=9)
    with pytest.raises(ValueError, match="at least 1"):
        extraction.Config(prompt_tokens=0)
    file = tmp_path / "e.yaml"
    file.write_text(
        "".join(f"{name}: {path}\n" for name, path in inputs.items()) + "prompt_tokens: 5\nsuffix_tokens: 4"
    )
    assert main("extraction", ["--config", str(file), "--out", str(tmp_path / "out")]) == 0
    assert "whole suffixes of" in capsys.readouterr().out
