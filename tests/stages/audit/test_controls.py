"""The controls of an audit: a reference model in its own tokens, fuzzy duplicates of the texts' own windows, and the
scores of membership, against counts and passes one at a time."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

from jobs.audit import fuzzy_windows, reference_windows
from lib.artifacts import command
from lib.audit import sample, texts_file
from lib.audit.windows import Cut
from lib.base import hdf5

P, S, STRIDE = 6, 4, 3
CUT = {"prompt_tokens": P, "suffix_tokens": S, "stride": STRIDE}
LEVELS, VARIATIONS = [1, 3], 4
ROWS = [
    "the quick brown fox jumps over a lazy dog while",
    "small models",
    "many small models remember text that was repeated inexactly é once in a book",
]


def run(stage: str, out: Path, inputs: dict, **config) -> int:
    out.with_suffix(".yaml").write_text(yaml.safe_dump({"inputs": inputs, **config}))
    return command.main(stage, ["--config", str(out.with_suffix(".yaml")), "--out", str(out)])


def read(out: Path, name: str) -> dict[str, np.ndarray]:
    return {key: hdf5.read(out / name, key) for key in hdf5.rows(out / name)}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose tokenizer merges across words, so that few of its tokens end where the target's do."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=["<|end|>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(ROWS, trainer)
    path = tmp_path_factory.mktemp("reference")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|end|>", eos_token="<|end|>").save_pretrained(path)
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    GPTNeoXForCausalLM(GPTNeoXConfig(vocab_size=330, **sizes)).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_causal_lm: Path, reference: Path) -> Path:
    """Texts, their windows, their windows under the reference, fuzzy duplicates and the scores of these."""
    path = tmp_path_factory.mktemp("controls")
    (path / "mine.jsonl").write_text("".join(f"{json.dumps({'text': row})}\n" for row in ROWS))
    target, other = str(tiny_causal_lm), str(reference)
    texts, fuzzy = str(path / "texts"), str(path / "fuzzy")
    duplicates = {"most": 2, "variations": VARIATIONS, "replaced_tokens": LEVELS, "strategy": "random"}
    assert run("audit_texts", path / "texts", {"tokenizer": target}, path=str(path / "mine.jsonl")) == 0
    assert run("score_windows", path / "windows", {"model": target, "texts": texts}, **CUT, moments=True) == 0
    assert run("reference_windows", path / "easy", {"model": other, "texts": texts}, **CUT, bos="document") == 0
    assert run("fuzzy_windows", path / "fuzzy", {"texts": texts, "tokenizer": target}, **CUT, **duplicates) == 0
    assert run("score_windows", path / "fuzzy_scores", {"model": target, "texts": fuzzy}, **CUT) == 0
    assert run("reference_windows", path / "fuzzy_easy", {"model": other, "texts": fuzzy}, **CUT, bos="document") == 0
    inputs = {
        "windows": [str(path / "windows")],
        "texts": texts,
        "reference": [str(path / "easy")],
        "fuzzy_texts": fuzzy,
        "fuzzy": str(path / "fuzzy_scores"),
        "fuzzy_reference": str(path / "fuzzy_easy"),
    }
    attacks = ["loss", "min_k", "min_k_plus_plus", "zlib_bits"]
    assert run("audit", path / "audit", inputs, attacks=attacks) == 0
    return path


def exact(directory: Path, context: list[int], ids: list[int]) -> np.ndarray:
    """ln p of each of `ids` after a context, alone, in double precision."""
    model = AutoModelForCausalLM.from_pretrained(directory).double().eval()
    with torch.no_grad():
        log_p = model(torch.tensor([*context, *ids])[None]).logits[0].log_softmax(1).numpy()
    return log_p[np.arange(len(context) - 1, len(context) + len(ids) - 1), ids]


def test_a_reference_reads_the_same_text_in_its_own_tokens(folder, reference) -> None:
    texts, found = texts_file.read(folder / "texts" / "audited.h5"), read(folder / "easy", "reference_windows.h5")
    tokenizer, moved = AutoTokenizer.from_pretrained(reference), 0
    for row in range(0, len(found["text"]), 3):
        of, start = texts.characters[found["text"][row]], found["start"][row]
        text = texts.text[found["text"][row]][: of[start + P + S - 1, 1]]
        given = tokenizer(text[of[start, 0] :], return_offsets_mapping=True)
        border = of[start + P, 0] - of[start, 0]
        first = next(n for n, (begin, _) in enumerate(given["offset_mapping"]) if begin >= border)
        moved += given["offset_mapping"][first][0] > border
        assert found["tokens"][row] == len(given["input_ids"]) - first
        assert found["bytes"][row] == len(text[of[start, 0] + given["offset_mapping"][first][0] :].encode())
        log_p = exact(reference, [0, *given["input_ids"][:first]], given["input_ids"][first:])
        np.testing.assert_allclose(found["log_p"][row], log_p.sum(), atol=1e-5 * len(log_p))
    assert moved  # some tokens lie across the border


def test_fuzzy_duplicates_replace_so_many_tokens_of_the_suffix(folder) -> None:
    texts, rows = texts_file.read(folder / "fuzzy" / "audited.h5"), read(folder / "fuzzy", "fuzzy_windows.h5")
    source = texts_file.read(folder / "texts" / "audited.h5")
    each = 1 + len(LEVELS) * VARIATIONS
    assert len(texts.ids) == each * len(set(zip(rows["text"].tolist(), rows["start"].tolist())))
    assert np.bincount(rows["text"]).tolist() == [2 * each, 0, 2 * each]  # the second text is shorter than a window
    for row, ids in enumerate(texts.ids):
        whole = source.ids[rows["text"][row]][rows["start"][row] :][: P + S]
        changed = ids != whole
        assert not changed[:P].any()
        if "é" in texts.text[row]:  # two tokens, which are not replaced
            assert changed.sum() == min(rows["replaced"][row], S - 2)
        else:
            assert changed.sum() == rows["replaced"][row]
        smaller = texts.ids[row - VARIATIONS]
        if rows["replaced"][row] == LEVELS[1]:
            assert (ids[smaller != whole] == smaller[smaller != whole]).all()
        of = texts.characters[row]
        assert texts.text[row][of[0, 0] : of[-1, 1]] == texts.text[row]
        assert (of[1:, 0] == of[:-1, 1]).all()


def test_the_choice_of_windows_and_tokens_depends_on_the_text_alone(folder, tiny_causal_lm, tmp_path) -> None:
    (tmp_path / "one.jsonl").write_text(json.dumps({"text": ROWS[2]}))
    inputs = {"tokenizer": str(tiny_causal_lm)}
    assert run("audit_texts", tmp_path / "texts", inputs, path=str(tmp_path / "one.jsonl")) == 0
    duplicates = {"most": 2, "variations": VARIATIONS, "replaced_tokens": LEVELS, "strategy": "random"}
    inputs = {"texts": str(tmp_path / "texts"), **inputs}
    assert run("fuzzy_windows", tmp_path / "fuzzy", inputs, **CUT, **duplicates) == 0
    alone, among = (texts_file.read(path / "fuzzy" / "audited.h5").text for path in (tmp_path, folder))
    assert list(alone) == list(among)[-len(alone) :]


def test_chosen_windows_do_not_overlap_and_more_keep_the_first() -> None:
    ids, cut = np.arange(500) % 7, Cut(5, 4, 1)
    few, many = (set(sample.chosen(ids, cut, most, 0).tolist()) for most in (3, 20))
    assert few < many
    assert min(np.diff(sorted(many))) >= 4
    assert sample.chosen(ids, cut, 3, 1).tolist() != sorted(few)


def test_margins_are_differences_of_passes_alone(folder, tiny_causal_lm) -> None:
    texts, found = texts_file.read(folder / "fuzzy" / "audited.h5"), read(folder / "audit", "audit.h5")
    each, window = 1 + len(LEVELS) * VARIATIONS, 2
    easy = read(folder / "fuzzy_easy", "reference_windows.h5")["log_p"].reshape(-1, each)[window]
    log_p = [
        exact(tiny_causal_lm, ids[:P].tolist(), ids[P:].tolist()).sum()
        for ids in texts.ids[window * each : (window + 1) * each]
    ]
    margin = (log_p[0] - np.array(log_p[1:])).reshape(len(LEVELS), VARIATIONS)
    np.testing.assert_allclose(found["fuzzy/margin"][window], margin, atol=1e-4)
    gap = margin - (easy[0] - easy[1:]).reshape(len(LEVELS), VARIATIONS)
    np.testing.assert_allclose(found["fuzzy/gap"][window], gap, atol=1e-4)


def test_scores_of_membership_by_hand(folder) -> None:
    found, windows = read(folder / "audit", "audit.h5"), read(folder / "windows", "windows.h5")
    easy, texts = read(folder / "easy", "reference_windows.h5"), texts_file.read(folder / "texts" / "audited.h5")
    for text in (0, 2):
        mine = windows["text"] == text
        first: dict[int, float] = {}  # of each token, in the first window that has it
        for start, row in zip(windows["start"][mine].tolist(), windows["log_probs"][mine]):
            for place, value in enumerate(row):
                first.setdefault(start + P + place, float(value))
        examined = texts.text[text][texts.characters[text][P, 0] :].encode()
        bits = 8 * len(zlib.compress(examined))
        assert len(first) == len(texts.ids[text]) - P
        assert found["texts/scores/zlib_bits"][text] == pytest.approx(sum(first.values()) / np.log(2) / bits, rel=1e-5)
        loss, other = windows["log_probs"][mine].mean(), easy["log_p"][mine].sum() / easy["tokens"][mine].sum()
        assert found["texts/scores/ratio"][text] == pytest.approx(loss - other, rel=1e-5)
        size = sum(
            len(texts.text[text][texts.characters[text][s + P, 0] : texts.characters[text][s + P + S - 1, 1]].encode())
            for s in windows["start"][mine].tolist()
        )
        gap = windows["log_probs"][mine].sum() / size - easy["log_p"][mine].sum() / easy["bytes"][mine].sum()
        assert found["texts/gap"][text] == pytest.approx(gap, rel=1e-5)
        standard = np.sort(((windows["log_probs"] - windows["mu"]) / windows["sigma"])[mine].ravel())
        lowest = standard[: max(1, int(0.2 * len(standard)))].mean()
        assert found["texts/scores/min_k_plus_plus"][text] == pytest.approx(lowest, rel=1e-5)
    assert all(np.isnan(found[f"texts/{name}"][1]) for name in ("gap", "scores/zlib_bits", "scores/ratio"))


def test_what_does_not_belong_together_is_refused_in_words(folder, tmp_path, capsys) -> None:
    inputs = {"windows": [str(folder / "windows")], "texts": str(folder / "texts")}
    assert run("audit", tmp_path / "a", {**inputs, "fuzzy": str(folder / "fuzzy_scores")}) == 2
    assert "fuzzy_texts" in "".join(capsys.readouterr())
    assert run("audit", tmp_path / "b", {**inputs, "reference": [str(folder / "fuzzy_easy")]}) == 1
    assert "not the windows of" in "".join(capsys.readouterr())
    plain = {**inputs, "windows": [str(folder / "fuzzy_scores")], "texts": str(folder / "fuzzy")}
    assert run("audit", tmp_path / "c", plain, attacks=["loss", "min_k_plus_plus"]) == 1
    assert "moments: true" in "".join(capsys.readouterr())
    with pytest.raises(ValueError, match="from 1 to 4"):
        fuzzy_windows.Config(**CUT, replaced_tokens=(1, 5))
    with pytest.raises(ValueError, match="part is 2"):
        reference_windows.Config(part=2, parts=2)
