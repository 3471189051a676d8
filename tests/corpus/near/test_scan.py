"""The scan against plain loops and rapidfuzz: random and adversarial texts, borders, wide ids, large positions."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.base.errors import TesseraError
from lib.corpus.near import scan
from lib.corpus.near.non_overlapping import choose
from lib.corpus.near.scan import METRICS, Hits, keep, merge, prepare, thinned
from tests.support.brute_near_duplicates import Rows, choice, hits, sliding_counters

Case = tuple[np.ndarray, np.ndarray, np.ndarray, int]  # tokens, offsets, targets, max_distance


def rows(found: Hits) -> Rows:
    return list(zip(found.target.tolist(), found.position.tolist(), found.distance.tolist()))


def check(case: Case) -> dict[str, Rows]:
    tokens, offsets, targets, max_distance = case
    found = scan.scan(tokens, offsets, prepare(targets, max_distance), 0, len(tokens))
    wanted = hits(tokens.tolist(), offsets.tolist(), targets.tolist(), max_distance)
    assert {metric: rows(found[metric]) for metric in METRICS} == wanted
    return wanted


@st.composite
def cases(draw) -> Case:
    """Short texts over few ids, so that windows are near targets often; targets of few and of many words of bits."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    length = draw(st.sampled_from([1, 2, 3, 7, 15, 16, 17, 63, 64, 65, 100, 127, 128, 129, 200]))
    alphabet = draw(st.sampled_from([1, 2, 3, 8, 60]))
    n_tokens = draw(st.integers(0, 3 * length + 20))
    scale = draw(st.sampled_from([1, 1000, (1 << 32) // 60]))  # ids up to 2^32
    tokens = (rng.integers(0, alphabet, n_tokens) * scale).astype(np.uint32 if scale > 1 else np.uint16)
    cuts = np.sort(rng.integers(0, n_tokens + 1, draw(st.integers(0, 4))))
    targets = (rng.integers(0, alphabet, (draw(st.integers(1, 5)), length)) * scale).astype(np.uint32)
    if n_tokens >= length and draw(st.booleans()):  # a target that is there but for one token
        start = rng.integers(n_tokens - length + 1)
        targets[0] = np.delete(np.append(tokens[start : start + length], targets[0, 0]), rng.integers(length))
    return tokens, np.concatenate([[0], cuts, [n_tokens]]), targets, draw(st.integers(0, length + 1))


@settings(max_examples=150)
@given(cases())
def test_equals_brute_force(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("edits", [0, 1, 5])
def test_planted_edits_at_starts_and_ends_of_documents(edits: int) -> None:
    rng, length = np.random.default_rng(edits), 100
    targets = rng.integers(0, 5000, (70, length))  # two groups of counters
    documents, planted = [], []
    for number, target in enumerate(targets):
        copy, noise = target.copy(), rng.integers(5000, 6000, 30)
        copy[rng.choice(length, edits, replace=False)] = 7000
        parts = [copy, noise] if number % 2 else [noise, copy]
        planted.append((number, sum(map(len, documents)) + (0 if number % 2 else 30), edits))
        documents.append(np.concatenate(parts))
    tokens = np.concatenate(documents).astype(np.uint16)
    offsets = np.cumsum([0, *map(len, documents)])
    found = scan.scan(tokens, offsets, prepare(targets.astype(np.uint32), 5), 0, len(tokens))
    for metric in METRICS:
        chosen = keep(found[metric], lambda p, d: choose(p, d, length))
        assert rows(chosen) == planted


def test_one_long_run_fills_the_buffers_more_than_once() -> None:
    n_tokens = 3 * scan.STEPS
    tokens, offsets = np.full(n_tokens, 7, np.uint16), np.array([0, 10, n_tokens - 5, n_tokens])
    found = scan.scan(tokens, offsets, prepare(np.array([[7] * 20, [7] * 10 + [8] * 10]), 10), 0, n_tokens)
    starts = range(10, n_tokens - 5 - 20 + 1)
    for metric in METRICS:
        assert rows(found[metric]) == [(0, p, 0) for p in starts] + [(1, p, 10) for p in starts]


def test_one_shift_is_far_in_hamming_and_near_in_levenshtein() -> None:
    tokens = np.arange(101, dtype=np.uint16)
    found = scan.scan(tokens[1:], np.array([0, 100]), prepare(tokens[None, :100], 50), 0, 100)
    assert rows(found["hamming"]) == []
    assert rows(found["levenshtein"]) == [(0, 0, 2)]


@pytest.mark.parametrize("n_targets", [600, 1100])
def test_many_targets_go_in_several_passes(n_targets: int) -> None:
    rng = np.random.default_rng(1)
    tokens, targets = rng.integers(0, 9, 60, np.uint16), rng.integers(0, 9, (n_targets, 8)).astype(np.uint32)
    assert len(prepare(targets, 4).slabs) == -(-n_targets // scan.SLAB)
    assert check((tokens, np.array([0, 25, 60]), targets, 4))["levenshtein"]


def test_long_targets_have_wider_counters() -> None:
    rng = np.random.default_rng(2)
    for length, max_distance, dtype in ((100, 50, np.uint8), (300, 20, np.uint16), (40_000, 50, np.uint32)):
        assert prepare(np.zeros((1, length), np.uint16), max_distance).slabs[0].rows.dtype == dtype
    tokens = rng.integers(0, 50, 700, np.uint16)
    targets = np.stack([tokens[100:400], tokens[333:633]])
    targets[:, 150] = 49
    assert len(check((tokens, np.array([0, 700]), targets, 20))["levenshtein"]) >= 2


@settings(max_examples=60)
@given(st.integers(0, 1 << 32), st.integers(1, 40), st.integers(1, 40))
def test_parts_thinned_one_by_one_give_the_same_choice(seed: int, size: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    tokens, target = rng.integers(0, 3, 150, np.uint16), rng.integers(0, 3, (2, length)).astype(np.uint32)
    offsets, targets = np.array([0, *sorted(rng.integers(0, 151, 2)), 150]), prepare(target, length // 2)
    parts: dict[str, list[Hits]] = {metric: [] for metric in METRICS}
    for low in range(0, 150, size):
        found = scan.scan(tokens, offsets, targets, low, min(low + size, 150))
        for metric, left in thinned(found, length, low, min(low + size, 150)).items():
            parts[metric].append(left)
    wanted = hits(tokens.tolist(), offsets.tolist(), target.tolist(), length // 2)
    for metric in METRICS:
        chosen = keep(merge(parts[metric]), lambda p, d: choose(p, d, length))
        assert rows(chosen) == choice(wanted[metric], length)


def test_thinning_a_repeated_text_leaves_few() -> None:
    tokens = np.tile(np.arange(1000, dtype=np.uint16), 20)
    found = scan.scan(tokens, np.array([0, len(tokens)]), prepare(tokens[None, 500:600], 50), 0, len(tokens))
    left = thinned(found, 100, 0, len(tokens))
    assert len(found["levenshtein"]) > 900
    assert rows(left["levenshtein"]) == [(0, 500 + 1000 * copy, 0) for copy in range(20)]


@pytest.mark.parametrize("border", [1 << 31, 1 << 32])
def test_positions_beyond_32_bits(tmp_path: Path, border: int) -> None:
    rng, file = np.random.default_rng(3), tmp_path / "tokens"
    text = rng.integers(1, 1000, 400, np.uint16)
    with open(file, "wb") as stream:  # sparse: only what is written takes room
        stream.truncate(2 * (border - 200))
        stream.seek(2 * (border - 200))
        stream.write(text.tobytes())
    tokens = np.memmap(file, np.uint16, mode="r")
    offsets = np.array([0, border - 200, border - 30, border + 200])
    targets = np.stack([text[10:110], text[180:280], text[300:400], text[120:220]])
    found = scan.scan(tokens, offsets, prepare(targets, 3), border - 300, border + 200)
    wanted = [(0, border - 190), (1, border - 20), (2, border + 100)]  # the last target crosses two documents
    for metric in METRICS:
        at = [(target, position) for target, position, distance in rows(found[metric]) if distance == 0]
        assert at == wanted
        assert found[metric].position.dtype == np.int64


def test_the_published_counter_finds_the_same_candidates() -> None:
    rng = np.random.default_rng(4)
    tokens, targets = rng.integers(0, 12, 300), rng.integers(0, 12, (5, 20))
    wanted = {(p, t) for p, t in sliding_counters(tokens.tolist(), targets.tolist(), 8)}
    ready, capacity = prepare(targets.astype(np.uint32), 8), 2 * scan.STEPS * 5
    positions, numbers = np.empty(capacity, np.int64), np.empty(capacity, np.uint16)
    dense = scan._dense(tokens.astype(np.uint16), ready)
    starts = np.array([0]), np.array([281])
    slab = ready.slabs[0]
    *_, n = scan._candidates(dense, *starts, 0, 20, slab, slab.lookup.copy(), positions, numbers)
    assert set(zip(positions[:n].tolist(), numbers[:n].tolist())) == wanted
    assert n == len(wanted) > 100


def test_targets_that_are_none_are_errors() -> None:
    for wrong in (np.zeros((0, 5), np.uint16), np.zeros((5, 0), np.uint16), np.zeros(5, np.uint16)):
        with pytest.raises(TesseraError, match="n x length"):
            prepare(wrong, 1)
    for max_distance in (-1, 1 << 16):
        with pytest.raises(TesseraError, match="max_distance"):
            prepare(np.zeros((1, 5), np.uint16), max_distance)
