"""The question before a submission: what it would cost."""

from rich.console import Console

from lib.base.errors import TesseraError
from lib.launcher import costs, terminal
from lib.launcher.sweep import Sweep
from lib.running import submissions


def ask(sweep: Sweep, console: Console) -> None:
    """Say what the tasks would cost that were not accepted before, and ask whether to submit them.

    Without a terminal nobody is asked, which is said. A resumed sweep has no such tasks. Raises TesseraError after any
    answer but yes.
    """
    if not (new := _new(sweep)):
        return
    text = cost(sweep, new)
    answer = terminal.ask(f"{text}. Submit? [y/N] ")
    if answer is None:
        console.print(
            f"{text}. Submitting without a question, because there is no terminal", highlight=False, markup=False
        )
    elif answer.strip().lower() not in ("y", "yes"):
        raise TesseraError("nothing was submitted; to submit without this question: --yes, or make ... YES=1")


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
