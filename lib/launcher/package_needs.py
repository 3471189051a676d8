"""The installed distributions that the tasks of a plan read: which of them are not here, or in another version."""

from collections.abc import Collection

from lib.base import distributions
from lib.base.errors import TesseraError
from lib.plans.plan import Plan

# Of a stage's configuration: `name` or `name==version`, one or several.
KEYS = ("package", "packages", "original", "translations")


def missing(plan: Plan, done: Collection[str]) -> dict[str, str]:
    """Distribution -> what is wrong and what to do, of those that tasks which are not done read."""
    configs = [task.config for digest, task in plan.tasks.items() if digest not in done]
    named = [config[key] for config in configs for key in KEYS if config.get(key)]
    names = dict.fromkeys(name for given in named for name in ([given] if isinstance(given, str) else given))
    return {name: said for name in names if (said := _problem(name))}


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
