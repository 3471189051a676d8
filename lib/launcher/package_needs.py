"""The installed distributions that the tasks of a plan read: which of them are not here, or in another version."""

from collections.abc import Collection

from lib.base import distributions
from lib.base.errors import TesseraError
from lib.plans.plan import Plan

# Of a stage's configuration: `name` or `name==version`, one or several.
KEYS = ("package", "packages", "original", "translations")
# What else may have been meant.
OF_MODELS = {"gguf_model": ". A model of the hub is named owner/name, one in a folder by its path (./name)"}


def missing(plan: Plan, done: Collection[str]) -> dict[str, str]:
    """Distribution -> what is wrong and what to do, of those that tasks which are not done read."""
    tasks = [task for digest, task in plan.tasks.items() if digest not in done]
    named = [(task.stage, task.config[key]) for task in tasks for key in KEYS if task.config.get(key)]
    names = {name: stage for stage, given in named for name in ([given] if isinstance(given, str) else given)}
    return {name: said + OF_MODELS.get(stage, "") for name, stage in names.items() if (said := _problem(name))}


def check(plan: Plan, done: Collection[str]) -> None:
    """Raise TesseraError that names every distribution of `missing`."""
    if found := missing(plan, done):
        lines = "\n".join(f"  {said}" for said in found.values())
        raise TesseraError(f"packages whose files tasks read are not here; no task was started or submitted\n{lines}")


def _problem(name: str) -> str:
    try:
        distributions.versions([name])
    except TesseraError as error:
        return str(error)
    return ""
