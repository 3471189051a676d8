"""The slimpajama sweep: near-duplicates of every target become means by bucket and distance, and survival."""

from pathlib import Path

import numpy as np
from rich.console import Console

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.errors import TesseraError
from lib.plans import finished, runs
from lib.plans.finished import directory
from lib.plans.plan import Leaf, Plan
from lib.studies import collect, texts

FILES = {
    "targets": places.TARGETS,
    "near_duplicates": places.NEAR_DUPLICATES,
    "deduplication": places.DEDUPLICATION,
    "exact_duplicates": places.GROUPS,
    "duplicate_groups": places.GROUPS,
    "counts": places.COUNTS,
    "exposure": places.EXPOSURE,
}
READ = ("targets", "near_duplicates", "deduplication", "exact_duplicates", "duplicate_groups", "count", "exposure")


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figures and report, and print the mean number of near-duplicates by bucket and distance."""
    from lib.studies.corpus import findings, reading, results, shown

    leaves, missing = collect.split(plan, finished.done(root, plan), READ)
    scan = next((leaf for leaf in leaves if "deduplication" in leaf.nodes), None)
    if scan is None:
        command = runs.command(plan.name, plan.profile, plan.settings)
        raise TesseraError(f"{plan.name}: the scan for near-duplicates is not finished; type `{command}`")
    targets, near = (_verified(root, plan, scan, node) for node in ("targets", "near_duplicates"))
    data = reading.read(
        targets,
        near,
        _verified(root, plan, scan, "deduplication"),
        groups=_groups(root, plan, leaves),
        exposure=next((_verified(root, plan, one, "exposure") for one in leaves if "exposure" in one.nodes), None),
        scanned_fraction=_scanned_fraction(plan, scan),
    )
    _compare_counts(root, plan, leaves, data.count)
    task = plan.tasks[scan.nodes["near_duplicates"]]
    excerpts = texts.shown(root, plan, lambda: shown.make(root, plan, task, targets, near))
    done = {"targets": findings.drawn(data)}
    description = collect.description(root, plan, leaves, missing, excerpts=excerpts, done=done)
    found = results.write(root, plan.run, data, description)
    collect.write_missing(root, plan, missing)
    collect.print_table(console, "mean near-duplicates of a target by distance", *results.summary(found))


def _verified(root: Path, plan: Plan, leaf: Leaf, node: str) -> Path:
    """The artifact of a leaf's node, every checksum compared."""
    place = directory(root, plan.tasks[leaf.nodes[node]])
    store.verify(place)
    return place / FILES[node]


def _groups(root: Path, plan: Plan, leaves: list[Leaf]) -> dict[str, Path]:
    """Chunk, or WHOLE -> the groups of its exact duplicates. Of shards only their index is read, and compared."""
    from lib.studies.corpus.tables import WHOLE

    found = {}
    for leaf in leaves:
        if "duplicate_groups" in leaf.nodes and "chunk" in leaf.labels:
            found[WHOLE] = directory(root, plan.tasks[leaf.nodes["duplicate_groups"]]) / places.GROUPS
            store.verify_file(found[WHOLE])
        elif "exact_duplicates" in leaf.nodes and "chunk" in leaf.labels:
            found[str(leaf.labels["chunk"])] = _verified(root, plan, leaf, "exact_duplicates")
    return found


def _compare_counts(root: Path, plan: Plan, leaves: list[Leaf], expected: np.ndarray) -> None:
    """Raise TesseraError where counts of a target, chunk by chunk, do not add up to the count it was drawn by."""
    for leaf in leaves:
        if "counts" in leaf.nodes:
            file = _verified(root, plan, leaf, "counts")
            wrong = np.flatnonzero(hdf5.read(file, "counts").sum(1) != expected)
            if len(wrong):
                target = wrong[0]
                raise TesseraError(f"{file}: target {target} does not occur {expected[target]} times; please report it")


def _scanned_fraction(plan: Plan, leaf: Leaf) -> float:
    """The share of the corpus that was scanned, in chunks, which are as even as the files allow."""
    corpus = plan.tasks[leaf.nodes["near_duplicates"]].inputs["corpus"]
    return len(corpus) / plan.tasks[corpus[0]].config["chunks"]
