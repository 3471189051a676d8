"""Whether a submitted task is live, has ended, or cannot be judged yet.

SLURM's queue decides what is live. That a task has ended is believed on evidence alone: the accounting, the record of
its own attempt, or that nobody has heard of it for as long as the cluster file's `silence_seconds`.
"""

import math
from dataclasses import dataclass

from lib.running.slurm import TERMINAL, Job
from lib.running.submissions import is_sent

LIVE, FINISHED, UNKNOWN = "live", "finished", "unknown"


@dataclass(frozen=True)
class Evidence:
    """What is known of one element of an array whose task is not done.

    job: its line in the queue; accounted: its state in the accounting, None without a line or without accounting
    sent: what was recorded of sbatch: a job id, SENDING, REFUSED, or None if sbatch was not called
    age: seconds since it was sent; silence: seconds since its runner's last sign of life, infinite without one
    ended: whether an attempt of this submission has ended
    shared: whether its job runs other tasks as well, one after the other
    waited: seconds for which this command has been asking
    refusal: what sbatch said when it refused a job of the same submission; empty if it refused none
    cancelled: whether the user has cancelled its submission
    asked: whether SLURM was asked
    """

    job: Job | None
    accounted: str | None
    sent: str | None
    age: float
    silence: float
    ended: bool
    shared: bool = False
    waited: float = 0.0
    refusal: str = ""
    cancelled: bool = False
    asked: bool = True

    def was_sent(self) -> bool:
        """Whether SLURM has taken it, or may have."""
        return is_sent(self.sent)

    def waits_for_others(self) -> bool:
        """Whether its job runs, but not this task of it: it has not begun, or has failed already."""
        return self.shared and math.isinf(self.silence)

    def in_turn(self) -> str:
        """The same in words."""
        return "failed, and their job runs others" if self.ended else "wait for others in the same job"


def judge(known: Evidence, silence_seconds: float) -> str:
    """LIVE, FINISHED or UNKNOWN. Unknown is never a reason to submit a task again.

    Without accounting, or where it lags behind or lists a lost job as running, a task that SLURM's queue does not have
    has ended when `silence_seconds` have passed since it was sent and since its last sign of life.
    A job that completed, but whose files are not seen, gets as long: directory listings of a shared file system may be
    old. Where SLURM is not asked, nothing but its own record and the user's `cancel` says that a task has ended.
    """
    if known.job:
        return LIVE
    if not known.was_sent() or known.ended:
        return FINISHED
    if not known.asked:
        return FINISHED if known.cancelled else UNKNOWN
    if known.accounted == "COMPLETED":
        return FINISHED if known.waited >= silence_seconds else UNKNOWN
    heard = min(known.age, known.silence)
    return FINISHED if known.accounted in TERMINAL or heard >= silence_seconds else UNKNOWN
