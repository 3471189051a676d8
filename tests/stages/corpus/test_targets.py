"""The stage `targets`: what a bucket holds, against brute force; rounds, ranks, errors."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from jobs.corpus import duplicate_groups, targets
from lib.base import blocks, hdf5, places
from lib.base.errors import TesseraError
from lib.corpus import chunks
from lib.corpus import targets as drawing
from lib.corpus.exact import groups_file, layout, whole_targets
from tests.support import threads
from tests.support.corpora import write_chunk

LENGTH = 6


def documents(seed: int) -> list[list[int]]:
    """Phrases of 9 tokens of their own, each in several documents; and filler that hardly repeats."""
    stream = np.random.default_rng(seed)
    found = []
    for phrase in range(30):
        copies = 2 + phrase % 9
        for _ in range(copies):
            filler = stream.integers(1000, 60000, 8).tolist()
            found.append([*filler[:4], *range(phrase * 10, phrase * 10 + 9), *filler[4:]])
    stream.shuffle(found)
    return [[], *found, [7] * 30, [1, 2]]  # 25 windows of one token


def windows(texts: list[list[int]]) -> list[tuple[int, ...]]:
    return [tuple(text[i : i + LENGTH]) for text in texts for i in range(len(text) - LENGTH + 1)]


def write_groups(path: Path, texts: list[list[int]], **attributes) -> Path:
    """By their definition, in the order of their tokens."""
    found: dict[tuple[int, ...], list[int]] = {}
    start = 0
    for text in texts:
        for i in range(len(text) - LENGTH + 1):
            found.setdefault(tuple(text[i : i + LENGTH]), []).append(start + i)
        start += len(text)
    groups = [positions for _, positions in sorted(found.items()) if len(positions) > 1]
    with hdf5.create(path) as file:
        hdf5.write(file, "positions", np.concatenate(groups).astype("<u4"))
        hdf5.write(file, "group_offsets", np.concatenate([[0], np.cumsum(list(map(len, groups)))]).astype("<u8"))
        hdf5.write(file, "counts", np.array(list(map(len, groups)), dtype="<u8"))
        file.attrs.update(attributes)
    return path


TEXTS = [documents(0), documents(1)]
TOTALS = Counter(windows(TEXTS[0]) + windows(TEXTS[1]))
SETTINGS = {"buckets": (8, 16), "tolerance": 0.25, "n_per_bucket": 3, "length": LENGTH, "min_unique_tokens": 4}


@pytest.fixture
def inputs(tmp_path: Path) -> dict:
    corpus = [write_chunk(tmp_path / places.chunk(i), texts) for i, texts in enumerate(TEXTS)]
    return {"corpus": corpus, "groups": write_groups(tmp_path / "groups.h5", TEXTS[0])}


def make(inputs: dict, out: Path, **settings) -> Path:
    blocks.claim(out / places.BLOCKS, "test")
    targets.run(targets.Config(**{**SETTINGS, **settings}), inputs, out)
    return out / "targets.h5"


def columns(path: Path) -> dict[str, np.ndarray]:
    return {name: hdf5.read(path, name) for name in ("tokens", "bucket", "count", "chunk", "position")}


def test_targets_have_the_counts_of_their_buckets_over_all_chunks(inputs, tmp_path) -> None:
    found = columns(make(inputs, tmp_path / "out", n_random=5))
    assert found["bucket"].tolist() == [8] * 3 + [16] * 3 + [0] * 5
    for row, tokens in enumerate(found["tokens"].tolist()):
        count, bucket, position = (int(found[name][row]) for name in ("count", "bucket", "position"))
        assert count == TOTALS[tuple(tokens)]
        assert not bucket or abs(count - bucket) <= 0.25 * bucket
        assert len(set(tokens)) >= 4
        text = chunks.open_chunk(inputs["corpus"][int(found["chunk"][row])]).tokens
        assert text[position : position + LENGTH].tolist() == tokens
    phrases = found["tokens"][:6, 0] // 10
    assert len(set(phrases.tolist())) == 6  # windows of one phrase overlap wherever they stand


def test_the_size_of_rounds_and_blocks_changes_nothing(inputs, tmp_path, monkeypatch) -> None:
    whole = make(inputs, tmp_path / "a").read_bytes()
    for first, largest in ((1, 2), (5, 100)):
        monkeypatch.setattr(targets, "FIRST_ROUND", first)
        monkeypatch.setattr(targets, "LARGEST_ROUND", largest)
        assert make(inputs, tmp_path / f"b{first}", block_tokens=100).read_bytes() == whole
    other = columns(make(inputs, tmp_path / "c", seed=1))["position"]
    assert other.tolist() != columns(tmp_path / "a/targets.h5")["position"].tolist()


def test_another_number_of_random_targets_moves_no_other(inputs, tmp_path) -> None:
    without = columns(make(inputs, tmp_path / "a"))
    many = columns(make(inputs, tmp_path / "b", n_random=9))
    assert many["position"][:6].tolist() == without["position"].tolist()
    alone = columns(make(inputs, tmp_path / "c", buckets=(), n_random=9))
    assert alone["position"].tolist() == many["position"][6:].tolist()


def test_too_few_says_which_groups_there_are_and_what_to_set(inputs, tmp_path) -> None:
    repeated = Counter(windows(TEXTS[0]))
    groups = {group: TOTALS[group] for group in repeated if repeated[group] > 1 and len(set(group)) >= 4}
    existing = sum(6 <= count <= 10 for count in groups.values())
    message = rf"bucket 8: (\d+) of 400; {existing} groups have 6 to 10 copies, .* bucket 16: (\d+) of 400"
    with pytest.raises(TesseraError, match=message) as raised:
        make(inputs, tmp_path / "a", n_per_bucket=400)
    fewest = min(int(n) for n in re.search(message, str(raised.value)).groups())
    assert f"Set buckets=[8,16] n_per_bucket={fewest};" in str(raised.value)
    make(inputs, tmp_path / "again", n_per_bucket=fewest)  # what it says can be done

    with pytest.raises(TesseraError, match="bucket 999: no group has 750 to 1248 copies") as raised:
        make(inputs, tmp_path / "b", buckets=(999,), n_per_bucket=1)
    spelled = ", ".join(map(str, sorted(set(groups.values()))))
    assert f"with {spelled} copies. Set buckets=[{max(groups.values())}];" in str(raised.value)
    make(inputs, tmp_path / "c", buckets=(max(groups.values()),), n_per_bucket=1)


def test_buckets_that_cannot_be_filled_are_left_out_if_that_is_asked_for(inputs, tmp_path, capfd) -> None:
    settings = {"buckets": (8, 16, 999), "n_per_bucket": 400, "unfilled": "take"}
    found = columns(make(inputs, tmp_path / "a", n_random=5, **settings))
    counts = Counter(found["bucket"].tolist())
    assert set(counts) == {8, 16, 0}
    said = capfd.readouterr().out
    assert f"bucket 8: {counts[8]} of 400" in said
    assert "bucket 999: no group has" in said
    every = make(inputs, tmp_path / "b", buckets=(8, 16), n_per_bucket=min(counts[8], counts[16]))
    assert np.isin(hdf5.read(every, "position"), found["position"]).all()
    with pytest.raises(TesseraError, match="no target was found"):
        make(inputs, tmp_path / "c", buckets=(999,), unfilled="take")


def test_too_few_random_windows_are_an_error_or_are_said(inputs, tmp_path, capfd, monkeypatch) -> None:
    monkeypatch.setattr(drawing, "ATTEMPTS", 2)
    settings = {"buckets": (), "n_random": 1500}  # the corpus has room for 980
    with pytest.raises(TesseraError, match=r"of 1500 random targets after 3000 refused windows"):
        make(inputs, tmp_path / "a", **settings)
    found = columns(make(inputs, tmp_path / "b", unfilled="take", **settings))
    assert f"{len(found['bucket'])} of 1500 random targets" in capfd.readouterr().out


def test_groups_of_another_corpus_are_refused(inputs, tmp_path) -> None:
    swapped = {**inputs, "corpus": inputs["corpus"][::-1]}
    with pytest.raises(
        TesseraError, match=r"group \d+ has \d+ occurrences in the file, but \d+ in its chunk; give the corpus"
    ):
        make(swapped, tmp_path / "a")
    write_groups(inputs["groups"], TEXTS[0], length=6)
    with pytest.raises(TesseraError, match="its groups have 6 tokens, but length is 5"):
        make(inputs, tmp_path / "b", length=5, min_unique_tokens=2)
    write_groups(inputs["groups"], TEXTS[0], tokens_digest="no such")
    with pytest.raises(TesseraError, match="its groups belong to none of the 2 chunks"):
        make(inputs, tmp_path / "c")


def test_groups_may_be_of_any_chunk_of_the_list(inputs, tmp_path) -> None:
    own = chunks.digest(chunks.open_chunk(inputs["corpus"][1]))
    write_groups(inputs["groups"], TEXTS[1], tokens_digest=own, length=LENGTH)
    found = columns(make(inputs, tmp_path / "a"))
    assert set(found["chunk"].tolist()) == {1}
    assert found["count"].tolist() == [TOTALS[tuple(tokens)] for tokens in found["tokens"].tolist()]


@pytest.mark.parametrize(
    "wrong",
    [
        {"length": 0},
        {"tolerance": 1.0},
        {"buckets": (1,)},
        {"buckets": (8, 8)},
        {"buckets": ()},
        {"min_unique_tokens": 7},
    ],
)
def test_settings_that_give_no_targets_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"it must be|must be at least|no target"):
        targets.Config(**{**SETTINGS, **wrong})


@pytest.fixture
def whole(inputs, tmp_path, monkeypatch) -> dict:
    """The same corpus with the groups of both chunks, in several shards of some cells."""
    monkeypatch.setattr(layout, "CELL_TOKENS", 1 << 8)
    monkeypatch.setattr(layout, "SHARD_CELLS", 2)
    (tmp_path / "groups").mkdir()
    blocks.claim(tmp_path / "groups" / places.BLOCKS, "test")
    duplicate_groups.run(duplicate_groups.Config(length=LENGTH), inputs, tmp_path / "groups")
    return {**inputs, "groups": tmp_path / "groups"}


def test_groups_of_the_whole_corpus_are_not_counted_again(whole, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(targets, "_count", None)
    found = columns(make(whole, tmp_path / "a", n_random=40))
    assert found["bucket"].tolist() == [8] * 3 + [16] * 3 + [0] * 40
    for row, tokens in enumerate(found["tokens"].tolist()):
        count, bucket, position = (int(found[name][row]) for name in ("count", "bucket", "position"))
        assert count == TOTALS[tuple(tokens)]
        assert not bucket or abs(count - bucket) <= 0.25 * bucket
        text = chunks.open_chunk(whole["corpus"][int(found["chunk"][row])]).tokens
        assert text[position : position + LENGTH].tolist() == tokens
    assert (found["count"][6:] > 1).any()
    assert len(set((found["tokens"][:6, 0] // 10).tolist())) == 6  # no two overlap, in whatever chunk


def test_rounds_ranks_and_batches_draw_the_same_of_the_whole_corpus(whole, tmp_path, monkeypatch) -> None:
    alone = make(whole, tmp_path / "a", n_random=3).read_bytes()
    for name, value in (("FIRST_ROUND", 2), ("LARGEST_ROUND", 5)):
        monkeypatch.setattr(targets, name, value)
    monkeypatch.setattr(whole_targets, "READ_AT_ONCE", 3)
    blocks.claim(tmp_path / "b" / places.BLOCKS, "test")
    config = targets.Config(**SETTINGS, n_random=3)
    threads.run(lambda: targets.run(config, whole, tmp_path / "b"), 3)
    assert (tmp_path / "b/targets.h5").read_bytes() == alone


def test_a_bucket_takes_the_first_groups_by_priority(whole, tmp_path) -> None:
    """A plain loop over all groups, in the order of their priorities."""
    corpus = chunks.open_chunks(whole["corpus"])
    parts = groups_file.open_parts(whole["groups"] / places.GROUPS, corpus, LENGTH)
    priority = drawing.priorities(0, 0, sum(part.n_groups for part in parts))
    groups = [group for part in parts for group in groups_file.groups_of(part, range(part.n_groups))]
    taken: list[tuple[int, int]] = []
    found: list[tuple[int, int]] = []
    room = {8: 3, 16: 3}
    for index in np.argsort(priority).tolist():
        members = list(zip(groups[index].chunk.tolist(), groups[index].position.tolist()))
        bucket = next((size for size in room if abs(len(members) - size) <= 0.25 * size), 0)
        chunk, position = members[0]
        tokens = corpus[chunk].tokens[position : position + LENGTH]
        apart = all(a != c or abs(b - d) >= LENGTH for a, b in members for c, d in taken)
        if room.get(bucket) and len(set(tokens.tolist())) >= 4 and apart:
            room[bucket] -= 1
            taken += members
            found.append((bucket, position))
    made = columns(make(whole, tmp_path / "a"))
    assert list(zip(made["bucket"].tolist(), made["position"].tolist())) == sorted(found, key=lambda one: one[0])


def test_too_few_of_the_whole_corpus_says_what_there_is(whole, tmp_path) -> None:
    groups = {window: count for window, count in TOTALS.items() if count > 1}
    rich = sum(6 <= count <= 10 and len(set(window)) >= 4 for window, count in groups.items())
    with pytest.raises(TesseraError, match=rf"bucket 8: \d+ of 400; {rich} groups have 6 to 10 copies") as raised:
        make(whole, tmp_path / "a", n_per_bucket=400)
    shown = sorted({count for count in groups.values() if count <= 20})
    assert f"of 6 tokens, whichever these are, with {', '.join(map(str, shown))} copies" in str(raised.value)
    taken = columns(make(whole, tmp_path / "b", n_per_bucket=400, unfilled="take"))
    assert set(taken["bucket"].tolist()) == {8, 16}
