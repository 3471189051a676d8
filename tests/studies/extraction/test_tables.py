"""The table of the extraction study against plain numpy."""

import numpy as np
import pytest
from scipy import stats

from lib.studies.extraction import tables
from tests.studies.extraction.records import record


def test_the_table_against_plain_numpy() -> None:
    records = [record(seed, level) for seed in (1, 2, 3) for level in (1, 5)]
    found = tables.extraction_table(records)
    assert tuple(found.columns) == tables.COLUMNS
    assert len(found) == (3 + 1) * 2 * 2 * len(tables.MEASURES)
    mine = found[(found["level"] == 5) & (found["side"] == "members")].set_index(["measure", "seed"])
    columns = [r.sides["members"] for r in records if r.labels["level"] == 5]
    for measure in ("bleu", "exact"):
        means = [np.mean(c[measure]) for c in columns]
        assert mine.loc[measure].loc[[1, 2, 3], "value"].tolist() == pytest.approx(means)
        mean = found[(found["level"] == 5) & (found["side"] == "members") & found["seed"].isna()]
        mean = mean.set_index("measure").loc[measure]
        assert (mean["value"], mean["std"]) == (pytest.approx(np.mean(means)), pytest.approx(np.std(means)))
        assert mean["low"] < mean["value"] < mean["high"]
        spread = stats.t.interval(0.95, 2, np.mean(means), stats.sem(means))
        assert (mean["seeds_low"], mean["seeds_high"]) == pytest.approx(spread)
    within = [np.mean(c["samples_needed"][:, 1] <= 100) for c in columns]
    assert mine.loc["extractable_100"].loc[[1, 2, 3], "value"].tolist() == pytest.approx(within)
    assert found[["seeds_low", "seeds_high"]].notna().all(axis=1).equals(found["seed"].isna())


def test_intervals_are_over_canaries_of_a_mean_over_seeds_as_well() -> None:
    records = [record(seed, 5) for seed in (1, 2, 3)]
    for given in (records[:1], records):
        found = tables.extraction_table(given)
        mean = found[found["seed"].isna() & (found["side"] == "members")].set_index("measure")
        sides = [one.sides["members"] for one in given]
        every = np.concatenate([side["exact"] for side in sides])
        exact = stats.binomtest(int(every.sum()), len(every)).proportion_ci(method="wilson")
        assert mean.loc["exact", ["low", "high"]].tolist() == pytest.approx([exact.low, exact.high])
        theirs = stats.bootstrap(
            [side["bleu"] for side in sides],
            lambda *several, axis: np.mean([one.mean(axis) for one in several], 0),
            method="percentile",
            n_resamples=4000,
            rng=np.random.default_rng(0),
        ).confidence_interval
        assert mean.loc["bleu", ["low", "high"]].tolist() == pytest.approx(theirs, abs=0.02)
        if len(given) == 1:  # one seed is its own mean
            single = found[found["seed"].notna() & (found["side"] == "members")].set_index("measure")
            assert single[["low", "high"]].equals(mean[["low", "high"]])
