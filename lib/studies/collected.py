"""The runs that are collected under a folder of outputs, and which of them the report over all sweeps shows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from lib.base import places
from lib.base.errors import TesseraError, UsageError, counted, suggestion
from lib.plans import documents, runs
from lib.reporting.page import ReportTable, report_table

SMOKE = "runs of profile smoke show that everything works, and no more"
UNKNOWN = "unknown"  # profile and settings of a run that was collected before these were recorded
CAPTION = "Every collected run: a sweep, a profile and the settings that differ from it. All rows:"
RECORDED = ("sweep", "profile", "settings")
HEADER = ["sweep", "run", "profile", "settings", "last task ended (UTC)", "in this report"]


@dataclass(frozen=True)
class Collected:
    """A collected run. ended: when its last task did, as text that sorts; empty if it is not known."""

    name: str
    sweep: str
    profile: str
    settings: str
    ended: str

    @property
    def is_known(self) -> bool:
        """Whether it is recorded what the run is."""
        return self.profile != UNKNOWN

    @property
    def is_result(self) -> bool:
        """Whether its numbers mean something."""
        return self.profile != runs.SMOKE

    def cells(self) -> list[str]:
        """What the table of runs says of it."""
        return [self.sweep, self.name, self.profile, self.settings, self.ended.removesuffix("+00:00")]


def find(root: Path) -> list[Collected]:
    """All collected runs, by name. Raises TesseraError naming a run.json that is damaged."""
    return [_read(root, path.parent.name) for path in sorted(root.glob(str(places.report_data(Path()))))]


def _read(root: Path, name: str) -> Collected:
    file = places.run_record(root, name)
    if not file.is_file():
        return Collected(name, runs.sweep_and_profile(name)[0], UNKNOWN, UNKNOWN, "")
    found = record(file)
    return Collected(name, found["sweep"], found["profile"], " ".join(found["settings"]), found["ended"])


def record(file: Path) -> dict[str, Any]:
    """What a run.json says of its run: `run`, `sweep`, `profile`, `settings`, and when it `ended`, "" if it says
    nothing of that (the demo has no tasks). Raises TesseraError naming a file that is damaged."""
    try:
        found = json.loads(file.read_bytes())
        named = {"run": file.parent.name, "ended": found.get("ended") or ""}
        return named | {name: found[name] for name in RECORDED}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TesseraError(f"{file}: not the record of a run ({error}); collect its sweep again") from error


def chosen(found: Sequence[Collected], asked: Sequence[str]) -> list[Collected]:
    """One run of each sweep: that which is asked for, else the default one, else the newest, of `smoke` last.

    Raises UsageError if a run that is asked for is not there, or two of one sweep are.
    """
    for name in asked:
        if name not in [run.name for run in found]:
            raise UsageError(f"--run {name}: no such run is collected{suggestion(name, (run.name for run in found))}")
    wanted = [run for run in found if run.name in asked]
    by_sweep = {run.sweep: run for run in sorted(found, key=_rank)}  # of each sweep the last one stays
    by_sweep |= {run.sweep: run for run in wanted}
    for run in wanted:
        if by_sweep[run.sweep] != run:
            raise UsageError(f"--run: {run.name} and {by_sweep[run.sweep].name} are of one sweep; name one of them")
    return [run for run in found if run in by_sweep.values()]


def _rank(run: Collected) -> tuple[bool, bool, bool, str, str]:
    return run.is_known, run.is_result, run.name == run.sweep, run.ended, run.name


def table(found: Sequence[Collected], shown: Sequence[Collected]) -> ReportTable:
    """Every collected run, and whether it is shown."""
    rows = [[*run.cells(), "yes" if run in shown else ""] for run in found]
    return report_table("runs", CAPTION, (HEADER, rows), pd.DataFrame(rows, columns=HEADER))


def warnings(root: Path, found: Sequence[Collected], shown: Sequence[Collected]) -> list[str]:
    """What a reader of the shown runs should know: others are there, settings are unknown, profiles differ, runs were
    submitted and are not collected."""
    unknown = [run.name for run in shown if not run.is_known]
    profiles = sorted({run.profile for run in shown if run.is_known and run.profile})
    texts = []
    if len(shown) < len(found):
        others = counted(len(found) - len(shown), "run")
        texts.append(f'This report leaves out {others} of the table Runs. To show one: make report FLAGS="--run NAME".')
    if unknown:
        texts.append(f"Profile and settings are unknown of {', '.join(unknown)}: collect them again (make tables-...).")
    if trials := [run.name for run in shown if not run.is_result]:
        texts.append(f"The numbers of {', '.join(trials)} mean nothing: {SMOKE}.")
    if len(profiles) > 1:
        texts.append(f"The runs are of different profiles ({', '.join(profiles)}). Do not compare their values.")
    return [*texts, *_not_collected(root, {run.name for run in found})]


def _not_collected(root: Path, names: set[str]) -> list[str]:
    """A warning for every run that was submitted and is not collected, those of a sweep of sweeps by their profile."""
    missing: set[str] = set()
    for folder in (path.parent.name for path in root.glob(str(places.submits(Path(), "*")))):
        sweep, profile = runs.sweep_and_profile(folder)
        parts = documents.parts(sweep)
        if parts == [sweep]:
            missing |= {folder} - names
        else:
            done = {one for one, of in map(runs.sweep_and_profile, names) if of == profile}
            missing |= {runs.name(part, profile, {}) for part in parts if part not in done}
    return [_missing(name) for name in sorted(missing)]


def _missing(run: str) -> str:
    sweep, profile = runs.sweep_and_profile(run)
    status = f"make status-{sweep.replace('_', '-')} PROFILE={profile}, with the SET= of the run if it had one"
    return f"{run} was submitted but is not collected, and is not in this report ({status})."
