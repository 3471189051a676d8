"""The distances sweep: rho of every perturbation beside its mean distances, and which distance predicts rho best."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from lib.base import places
from lib.plans.finished import directory, done
from lib.plans.plan import Leaf, Plan
from lib.studies import collect, texts
from lib.studies.mosaic import collect as mosaic_collect

READ = (*mosaic_collect.READ, "corpus_canaries", "distances")
SEED = 0  # of the bootstrap over perturbations


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figures and report of every finished leaf, and print which distance predicts rho best."""
    from lib.studies.distances import results
    from lib.studies.mosaic import auc_table, equal_scores, measurements, rho_table, shown

    finished = done(root, plan)
    leaves, missing = collect.split(plan, finished, READ)
    scored = [leaf for leaf in leaves if _stage(plan, leaf) == "membership"]
    records = list(mosaic_collect.read_records(root, plan, scored))
    measured = measurements.measure(records, mosaic_collect.BOOTSTRAP_SEED)
    excerpts = texts.shown(root, plan, lambda: shown.make(root, plan, scored))
    computed = mosaic_collect.computed(records)
    description = collect.description(root, plan, leaves, missing, excerpts=excerpts, done=computed)
    means = _means(root, plan, [leaf for leaf in leaves if _stage(plan, leaf) == "distances"])
    auc, rho = auc_table.make(measured), rho_table.make(measured, mosaic_collect.planned_curves(plan))
    theirs = mosaic_collect.published_curves(plan, scored)
    found = results.write(root, plan.run, auc, rho, means, theirs, description, SEED, equal_scores.find(records))
    collect.write_missing(root, plan, missing)
    title = "rank correlation of rho with the mean distance (isotonic estimator)"
    collect.print_table(console, title, *results.summary(found))


def _stage(plan: Plan, leaf: Leaf) -> str:
    return plan.tasks[leaf.digest].stage


def _means(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> dict[tuple, dict[str, float]]:
    """(model, seed, kind, level, setting) -> the mean of every distance over all variations of all canaries."""
    from lib.studies.distances import reading

    found = {}
    for leaf in leaves:
        file = directory(root, plan.tasks[leaf.digest]) / places.DISTANCES
        found[tuple(leaf.point().values())] = reading.read(file)
    return found
