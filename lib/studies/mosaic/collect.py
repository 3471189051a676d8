"""The mosaic sweeps: membership scores of every setting become AUC, rho, their figures and the report."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from lib.base import places
from lib.plans.finished import directory, done
from lib.plans.plan import Leaf, Plan
from lib.studies import collect, texts

if TYPE_CHECKING:
    import pandas as pd

    from lib.studies.mosaic.figures import TrainingCurve
    from lib.studies.mosaic.measurements import Record
    from lib.studies.mosaic.published import Key, Reference

BOOTSTRAP_SEED = 0
READ = ("membership", "inject", "canaries")  # the stages whose artifacts are read


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figures and report of every finished leaf, and print rho by kind, setting and level."""
    from lib.studies.mosaic import measurements, results, shown

    finished = done(root, plan)
    leaves, missing = collect.split(plan, finished, READ)
    records = list(read_records(root, plan, leaves))
    excerpts = texts.shown(root, plan, lambda: shown.make(root, plan, leaves))
    uncurved = _without_curve(plan, leaves, finished)
    common = collect.description(root, plan, leaves, missing, uncurved, excerpts, computed(records))
    rho, auc = published_curves(plan, leaves), published_aucs(plan, leaves)
    description = results.MosaicDescription(**vars(common), published=rho, published_auc=auc)
    measured = measurements.measure([*records, *_baselines(root, plan, leaves)], BOOTSTRAP_SEED)
    training = _training(root, plan, leaves, finished)
    found = results.write(root, plan.run, measured, description, records, training, planned_curves(plan))
    collect.write_missing(root, plan, missing)
    _print_summary(found["rho"], console)


def computed(records: "Iterable[Record]") -> dict[str, str]:
    """The attacks that were computed, for the paragraph of methods: of some there may be no evidence."""
    from lib.studies.mosaic import equal_scores

    return {"attacks": ", ".join(equal_scores.attacks(equal_scores.find(records)))}


def planned_curves(plan: Plan) -> dict[tuple[str, str], int]:
    """(model, setting) -> the most exact copies, for every exact curve of the plan, finished or not."""
    curves: dict[tuple[str, str], int] = {}
    for leaf in plan.leaves:
        if leaf.labels["kind"] == "exact" and leaf.labels["level"] >= 1:
            key = leaf.labels["model"], leaf.setting()
            curves[key] = max(curves.get(key, 0), leaf.labels["level"])
    return curves


