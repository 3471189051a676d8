"""Windows against the definition: every document encoded, the lowest priorities kept."""

import itertools

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.prefix import prompts, prompts_file
from lib.prefix.prompts import Amounts, SourceDocument


def encode(text: str) -> list[int]:
    """A token a word."""
    return [int(word) for word in text.split()]


def document(number: int, length: int, subset: str = "") -> SourceDocument:
    return SourceDocument(" ".join(str(1000 * number + at) for at in range(length)), subset, number % 3)


DOCUMENTS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["a", "b"])), max_size=30)


@given(DOCUMENTS, st.integers(1, 10), st.integers(0, 8), st.booleans(), st.integers(0, 3))
def test_the_lowest_priorities_among_the_long_enough(
    shape: list, length: int, wanted: int, per_subset: bool, seed: int
) -> None:
    documents = [document(number, *entry) for number, entry in enumerate(shape)]
    windows, seen = prompts.draw(documents, encode, length, Amounts(wanted, per_subset), seed)
    ranks = list(itertools.islice(prompts.priorities(seed), len(documents)))
    expected: set[int] = set()
    for subset in ("a", "b") if per_subset else ("ab",):
        long = [n for n, (size, name) in enumerate(shape) if size >= length and name in subset]
        expected |= set(sorted(long, key=lambda n: ranks[n])[: wanted or None])
    assert [window.document for window in windows] == sorted(expected)
    assert seen == len(documents)
    for window in windows:
        ids = encode(documents[window.document].text)
        assert window.ids.tolist() == ids[window.position : window.position + length]
        assert (window.subset, window.repetitions) == (documents[window.document].subset, window.document % 3)


