"""The stages of an audit: texts to windows to what they say, against one window at a time in double precision."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from jobs.audit import audit_texts, score_windows
from lib.artifacts import command
from lib.audit import extraction, texts_file
from lib.base import hdf5

P, S, STRIDE, K = 6, 4, 3, 390
INTERRUPTED = 130
CUT = {"prompt_tokens": P, "suffix_tokens": S, "stride": STRIDE, "top_k": K, "likeliest": True}
ROWS = [
    {"text": "the quick brown fox jumps over a lazy dog while", "label": "member", "author": "a"},
    {"text": "small models remember text", "label": "non-member", "author": "b"},
    {"text": "", "label": "", "author": "b"},
    {"text": "many small models remember text that was repeated inexactly é", "label": "0", "author": "a"},
]


def run(stage: str, out: Path, inputs: dict, **config) -> int:
    file = out.with_suffix(".yaml")
    file.write_text(yaml.safe_dump({"inputs": inputs, **config}))
    return command.main(stage, ["--config", str(file), "--out", str(out)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audit")
    (path / "mine.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return path


@pytest.fixture(scope="module")
def audited(folder: Path, tiny_causal_lm: Path) -> Path:
    columns = {"label_column": "label", "group_column": "author"}
    inputs = {"tokenizer": str(tiny_causal_lm)}
    assert run("audit_texts", folder / "texts", inputs, path=str(folder / "mine.jsonl"), **columns) == 0
    return folder / "texts"


@pytest.fixture(scope="module")
def windows(folder: Path, audited: Path, tiny_causal_lm: Path) -> Path:
    inputs = {"model": str(tiny_causal_lm), "texts": str(audited)}
    assert run("score_windows", folder / "windows", inputs, **CUT) == 0
    return folder / "windows"


def read(out: Path) -> dict[str, np.ndarray]:
    (file,) = out.glob("*.h5")
    return {name: hdf5.read(file, name) for name in hdf5.rows(file)}


def test_texts_keep_what_is_said_of_them_and_their_characters(audited: Path, tiny_causal_lm: Path) -> None:
    texts = texts_file.read(audited / "audited.h5")
    tokenizer = AutoTokenizer.from_pretrained(tiny_causal_lm)
    assert list(texts.text) == [row["text"] for row in ROWS]
    assert texts.label.tolist() == [1, 0, -1, 0]
    assert list(texts.group) == ["a", "b", "b", "a"]
    assert texts.name[1] == "mine.jsonl 2"
    for number, row in enumerate(ROWS):
        assert texts.ids[number].tolist() == tokenizer(row["text"])["input_ids"]
        assert texts_file.passage(texts, number, 0, len(texts.ids[number])) == row["text"]


def test_every_window_equals_one_pass_alone_in_double_precision(windows, audited, tiny_causal_lm) -> None:
    texts, found = texts_file.read(audited / "audited.h5"), read(windows)
    model = AutoModelForCausalLM.from_pretrained(tiny_causal_lm).double().eval()
    places = [(t, s) for t, ids in enumerate(texts.ids) for s in range(len(ids) - P - S + 1)]
    kept = [(t, s) for t, s in places if s % STRIDE == 0 or s == len(texts.ids[t]) - P - S]
    assert list(zip(found["text"].tolist(), found["start"].tolist())) == kept
    for row, (text, start) in enumerate(kept):
        ids = texts.ids[text][start : start + P + S]
        with torch.no_grad():
            logits = model(torch.tensor(ids)[None]).logits[0, P - 1 : -1].numpy()
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        true = log_p[np.arange(S), ids[P:]]
        np.testing.assert_allclose(found["log_probs"][row], true, atol=1e-5)
        np.testing.assert_allclose(found["top"][row], log_p.max(1), atol=1e-5)
        np.testing.assert_array_equal(found["rank"][row], (log_p > true[:, None]).sum(1))
        np.testing.assert_array_equal(found["likeliest"][row], log_p.argmax(1))
        mass = np.log(np.exp(np.sort(log_p)[:, -K:]).sum(1))
        np.testing.assert_allclose(found["top_k_mass"][row], mass, atol=1e-5)


def test_parts_blocks_and_batches_change_nothing_and_a_killed_task_goes_on(
    windows, folder, audited, tiny_causal_lm, monkeypatch
) -> None:
    inputs, whole = {"model": str(tiny_causal_lm), "texts": str(audited)}, read(windows)
    how = {**CUT, "parts": 2, "batch_size": 3, "block_windows": 2}
    scored: list[int] = []
    scores = score_windows._Scorer.scores

    def killed(self, text, *more):
        if len(scored) == 1:
            raise KeyboardInterrupt
        scored.append(len(text))
        return scores(self, text, *more)

    monkeypatch.setattr(score_windows._Scorer, "scores", killed)
    assert run("score_windows", folder / "part-0", inputs, **how, part=0) == INTERRUPTED
    monkeypatch.setattr(score_windows._Scorer, "scores", lambda *given: scored.append(len(given[1])) or scores(*given))
    for part in (0, 1):
        assert run("score_windows", folder / f"part-{part}", inputs, **how, part=part) == 0
    assert sum(scored) == len(whole["text"])  # what was stored before the kill was not scored again
    parts = [read(folder / f"part-{part}") for part in (0, 1)]
    for name, values in whole.items():
        together = np.concatenate([part[name] for part in parts])
        np.testing.assert_allclose(together, values, atol=1e-5, err_msg=name)
    given = {"windows": [str(folder / f"part-{part}") for part in (1, 0)], "texts": str(audited)}
    assert run("audit", folder / "of-parts", given) == 0
    assert run("audit", folder / "half", {**given, "windows": given["windows"][:1]}) == 1


def test_an_audit_is_what_its_windows_say(folder, windows, audited) -> None:
    given = {"windows": [str(windows)], "texts": str(audited)}
    thresholds = [1e-12, 1e-9]  # of a model with random weights
    assert run("audit", folder / "audit", given, thresholds=thresholds) == 0
    found, evidence, texts = read(folder / "audit"), read(windows), texts_file.read(audited / "audited.h5")
    log_p = extraction.log_p_top_k(*(evidence[name] for name in ("log_probs", "rank", "top_k_mass")), K)
    np.testing.assert_allclose(found["windows/log_p"], log_p)
    for text, ids in enumerate(texts.ids):
        mine = evidence["text"] == text
        assert found["texts/tokens"][text] == len(ids)
        assert found["texts/windows"][text] == mine.sum()
        assert found["texts/examined"][text] == (len(ids) - P if mine.any() else 0)
        for place, threshold in enumerate(thresholds):
            starts = evidence["start"][mine & (np.exp(log_p) >= threshold)]
            tokens = {int(start) + P + token for start in starts for token in range(S)}
            assert found["texts/covered"][text, place] == len(tokens)
        loss = evidence["log_probs"][mine].mean() if mine.any() else np.nan
        np.testing.assert_allclose(found["texts/scores/loss"][text], loss, rtol=1e-6)
    assert found["texts/covered"].any()


@pytest.mark.parametrize(
    ("rows", "config", "message"),
    [
        ([{"text": "a"}], {"text_column": "body"}, "no 'body' (has: text)"),
        ([{"text": "a"}], {"label_column": "seen"}, "no column 'seen' (has: text)"),
        ([{"text": "a", "seen": "perhaps"}], {"label_column": "seen"}, "the label is 'perhaps'"),
        ([{"text": "a", "seen": 1}], {"label_column": "seen"}, "all labels say member"),
        ([], {}, "no texts in it"),
    ],
)
def test_texts_that_cannot_be_used_are_refused_in_words(
    tmp_path, tiny_causal_lm, capsys, rows, config, message
) -> None:
    (tmp_path / "mine.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    inputs = {"tokenizer": str(tiny_causal_lm)}
    assert run("audit_texts", tmp_path / "out", inputs, path=str(tmp_path / "mine.jsonl"), **config) == 1
    assert message in "".join(capsys.readouterr())


def test_texts_shorter_than_a_window_and_models_of_another_kind_are_refused_in_words(
    tmp_path, folder, audited, tiny_causal_lm, tiny_masked_lm, capsys
) -> None:
    inputs = {"model": str(tiny_causal_lm), "texts": str(audited)}
    assert run("score_windows", tmp_path / "long", inputs, prompt_tokens=500, suffix_tokens=50) == 1
    assert "none of 4 texts has the 550 tokens of a window" in "".join(capsys.readouterr())
    assert run("score_windows", tmp_path / "masked", {**inputs, "model": str(tiny_masked_lm)}, **CUT) == 1
    assert "give a causal language model" in "".join(capsys.readouterr())


def test_other_bytes_are_another_task(folder: Path) -> None:
    config = audit_texts.Config(path=str(folder / "mine.jsonl"))
    before = audit_texts.pin(config).fingerprint
    (folder / "mine.jsonl").touch()
    assert audit_texts.pin(config).fingerprint == before
    changed = folder / "changed" / "mine.jsonl"
    changed.parent.mkdir()
    changed.write_text('{"text": "other"}\n')
    assert audit_texts.pin(audit_texts.Config(path=str(changed))).fingerprint != before


def test_a_known_data_set_needs_no_columns_and_the_log_and_the_file_say_so(tmp_path, tiny_causal_lm, capfd) -> None:
    rows = [{"member": "small models remember", "nonmember": "the quick brown fox"}] * 2
    (tmp_path / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    inputs = {"tokenizer": str(tiny_causal_lm)}
    assert run("audit_texts", tmp_path / "texts", inputs, path=str(tmp_path / "pairs.jsonl")) == 0
    texts = texts_file.read(tmp_path / "texts" / "audited.h5")
    assert texts.layout == "MIMIR"
    assert texts.label.tolist() == [1, 0, 1, 0]
    assert texts.name[3] == "pairs.jsonl 4"
    assert "read by the columns of MIMIR" in capfd.readouterr().out
