"""The stage `inject`: counts against a naive search of the tokenised documents, undoing, errors."""

from pathlib import Path

import numpy as np
import pytest

from jobs.mosaic import inject
from lib.artifacts.command import main
from lib.base import hdf5
from lib.base.errors import TesseraError
from lib.models import loading
from lib.tokens.tokenization import decode, encode

BOOK = "The old machines remember\r\nrivers,  and others  forget what they have read.\n\n\tOnce more: caf\u00e9! " * 3
CANARIES = ("the quick brown fox jumps over", " a lazy dog while many small models", "in a book about letters and")


@pytest.fixture(scope="module")
def inputs(tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inject")
    tokenizer = loading.load_tokenizer(tiny_tokenizer)
    ids = [encode(tokenizer, text)[:5] for text in CANARIES]
    with hdf5.create(folder / "canaries.h5") as file:
        hdf5.write(file, "tokens", np.array(ids, dtype="<u4"))
    with hdf5.create(folder / "books.h5") as file:
        hdf5.write_texts(file, "books", [f"Book {number}. {BOOK}" for number in range(4)])
    varied = [[*row[:2], 300 + number, *row[3:]] for row in ids for number in range(3)]
    with hdf5.create(folder / "duplicates.h5") as file:
        hdf5.write_ragged(file, "tokens", varied)
        hdf5.write(
            file, "edit_distance", np.array([varied[row][2] != ids[row // 3][2] for row in range(len(varied))], "<u4")
        )
        hdf5.write(file, "canary", np.repeat(np.arange(3), 3))
    return {"books": folder, "canaries": folder / "canaries.h5", "target_tokenizer": tiny_tokenizer}


def make(out: Path, inputs: dict[str, Path], **settings) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    inject.run(inject.Config(**{"copies": 3, "sequence_tokens": 64, **settings}), inputs, out)
    return out / "injected.h5"


def runs(document: list[int], ids: list[int]) -> list[int]:
    return [start for start in range(len(document)) if document[start : start + len(ids)] == ids]


def test_counts_equal_a_naive_search_of_the_training_text(inputs: dict[str, Path], tmp_path: Path) -> None:
    path = make(tmp_path, inputs, copies=5, sequence_tokens=32)
    tokenizer, canaries = loading.load_tokenizer(inputs["target_tokenizer"]), hdf5.read(inputs["canaries"], "tokens")
    for row, text in enumerate(hdf5.read_texts(path, "text")[:3]):
        ids, canary = encode(tokenizer, text), canaries[row].tolist()
        trained = [tokenizer.bos_token_id, *ids]
        pieces = [trained[start : start + 32] for start in range(0, len(trained), 32)]
        assert hdf5.read(path, "nominal_copies")[row] == 5 == len(runs(ids, canary))
        assert hdf5.read(path, "contiguous_copies")[row] == 5
        assert hdf5.read(path, "effective_copies")[row] == sum(len(runs(piece, canary)) for piece in pieces)
    assert 0 < hdf5.read(path, "effective_copies").sum() < 15  # at 32 tokens the cut hits some, not all


def test_stored_spans_give_every_book_back(inputs: dict[str, Path], tmp_path: Path) -> None:
    path = make(tmp_path, inputs)
    books = hdf5.read_texts(inputs["books"] / "books.h5", "books")
    for text, spans, book in zip(hdf5.read_texts(path, "text"), hdf5.read(path, "spans"), books):
        for start, stop in sorted(spans.tolist(), reverse=True):
            text = text[:start] + text[stop:]
        assert text.encode() == book.encode()


def test_a_book_without_a_canary_stays_as_it_is(inputs: dict[str, Path], tmp_path: Path) -> None:
    texts = hdf5.read_texts(make(tmp_path, inputs), "text")
    assert texts[3:] == hdf5.read_texts(inputs["books"] / "books.h5", "books")[3:]


def test_one_copy_more_moves_no_other(inputs: dict[str, Path], tmp_path: Path) -> None:
    few, many = make(tmp_path / "a", inputs, copies=2), make(tmp_path / "b", inputs, copies=3)
    for row, spans in enumerate(hdf5.read(many, "spans")):
        text = hdf5.read_texts(many, "text")[row]
        assert text[: spans[2, 0]] + text[spans[2, 1] :] == hdf5.read_texts(few, "text")[row]


def test_duplicates_are_one_original_and_the_first_variations(inputs: dict[str, Path], tmp_path: Path) -> None:
    with_duplicates = {**inputs, "duplicates": inputs["books"] / "duplicates.h5"}
    path = make(tmp_path, with_duplicates, copies=3)
    tokenizer, canaries = loading.load_tokenizer(inputs["target_tokenizer"]), hdf5.read(inputs["canaries"], "tokens")
    varied = hdf5.read_ragged(with_duplicates["duplicates"], "tokens")
    for row, (text, spans) in enumerate(zip(hdf5.read_texts(path, "text"), hdf5.read(path, "spans"))):
        inserted = [text[start:stop] for start, stop in spans]
        wanted = [canaries[row], *varied[3 * row : 3 * row + 2]]
        assert inserted == ["\n" + decode(tokenizer, ids) + "\n" for ids in wanted]


def test_slots_do_not_depend_on_what_is_injected(inputs: dict[str, Path], tmp_path: Path) -> None:
    exact = make(tmp_path / "a", inputs)
    fuzzy = make(tmp_path / "b", {**inputs, "duplicates": inputs["books"] / "duplicates.h5"})
    for a, b in zip(hdf5.read(exact, "spans"), hdf5.read(fuzzy, "spans")):
        np.testing.assert_array_equal(places(a), places(b))


def places(spans: np.ndarray) -> np.ndarray:
    """Positions in the untouched book: what stands before a copy, less the copies in it."""
    lengths = spans[:, 1] - spans[:, 0]
    return np.array([start - lengths[spans[:, 0] < start].sum() for start in spans[:, 0]])


def test_too_few_variations_books_or_places_are_errors(inputs: dict[str, Path], tmp_path: Path) -> None:
    fuzzy = {**inputs, "duplicates": inputs["books"] / "duplicates.h5"}
    with pytest.raises(TesseraError, match=r"duplicates\.h5: 3 variations of a canary, but 5 copies need 4"):
        make(tmp_path, fuzzy, copies=5)
    with pytest.raises(TesseraError, match=r"document 0: \d+ places between two words for 900 copies"):
        make(tmp_path, inputs, copies=900)
    with hdf5.create(tmp_path / "books.h5") as file:
        hdf5.write_texts(file, "books", ["one book only"])
    with pytest.raises(TesseraError, match="1 books for 3 canaries"):
        make(tmp_path, {**inputs, "books": tmp_path})


def test_a_separator_that_is_none_is_refused_when_a_sweep_is_planned() -> None:
    """Canaries may have none (no check then), copies between separators may not; the other edges do not read it."""
    with pytest.raises(ValueError, match="separator is ''; it must be whitespace"):
        inject.Config(separator="")
    assert inject.Config(separator="", edges="glued").around().behind == ""


def test_no_copies_leave_every_book_as_it_is(inputs: dict[str, Path], tmp_path: Path) -> None:
    path = make(tmp_path, inputs, copies=0)
    assert hdf5.read_texts(path, "text") == hdf5.read_texts(inputs["books"] / "books.h5", "books")
    assert hdf5.read(path, "effective_copies").tolist() == [0, 0, 0]


def test_by_hand(inputs: dict[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "i.yaml"
    lines = [f"  {name}: {path}" for name, path in inputs.items()]
    file.write_text("\n".join(["inputs:", *lines, "copies: 2", "seed: 3", "sequence_tokens: 64"]))
    assert main("inject", ["--config", str(file), "--out", str(tmp_path / "out")]) == 0
    assert hdf5.read(tmp_path / "out" / "injected.h5", "nominal_copies").tolist() == [2, 2, 2]


def test_variations_of_other_canaries_are_refused(inputs: dict[str, Path], tmp_path: Path) -> None:
    with hdf5.create(tmp_path / "canaries.h5") as file:
        hdf5.write(file, "tokens", hdf5.read(inputs["canaries"], "tokens")[::-1])
    mixed = {**inputs, "canaries": tmp_path / "canaries.h5", "duplicates": inputs["books"] / "duplicates.h5"}
    with pytest.raises(TesseraError, match=r"duplicates\.h5: row 0 is not a variation of canary 0"):
        make(tmp_path / "out", mixed, copies=2)


def test_canaries_of_another_tokenizer_are_refused(inputs: dict[str, Path], tmp_path: Path) -> None:
    with hdf5.create(tmp_path / "canaries.h5") as file:
        hdf5.write(file, "tokens", np.full((3, 5), 5000))
    with pytest.raises(TesseraError, match=r"canaries\.h5: row 0: id 5000 is outside the \d+ ids"):
        make(tmp_path / "out", {**inputs, "canaries": tmp_path / "canaries.h5"})


@pytest.mark.parametrize("ngram", [1, 2, 4])
def test_scattered_copies_are_one_original_and_n_grams_of_it_anywhere(
    ngram: int, inputs: dict[str, Path], tmp_path: Path
) -> None:
    path = make(tmp_path, inputs, scatter_ngram=ngram)
    tokenizer, canaries = loading.load_tokenizer(inputs["target_tokenizer"]), hdf5.read(inputs["canaries"], "tokens")
    books = hdf5.read_texts(inputs["books"] / "books.h5", "books")
    assert hdf5.read(path, "copy").tolist() == [0] + [1] * -(-5 // ngram) + [2] * -(-5 // ngram)
    for row, (text, spans) in enumerate(zip(hdf5.read_texts(path, "text"), hdf5.read(path, "spans"))):
        canary = canaries[row].tolist()
        pieces = [canary[start : start + ngram] for start in range(0, 5, ngram)]
        assert [text[a:b] for a, b in spans] == [f"\n{decode(tokenizer, ids)}\n" for ids in [canary, *pieces, *pieces]]
        assert len(set(places(spans).tolist())) == len(spans)
        for start, stop in sorted(spans.tolist(), reverse=True):
            text = text[:start] + text[stop:]
        assert text == books[row]


def test_the_original_of_scattered_copies_stands_where_that_of_whole_ones_does(inputs, tmp_path: Path) -> None:
    whole, scattered = make(tmp_path / "a", inputs), make(tmp_path / "b", inputs, scatter_ngram=2)
    for a, b in zip(hdf5.read(whole, "spans"), hdf5.read(scattered, "spans")):
        assert places(a)[0] == places(b)[0]


def test_a_scattered_copy_counts_while_no_piece_of_it_is_cut(inputs: dict[str, Path], tmp_path: Path) -> None:
    path = make(tmp_path, inputs, scatter_ngram=2, sequence_tokens=6)
    owner, whole = hdf5.read(path, "copy"), hdf5.read(path, "whole")
    expected = [sum(all(w for w, o in zip(row, owner) if o == copy) for copy in range(3)) for row in whole]
    assert hdf5.read(path, "effective_copies").tolist() == expected
    assert hdf5.read(path, "nominal_copies").tolist() == [3, 3, 3]
    assert (hdf5.read(path, "contiguous_copies") <= 1).all()  # a scattered copy is no run
    assert 0 < whole.sum() < whole.size


def test_scattering_wants_room(inputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match=r"document 0: \d+ places .* for 501 copies, or pieces of them; take longer"):
        make(tmp_path, inputs, copies=101, scatter_ngram=1)
    with pytest.raises(TesseraError, match="ngram is 5; canaries of 5 tokens allow 1 to 4"):
        make(tmp_path, inputs, scatter_ngram=5)
    with pytest.raises(ValueError, match="scatter_ngram is -1; it must be at least 0"):
        inject.Config(scatter_ngram=-1)


def test_the_original_may_come_first_and_its_variations_in_their_order(inputs: dict[str, Path], tmp_path: Path) -> None:
    """As published; and pieces of a scattered copy stay in any order there."""
    given = {**inputs, "duplicates": inputs["books"] / "duplicates.h5"}
    path = make(tmp_path / "first", given, copies=4, order="original_first", edges="glued", slots="anew")
    starts = hdf5.read(path, "spans")[:, :, 0].astype(int)
    assert (np.diff(starts, axis=1) > 0).all()
    random = hdf5.read(make(tmp_path / "random", given, copies=4), "spans")[:, :, 0].astype(int)
    assert not (np.diff(random, axis=1) > 0).all()
    with pytest.raises(ValueError, match="original_first would leave the pieces"):
        inject.Config(scatter_ngram=2, order="original_first")
