"""Which tasks share a job: grouped as promised, whatever they ask for, and each found again in its array."""

from hypothesis import given
from hypothesis import strategies as st

from lib.plans.plan import Task
from lib.plans.resources import Resources
from lib.running import bundles, submit
from lib.running.site import Cluster

RESOURCES = st.builds(
    Resources,
    gpus=st.sampled_from([0, 1, 1, 2]),
    hours=st.sampled_from([0.5, 1.0, 8.0]),
    expected_hours=st.sampled_from([0.0, 1 / 60, 0.05, 0.3, 2.0]),
    mpi=st.sampled_from([False, False, True]),
)
TASKS = st.lists(RESOURCES, max_size=25).map(
    lambda several: [Task(str(n), "scores", 1, "", "node", {}, {}, asked) for n, asked in enumerate(several)]
)


@given(TASKS, st.sampled_from([0.0, 5.0, 20.0, 600.0]), st.sets(st.integers(0, 24).map(str)))
def test_tasks_share_a_job_only_if_they_are_small_gpu_tasks_of_one_kind(tasks, minutes, alone) -> None:
    jobs = bundles.of(tasks, minutes, alone)
    assert sorted(task.digest for job in jobs for task in job) == sorted(task.digest for task in tasks)
    first = [int(job[0].digest) for job in jobs]
    assert first == sorted(first)
    for job in (job for job in jobs if len(job) > 1):
        assert len({bundles.asked(task) for task in job}) == 1
        assert not alone & {task.digest for task in job}
        expected = [task.resources.expected_hours for task in job]
        assert min(expected) > 0
        assert sum(expected) <= minutes / 60
        assert 3 * sum(expected) <= job[0].resources.hours  # the limit of the job is that of one task
        assert job[0].resources.gpus
        assert not job[0].resources.mpi


@given(TASKS, st.integers(1, 6))
def test_two_neighbours_of_one_kind_are_apart_only_if_they_do_not_fit(tasks, size) -> None:
    jobs = bundles.of(tasks, 20.0)
    last: dict[Resources, list[Task]] = {}
    for job in jobs:
        kind = bundles.asked(job[0])
        if (
            kind in last
            and kind.gpus
            and not kind.mpi
            and all(one.resources.expected_hours for one in (*last[kind], *job))
        ):
            together = sum(one.resources.expected_hours for one in (*last[kind], job[0]))
            assert together > min(1 / 3, kind.hours / 3)
        if job[0].resources.expected_hours:
            last[kind] = job
    found = {}
    for array in submit.arrays("run", "id", Cluster("c", max_array_size=size), jobs):
        assert len(array.elements()) <= size
        assert list(array.placed()) == [(one, n) for n, job in enumerate(array.elements()) for one in job]
        found |= {job[0]: job for job in array.elements()}
    assert found == {job[0].digest: [task.digest for task in job] for job in jobs}
