"""How long the passes over a corpus take: measured rates, from which `plan` computes hours and memory.

The rates are core nanoseconds per token from `make bench` (300 targets, and 10,000 queries of 100 tokens). They do not
include waiting for a parallel file system, which many ranks may have to do. Where the number of tokens is not stated it
follows from the bytes of the text, and of a token: measured on a sample of one's own files, else TEXT_BYTES. Memory is
in bytes per token of a rank's share, and every rank needs BASE_GB besides.
"""

import math
from dataclasses import dataclass, replace

from lib.costs.facts import Facts
from lib.costs.work import TEXT_BYTES
from lib.plans.resources import Resources

MEASURED_ON = "two cores of an AMD EPYC (AVX2)"
BASE_GB = 0.75
START_SECONDS = 3.0  # of ranks: Python, MPI, compiled kernels from the cache
SAFETY = 3.0  # time limit divided by expected hours


@dataclass(frozen=True)
class Rate:
    """core_ns: nanoseconds of one core per token; memory_bytes: per token of a rank's share; stored_bytes and
    scratch_bytes: on disk per token, after the task and while it runs (2 for an id below 65,536, 8 for a position).
    most_gb: of memory of a rank in all, where a stage needs no more and takes longer instead."""

    core_ns: float
    memory_bytes: float = 0.0
    stored_bytes: float = 0.0
    scratch_bytes: float = 0.0
    most_gb: float = math.inf


RATES = {
    "tokenize": Rate(100, stored_bytes=2, scratch_bytes=2),  # 70 to 95 from JSON lines, and reading Zstandard
    "suffix_array": Rate(420, 10, stored_bytes=8),  # with 8,192 ranges, as in a large chunk; 300 ns with 64 ranges
    "exact_duplicates": Rate(200),
    # In a byte of memory a token, where a tenth of the windows repeats.
    "duplicate_groups": Rate(250, 9, stored_bytes=1.5, most_gb=8),
    "targets": Rate(8),  # it counts twice; less with groups of the whole corpus
    "count": Rate(4),
    "near_duplicates": Rate(30),  # prose; 140 of source code, where blanks make most windows candidates
    "cuts": Rate(210, stored_bytes=0.1, scratch_bytes=9),  # of a corpus of which every second window has an equal one
    "cleaned": Rate(260, stored_bytes=2),
}


def applied(stage: str, resources: Resources, facts: Facts | None = None) -> Resources:
    """`resources` with tokens, hours and memory computed, if the stage has a rate and the number of tokens is known:
    the task gives it, or it follows from the facts of the corpus."""
    rate, tokens = RATES.get(stage), resources.tokens
    if tokens is None and facts and facts.text_bytes is not None:
        tokens = facts.text_bytes / (facts.token_bytes or TEXT_BYTES)
    if rate is None or tokens is None:
        return resources
    hours = (START_SECONDS + tokens * rate.core_ns / 1e9 / resources.ranks) / 3600
    memory = min(BASE_GB + tokens * rate.memory_bytes / 1e9 / resources.ranks, rate.most_gb)
    limit = max(resources.hours, SAFETY * hours)
    return replace(resources, tokens=tokens, expected_hours=hours, hours=limit, memory_gb=memory)


def on_disk(stage: str, resources: Resources) -> tuple[float, float]:
    """GB of disk that a pass over a corpus takes: for its result, and besides while it runs. 0 without a rate."""
    rate, gigatokens = RATES.get(stage, Rate(0.0)), (resources.tokens or 0.0) / 1e9
    return rate.stored_bytes * gigatokens, rate.scratch_bytes * gigatokens
