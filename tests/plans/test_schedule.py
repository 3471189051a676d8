"""The schedule of a run on one machine, held against what is proved of list schedules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.plans.schedule import Room, longest_chain, makespan, startable

SECONDS = st.floats(0.1, 100, allow_nan=False)


def task(number: int, needs: list[int] = (), **asked: float) -> Task:
    inputs = {f"from {other}": str(other) for other in needs}
    return Task(str(number), "stage", 1, "", "node", {}, inputs, Resources(**asked))


def plan(*tasks: Task) -> Plan:
    return Plan("p", "profile", "title", "none", {one.digest: one for one in tasks}, [])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Plan, dict[str, float]]:
    """Tasks of one core, each after some of those before it, and their durations."""
    count = draw(st.integers(1, 12))
    needs = [draw(st.lists(st.integers(0, n - 1), unique=True, max_size=3)) if n else [] for n in range(count)]
    seconds = {str(n): draw(SECONDS) for n in range(count)}
    return plan(*(task(n, few, expected_hours=seconds[str(n)]) for n, few in enumerate(needs))), seconds


@given(graphs(), st.integers(1, 5))
def test_a_run_takes_what_graham_proved(graph: tuple[Plan, dict[str, float]], cores: int) -> None:
    """No list schedule is shorter than the longest chain or than the work over the cores, nor longer than
    work / m + (1 - 1 / m) chain (Graham 1966); one core does everything, many cores take the chain alone."""
    tasks, seconds = graph
    found, chain, work = (
        makespan(tasks, seconds, Room(cores, 1e9)),
        longest_chain(tasks, seconds),
        sum(seconds.values()),
    )
    assert found >= max(chain, work / cores) * (1 - 1e-9)
    assert found <= (work / cores + (1 - 1 / cores) * chain) * (1 + 1e-9)
    assert makespan(tasks, seconds, Room(1, 1e9)) == pytest.approx(work)
    assert makespan(tasks, seconds, Room(99, 1e9)) == pytest.approx(chain)


@given(graphs(), st.data())
def test_tasks_that_are_done_take_no_time_and_hold_nobody_up(graph, data: st.DataObject) -> None:
    tasks, seconds = graph
    left = {digest: seconds[digest] for digest in seconds if data.draw(st.booleans())}
    bare = [task(int(digest), [int(n) for n in tasks.tasks[digest].needs() if n in left]) for digest in left]
    assert makespan(tasks, left, Room(99, 1e9)) == pytest.approx(longest_chain(plan(*bare), left))


def test_memory_and_cores_keep_tasks_apart() -> None:
    large = plan(*(task(n, memory_gb=6) for n in range(3)))
    seconds = dict.fromkeys("012", 10.0)
    assert [makespan(large, seconds, Room(8, gb)) for gb in (20, 12, 11, 1)] == [10, 20, 30, 30]
    ranked = plan(*(task(n, cpus=2, ranks=2, mpi=True, memory_gb=1) for n in range(3)))
    assert [makespan(ranked, seconds, Room(cores, 99)) for cores in (12, 8, 7, 1)] == [10, 20, 30, 30]


def test_the_longest_starts_first_and_before_it_what_frees_the_disk() -> None:
    trained = Task("t", "stage", 1, "", "node", {"keep_weights": False}, {}, Resources())
    tasks = plan(trained, task(1, expected_hours=1), task(2, expected_hours=3), task(3, ["t"], expected_hours=2))
    ready = [tasks.tasks[digest] for digest in "123"]
    assert [one.digest for one in startable(tasks, ready, [], Room(2, 99))] == ["3", "2"]
    assert [one.digest for one in startable(tasks, ready, [Resources()], Room(2, 99))] == ["3"]
