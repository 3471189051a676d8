"""The stages `candidates` and `duplicates`, by hand and with candidates computed before."""

from pathlib import Path

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from jobs.mosaic import candidates, duplicates
from lib.artifacts.command import main
from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.models import loading
from lib.tokens.tokenization import REPLACEMENT_CHARACTER, decode, encode

TEXTS = (
    "the quick brown fox jumps over a lazy dog while many models remember",
    "others forget what they have read once in a book about rivers and old machines",
    "caf\u00e9 \U0001f600 rivers remember small letters (x, y) = f[i] that was repeated",
)
LENGTH = 14


@pytest.fixture(scope="module")
def canaries(tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = loading.load_tokenizer(tiny_tokenizer)
    path = tmp_path_factory.mktemp("canaries") / "canaries.h5"
    with hdf5.create(path) as file:
        hdf5.write(file, "tokens", np.array([encode(tokenizer, text)[:LENGTH] for text in TEXTS], dtype="<u4"))
    return path


@pytest.fixture(scope="module")
def inputs(canaries: Path, tiny_tokenizer: Path, tiny_masked_lm: Path) -> dict[str, Path]:
    return {"canaries": canaries, "masked_lm": tiny_masked_lm, "target_tokenizer": tiny_tokenizer}


def make(out: Path, inputs: dict[str, Path], **settings) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    duplicates.run(duplicates.Config(**{"variations": 3, "replaced_tokens": 4, **settings}), inputs, out)
    return out / "duplicates.h5"


@pytest.mark.parametrize("strategy", ["mlm", "mlm_random", "random"])
def test_result_file(strategy: str, inputs: dict[str, Path], tmp_path: Path) -> None:
    path = make(tmp_path, inputs, strategy=strategy)
    tokenizer, originals = loading.load_tokenizer(inputs["target_tokenizer"]), hdf5.read(inputs["canaries"], "tokens")
    rows, owners = hdf5.read_ragged(path, "tokens"), hdf5.read(path, "canary")
    np.testing.assert_array_equal(owners, np.repeat(np.arange(3), 3))
    texts = [decode(tokenizer, row) for row in rows]
    assert not any(REPLACEMENT_CHARACTER in text for text in texts)
    assert not any(np.isin(row, [0, 1]).any() for row in rows)  # no special token
    survives = [encode(tokenizer, text) == row.tolist() for text, row in zip(texts, rows)]
    np.testing.assert_array_equal(hdf5.read(path, "survives_text"), survives)
    edits = [Levenshtein.distance(originals[o].tolist(), row.tolist()) for o, row in zip(owners, rows)]
    np.testing.assert_array_equal(hdf5.read(path, "edit_distance"), edits)
    trained = [Levenshtein.distance(originals[o].tolist(), encode(tokenizer, text)) for o, text in zip(owners, texts)]
    np.testing.assert_array_equal(hdf5.read(path, "trained_edit_distance"), trained)
    assert min(edits) >= 1


def test_single_ids_replaced_give_exactly_r_edits(inputs: dict[str, Path], tmp_path: Path) -> None:
    path = make(tmp_path, inputs, strategy="random")
    assert {len(row) for row in hdf5.read_ragged(path, "tokens")} == {LENGTH}
    originals, owners = hdf5.read(inputs["canaries"], "tokens"), hdf5.read(path, "canary")
    for owner, row in zip(owners, hdf5.read_ragged(path, "tokens")):
        assert (row != originals[owner]).sum() == 4


@pytest.mark.parametrize("strategy", ["mlm", "random"])
def test_candidates_computed_before_give_the_same_bytes(
    strategy: str, inputs: dict[str, Path], tmp_path: Path, capsys
) -> None:
    """One masked LM pass serves every R: the stage must not care where its candidates come from."""
    (tmp_path / "candidates").mkdir()
    candidates.run(candidates.Config(strategy, top_k=5), inputs, tmp_path / "candidates")
    for replaced in (1, 6):
        capsys.readouterr()
        at_once = make(tmp_path / f"a{replaced}", inputs, strategy=strategy, top_k=5, replaced_tokens=replaced)
        assert ("42 of 42 positions (100 %)" in capsys.readouterr().out) == (strategy == "mlm")  # the model is heard
        shared = {**inputs, "candidates": tmp_path / "candidates"}
        later = make(tmp_path / f"b{replaced}", shared, strategy=strategy, top_k=5, replaced_tokens=replaced)
        assert at_once.read_bytes() == later.read_bytes()


def test_candidates_of_other_settings_or_canaries_are_refused(inputs: dict[str, Path], tmp_path: Path) -> None:
    candidates.run(candidates.Config("mlm", top_k=3), inputs, tmp_path)
    shared = {**inputs, "candidates": tmp_path}
    with pytest.raises(TesseraError, match=r"candidates\.h5: computed for top_k 3, not 10"):
        make(tmp_path / "a", shared)
    with pytest.raises(TesseraError, match=r"candidates\.h5: computed for strategy mlm, not random"):
        make(tmp_path / "b", shared, strategy="random")
    with hdf5.create(tmp_path / "canaries.h5") as file:
        hdf5.write(file, "tokens", hdf5.read(inputs["canaries"], "tokens")[::-1])
    with pytest.raises(TesseraError, match=r"candidates\.h5: computed for canaries [0-9a-f]{12}, not"):
        make(tmp_path / "c", {**shared, "canaries": tmp_path / "canaries.h5"}, top_k=3)


def test_positions_that_cannot_be_replaced_are_reported(inputs: dict[str, Path], tmp_path: Path, capsys) -> None:
    path = make(tmp_path, inputs, strategy="random", replaced_tokens=LENGTH)
    assert "3 of 9 variations have fewer than 14 replaceable positions" in capsys.readouterr().out
    assert hdf5.read(path, "edit_distance")[6:].max() < LENGTH


def test_batch_size_changes_nothing(inputs: dict[str, Path], tmp_path: Path) -> None:
    assert make(tmp_path / "a", inputs, batch_size=3).read_bytes() == make(tmp_path / "b", inputs).read_bytes()


def test_random_needs_no_masked_lm_and_mlm_says_that_it_does(inputs: dict[str, Path], tmp_path: Path) -> None:
    without = {name: path for name, path in inputs.items() if name != "masked_lm"}
    assert make(tmp_path / "a", without, strategy="random").is_file()
    with pytest.raises(TesseraError, match="strategy mlm needs the input masked_lm"):
        make(tmp_path / "b", without)


def test_a_causal_lm_fills_in_by_the_stage_candidates(
    inputs: dict[str, Path], tiny_causal_lm: Path, tmp_path: Path
) -> None:
    with pytest.raises(TesseraError, match="strategy clm needs the input causal_lm"):
        candidates.run(candidates.Config("clm"), inputs, tmp_path)
    for strategy in ("clm", "clm_random"):
        out = tmp_path / strategy
        out.mkdir()
        candidates.run(candidates.Config(strategy, top_k=5), {**inputs, "causal_lm": tiny_causal_lm}, out)
        path = make(tmp_path / f"of {strategy}", {**inputs, "candidates": out}, strategy=strategy, top_k=5)
        assert {len(row) for row in hdf5.read_ragged(path, "tokens")} == {LENGTH}  # one id for one


def test_more_variations_keep_the_first_ones(inputs: dict[str, Path], tmp_path: Path) -> None:
    few = hdf5.read_ragged(make(tmp_path / "a", inputs, strategy="random", variations=2), "tokens")
    many = hdf5.read_ragged(make(tmp_path / "b", inputs, strategy="random", variations=5), "tokens")
    for canary in range(3):
        for number in range(2):
            np.testing.assert_array_equal(few[canary * 2 + number], many[canary * 5 + number])


def test_a_larger_r_keeps_the_replacements_of_a_smaller_one(inputs: dict[str, Path], tmp_path: Path) -> None:
    originals = hdf5.read(inputs["canaries"], "tokens")
    few = hdf5.read_ragged(make(tmp_path / "a", inputs, strategy="random", replaced_tokens=2), "tokens")
    many = hdf5.read_ragged(make(tmp_path / "b", inputs, strategy="random", replaced_tokens=9), "tokens")
    for row, (a, b) in enumerate(zip(few, many)):
        changed = a != originals[row // 3]
        np.testing.assert_array_equal(a[changed], b[changed])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("replaced_tokens: 15", "replaced_tokens is 15; canaries of 14 tokens allow 1 to 14"),
        ("replaced_tokens: 0", "replaced_tokens is 0; it must be at least 1"),
        ("top_k: 500", "top_k is 500"),
        ("strategy: mml", "strategy is 'mml'; it must be one of 'mlm', 'mlm_random', 'clm'"),
        ("kind: shufle", "kind is 'shufle'"),
    ],
)
def test_wrong_values_are_usage_errors(
    line: str, message: str, inputs: dict[str, Path], tmp_path: Path, capsys
) -> None:
    file = tmp_path / "d.yaml"
    lines = [f"  {name}: {path}" for name, path in inputs.items()]
    file.write_text("\n".join(["inputs:", *lines, line]))
    assert main("duplicates", ["--config", str(file), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_by_hand(inputs: dict[str, Path], tmp_path: Path) -> None:
    """The documented YAML, `target_tokenizer` at the top level."""
    file = tmp_path / "d.yaml"
    file.write_text(
        f"inputs: {{canaries: {inputs['canaries']}, masked_lm: {inputs['masked_lm']}}}\n"
        f"target_tokenizer: {inputs['target_tokenizer']}\nkind: replace\nstrategy: mlm\nreplaced_tokens: 3\ntop_k: 10\n"
        "variations: 2\nsame_positions: false\nspread: true\nseed: 5\n"
    )
    assert main("duplicates", ["--config", str(file), "--out", str(tmp_path / "out")]) == 0
    path = tmp_path / "out" / "duplicates.h5"
    assert len(hdf5.read(path, "offsets")) == 7
    assert main("duplicates", ["--config", str(file), "--out", str(tmp_path / "again")]) == 0
    assert path.read_bytes() == (tmp_path / "again" / "duplicates.h5").read_bytes()


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.full((2, 14), 5000), "row 0: id 5000 is outside the"),
        (np.full((2, 14), -1), "row 0: id -1"),
        (np.full((2, 14), 0.5), "matrix of integers"),
        (np.zeros((0, 14), int), "no rows"),
        (np.arange(14), "matrix of integers"),
    ],
)
@pytest.mark.parametrize("stage", [candidates, duplicates])
def test_what_are_no_canaries_of_that_tokenizer_is_refused(stage, tokens, message, inputs, tmp_path: Path) -> None:
    with hdf5.create(tmp_path / "canaries.h5") as file:
        hdf5.write(file, "tokens", tokens)
    with pytest.raises(TesseraError, match=message):
        stage.run(stage.Config(strategy="random"), {**inputs, "canaries": tmp_path / "canaries.h5"}, tmp_path)


