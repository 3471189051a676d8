"""Near-duplicates by seeds: every window that brute force finds, whichever way was taken."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.corpus.trace import near
from tests.support import brute_near_duplicates as brute
from tests.support.suffixes import indexed

LENGTH = 20


def joined(documents: list[list[int]]) -> np.ndarray:
    return np.array(list(itertools.chain.from_iterable(documents)), np.uint16)


def edited(draws: np.random.Generator, target: list[int], edits: int, ids: int) -> list[int]:
    """The target after some tokens were inserted, left out or replaced."""
    text = list(target)
    for _ in range(edits):
        at, kind = int(draws.integers(len(text))), draws.integers(3)
        text[at : at + (kind > 0)] = [int(draws.integers(ids))] if kind < 2 else []
    return text


def planted(seed: int, ids: int) -> tuple[list[list[int]], np.ndarray]:
    """Documents with edited copies of three targets at their starts and ends, and among noise."""
    draws = np.random.default_rng(seed)
    targets = draws.integers(0, ids, (3, LENGTH))
    documents = [[], targets[0].tolist()]
    for number in range(24):
        noise = draws.integers(0, ids, draws.integers(0, 150)).tolist()
        copy = edited(draws, targets[number % 3].tolist(), number % 6, ids)
        documents += [noise + copy, copy[:LENGTH], copy + noise]
    return documents, targets


@pytest.mark.parametrize("max_distance", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("seed", [1, 2])
def test_seeds_find_all_windows_near_the_targets(seed: int, max_distance: int, monkeypatch) -> None:
    monkeypatch.setattr(near, "SPARSE", 8)  # a third of this small text is copies
    monkeypatch.setattr(near, "READ", 1)
    documents, targets = planted(seed, 2000)
    made, tokens = indexed(documents), joined(documents)
    assert near.seeded(made, targets, max_distance) is not None  # not by a scan
    found = near.find(made, tokens, targets.astype(np.uint16), max_distance)
    rows = list(zip(found.target.tolist(), found.position.tolist(), found.distance.tolist()))
    hits = brute.hits(tokens.tolist(), made.offsets.tolist(), targets.tolist(), max_distance)["levenshtein"]
    assert rows == brute.choice(hits, LENGTH)
    distances = {distance for *_, distance in rows}
    assert 0 in distances
    assert max_distance == 1 or max_distance in distances


@given(
    st.lists(st.lists(st.integers(0, 2), max_size=30), max_size=5),
    st.lists(st.lists(st.integers(0, 3), min_size=8, max_size=8), min_size=1, max_size=2),
    st.integers(0, 8),
)
def test_few_ids_and_large_distances_are_found_as_well(documents, targets, max_distance) -> None:
    """Where pieces are too short, or occur too often, the text is scanned."""
    made, tokens = indexed(documents), joined(documents)
    found = near.find(made, tokens, np.array(targets, np.uint16), max_distance)
    rows = list(zip(found.target.tolist(), found.position.tolist(), found.distance.tolist()))
    hits = brute.hits(tokens.tolist(), made.offsets.tolist(), targets, max_distance)["levenshtein"]
    assert rows == brute.choice(hits, 8)


def test_what_would_read_more_than_the_chunk_is_scanned() -> None:
    made = indexed([[7] * 500])
    assert near.seeded(made, np.full((1, LENGTH), 7), 2) is None
    assert near.seeded(made, np.full((1, LENGTH), 7), 5) is None  # pieces of three tokens
    assert near.seeded(made, np.full((1, LENGTH), 8), 2) is not None


@pytest.mark.parametrize(
    ("n_tokens", "starts", "length"),
    [(0, [], 0), (3, [0], 3), (10, [0], 10), (11, [0, 1], 10), (20, [0, 10], 10), (25, [0, 10, 15], 10)],
)
def test_windows_cover_a_query(n_tokens, starts, length) -> None:
    found, tokens = near.windows(n_tokens, 10)
    assert (found.tolist(), tokens) == (starts, length)
