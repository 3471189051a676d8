"""The distances sweep: rho of every perturbation beside its mean distances, and which distance predicts rho best."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from lib import collect, names
from lib.collectors import mosaic
from lib.survey import directory, done
from lib.sweep import Leaf, Plan

READ = (*mosaic.READ, "corpus_canaries", "distances")
SEED = 0  # of the bootstrap over perturbations


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figures and report of every finished leaf, and print which distance predicts rho best."""
    from lib import distance_results, tables

    finished = done(root, plan)
    leaves, missing = collect.split(plan, finished, READ)
    scored = [leaf for leaf in leaves if _stage(plan, leaf) == "membership"]
    measurements = tables.measure(mosaic.read_records(root, plan, scored), mosaic.BOOTSTRAP_SEED)
    description = collect.description(root, plan, leaves, missing)
    measured = _means(root, plan, [leaf for leaf in leaves if _stage(plan, leaf) == "distances"])
    auc, rho = tables.auc_table(measurements), tables.rho_table(measurements, mosaic.planned_curves(plan))
    found = distance_results.write(root, plan.name, auc, rho, measured, description, SEED)
    collect.write_missing(root, plan, missing)
    title = "rank correlation of rho with the mean distance (isotonic estimator)"
    collect.print_table(console, title, *distance_results.summary(found))


def _stage(plan: Plan, leaf: Leaf) -> str:
    return plan.tasks[leaf.digest].stage


def _means(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> dict[tuple, dict[str, float]]:
    """(model, seed, kind, level, setting) -> the mean of every distance over all variations of all canaries."""
    from lib.distance_tables import means_of
    from lib.distances import MEASURES

    found = {}
    for leaf in leaves:
        file = directory(root, plan.tasks[leaf.digest]) / names.DISTANCES
        found[tuple(leaf.point().values())] = means_of(collect.verified_columns(file, *MEASURES))
    return found
