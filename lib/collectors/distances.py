"""The distances sweep: rho of every perturbation beside its mean distances, and which distance predicts rho best."""

from collections.abc import Iterable
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from lib import collect, names
from lib.collectors import mosaic
from lib.survey import directory, done
from lib.sweep import POINT, Leaf, Plan

READ = (*mosaic.READ, "corpus_canaries", "distances")
SEED = 0  # of the bootstrap over perturbations


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figures and report of every finished leaf, and print which distance predicts rho best."""
    from lib import distance_results, results, tables

    finished = done(root, plan)
    leaves, missing = collect.split(plan, finished, READ)
    scored = [leaf for leaf in leaves if _stage(plan, leaf) == "membership"]
    measurements = tables.measure(mosaic.read_records(root, plan, scored), mosaic.BOOTSTRAP_SEED)
    description = results.Description(
        title=plan.title,
        settings=collect.settings(plan),
        provenance=dict(collect.provenance(root, plan, leaves)),
        warnings=collect.missing_words(plan, missing),
    )
    measured = _means(root, plan, [leaf for leaf in leaves if _stage(plan, leaf) == "distances"])
    auc, rho = tables.auc_table(measurements), tables.rho_table(measurements, mosaic.planned_curves(plan))
    found = distance_results.write(root, plan.name, auc, rho, measured, description, SEED)
    collect.write_missing(root, plan, missing)
    _print(distance_results.summary(found), console)


def _stage(plan: Plan, leaf: Leaf) -> str:
    return plan.tasks[leaf.digest].stage


def _means(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> dict[tuple, dict[str, float]]:
    """(model, seed, kind, level, setting) -> the mean of every distance over all variations of all canaries."""
    from lib.distance_tables import means_of
    from lib.distances import MEASURES

    found = {}
    for leaf in leaves:
        file = directory(root, plan.tasks[leaf.digest]) / names.DISTANCES
        key = (*(leaf.labels[name] for name in POINT), leaf.setting())
        found[key] = means_of(collect.verified_columns(file, *MEASURES))
    return found


def _print(summary: tuple[list[str], list[list[str]]], console: Console) -> None:
    header, rows = summary
    title = "rank correlation of rho with the mean distance (isotonic estimator)"
    table = Table(*header, box=box.SIMPLE_HEAD, padding=0, title=title)
    for row in rows:
        table.add_row(*row)
    console.print(table)
