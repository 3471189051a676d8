"""Why jobs wait. The codes are those of `man squeue` (SLURM 22.05) and of clusters' own documentation."""

import pytest

from lib.running import reasons, slurm
from lib.running.slurm import Job

MANUAL = """
AssocGrpCpuLimit AssociationJobLimit AssocMaxJobsLimit AssociationResourceLimit AssociationTimeLimit BadConstraints
BeginTime Cleaning Dependency DependencyNeverSatisfied FrontEndDown InactiveLimit InvalidAccount InvalidQOS
JobHeldAdmin JobHeldUser JobLaunchFailure Licenses NodeDown NonZeroExitCode PartitionDown PartitionInactive
PartitionNodeLimit PartitionTimeLimit Priority Prolog QOSGrpGRES QOSJobLimit QOSMaxGRESPerUser QOSResourceLimit
QOSTimeLimit QOSUsageThreshold ReqNodeNotAvail Reservation Resources SystemFailure TimeLimit WaitingForScheduling
"""


@pytest.mark.parametrize("code", ["", "None", "launch failed requeued held", *MANUAL.split()])
def test_every_code_of_the_manual_is_explained(code: str) -> None:
    assert reasons.explained(code) is not None


@pytest.mark.parametrize(
    "code",
    ["BadConstraints", "InvalidQOS", "PartitionTimeLimit", "QOSMaxWallDurationPerJobLimit", "AssocMaxCpuPerJobLimit"],
)
def test_what_will_never_start_is_called_so_and_counted_so(code: str) -> None:
    assert "will not start" in reasons.explained(code).meaning
    assert reasons.explained(code).remedy
    assert Job("7", "PENDING", code).is_stuck()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("QOSMaxJobsPerUserLimit", "until your other jobs end"),
        ("AssocMaxJobsLimit", "until your other jobs end"),
        ("AssocGrpGRES", "with all its users"),
        ("AssocGrpCPUMinutesLimit", "used up"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-4]", "maintenance"),
        ("Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions", "drained"),
    ],
)
def test_limits_and_nodes_are_told_apart(code: str, words: str) -> None:
    assert words in reasons.explained(code).meaning
    assert not Job("7", "PENDING", code).is_stuck()


def test_the_words_fit_one_job_and_several() -> None:
    (one,) = reasons.lines([Job("1", "PENDING", "BeginTime", "2026-12-02T00:00:00")])
    assert one == (
        "1 task waits (BeginTime): SLURM lets some time pass before it starts a job again; SLURM expects it to start "
        "at 2026-12-02T00:00:00"
    )
    for code in MANUAL.split():
        assert not {"they", "them", "their", "it", "its"} & {*reasons.explained(code).meaning.split()[:3]}, code


def test_jobs_are_grouped_and_the_first_start_is_named() -> None:
    jobs = [
        Job("1", "PENDING", "Priority", "2026-12-02T00:00:00"),
        Job("2", "PENDING", "Something new"),
        Job("3", "PENDING", "Priority", "2026-12-01T09:30:00"),
        Job("4", "REQUEUE_HOLD", ""),
    ]
    first, *others = reasons.lines(jobs)
    assert first == (
        "2 tasks wait (Priority): jobs with a higher priority come first; SLURM expects the first to start at "
        "2026-12-01T09:30:00"
    )
    assert others == [
        "1 task waits (Something new)",
        "1 task waits (requeue hold): held by SLURM; `scontrol release JOB` lets a job start",
    ]


def test_squeue_s_reason_and_start_are_read(monkeypatch) -> None:
    lines = [
        "ARRAY_JOB_ID|ARRAY_TASK_ID|NAME|STATE|START_TIME|REASON",
        "7|3|one|PENDING|2026-12-01T09:30:00|(ReqNodeNotAvail,_UnavailableNodes:n1|n2)",
        "8|N/A|two|PENDING|N/A|Priority",
    ]
    monkeypatch.setattr(slurm, "_ask", lambda command: lines)
    assert slurm.queue() == {
        ("one", 3): Job("7", "PENDING", "ReqNodeNotAvail, UnavailableNodes:n1|n2", "2026-12-01T09:30:00"),
        ("two", 0): Job("8", "PENDING", "Priority"),
    }
