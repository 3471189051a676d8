"""Why jobs wait, as squeue gives it (JOB REASON CODES in `man squeue`), in words, and what to do about it."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from lib.base.errors import counted, verb
from lib.running.slurm import Job


class Reason(NamedTuple):
    """The meaning of a code, in words that fit one job and several, and what the user can do; nothing where jobs start
    by themselves."""

    meaning: str
    remedy: str = ""


NOT_YET = Reason("not looked at by SLURM yet")
TOO_MUCH = "ask for less (SET=nodes.<node>.resources.<key>=...)"
KNOWN = {  # the first pattern that a whole code fits
    "|None|WaitingForScheduling|SchedDefer": NOT_YET,
    "Priority": Reason("jobs with a higher priority come first"),
    "Resources": Reason("the nodes that are needed are busy"),
    "Constraints": Reason("no node that fits is free now"),
    "Dependency": Reason("other jobs have to end first"),
    "JobArrayTaskLimit": Reason(
        "as many of the array run as may at a time", "a higher array_parallelism in the cluster file allows more"
    ),
    "BeginTime": Reason("SLURM lets some time pass before it starts a job again"),
    "Cleaning|requeued": Reason("SLURM cleans up after an earlier try"),
    "Prolog": Reason("the nodes are made ready"),
    "MaxPoweredUpNodes": Reason("as many nodes are switched on as may be"),
    "MpiPortsBusy": Reason("the nodes have no port left for MPI"),
    "FedJobLock": Reason("the clusters of a federation settle which of them runs a job"),
    "BurstBufferResources": Reason("the burst buffer is full"),
    "BurstBufferStageIn": Reason("files are copied to the burst buffer"),
    "BurstBufferOperation": Reason("will not start: the burst buffer has failed", "ask the site's support"),
    "Licenses": Reason("a licence that is asked for is in use"),
    "Reservation(Deleted|Invalid)": Reason(
        "will not start: the reservation is gone", "check `reservation` under sbatch and gpu_sbatch in the cluster file"
    ),
    "Reservation": Reason("the reservation has not begun", "`scontrol show reservation` says when it does"),
    r"ReqNodeNotAvail.*|Nodes required for job are DOWN.*": Reason(
        "nodes that could be used are down, drained or reserved, often for maintenance",
        "`sinfo -R` and `scontrol show reservation` say why; tasks with a shorter limit (resources: hours) may still "
        "end before a maintenance begins",
    ),
    "JobHeldUser": Reason("held by you", "`scontrol release JOB` lets a job start"),
    "JobHeldAdmin": Reason("held by an administrator", "ask the site's support"),
    "launch failed requeued held": Reason(
        "held by SLURM after a failed launch", "the next command on the sweep releases such jobs"
    ),
    "JobHoldMaxRequeue": Reason(
        "held by SLURM after too many starts", "`scontrol release JOB` lets a job start; `logs` may say what ends it"
    ),
    ".*requeue.*h[eo]ld.*|special exit": Reason("held by SLURM", "`scontrol release JOB` lets a job start"),
    "DependencyNeverSatisfied": Reason(
        "will never start: a job that has to end first has failed", "cancel and run again"
    ),
    "BadConstraints": Reason(
        "will not start: no node has what is asked for", "check constraint, gres and sbatch in the cluster file"
    ),
    "InvalidAccount": Reason("will not start: the account is not valid", "check account and gpu_account"),
    "AccountNotAllowed": Reason(
        "will not start: the partition does not take the account", "check account, gpu_account and the partitions"
    ),
    "QOSNotAllowed": Reason(
        "will not start: the account or the partition does not take the QOS", "check qos in the cluster file"
    ),
    "DeadLine": Reason(
        "will not start: no time is left before its deadline", "check `deadline` under sbatch in the cluster file"
    ),
    "InvalidQOS": Reason("will not start: the QOS is not valid", "check qos in the cluster file"),
    "PartitionTimeLimit": Reason(
        "will not start: more time is asked for than the partition allows", "set max_hours in the cluster file"
    ),
    "PartitionConfig": Reason("will not start: the partition has no node as large as what is asked for", TOO_MUCH),
    "PartitionNodeLimit": Reason("will not start: more nodes are asked for than the partition has", TOO_MUCH),
    "MaxMemPerLimit": Reason("will not start: more memory is asked for than a CPU or a node may have", TOO_MUCH),
    "Partition(Down|Inactive)": Reason("the partition is closed", "wait, or name another one in the cluster file"),
    "(NodeDown|FrontEndDown|JobLaunchFailure|SystemFailure|NonZeroExitCode|RaisedSignal|OutOfMemory|TimeLimit|"
    "InactiveLimit)": Reason("an earlier try failed, or a node is down", "if it stays so, ask the site's support"),
    "(Assoc|QOS).*PerJob.*|(Assoc|QOS)MaxWall.*|(Assoc|QOS).*PerNode.*": Reason(
        "will not start: one job asks for more than you may have in one", f"{TOO_MUCH}, or set another qos"
    ),
    "QOSMin.*": Reason(
        "will not start: one job asks for less than the QOS demands",
        "set another qos, or ask for more (see its limits)",
    ),
    "QOSUsageThreshold": Reason("your fair share is below what the QOS demands", "wait, or set another qos"),
    "(Assoc|QOS)Grp(?!.*RunMinutes).*Minutes.*|(Association|QOS)TimeLimit": Reason(
        "the hours of your account or QOS are used up", "ask for more, or set another account or qos"
    ),
    "(Assoc|QOS)Grp.*": Reason("your account or QOS, with all its users, has all that it may have at a time"),
    "Max.*PerAccount": Reason("your account has all that it may have in the QOS at a time, until other jobs of it end"),
    "AccountingPolicy": Reason(
        "a limit of your account or QOS is reached", "`sacctmgr show assoc` and `... show qos` list them"
    ),
    "(Assoc|QOS).*|Max.*PerUser": Reason("you have all that you may have at a time, until your other jobs end"),
}


def explained(code: str) -> Reason | None:
    """The meaning of a code of squeue (with blanks for `_`); None if it is not known here."""
    return next((reason for pattern, reason in KNOWN.items() if re.fullmatch(pattern, code, re.IGNORECASE)), None)


def in_words(code: str) -> str:
    """`: meaning; remedy` of a code of squeue; empty if it is not known here."""
    reason = explained(code)
    return ": " + "; ".join(filter(None, reason)) if reason else ""


def lines(jobs: Iterable[Job]) -> list[str]:
    """A line for each reason for which jobs of tasks wait, the most frequent first."""
    groups: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[job.reason if job.state == "PENDING" else job.remark()].append(job)
    return [_line(code, groups[code]) for code in sorted(groups, key=lambda code: -len(groups[code]))]


def _line(code: str, jobs: list[Job]) -> str:
    text = f"{counted(len(jobs), 'task')} {verb(len(jobs), 'wait')}"
    text += f" ({code or 'no reason given'}){in_words(code)}"
    starts = [job.start for job in jobs if job.start]
    which = "the first" if len(jobs) > 1 else "it"
    return text + (f"; SLURM expects {which} to start at {min(starts)}" if starts else "")
