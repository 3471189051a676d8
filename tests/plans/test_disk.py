"""Which ready tasks the disk has room for."""

from hypothesis import given
from hypothesis import strategies as st

from lib.plans import disk
from lib.plans.costing import Cost
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources

SIZES = st.integers(0, 50)
COSTS = st.lists(st.builds(Cost, results_gb=SIZES, weights_gb=SIZES, scratch_gb=SIZES), max_size=12)


def plan(costs: list[Cost]) -> Plan:
    tasks = {f"{n:03d}": Task(f"{n:03d}", "s", 1, "", "n", {}, {}, Resources()) for n in range(len(costs))}
    return Plan("s", "p", "", "", tasks, [], dict(zip(tasks, costs)))


def chosen(costs: list[Cost], left: float, at_once: int = 99) -> list[int]:
    made = plan(costs)
    return [int(task.digest) for task in disk.fitting(made, made.tasks.values(), left, at_once)]


@given(COSTS, st.floats(-10, 300), st.integers(1, 12))
def test_what_is_chosen_fits_however_it_runs_and_no_other_task_would(costs, left, at_once) -> None:
    found = chosen(costs, left, at_once)

    def peak(numbers: list[int]) -> float:
        scratch = [costs[number].scratch_gb for number in numbers]
        each = max(scratch, default=0) * min(sum(size > 0 for size in scratch), at_once)
        return sum(disk.written(costs[number]) for number in numbers) + each

    largest = sorted((costs[number].scratch_gb for number in found), reverse=True)[:at_once]
    assert sum(disk.written(costs[number]) for number in found) + sum(largest) <= max(left, 0)
    assert all(peak([*found, n]) > left for n in range(len(costs)) if n not in found)
    assert found == sorted(found)


def test_readers_come_before_those_that_write_weights() -> None:
    costs = [Cost(weights_gb=5), Cost(results_gb=1), Cost(weights_gb=5), Cost()]
    assert chosen(costs, 7) == [0, 1, 3]
    assert chosen(costs, 5) == [1, 3]
    assert chosen(costs, -1) == [3]  # what writes nothing of note always runs


def test_scratch_counts_for_as_many_as_run_at_once() -> None:
    costs = [Cost(weights_gb=1, scratch_gb=10)] * 5
    assert len(chosen(costs, 25, at_once=2)) == 5
    assert len(chosen(costs, 25, at_once=9)) == 2


def test_what_is_live_has_a_claim_on_the_disk_with_its_checkpoints() -> None:
    """Three trainings of 1 GB with 10 GB of checkpoints, two at a time: 23 GB, of which none may be there yet."""
    made = plan([Cost(weights_gb=1, scratch_gb=10)] * 3 + [Cost(results_gb=0.5)])
    assert disk.claimed(made, list(made.tasks)[:3], at_once=2) == 23
    assert disk.claimed(made, made.tasks, at_once=9) == 33.5
    assert disk.claimed(made, ["unknown"], at_once=2) == 0
