"""Made-up passages whose gain is a known function of exact copies and near-duplicates."""

import numpy as np

from lib.studies.exposure.tables import Passages

WORTH = {"replace": 0.5, "translation": 0.0}  # what a near-duplicate truly counts as
CONDITIONS = [
    *(("exact", "", 0, exact, 0) for exact in (0, 1, 2, 4, 7, 10)),
    *(("replace", "", 25, exact, 9) for exact in (0, 1)),
    *(("translation", "b", 0, exact, 9) for exact in (0, 1)),
]


def passages(seed: int, each: int = 12, noise: float = 0.05) -> Passages:
    """`each` passages of every condition, in an order of the seed; the gain is ln(1 + copies' worth), and noise."""
    stream = np.random.default_rng(seed)
    rows = [CONDITIONS[i] for i in stream.permutation(len(CONDITIONS) * each) % len(CONDITIONS)]
    kind, setting, level, exact, near = zip(*rows)
    exact, near = np.array(exact), np.array(near)
    worth = exact + near * np.array([WORTH.get(one, 0) for one in kind])
    return Passages(
        seed=seed,
        kind=kind,
        setting=setting,
        level=np.array(level),
        exact=exact,
        near=near,
        count=exact,
        share=np.where(near > 0, 0.25, np.nan),
        exposure={"true": worth, "none": exact.astype(float)},
        gain=np.log1p(worth) + noise * stream.standard_normal(len(rows)),
        matched=np.minimum(worth / 10, 1),
        log10_p=-10 + worth,
    )
