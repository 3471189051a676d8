"""The architectures sweep: rho of families of models side by side, and how well their exposure was made equal."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from lib.plans.finished import done
from lib.plans.plan import Leaf, Plan
from lib.studies import collect, texts
from lib.studies.mosaic import collect as mosaic_collect


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figures and report of every finished leaf, and print rho by model and perturbation."""
    from lib.studies.architectures import results
    from lib.studies.mosaic import equal_scores, measurements, shown

    leaves, missing = collect.split(plan, done(root, plan), mosaic_collect.READ)
    records = list(mosaic_collect.read_records(root, plan, leaves))
    measured = measurements.measure(records, mosaic_collect.BOOTSTRAP_SEED)
    excerpts = texts.shown(root, plan, lambda: shown.make(root, plan, leaves))
    computed = mosaic_collect.computed(records)
    description = collect.description(root, plan, leaves, missing, excerpts=excerpts, done=computed)
    planned = mosaic_collect.planned_curves(plan)
    trained = trained_rates(plan, plan.leaves)
    found = results.write(root, plan.run, measured, description, planned, trained, equal_scores.find(records))
    collect.write_missing(root, plan, missing)
    title = "rho of families (isotonic estimator)"
    collect.print_table(console, title, *results.summary(found, trained))


def trained_rates(plan: Plan, leaves: Iterable[Leaf]) -> dict[str, float]:
    """Model -> the learning rate of its exact curve; the first model is the one that the others are compared with."""
    rates: dict[str, float] = {}
    for leaf in leaves:
        if leaf.labels["kind"] == "exact" and not leaf.setting():
            task = next(plan.tasks[digest] for digest in leaf.nodes.values() if plan.tasks[digest].stage == "finetune")
            rates.setdefault(leaf.labels["model"], task.config["learning_rate"])
    return rates
