"""Why jobs wait. The codes are those of SLURM's job_reason_codes.html and job_state_reason.c, and of `man squeue`."""

import re

import pytest

from lib.running import reasons, slurm
from lib.running.slurm import Job

AMOUNTS = ["BB", "Billing", "Cpu", "CPU", "Energy", "GRES", "License", "Mem", "Memory", "Node", "Unknown"]
FAMILIES = {  # words of the meaning -> the codes that it fits; {} is an amount
    "with all its users": """
        AssocGrp{} AssocGrp{}Limit AssocGrp{}RunMinutes AssocGrp{}RunMinutesLimit AssocGrpJobsLimit AssocGrpWallLimit
        QOSGrp{} QOSGrp{}Limit QOSGrp{}RunMinutes QOSGrp{}RunMinutesLimit QOSGrpJobsLimit QOSGrpSubmitJobsLimit""",
    "used up": """
        AssocGrp{}Minutes AssocGrp{}MinutesLimit AssociationTimeLimit
        QOSGrp{}Minutes QOSGrp{}MinutesLimit QOSTimeLimit""",
    "in one": """
        AssocMax{}PerJob AssocMax{}PerJobLimit AssocMax{}PerNode AssocMax{}MinutesPerJob AssocMax{}MinutesPerJobLimit
        QOSMax{}PerJob QOSMax{}PerJobLimit QOSMax{}PerNode QOSMax{}MinutesPerJob QOSMax{}MinutesPerJobLimit
        AssocMaxWallDurationPerJobLimit QOSMaxWallDurationPerJobLimit""",
    "until your other jobs end": """
        QOSMax{}PerUser QOSMax{}PerUserLimit QOSMaxJobsPerUserLimit QOSMaxSubmitJobPerUserLimit Max{}RunMinsPerUser
        AssocMaxJobsLimit AssocMaxSubmitJobLimit AssociationJobLimit AssociationResourceLimit QOSJobLimit
        QOSResourceLimit""",
    "other jobs of it end": "Max{}PerAccount Max{}RunMinsPerAccount MaxJobsPerAccount MaxSubmitJobsPerAccount",
    "less than the QOS demands": "QOSMin{} QOSMinCpuNotSatisfied",
    "fair share": "QOSUsageThreshold",
}
MANUAL = """
AccountingPolicy AccountNotAllowed BadConstraints BeginTime BurstBufferOperation BurstBufferResources
BurstBufferStageIn Cleaning Constraints DeadLine Dependency DependencyNeverSatisfied FedJobLock FrontEndDown
InactiveLimit InvalidAccount InvalidQOS JobArrayTaskLimit JobHeldAdmin JobHeldUser JobHoldMaxRequeue JobLaunchFailure
Licenses MaxMemPerLimit MaxPoweredUpNodes MpiPortsBusy NodeDown NonZeroExitCode OutOfMemory PartitionConfig
PartitionDown PartitionInactive PartitionNodeLimit PartitionTimeLimit Priority Prolog QOSNotAllowed RaisedSignal
ReqNodeNotAvail Reservation ReservationDeleted ReservationInvalid Resources SchedDefer SystemFailure TimeLimit
WaitingForScheduling
"""


def codes(text: str) -> list[str]:
    """The codes in a text, one with {} for every amount."""
    return list(dict.fromkeys(word.format(amount) for word in text.split() for amount in AMOUNTS))


ALL = ["", "None", "launch failed requeued held", *codes(" ".join([MANUAL, *FAMILIES.values()]))]


def test_every_code_of_the_manual_is_explained() -> None:
    assert [code for code in ALL if reasons.explained(code) is None] == []
    wrong = [code for words, text in FAMILIES.items() for code in codes(text) if words not in reasons.in_words(code)]
    assert wrong == []


def test_what_will_never_start_is_called_so_has_a_remedy_and_counts_as_stuck() -> None:
    called = {code for code in ALL if re.match("will n(ot|ever) start|held", reasons.explained(code).meaning)}
    assert called == {code for code in ALL if Job("7", "PENDING", code).is_stuck()}
    assert [code for code in called if not reasons.explained(code).remedy] == []
    assert called >= {"BadConstraints", "InvalidQOS", "PartitionTimeLimit", "AccountNotAllowed", "JobHoldMaxRequeue"}


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
    for code in ALL:
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
