"""How much disk the tasks of a plan will take, computed from sizes of models and texts (lib/costs/)."""

from collections.abc import Iterable
from dataclasses import dataclass

from lib.plans.costing import Cost
from lib.plans.plan import Plan, Task


@dataclass(frozen=True)
class Disk:
    """GB (10^9 bytes) that the tasks to do will add.

    results: what stays in any case; kept, dropped: weights that stay, and weights that are there only until everything
    that reads them is done; scratch: checkpoints and blocks of the tasks that run at the same time; largest: dropped
    weights and scratch of one task, the most of all.
    """

    results: float
    kept: float
    dropped: float
    scratch: float
    largest: float

    @property
    def end(self) -> float:
        """What stays."""
        return self.results + self.kept

    @property
    def peak(self) -> float:
        """The most at one time, if all weights are made before the first is dropped."""
        return self.end + self.dropped + self.scratch

    @property
    def least(self) -> float:
        """The least with which the sweep can end: one task with weights after the other."""
        return self.end + self.largest


def needed(plan: Plan, todo: Iterable[str], at_once: int) -> Disk:
    """The disk that the tasks `todo` need; at_once: how many tasks may run at the same time."""
    costs = [(plan.tasks[digest].keeps_weights, plan.costs[digest]) for digest in todo]
    return Disk(
        results=sum(cost.results_gb for _, cost in costs),
        kept=sum(cost.weights_gb for keeps, cost in costs if keeps),
        dropped=sum(cost.weights_gb for keeps, cost in costs if not keeps),
        scratch=_largest((cost.scratch_gb for _, cost in costs), at_once),
        largest=max((cost.scratch_gb + cost.weights_gb * (not keeps) for keeps, cost in costs), default=0.0),
    )


def fitting(plan: Plan, ready: Iterable[Task], left: float, at_once: int) -> list[Task]:
    """The ready tasks for which `left` GB are enough, in the plan's order.

    Those that write no weights come first: when they are done, weights can be dropped. A task that writes nothing of
    note always fits. at_once: how many tasks may run at the same time, each with the largest scratch of all.
    """
    chosen: set[str] = set()
    total, scratch, scratches = 0.0, 0.0, 0  # written; the largest scratch of a task; how many have any
    for task in sorted(ready, key=lambda task: plan.costs.get(task.digest, Cost()).weights_gb):
        cost = plan.costs.get(task.digest, Cost())
        size, most, count = total + written(cost), max(scratch, cost.scratch_gb), scratches + (cost.scratch_gb > 0)
        if size + most * min(count, at_once) <= max(left, 0.0):
            chosen.add(task.digest)
            total, scratch, scratches = size, most, count
    return [task for digest, task in plan.tasks.items() if digest in chosen]


def claimed(plan: Plan, live: Iterable[str], at_once: int) -> float:
    """GB that tasks which are queued or running may still add, `at_once` of them with their scratch."""
    costs = [plan.costs[digest] for digest in live if digest in plan.costs]
    return sum(map(written, costs)) + _largest((cost.scratch_gb for cost in costs), at_once)


def _largest(sizes: Iterable[float], count: int) -> float:
    return sum(sorted(sizes, reverse=True)[:count])


def written(cost: Cost) -> float:
    """GB that a task has added when it is done."""
    return cost.results_gb + cost.weights_gb
