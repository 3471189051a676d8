"""Draw targets that a corpus holds about 100, 1,000, 10,000 times exactly, and random ones.

    python -m jobs targets --config FILE --out DIR
    mpirun -n 2 python -m mpi4py -m jobs targets --config FILE --out DIR     # with two ranks

FILE holds:

    inputs:
      corpus: [chunk-00.h5, chunk-01.h5]  # chunks, or directories of them
      groups: DIR                         # duplicate_groups of these chunks, or exact_duplicates of one of them
    buckets: [100, 1000, 10000]
    tolerance: 0.1
    n_per_bucket: 100
    min_unique_tokens: 50

Result targets.h5: `tokens` (n x length), `bucket` (0 for random ones), `count` (exact occurrences in all chunks),
`chunk` (index in the list), `position` (of one occurrence there). The targets of a bucket are drawn uniformly among
its groups, in the order of random priorities. No occurrence of a target overlaps one of another target. Groups of the
whole corpus have their counts already. Of groups of one chunk only that chunk's occurrences are kept apart, and
candidates are counted in rounds over the whole corpus until every bucket is full. Random targets are uniform over all
windows.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, mpi, places
from lib.base.config import added, at_least, execution
from lib.base.errors import TesseraError
from lib.corpus import chunks, text_blocks
from lib.corpus.exact import groups_file
from lib.corpus.exact.groups_file import Groups, Part

VERSION = 1
MPI = True
INPUTS = ("corpus", "groups")
LISTS = ("corpus",)
SLUG = ("n_per_bucket", "seed")

FIRST_ROUND, LARGEST_ROUND, GROWTH = 1 << 15, 1 << 20, 4  # candidates; the largest take 200 MB of tokens
ALL_PRIORITIES = 1 << 64
SHOWN_COUNTS = 12  # of groups, one by one in a message


@dataclass(frozen=True)
class Config:
    """Which targets, and how the work is cut.

    buckets: the numbers of exact occurrences in the corpus that targets should have, each at least 2
    tolerance: a count is in bucket b if |count - b| <= tolerance * b; 0 or more, below 1
    n_per_bucket: targets in each bucket
    length: tokens of a target
    min_unique_tokens: how many different tokens a target must have
    n_random: targets drawn at random, in addition to those in buckets
    seed: the seed of the priorities and of the random targets
    unfilled: what to do about a bucket for which there are too few groups (and about too few random windows): `fail`,
        or `take`, which takes those that there are and says how many are missing; no target at all is an error
    block_tokens: tokens of text in one block of counting; a stopped run continues with the missing blocks
    """

    buckets: tuple[int, ...] = (100, 1000, 10000)
    tolerance: float = 0.1
    n_per_bucket: int = 100
    length: int = 100
    min_unique_tokens: int = 50
    n_random: int = 0
    seed: int = 0
    unfilled: Literal["fail", "take"] = added("fail")
    block_tokens: int = execution(1 << 26)

    def __post_init__(self) -> None:
        """Raise ValueError for settings that give no targets."""
        at_least(1, length=self.length, n_per_bucket=self.n_per_bucket, block_tokens=self.block_tokens)
        at_least(0, n_random=self.n_random, seed=self.seed)
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance is {self.tolerance}; it must be at least 0 and below 1")
        if min(self.buckets, default=2) < 2 or len(set(self.buckets)) < len(self.buckets):
            raise ValueError(f"buckets is {list(self.buckets)}; each must be at least 2 and given once")
        if not self.buckets and not self.n_random:
            raise ValueError("buckets is empty and n_random is 0, so there would be no target; set one of them")
        if not 0 <= self.min_unique_tokens <= self.length:
            raise ValueError(f"min_unique_tokens is {self.min_unique_tokens}; it must be 0 to {self.length} (length)")


@dataclass
class _Targets:
    """What was found: one entry per target; and total count -> how many groups were counted that have it."""

    tokens: list[np.ndarray] = field(default_factory=list)
    bucket: list[int] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    chunk: list[int] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    groups: Counter[int] = field(default_factory=Counter)

    def add(self, tokens: np.ndarray, bucket: int, count: int, chunk: int, position: int) -> None:
        for name, value in zip(
            ("tokens", "bucket", "count", "chunk", "position"), (tokens, bucket, count, chunk, position)
        ):
            getattr(self, name).append(value)


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Rank 0 chooses; all ranks draw from the groups of the whole corpus, or count."""
    corpus = chunks.open_chunks(inputs["corpus"])
    found, path = _Targets(), store.find(inputs["groups"], places.GROUPS)
    whole = groups_file.open_parts(path, corpus, config.length) if groups_file.is_whole(path) else None
    if config.buckets and whole:
        _fill_from_whole(config, corpus, path, whole, found)
    elif config.buckets:
        groups = groups_file.open_groups(path, corpus, config.length)
        _fill_buckets(config, corpus, groups, out / places.BLOCKS, found)
    if config.n_random and whole:
        _add_random_of_whole(config, corpus, path, whole, found)
    elif config.n_random:
        _add_random(config, corpus, out / places.BLOCKS, found)
    if mpi.world().rank == 0:
        if not found.tokens:
            raise TesseraError("no target was found; lower length or min_unique_tokens, or give more text")
        _write(out / places.TARGETS, config, corpus, found)


