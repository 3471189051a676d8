"""What captions and heads of tables say of seeds, in every study that has them: a mean only where there are several."""

import re

import pytest

from lib.reporting import drawing
from lib.studies.architectures import results as architectures
from lib.studies.distances import results as distances
from lib.studies.distances import tables as distance_tables
from lib.studies.extraction import results as extraction
from lib.studies.mosaic import auc_table, measurements, published, rho_table
from lib.studies.mosaic import results as mosaic
from tests.studies.architectures import models
from tests.studies.distances import perturbations
from tests.studies.extraction.records import record as extracted
from tests.studies.mosaic import small_sweep

OVER_SEEDS = re.compile(r"means? (\w+ )?over (\d+ )?seeds|over seeds|small marks are single seeds", re.I)


def measured(records):
    return measurements.measure(records, seed=1, n_bootstrap=12)


def of_mosaic(seeds):
    records = [one for one in small_sweep.ablated(seeds) if one.labels["kind"] != "shuffle"]
    found, given = mosaic.make(measured(records), records), mosaic.MosaicDescription("t")
    return lambda: mosaic.draw(found, given, records), list(mosaic.shown(found, given, {}, 12))


def of_architectures(seeds):
    found = architectures.make(measured(models.records(seeds)), dict.fromkeys(models.TRAINED, 10), models.TRAINED)
    tables = list(architectures.tables_shown(found, found, list(models.TRAINED), {}))
    return lambda: architectures.draw({**found, "rho": found["rho"][:0]}, list(models.TRAINED)), tables


def of_distances(seeds):
    rows = measured([one for one in perturbations.records() if one.labels["seed"] in seeds])
    means = {key: value for key, value in perturbations.means().items() if key[1] in seeds}
    rho = rho_table.make(rows)
    found = {**distance_tables.make(rho, means, published.beside({}), 0), "auc": auc_table.make(rows), "rho": rho}
    return lambda: distances.draw(found), list(distances.shown(found, {}))


def of_extraction(seeds):
    found = extraction.make([extracted(seed, level) for seed in seeds for level in (1, 5)])
    return lambda: extraction.draw(found), extraction.shown(found)


@pytest.mark.parametrize("study", [of_mosaic, of_architectures, of_distances, of_extraction])
def test_a_mean_over_seeds_is_said_only_where_there_are_several(study, monkeypatch):
    monkeypatch.setattr(drawing, "settled", lambda figure: figure)  # the layout says nothing, and takes seconds,
    monkeypatch.setattr(distance_tables, "DRAWS", 10)  # as many draws do
    (draw, tables), (_, of_two) = study((1,)), study((1, 2))
    assert said([*draw(), *tables]) == []
    assert said(of_two) != []


def said(parts):
    heads = [name for part in parts for name in getattr(part, "header", ())]
    return [text for text in (*(part.caption for part in parts), *heads) if OVER_SEEDS.search(text)]