def read_records(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> Iterator["Record"]:
    """The scores of every leaf, with the copies that its injection left whole. Checks every checksum."""
    from lib.studies.mosaic import reading

    for leaf in leaves:
        scores, injected = (_artifact(root, plan, leaf, stage) for stage in ("membership", "inject"))
        yield reading.read(leaf.point(), scores / places.SCORES, injected / places.INJECTED)


def _baselines(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> Iterator["Record"]:
    """The bag-of-words baseline of the canaries of each model and seed."""
    from lib.studies.mosaic import reading

    for (model, seed, *sides), setting in _canaries(plan, leaves).items():
        files = [directory(root, plan.tasks[side]) / places.CANARIES for side in sides]
        record = reading.baseline({"model": model, "seed": seed, "setting": setting}, *files)
        if record is not None:
            yield record


def _canaries(plan: Plan, leaves: Iterable[Leaf]) -> dict[tuple[str, int, str, str], str]:
    """(model, seed, members, non-members) -> the first setting with these canaries, the default before others."""
    found: dict[tuple[str, int, str, str], str] = {}
    for leaf in sorted(leaves, key=lambda leaf: leaf.setting() != ""):
        inputs = plan.tasks[leaf.digest].inputs
        key = (leaf.labels["model"], leaf.labels["seed"], str(inputs["members"]), str(inputs["non_members"]))
        found.setdefault(key, leaf.setting())
    return found


def published_curves(plan: Plan, leaves: Iterable[Leaf]) -> "dict[Key, Reference]":
    """The published rho of each model, kind and setting whose duplicates were made like the published ones."""
    from lib.studies.mosaic import published

    return published.references(_alike(plan, leaves), published.STAND_IN)


def published_aucs(plan: Plan, leaves: Iterable[Leaf]) -> "dict[Key, Reference]":
    """The published AUC of the ratio attack, of the same."""
    from lib.studies.mosaic import published

    return published.auc_references(_alike(plan, leaves), published.STAND_IN)


def _alike(plan: Plan, leaves: Iterable[Leaf]) -> "list[Key]":
    alike = (leaf for leaf in leaves if made_as_published(plan, leaf))
    return sorted({(leaf.labels["model"], leaf.labels["kind"], leaf.setting()) for leaf in alike})


def made_as_published(plan: Plan, leaf: Leaf) -> bool:
    """Whether canaries, copies and duplicates of a leaf are those of the published study."""
    from lib.studies.mosaic import published

    configs = {plan.tasks[digest].stage: plan.tasks[digest].config for digest in leaf.nodes.values()}
    canaries = configs["canaries"] if "canaries" in configs else configs["corpus_canaries"]
    if (canaries["length"], configs["inject"]["copies"]) != (published.LENGTH, published.COPIES):
        return False
    kind = leaf.labels["kind"]
    if kind == "near_duplicates":
        return configs["duplicates"]["farthest"] - configs["duplicates"]["nearest"] == published.BAND_WIDTH - 1
    if kind != "replace":
        return True
    config = configs["duplicates"]
    alike = published.replacement_settings(config["strategy"], config["top_k"])
    same_places = not (config["same_positions"] or config["spread"])
    return published.experiment_of("replace", leaf.setting()) in alike and same_places


def _artifact(root: Path, plan: Plan, leaf: Leaf, stage: str) -> Path:
    """The artifact of a leaf's task of one stage."""
    digest = next(digest for digest in leaf.nodes.values() if plan.tasks[digest].stage == stage)
    return directory(root, plan.tasks[digest])


def _training(
    root: Path, plan: Plan, leaves: Iterable[Leaf], finished: set[str]
) -> dict[tuple[str, int], "TrainingCurve"]:
    """Held-out loss and AUC during the finished exact fine-tunings of the first seed of each model."""
    from lib.studies.mosaic import reading

    curves = {}
    for leaf, digest in _drawn_trainings(plan, leaves):
        if digest in finished:
            metrics = directory(root, plan.tasks[digest]) / places.METRICS
            curves[leaf.labels["model"], leaf.labels["level"]] = reading.training_curve(metrics)
    return curves


def _drawn_trainings(plan: Plan, leaves: Iterable[Leaf]) -> Iterator[tuple[Leaf, str]]:
    """The leaves whose training is drawn, with the digest of their fine-tuning."""
    seen: dict[str, int] = {}
    for leaf in leaves:
        model, seed = leaf.labels["model"], leaf.labels["seed"]
        if leaf.labels["kind"] == "exact" and not leaf.setting() and seen.setdefault(model, seed) == seed:
            yield leaf, next(d for d in leaf.nodes.values() if plan.tasks[d].stage == "finetune")


def _without_curve(plan: Plan, leaves: Iterable[Leaf], finished: set[str]) -> list[str]:
    """A warning for every fine-tuned model that was removed after it had been scored."""
    labels = [collect.spell(leaf) for leaf, digest in _drawn_trainings(plan, leaves) if digest not in finished]
    return [f"Partial: no training curve for {'; '.join(labels)}."] if labels else []


def _print_summary(rho: "pd.DataFrame", console: Console) -> None:
    """A table of the main attack for each model and kind."""
    from lib.studies.mosaic import summaries, words

    attack = words.main_attack(set(rho["attack"]))
    for kind in sorted(set(rho["kind"])):
        header, rows = summaries.rho_closing(rho, attack, kind)
        title = f"ρ of {words.kind_name(kind)} by {words.level_name(kind)} ({words.label_of(attack)} attack, isotonic)"
        for model in dict.fromkeys(row[0] for row in rows):
            collect.print_table(console, f"{model}: {title}", header[1:], [row[1:] for row in rows if row[0] == model])
