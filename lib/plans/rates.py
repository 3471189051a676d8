"""How long the passes over a corpus take: measured rates, from which `plan` computes hours and memory.

Core nanoseconds a token, by `make bench` (300 targets and 10,000 queries of 100 tokens); waiting for a parallel file
system, which many ranks may have to, is not in them. Bytes are of working memory a token of a rank's share; every rank
has BASE_GB besides.
"""

from dataclasses import dataclass, replace

from lib.plans.resources import Resources

MEASURED_ON = "two cores of an AMD EPYC (AVX2)"
BASE_GB = 0.75
SAFETY = 3.0  # of the limit over the expected hours


@dataclass(frozen=True)
class Rate:
    """core_ns: nanoseconds of one core a token; memory_bytes: a token of the rank's share."""

    core_ns: float
    memory_bytes: float = 0.0


RATES = {
    "tokenize": Rate(190),
    "suffix_array": Rate(420, 10),  # of 8,192 ranges, which a large chunk has; 300 with 64
    "exact_duplicates": Rate(200),
    "targets": Rate(8),  # two rounds of counting
    "count": Rate(4),
    "near_duplicates": Rate(30),
}


def applied(stage: str, resources: Resources) -> Resources:
    """`resources` with hours and memory computed where the task says its tokens and the stage has a rate."""
    rate = RATES.get(stage)
    if rate is None or resources.tokens is None:
        return resources
    hours = resources.tokens * rate.core_ns / 1e9 / 3600 / resources.ranks
    memory = BASE_GB + resources.tokens * rate.memory_bytes / 1e9 / resources.ranks
    return replace(resources, expected_hours=hours, hours=max(resources.hours, SAFETY * hours), memory_gb=memory)
