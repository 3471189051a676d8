"""The exposure sweep: what passages gained by their copies, against exact copies and exposure."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from lib.artifacts import store
from lib.base import places
from lib.base.errors import TesseraError
from lib.plans import runs
from lib.plans.finished import directory, done
from lib.plans.plan import Leaf, Plan
from lib.studies import collect, texts

if TYPE_CHECKING:
    from lib.studies.exposure.tables import Passages

READ = ("audit", "planted_text", "exposure")


def run(root: Path, plan: Plan, console: Console) -> None:
    """Write tables, figures and report of every finished seed, and print how well each number predicts the gain."""
    from lib.studies.exposure import reading, results, shown

    leaves, missing = collect.split(plan, done(root, plan), READ)
    audits = [leaf for leaf in leaves if leaf.labels["plant"] and "rho" not in leaf.labels]
    base = next((leaf for leaf in leaves if not leaf.labels["plant"]), None)
    exposures = _exposures(root, plan, leaves)
    names = {_name(leaf) for leaf in plan.leaves if "rho" in leaf.labels}
    whole = [leaf for leaf in audits if exposures.get(leaf.labels["seed"], {}).keys() == names]
    if base is None or not whole:
        command = runs.command(plan.name, plan.profile, plan.settings)
        raise TesseraError(f"{plan.name}: no seed is finished with the text without passages; type `{command}`")
    seeds = [_read(root, plan, leaf, base, exposures[leaf.labels["seed"]]) for leaf in whole]
    rhos = {name: reading.rho(file) for name, file in exposures[seeds[0].seed].items()}
    task = plan.tasks[whole[0].nodes["planted_text"]]
    excerpts = texts.shown(root, plan, lambda: shown.make(root, plan, task, directory(root, task)))
    description = collect.description(root, plan, leaves, missing, excerpts=excerpts)
    found = results.write(root, plan.run, seeds, rhos, description)
    collect.write_missing(root, plan, missing)
    collect.print_table(console, "rank correlation with what passages gained by their copies", *results.summary(found))


def _exposures(root: Path, plan: Plan, leaves: Iterable[Leaf]) -> dict[Any, dict[str, Path]]:
    """Seed -> name of a rho -> its exposure.h5, every checksum compared."""
    found: dict[Any, dict[str, Path]] = {}
    for leaf in leaves:
        if "rho" in leaf.labels:
            file = _verified(root, plan, leaf.digest) / places.EXPOSURE
            found.setdefault(leaf.labels["seed"], {})[_name(leaf)] = file
    return found


def _name(leaf: Leaf) -> str:
    """How tables call a rho."""
    return places.slug(str(leaf.labels["rho"]))


def _read(root: Path, plan: Plan, leaf: Leaf, base: Leaf, exposures: dict[str, Path]) -> "Passages":
    from lib.studies.exposure import reading

    planted = _verified(root, plan, leaf.nodes["planted_text"])
    audit, other = (_verified(root, plan, one.digest) / places.AUDIT for one in (leaf, base))
    files = planted / places.PLANTED, planted / places.NEAR_DUPLICATES
    return reading.read(int(leaf.labels["seed"]), *files, audit, other, exposures)


def _verified(root: Path, plan: Plan, digest: str) -> Path:
    """The artifact of a task, every checksum compared."""
    place = directory(root, plan.tasks[digest])
    store.verify(place)
    return place