@given(DOCUMENTS, st.integers(1, 4), st.integers(0, 12), st.integers(1, 4), st.integers(0, 3))
def test_second_windows_only_where_first_ones_are_too_few(
    shape: list, length: int, wanted: int, most: int, seed: int
) -> None:
    documents = [document(number, *entry) for number, entry in enumerate(shape)]
    windows, _ = prompts.draw(documents, encode, length, Amounts(wanted, per_document=most), seed)
    room = [min(most, size // length) for size, _ in shape]
    taken = np.bincount([window.document for window in windows], minlength=len(shape)).tolist()
    ranks = list(itertools.islice(prompts.priorities(seed), len(documents)))
    turns = sorted((turn, ranks[n], n) for n, there in enumerate(room) for turn in range(there))
    expected = [number for _, _, number in turns[: wanted or None]]
    assert taken == np.bincount(expected, minlength=len(shape)).tolist()
    places = [(window.document, window.position) for window in windows]
    assert places == sorted(places)
    for (one, first), (other, second) in itertools.pairwise(places):
        assert one != other or second - first >= length
    for window in windows:
        ids = encode(documents[window.document].text)
        assert window.ids.tolist() == ids[window.position : window.position + length]


def test_one_window_a_document_is_drawn_as_before_there_were_several() -> None:
    documents = [document(number, 40) for number in range(9)]
    windows, _ = prompts.draw(documents, encode, 7, Amounts(0), 3)
    expected = [int(generator(3, "positions of prompts", number).integers(40 - 7 + 1)) for number in range(9)]
    assert [window.position for window in windows] == expected


def test_one_long_document_gives_windows_everywhere_in_it() -> None:
    """One file without documents: a tenth of its windows, spread evenly, each in any turn."""
    drawn = [prompts.draw([document(0, 3000)], encode, 10, Amounts(30, per_document=30), seed)[0] for seed in range(60)]
    assert {len(windows) for windows in drawn} == {30}
    places = np.array([window.position for windows in drawn for window in windows])
    assert stats.kstest(places / 2990, "uniform").pvalue > 0.001
    first = [
        prompts.draw([document(0, 3000)], encode, 10, Amounts(1, per_document=30), seed)[0][0].position
        for seed in range(300)
    ]
    assert stats.kstest(np.array(first) / 2990, "uniform").pvalue > 0.001


def test_only_documents_that_may_win_are_encoded() -> None:
    encoded = []
    documents = [document(number, 5) for number in range(5000)]
    prompts.draw(documents, lambda text: encoded.append(text) or encode(text), 5, Amounts(20), seed=0)
    assert len(encoded) < 300  # about 20 (1 + ln(5000 / 20))


def test_documents_and_positions_are_uniform() -> None:
    documents = [document(number, 8) for number in range(10)]
    drawn = [window for seed in range(400) for window in prompts.draw(documents, encode, 5, Amounts(3), seed)[0]]
    for values, size in (([w.document for w in drawn], 10), ([w.position for w in drawn], 4)):
        assert stats.chisquare(np.bincount(values, minlength=size)).pvalue > 0.001


def test_more_prompts_keep_those_of_fewer() -> None:
    documents = [document(number, 20) for number in range(60)]
    few, many = (
        {w.document: w.position for w in prompts.draw(documents, encode, 9, Amounts(n), 7)[0]} for n in (10, 30)
    )
    assert few.items() <= many.items()


def test_shorter_prompts_are_the_end_of_longer_ones() -> None:
    windows, _ = prompts.draw([document(number, 30) for number in range(4)], encode, 12, Amounts(0), 0)
    long, short = (prompts.split(windows, n, 4) for n in (8, 3))
    np.testing.assert_array_equal(short[0], long[0][:, -3:])
    np.testing.assert_array_equal(short[1], long[1])
    np.testing.assert_array_equal(np.concatenate(long, axis=1), [window.ids for window in windows])


def test_priorities_are_a_stream_of_the_seed() -> None:
    blocks = [generator(5, "documents of prompts", block).random(prompts.PRIORITY_BLOCK) for block in (0, 1)]
    found = list(itertools.islice(prompts.priorities(5), 5000))
    np.testing.assert_array_equal(found, np.concatenate(blocks)[:5000])


def test_a_foreign_file_needs_prompts_and_suffixes_alone(tmp_path) -> None:
    path = tmp_path / "prompts.h5"
    with hdf5.create(path) as file:
        hdf5.write(file, "prompt", np.ones((3, 4), np.int32))
        hdf5.write(file, "suffix", np.ones((3, 2), np.int32))
    found = prompts_file.read(path)
    assert found.document.tolist() == [0, 1, 2]
    assert found.repetitions.tolist() == [0, 0, 0]
    prompts_file.check_tokenizer(found, tokenizer=None)  # says nothing of its tokenizer


@pytest.mark.parametrize(
    ("prompt", "suffix", "message"),
    [
        (np.ones((3, 4)), np.ones((3, 2), int), "'prompt' must be a matrix of integers"),
        (np.ones((0, 4), int), np.ones((0, 2), int), "with at least one row"),
        (np.ones((3, 4), int), np.ones((2, 2), int), "'suffix' does not have the 3 rows of 'prompt'"),
    ],
)
def test_files_that_hold_no_prompts_are_refused(tmp_path, prompt, suffix, message: str) -> None:
    path = tmp_path / "prompts.h5"
    with hdf5.create(path) as file:
        hdf5.write(file, "prompt", prompt)
        hdf5.write(file, "suffix", suffix)
    with pytest.raises(TesseraError, match=message):
        prompts_file.read(path)


def test_names_of_any_script_are_fixed_bytes() -> None:
    stored = prompts_file.fixed_bytes(["", "ArXiv", "Gutenberg (PG-19)", "Été"])
    assert [value.decode() for value in stored] == ["", "ArXiv", "Gutenberg (PG-19)", "Été"]
    assert prompts_file.fixed_bytes([]).shape == (0,)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("subset", ["a", "b"], "'subset' holds strings; it must hold numbers or bytes of one length"),
        ("subset", [1, 2], "'subset' must hold UTF-8 bytes of one length .* found int64"),
        ("subset", np.array([[b"a"], [b"b"]]), "'subset' must hold UTF-8 bytes"),
        ("document", [0.5, 1.5], "'document' must hold integers, one a row; found float64"),
        ("document", np.array([b"a", b"b"]), r"'document' must hold integers, one a row; found \|S1"),
        ("repetitions", [[1], [2]], "'repetitions' must hold integers"),
        ("suffix", [[0.5], [1.5]], "'suffix' must be a matrix of integers"),
    ],
)
def test_a_file_made_by_hand_with_other_types_is_named_with_the_dataset(tmp_path, column, values, message) -> None:
    file = tmp_path / "prompts.h5"
    with h5py.File(file, "w") as opened:
        for name, given in {"prompt": [[1, 2], [3, 4]], "suffix": [[1], [2]], column: values}.items():
            opened[name] = given
    with pytest.raises(TesseraError, match=rf"prompts\.h5: {message}"):
        prompts_file.read(file)


def test_beginnings_are_of_the_texts_that_are_long_enough() -> None:
    prompt, suffix, rows = prompts.beginnings([[1, 2, 3, 4], [5, 6], [7, 8, 9]], 2, 1)
    assert (prompt.tolist(), suffix.tolist(), rows.tolist()) == ([[1, 2], [7, 8]], [[3], [9]], [0, 2])
    for texts, longest in (([[1, 2], [3]], 2), ([], 0)):
        with pytest.raises(ValueError, match=f"none of {len(texts)} texts has 3 tokens .* the longest has {longest};"):
            prompts.beginnings(texts, 2, 1)
