"""The question before a submission: what it would cost."""

from collections.abc import Iterable

from rich.console import Console

from lib.base.errors import TesseraError
from lib.launcher import costs, terminal
from lib.launcher.sweep import Sweep
from lib.plans.plan import Task
from lib.running import submissions

SMALL_CORE_HOURS = 10.0  # the laptop's sweeps take 6 all together, the smallest full one that needs no GPU 78


def ask(sweep: Sweep, console: Console) -> None:
    """Say what the tasks would cost that were not accepted before, and ask whether to submit them.

    Without a terminal nobody is asked: what is small is submitted, which is said. A resumed sweep has no such tasks.
    Raises TesseraError after any answer but yes, and without a terminal if it is not small.
    """
    if not (new := _new(sweep)):
        return
    text = cost(sweep, new)
    answer = terminal.ask(f"{text}. Submit? [y/N] ")
    if answer is None and is_small(sweep.plan.tasks[digest] for digest in new):
        console.print(
            f"{text}. Submitting without a question: no terminal is there, and little is asked for",
            highlight=False,
            markup=False,
        )
    elif answer is None:
        raise TesseraError(
            f"{text}. Nothing was submitted, because there is no terminal to ask; to submit without a question: make "
            f"... YES=1, or --yes (not needed without a GPU and for up to {SMALL_CORE_HOURS:g} core hours)"
        )
    elif answer.strip().lower() not in ("y", "yes"):
        raise TesseraError("nothing was submitted; to submit without this question: --yes, or make ... YES=1")


def is_small(tasks: Iterable[Task]) -> bool:
    """Whether tasks may be submitted without a question where there is no terminal: no GPU, few core hours."""
    asked = [task.resources for task in tasks]
    core_hours = sum(one.expected_hours * one.cores for one in asked)
    return core_hours <= SMALL_CORE_HOURS and not any(one.gpus for one in asked)


def _new(sweep: Sweep) -> list[str]:
    """The tasks that are neither done nor part of a submission that stands, inputs before their users.

    What was accepted with a submission may run again after a failure. One that sbatch has refused, or that was
    cancelled, stands for no acceptance.
    """
    every = submissions.all_of(sweep.root, damaged=[])
    known = sweep.done().union(*(submit.tasks for file, submit in every if submissions.stands(file, submit)))
    return [digest for digest in sweep.plan.tasks if digest not in known]


def cost(sweep: Sweep, tasks: list[str]) -> str:
    """Number, first and last stage, hours and disk of tasks, in words. The tasks are in the plan's order."""
    plan, (need, left) = sweep.plan, costs.room(sweep, tasks)
    stages = list(dict.fromkeys(plan.tasks[digest].stage for digest in tasks))
    between = f"from {stages[0]} to {stages[-1]}" if len(stages) > 1 else f"of {stages[0]}"
    hours = costs.hours(plan.tasks[digest] for digest in tasks)
    named = {"GPU hours": hours.gpus, "hours without a GPU": hours.without_gpu}
    amounts = [f"{amount:.1f} {name}" for name, amount in named.items() if amount >= 0.05]
    unknown = " (not all hours are known: `plan` says why)" if costs.unknown(plan, tasks) else ""
    return (
        f"{len(tasks)} new tasks {between}: {' and '.join(amounts) or 'minutes'} expected{unknown}, "
        f"{need.peak:.1f} GB of disk at the peak, {left.gb:.0f} GB {left.where}"
    )
