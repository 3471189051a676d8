import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.texts import passages

LETTERS = st.text(alphabet="aB \n\té", max_size=40)


def plain_shingles(text, width):
    data = passages.normalised(text).encode()
    return [data[start : start + width] for start in range(len(data) - width + 1)]


@given(texts=st.lists(LETTERS, min_size=1, max_size=4), width=st.integers(1, 6))
def test_hashes_are_equal_where_shingles_are(texts, width):
    """Oracle: slices."""
    slices = [piece for text in texts for piece in plain_shingles(text, width)]
    hashes = np.concatenate([passages.shingles(text, width) for text in texts]).tolist()
    assert len(hashes) == len(slices)
    assert len(set(zip(hashes, slices))) == len(set(hashes)) == len(set(slices))


def random_text(length, seed):
    return "".join(np.random.default_rng(seed).choice(list("abcdefgh \n"), length))


def plainly_unique(texts, length):
    """Brute force: every shingle of a piece is counted in all texts."""
    every = [piece for text in texts for piece in plain_shingles(text, passages.SHINGLE)]

    def unique(piece):
        found = plain_shingles(piece, passages.SHINGLE)
        return bool(found) and all(every.count(one) == 1 for one in found)

    return [
        [start for start in range(0, len(text) - length + 1, length) if unique(text[start : start + length])]
        for text in texts
    ]


@given(
    lengths=st.lists(st.integers(0, 500), min_size=1, max_size=3),
    copies=st.lists(st.tuples(st.integers(0, 400), st.integers(30, 120)), max_size=2),
    upper=st.booleans(),
)
def test_unique_pieces_are_those_of_brute_force(lengths, copies, upper):
    texts = [random_text(length, seed) for seed, length in enumerate(lengths)]
    for start, size in copies:  # parts of the first text once more, at the end of the last
        part = texts[0][start : start + size]
        texts[-1] += " " + (part.upper() if upper else part)
    assert passages.unique_pieces(texts, 120) == plainly_unique(texts, 120)


def test_a_piece_with_49_characters_in_common_is_kept_and_one_with_50_is_not():
    text = "".join(chr(65 + n % 26) + str(n) for n in range(100))[:120]
    for shared, expected in ((49, [[0], []]), (50, [[], []])):
        assert passages.unique_pieces([text, "?" + text[30 : 30 + shared] + "!"], 120) == expected


def test_a_text_that_repeats_itself_and_blank_ones_have_no_unique_piece():
    assert passages.unique_pieces(["ab" * 100, " " * 300, ""], 100) == [[], [], []]


def test_pieces_shorter_than_two_shingles_are_refused():
    with pytest.raises(ValueError, match="pieces have 99 characters"):
        passages.unique_pieces(["text"], 99)


@given(
    pieces=st.lists(st.lists(st.integers(0, 5), unique=True, max_size=4), max_size=4),
    seed=st.integers(0, 3),
    data=st.data(),
)
def test_pieces_are_drawn_once_each_and_more_of_them_changes_no_draw(pieces, seed, data):
    total = sum(map(len, pieces))
    wanted = data.draw(st.integers(0, total))
    chosen = passages.drawn(pieces, wanted, seed, "code")
    assert len(set(chosen)) == len(chosen) == wanted
    assert all(start in pieces[text] for text, start in chosen)
    assert passages.drawn(pieces, total, seed, "code")[:wanted] == chosen


def test_too_few_pieces_are_counted():
    with pytest.raises(TesseraError, match="code: only 2 unique passages, fewer than 3"):
        passages.drawn([[0], [], [5]], 3, 0, "code")


@given(text=LETTERS, data=st.data())
def test_what_is_left_is_the_text_without_the_pieces(text, data):
    starts = data.draw(st.lists(st.integers(0, max(0, len(text) // 5 - 1)), unique=True)) if len(text) >= 5 else []
    starts = [5 * start for start in starts]
    left = passages.without(text, starts, 5)
    kept = "".join(
        char for index, char in enumerate(text) if index // 5 * 5 not in starts or index >= len(text) // 5 * 5
    )
    assert "".join("".join(left).split()) == "".join(kept.split())
    assert all(part.strip() and part in text for part in left)
