"""What a report says of the run that it shows: which run it is, and when, where and by which code it was made."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lib.artifacts import attempts, code_version
from lib.base import progress
from lib.base.version import VERSION
from lib.plans import runs
from lib.plans.finished import directory
from lib.plans.plan import Plan

SHOWN = 3  # machines by name
COMMIT_DIGITS = 12
MADE = ("date", "duration", "machine", "GPU", "commit")  # labels that differ for the same bytes of artifacts
CANARIES, PROMPTS = {"canaries": "n", "corpus_canaries": "n"}, {"prompts": "n_prompts"}  # stage -> its key


Records = Mapping[str, Sequence[Mapping[str, Any]]]  # digest of a task -> the records of its attempts


def records_of(root: Path, plan: Plan) -> Records:
    """The records of the attempts of every task of a plan."""
    return {digest: attempts.read(directory(root, task)) for digest, task in plan.tasks.items()}


def record(plan: Plan, records: Records) -> dict[str, Any]:
    """The content of run.json: the run, what it is about, and what the records of its finished tasks say."""
    return {
        "run": plan.run,
        "sweep": plan.name,
        "profile": plan.profile,
        "settings": runs.assignments(plan.settings),
        "models": _labels(plan, "model"),
        "canaries": _configured(plan, CANARIES),
        "prompts": _configured(plan, PROMPTS),
        "seeds": _labels(plan, "seed"),
        **_made([done for digest in plan.tasks if (done := _done(records[digest]))]),
        "tasks": len(plan.tasks),
        "tessera": VERSION,
        "command": runs.command(plan.name, plan.profile, plan.settings),
    }


def _labels(plan: Plan, name: str) -> list[Any]:
    """The values of a label of the plan's results, each once."""
    return list(dict.fromkeys(leaf.labels[name] for leaf in plan.leaves if name in leaf.labels))


def _configured(plan: Plan, keys: Mapping[str, str]) -> list[int]:
    """The values of a key in the configurations of some stages, each once; without 0, which means all there are."""
    tasks = [task for task in plan.tasks.values() if task.stage in keys]
    return sorted({task.config[keys[task.stage]] for task in tasks} - {0})


def _done(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The record of the last attempt that finished an artifact."""
    return next((found for found in reversed(records) if found["outcome"] == attempts.DONE), None)


def _made(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Time in UTC, seconds of all tasks, hosts, GPUs, commits."""
    starts = [found["started"] for found in records]
    ends = [found["started"] + found["seconds"] for found in records]
    return {
        "finished_tasks": len(records),
        "started": _utc(min(starts)) if starts else None,
        "ended": _utc(max(ends)) if ends else None,
        "task_seconds": round(sum(found["seconds"] for found in records), 1),
        "hosts": _values(records, "host"),
        "gpus": [device for device in _values(records, "device") if device != "cpu"],
        "commits": sorted({found.get("commit") or code_version.UNKNOWN for found in records}),
    }


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), timezone.utc).isoformat()


def _values(records: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    return sorted({str(found[key]) for found in records if found.get(key)})


def shown(run: Mapping[str, Any]) -> dict[str, str]:
    """The header of a report: label -> text. run: the content of a run.json."""
    asked = {
        "run": run["run"],
        "profile": run["profile"],
        "settings": " ".join(run["settings"]) or "those of the profile",
        **{
            label: ", ".join(map(str, run[label])) for label in ("models", "canaries", "prompts", "seeds") if run[label]
        },
    }
    return {**asked, **_shown_making(run), "Tessera": run["tessera"], "command": run["command"]}


def _shown_making(run: Mapping[str, Any]) -> dict[str, str]:
    if not run["started"]:
        return {}
    start, end = (datetime.fromisoformat(run[key]) for key in ("started", "ended"))
    hosts = run["hosts"]
    more = f" and {len(hosts) - SHOWN} more" if len(hosts) > SHOWN else ""
    return {
        "date": f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
        "duration": f"{progress.spelled((end - start).total_seconds())} from the first start to the last end; "
        f"{progress.spelled(run['task_seconds'])} of {run['finished_tasks']} tasks, added up",
        "machine": ", ".join(hosts[:SHOWN]) + more,
        "GPU": ", ".join(run["gpus"]) or "none",
        "commit": "; ".join(map(_short, run["commits"])),
    }


def _short(commit: str) -> str:
    """A commit's first digits, and what is said of it."""
    name, blank, remark = commit.partition(" with ")
    return f"{name[:COMMIT_DIGITS]}{blank}{remark}"


def stamp(run: Mapping[str, Any]) -> list[str]:
    """The header of every table: the lines of `shown` that are the same whenever and wherever it is made."""
    return [f"{label}: {text}" for label, text in shown(run).items() if label not in MADE]
