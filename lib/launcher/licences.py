"""The models of a plan whose licence has to be accepted on the hub before they can be fetched."""

import os
from collections.abc import Collection

from lib.plans import catalogue
from lib.plans.plan import Plan

REMEDY = "log in on the page of each, accept, and export HF_TOKEN=<a token of that account>"


def gated(plan: Plan, done: Collection[str]) -> list[str]:
    """The repositories of gated models that tasks which are not done name, in the plan's order."""
    todo = (task.config.get("repo") for digest, task in plan.tasks.items() if digest not in done)
    named = [repo for repo in dict.fromkeys(todo) if repo]
    known = catalogue.gated_models() if named else set()
    return [repo for repo in named if repo in known]


def lines(plan: Plan, done: Collection[str]) -> list[str]:
    """A line that names them, and what to do; nothing if there are none."""
    if not (found := gated(plan, done)):
        return []
    pages = ", ".join(f"https://huggingface.co/{repo}" for repo in found)
    state = "is" if os.environ.get("HF_TOKEN") else "is not"
    return [f"gated models, whose licence you accept once: {pages}: {REMEDY} (it {state} set here)"]
