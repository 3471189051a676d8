"""The table of the extraction study against plain numpy."""

import numpy as np
import pytest

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
    within = [np.mean(c["samples_needed"][:, 1] <= 100) for c in columns]
    assert mine.loc["extractable_100"].loc[[1, 2, 3], "value"].tolist() == pytest.approx(within)
    single = found[found["seed"].notna()]
    assert ((single["low"] <= single["value"]) & (single["value"] <= single["high"])).all()
