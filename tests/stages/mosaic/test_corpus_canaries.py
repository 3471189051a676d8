"""Near-duplicates of a corpus as a perturbation: canaries out of targets, and duplicates by band of distance."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.mosaic import corpus_canaries, duplicates
from lib.base import hdf5, places
from lib.base.errors import TesseraError
from lib.models import loading
from lib.perturbations import near_duplicates
from lib.perturbations.near_duplicates import bands, eligible, in_band
from lib.tokens.tokenization import encode
from tests.support.corpora import write_chunk

WORDS = [
    "quick", "brown", "fox", "jumps", "lazy", "dog", "many", "small", "models",
    "remember", "text", "repeated", "others", "forget", "rivers", "letters",
]  # fmt: skip
LENGTH, CUT = 20, 12
EDITS = {0: (1, 2, 2, 6), 1: (2, 6), 2: (1, 6), 3: (2,), 4: (3, 6, 6)}  # distances of each target's near-duplicates


def windows(tokenizer) -> list[list[int]]:
    generator = np.random.default_rng(0)
    texts = [" ".join(generator.permutation(WORDS)) for _ in EDITS]
    return [encode(tokenizer, f" {text} {text}")[:LENGTH] for text in texts]


@pytest.fixture(scope="module")
def inputs(tiny_tokenizer: Path, tmp_path_factory) -> dict:
    """Two chunks of near-duplicates, each a document: the first tokens of a target replaced by the token of a space."""
    folder, tokenizer = tmp_path_factory.mktemp("corpus"), loading.load_tokenizer(tiny_tokenizer)
    targets, blank = windows(tokenizer), encode(tokenizer, "\u0000")[0]
    documents: list[list[list[int]]] = [[], []]
    rows = []
    for target, edits in EDITS.items():
        for i, distance in enumerate(edits):
            chunk = i % 2
            rows.append((target, chunk, LENGTH * len(documents[chunk]), distance))
            documents[chunk].append([blank] * distance + targets[target][distance:])
    with hdf5.create(folder / places.TARGETS) as file:
        hdf5.write(file, "tokens", np.array(targets, dtype="<u2"))
    with hdf5.create(folder / places.NEAR_DUPLICATES) as file:
        group = file.create_group("levenshtein")
        for name, values in zip(("target", "chunk", "position", "distance"), zip(*rows)):
            hdf5.write(group, name, np.array(values))
        file.attrs["length"] = LENGTH
    corpus = [write_chunk(folder / places.chunk(i), given, vocab_size=400) for i, given in enumerate(documents)]
    return {
        "targets": folder / places.TARGETS, "near_duplicates": folder / places.NEAR_DUPLICATES, "corpus": corpus,
        "corpus_tokenizer": tiny_tokenizer, "target": tiny_tokenizer,
    }  # fmt: skip


def make_canaries(out: Path, inputs: dict, **settings) -> Path:
    out.mkdir()
    config = corpus_canaries.Config(**{"n": 2, "length": CUT, "band_ends": (3, 6), "max_jaccard": 1.0, **settings})
    wanted = (*corpus_canaries.INPUTS, *corpus_canaries.OPTIONAL_INPUTS)
    corpus_canaries.run(config, {name: path for name, path in inputs.items() if name in wanted}, out)
    return out / places.CANARIES


def make_duplicates(out: Path, inputs: dict, canaries: Path, **settings) -> Path:
    out.mkdir()
    given = {name: inputs[name] for name in ("near_duplicates", "corpus", "corpus_tokenizer")}
    config = duplicates.Config(kind="near_duplicates", **{"variations": 2, "nearest": 1, "farthest": 3, **settings})
    duplicates.run(config, {**given, "canaries": canaries, "target_tokenizer": inputs["target"]}, out)
    return out / places.DUPLICATES


def test_canaries_begin_targets_that_have_every_band_and_roles_share_none(inputs, tmp_path):
    members = make_canaries(tmp_path / "members", inputs)
    others = make_canaries(tmp_path / "others", {**inputs, "exclude": members}, role="non_member")
    targets = hdf5.read(inputs["targets"], "tokens")
    chosen = [hdf5.read(path, "target").tolist() for path in (members, others)]
    assert set(chosen[0]) | set(chosen[1]) == {0, 1, 2, 4}  # target 3 has nothing at 4 to 6
    for path, rows in zip((members, others), chosen):
        np.testing.assert_array_equal(hdf5.read(path, "tokens"), targets[rows, :CUT])
        assert hdf5.attributes(path)["eligible"] == 4
    assert make_canaries(tmp_path / "again", inputs).read_bytes() == members.read_bytes()


def test_duplicates_are_the_windows_of_the_band_again_where_there_are_few(inputs, tmp_path):
    canaries = make_canaries(tmp_path / "canaries", inputs, n=4)
    path = make_duplicates(tmp_path / "out", inputs, canaries)
    targets, rows = hdf5.read(canaries, "target").tolist(), hdf5.read_ragged(path, "tokens")
    for i, target in enumerate(targets):
        wanted = sorted(d for d in EDITS[target] if d <= 3)
        tails = [row.tolist() for row in rows[2 * i : 2 * i + 2]]
        whole = hdf5.read(inputs["targets"], "tokens")[target, :CUT].tolist()
        found = sorted(next(d for d in range(CUT) if tail[d:] == whole[d:]) for tail in tails)
        assert set(found) <= set(wanted)
        assert all(len(tail) == CUT for tail in tails)
        assert len(wanted) > 1 or found == wanted * 2
    distinct = dict(zip(targets, hdf5.read(path, "distinct").tolist()))
    assert (distinct[1], distinct[2], distinct[4]) == (1, 1, 1)
    assert hdf5.attributes(path)["farthest"] == 3


def test_what_is_missing_is_named(inputs, tmp_path):
    canaries = make_canaries(tmp_path / "canaries", inputs)
    with pytest.raises(TesseraError, match=r"no near-duplicate at 4 to 5 of canaries \[0, 1\]"):
        make_duplicates(tmp_path / "none", inputs, canaries, nearest=4, farthest=5)
    with pytest.raises(TesseraError, match=r"only 4 targets have near-duplicates in every band up to .*, but n is 5"):
        make_canaries(tmp_path / "many", inputs, n=5)
    with pytest.raises(ValueError, match="farthest must not be smaller"):
        duplicates.Config(kind="near_duplicates", nearest=5, farthest=3)


def test_remedies_are_those_of_this_stage(inputs, tiny_tokenizer, tmp_path):
    with pytest.raises(TesseraError, match="too_short 4; lower length: targets of the corpus have no more"):
        make_canaries(tmp_path / "long", inputs, length=4 * LENGTH)
    with pytest.raises(TesseraError, match=r"overlap 3; raise max_jaccard, draw more targets \(n_per_bucket\)"):
        make_canaries(tmp_path / "alike", inputs, max_jaccard=0.01)
    plain = tmp_path / "canaries.h5"
    with hdf5.create(plain) as file:
        hdf5.write(file, "tokens", np.array([encode(loading.load_tokenizer(tiny_tokenizer), "quick brown fox")[:3]]))
    given = {name: inputs[name] for name in near_duplicates.INPUTS}
    config = duplicates.Config(kind="near_duplicates", nearest=1, farthest=6)
    with pytest.raises(
        TesseraError, match=r"canaries\.h5: these canaries have no targets; make them with the stage corpus_canaries"
    ):
        duplicates.run(config, {"canaries": plain, "target_tokenizer": tiny_tokenizer, **given}, tmp_path)


def test_bands_by_their_ends():
    assert bands((10, 20, 50)) == [(1, 10), (11, 20), (21, 50)]
    for wrong in ((), (0,), (10, 10)):
        with pytest.raises(ValueError, match="upper ends"):
            bands(wrong)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9)), max_size=30))
def test_bands_and_eligible_targets_are_those_by_hand(rows):
    near = {"target": np.array([t for t, _ in rows], int), "distance": np.array([d for _, d in rows], int)}
    for band in ((1, 3), (4, 9)):
        by_hand: dict[int, list[int]] = {}
        for row, (target, distance) in enumerate(rows):
            if band[0] <= distance <= band[1]:
                by_hand.setdefault(target, []).append(row)
        assert {target: found.tolist() for target, found in in_band(near, band).items()} == by_hand
    both = [t for t in range(5) if any(r == t and d <= 3 for r, d in rows) and any(r == t and d > 3 for r, d in rows)]
    assert eligible(near, [(1, 3), (4, 9)]).tolist() == both