KINDS = [
    {"kind": "insert", "ngram": 5, "inserted_tokens": 2, "replaced_tokens": 1},
    {"kind": "shuffle", "ngram": 2, "tau": 0.3, "replaced_tokens": 1},
    {"kind": "shuffle", "ngram": 2, "tau": 0.3, "method": "paper", "replaced_tokens": 1},
]


@pytest.fixture
def without_masked_lm(inputs: dict[str, Path]) -> dict[str, Path]:
    return {name: path for name, path in inputs.items() if name != "masked_lm"}


@pytest.mark.parametrize("settings", KINDS)
def test_inserted_and_shuffled_rows_are_measured_as_replaced_ones(
    settings: dict, without_masked_lm: dict[str, Path], tmp_path: Path
) -> None:
    path = make(tmp_path / "a", without_masked_lm, **settings)
    tokenizer = loading.load_tokenizer(without_masked_lm["target_tokenizer"])
    originals, rows = hdf5.read(without_masked_lm["canaries"], "tokens"), hdf5.read_ragged(path, "tokens")
    texts = [decode(tokenizer, row) for row in rows]
    assert hdf5.read_texts(path, "text") == texts
    edits = [Levenshtein.distance(originals[n // 3].tolist(), row.tolist()) for n, row in enumerate(rows)]
    np.testing.assert_array_equal(hdf5.read(path, "edit_distance"), edits)
    trained = [Levenshtein.distance(originals[n // 3].tolist(), encode(tokenizer, t)) for n, t in enumerate(texts)]
    np.testing.assert_array_equal(hdf5.read(path, "trained_edit_distance"), trained)
    for owner in range(3):  # all differ, from the canary too
        mine = [tuple(row) for row in rows[owner * 3 : owner * 3 + 3]]
        assert len({*mine, tuple(originals[owner])}) == 4
    assert hdf5.attributes(path)["repeated"] == 0
    assert make(tmp_path / "b", without_masked_lm, **settings).read_bytes() == path.read_bytes()


def test_inserted_ids_are_ordinary_ones(without_masked_lm: dict[str, Path], tmp_path: Path) -> None:
    path = make(tmp_path, without_masked_lm, kind="insert", ngram=1, inserted_tokens=30, replaced_tokens=1)
    tokenizer = loading.load_tokenizer(without_masked_lm["target_tokenizer"])
    for row in hdf5.read_ragged(path, "tokens"):
        inserted = row[:-1].reshape(LENGTH - 1, 31)[:, 1:].ravel()
        assert not np.isin(inserted, [0, 1]).any()
        assert not any(REPLACEMENT_CHARACTER in decode(tokenizer, [index]) for index in set(inserted.tolist()))


def test_variations_that_cannot_all_differ_are_counted(
    without_masked_lm: dict[str, Path], tmp_path: Path, capsys
) -> None:
    """Two n-grams of 7 tokens have one other order: of three variations two repeat the first."""
    path = make(tmp_path, without_masked_lm, kind="shuffle", ngram=7, tau=0.5, replaced_tokens=1)
    assert hdf5.attributes(path)["repeated"] == 6
    assert "6 of 9 variations equal their canary or another variation" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("kind: insert", "kind insert needs ngram"),
        ("kind: insert\nngram: 2", "kind insert needs inserted_tokens"),
        ("kind: insert\nngram: 2\ninserted_tokens: 0", "inserted_tokens is 0; it must be at least 1"),
        ("kind: insert\nngram: 2\ninserted_tokens: 1\ntau: 0.1", "tau is 0.1, but kind insert takes ngram, inserted_"),
        ("kind: insert\nngram: 14\ninserted_tokens: 1", "ngram is 14; canaries of 14 tokens allow 1 to 13"),
        ("kind: shuffle\nngram: 2", "kind shuffle needs tau"),
        ("kind: shuffle\nngram: 2\ntau: 0.1\nreplaced_tokens: 5", "replaced_tokens is 5, but kind shuffle takes"),
        ("kind: shuffle\nngram: 2\ntau: 0", "tau is 0.0; it must be above 0"),
        ("kind: shuffle\nngram: 7\ntau: 0.9", "0.5385 (the top)"),
        ("kind: replace\nngram: 2", "ngram is 2, but kind replace takes replaced_tokens, strategy"),
    ],
)
def test_nonsense_of_keys_is_a_usage_error(
    lines: str, message: str, without_masked_lm: dict[str, Path], tmp_path: Path, capsys
) -> None:
    file = tmp_path / "d.yaml"
    given = [f"  {name}: {path}" for name, path in without_masked_lm.items()]
    file.write_text("\n".join(["inputs:", *given, lines]))
    assert main("duplicates", ["--config", str(file), "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_a_masked_lm_for_what_needs_none_is_refused(inputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="kind shuffle does not read the input masked_lm"):
        make(tmp_path, inputs, kind="shuffle", ngram=2, tau=0.3, replaced_tokens=1)