def _fill_from_whole(config: Config, corpus: Sequence, path: Path, parts: list[Part], found: _Targets) -> None:
    """Draw groups in rounds of rising priority, until every bucket is full or the groups are used up."""
    from lib.corpus import targets
    from lib.corpus.exact import whole_targets

    comm, buckets = mpi.world(), targets.Buckets(config.buckets, config.tolerance)
    sizes, groups = (hdf5.read(path, f"histogram/{name}").astype(np.int64) for name in ("count", "groups"))
    regions, low, aim, some = targets.Regions(config.length), 0, FIRST_ROUND, mpi.share(range(len(parts)), comm)
    while low < ALL_PRIORITIES and (missing := comm.bcast(_missing(config, found))):
        there = int(groups[np.isin(buckets.of(sizes), list(missing))].sum())
        high = min(ALL_PRIORITIES, low + max(1, ALL_PRIORITIES * aim // max(1, there)))
        drawn = comm.gather(whole_targets.drawn(parts, some, buckets, list(missing), config.seed, low, high))
        if drawn is not None:  # rank 0
            candidates = whole_targets.joined(drawn)
            for one in whole_targets.choose(parts, corpus, candidates, config.min_unique_tokens, missing, regions):
                found.groups.update([one]) if isinstance(one, int) else found.add(*one)
        low, aim = high, min(aim * GROWTH, LARGEST_ROUND)
    if comm.rank == 0 and _missing(config, found):
        most = buckets.limit(config.buckets)
        whole = _Groups(path, ", whichever these are,", sizes[sizes <= most], int(groups[sizes > most].sum()))
        _lacking(config, _too_few(config, whole, found))


def _fill_buckets(config: Config, corpus: Sequence, groups: Groups, folder: Path, found: _Targets) -> None:
    """Count candidates in rounds of rising priority, until every bucket is full or the groups are used up."""
    from lib.corpus import targets

    comm = mpi.world()
    regions, low, aim = targets.Regions(config.length), 0, FIRST_ROUND
    while low < ALL_PRIORITIES and (missing := comm.bcast(_missing(config, found))):
        high = min(ALL_PRIORITIES, low + max(1, ALL_PRIORITIES * aim // max(1, len(groups.counts))))
        drawn = _candidates(config, corpus, groups, (low, high), missing) if comm.rank == 0 else None
        rows, tokens = comm.bcast(drawn)
        if len(rows):
            counts = _count(config, corpus, tokens, comm, folder, f"{low:016x}-{high:016x}-")
            if counts is not None:
                _take(config, groups, rows, tokens, counts, regions, found)
        low, aim = high, min(aim * GROWTH, LARGEST_ROUND)
    if comm.rank == 0 and _missing(config, found):
        limit = targets.Buckets(config.buckets, config.tolerance).limit(config.buckets)
        more = int((np.asarray(groups.counts) > limit).sum())
        what = f", at least {config.min_unique_tokens} of them different,"
        there = _Groups(groups.path, what, np.array(sorted(found.groups), np.int64), more)
        _lacking(config, _too_few(config, there, found))


def _lacking(config: Config, what: str) -> None:
    """Raise TesseraError for too few targets, or say so, as the settings want it."""
    if config.unfilled == "fail":
        raise TesseraError(what)
    print(f"{what}. unfilled is 'take': those that there are were taken", flush=True)


def _missing(config: Config, found: _Targets) -> dict[int, int]:
    """Bucket -> how many targets it still lacks."""
    lacking = {bucket: config.n_per_bucket - found.bucket.count(bucket) for bucket in config.buckets}
    return {bucket: lack for bucket, lack in lacking.items() if lack}


def _candidates(
    config: Config, corpus: Sequence, groups: Groups, bounds: tuple[int, int], missing: dict[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Groups of this round (by priority) and their tokens; only those with enough different tokens."""
    from lib.corpus import targets

    limit = targets.Buckets(config.buckets, config.tolerance).limit(missing)
    rows = targets.next_round(groups.counts, config.seed, *bounds, limit)
    tokens = chunks.windows(corpus, np.full(len(rows), groups.chunk), groups.first(rows), config.length)
    rich = targets.unique_tokens(tokens) >= config.min_unique_tokens
    return rows[rich], tokens[rich]


def _count(config: Config, corpus: Sequence, tokens: np.ndarray, comm: Any, folder: Path, prefix: str) -> Any:
    from lib.corpus.counts import by_ranks

    ranges = text_blocks.text_ranges(corpus, config.block_tokens, prefix)
    return by_ranks.count_by_scan(folder, ranges, corpus, tokens, comm)


def _take(
    config: Config, groups: Groups, rows: np.ndarray, tokens: np.ndarray, counts: np.ndarray, regions: Any,
    found: _Targets,
) -> None:  # fmt: skip
    from lib.corpus import targets

    groups_file.check_counts(groups, rows, counts[:, groups.chunk])
    total = counts.sum(axis=1)
    buckets = targets.Buckets(config.buckets, config.tolerance).of(total)
    found.groups.update(total.tolist())
    within = np.flatnonzero(buckets)
    occurrences = [groups.occurrences(row) for row in rows[within]]
    for i in targets.choose(buckets[within], occurrences, groups.chunk, _missing(config, found), regions):
        row = within[i]
        found.add(tokens[row], int(buckets[row]), int(total[row]), groups.chunk, int(occurrences[i][0]))


def _add_random(config: Config, corpus: Sequence, folder: Path, found: _Targets) -> None:
    comm = mpi.world()
    drawn, tokens = comm.bcast(_random(config, corpus) if comm.rank == 0 else None)
    if not drawn:
        return
    counts = _count(config, corpus, tokens, comm, folder, "random-")
    if counts is not None:
        for window, count, (row, position) in zip(tokens, counts.sum(axis=1), drawn):
            found.add(window, 0, int(count), row, position)


def _random(config: Config, corpus: Sequence) -> tuple[list[tuple[int, int]], np.ndarray]:
    """(chunk, position) of the random targets, and their tokens."""
    from lib.corpus import targets

    drawn, refused = targets.choose_random(
        [chunk.tokens for chunk in corpus], [chunk.offsets for chunk in corpus], config.length, config.n_random,
        config.min_unique_tokens, config.seed,
    )  # fmt: skip
    if len(drawn) < config.n_random:
        causes = ", ".join(f"{count} {cause}" for cause, count in refused.items())
        _lacking(
            config,
            f"{len(drawn)} of {config.n_random} random targets after {sum(refused.values())} refused windows "
            f"({causes}); lower n_random or min_unique_tokens",
        )
    rows, positions = [row for row, _ in drawn], [position for _, position in drawn]
    return drawn, chunks.windows(corpus, rows, positions, config.length)


def _add_random_of_whole(config: Config, corpus: Sequence, path: Path, parts: list[Part], found: _Targets) -> None:
    """The same with the counts that the groups have."""
    if mpi.world().rank == 0:
        from lib.corpus.exact import lookup

        drawn, tokens = _random(config, corpus)
        counts = lookup.counts(path, parts, corpus, [row for row, _ in drawn], [position for _, position in drawn])
        for window, count, (row, position) in zip(tokens, counts.tolist(), drawn):
            found.add(window, 0, count, row, position)


@dataclass(frozen=True)
class _Groups:
    """What a message says of the groups in `path`: their numbers of copies, up to the largest that a bucket takes, and
    how many groups have more."""

    path: Path
    kind: str
    counts: np.ndarray
    more: int


def _too_few(config: Config, groups: _Groups, found: _Targets) -> str:
    """Which targets are missing, which groups there are, and what to set instead."""
    from lib.corpus import targets

    counts = np.array(sorted(found.groups), np.int64)
    bucket_of = targets.Buckets(config.buckets, config.tolerance).of(counts)
    existing = {
        bucket: sum(found.groups[int(count)] for count in counts[bucket_of == bucket]) for bucket in config.buckets
    }
    counts = groups.counts
    lacking = "; ".join(_lack(config, bucket, existing[bucket], found) for bucket in _missing(config, found))
    limit = targets.Buckets(config.buckets, config.tolerance).limit(config.buckets)
    often = f"; {groups.more} groups of any tokens have more than {limit}" if groups.more else ""
    return (
        f"{groups.path}: too few targets: {lacking}. {_there(config, groups, limit)}{often}. "
        f"Set {_instead(config, counts, found)}; or lower "
        f"min_unique_tokens ({config.min_unique_tokens}), or raise tolerance ({config.tolerance:g})"
    )


def _lack(config: Config, bucket: int, existing: int, found: _Targets) -> str:
    low, high = (bucket + sign * math.floor(config.tolerance * bucket) for sign in (-1, 1))
    copies = f"{low} to {high} copies" if low < high else f"{bucket} copies"
    if not existing:
        return f"bucket {bucket}: no group has {copies}"
    taken = found.bucket.count(bucket)
    return (
        f"bucket {bucket}: {taken} of {config.n_per_bucket}; {existing} groups have {copies}, but the others overlap "
        "these"
    )


def _there(config: Config, groups: _Groups, limit: int) -> str:
    """The numbers of copies that groups have, in words."""
    counts, what = groups.counts, f"groups of {config.length} tokens{groups.kind}"
    if not len(counts):
        return f"There are no {what} with 2 to {limit} copies"
    shown = ", ".join(map(str, counts)) if len(counts) <= SHOWN_COUNTS else f"{counts[0]} to {counts[-1]}"
    return f"There are {what} with {shown} copies"


def _instead(config: Config, counts: np.ndarray, found: _Targets) -> str:
    """Settings that the groups can fill: buckets with targets, and the nearest count for each other one."""
    from lib.corpus import targets

    full = [bucket for bucket in config.buckets if bucket in found.bucket]
    near = {int(counts[np.abs(counts - bucket).argmin()]) for bucket in config.buckets if len(counts)}
    others = [count for count in near if not targets.Buckets(tuple(full), config.tolerance).of(np.array(count))]
    fewest = min((found.bucket.count(bucket) for bucket in full), default=config.n_per_bucket)
    fewer = f" n_per_bucket={fewest}" if fewest < config.n_per_bucket else ""
    alone = "" if len(counts) else " (random targets alone, n_random of them)"
    return f"buckets={sorted([*full, *others])}{fewer}".replace(", ", ",") + alone


def _write(path: Path, config: Config, corpus: Sequence, found: _Targets) -> None:
    """By bucket, random ones last; inside one in the order in which they were taken."""
    bucket = np.array(found.bucket)
    order = np.lexsort((np.arange(len(bucket)), bucket, bucket == 0))
    dtype = max((chunk.tokens.dtype for chunk in corpus), key=lambda dtype: dtype.itemsize)
    with hdf5.create(path) as file:
        hdf5.write(file, "tokens", np.stack(found.tokens).astype(dtype)[order])
        for name, stored in (("bucket", "<u4"), ("count", "<i8"), ("chunk", "<u4"), ("position", "<u8")):
            hdf5.write(file, name, np.array(getattr(found, name), dtype=stored)[order])
        file.attrs.update(length=config.length, seed=config.seed, tolerance=config.tolerance)
