"""A submitted task has ended only on evidence."""

import math

from hypothesis import given
from hypothesis import strategies as st

from lib.running.evidence import FINISHED, LIVE, UNKNOWN, Evidence, judge
from lib.running.slurm import TERMINAL, Job
from lib.running.submissions import REFUSED, SENDING

SILENCE = 180.0
SECONDS = st.floats(0, 1e6) | st.just(math.inf)
EVIDENCE = st.builds(
    Evidence,
    job=st.none() | st.builds(Job, st.just("17"), st.sampled_from(["PENDING", "RUNNING", "COMPLETING"])),
    accounted=st.sampled_from([None, "RUNNING", "PENDING", "COMPLETED", "NODE_FAIL", "REQUEUED", "NONSENSE"]),
    sent=st.sampled_from([None, SENDING, REFUSED, "17"]),
    age=SECONDS,
    silence=SECONDS,
    ended=st.booleans(),
    waited=SECONDS,
)


@given(EVIDENCE)
def test_a_task_ends_only_on_evidence(known: Evidence) -> None:
    verdict = judge(known, SILENCE)
    if known.job:
        assert verdict == LIVE
    elif verdict == FINISHED:
        reasons = (
            known.sent in (None, REFUSED),
            known.ended,
            known.accounted in TERMINAL - {"COMPLETED"},
            known.accounted == "COMPLETED" and known.waited >= SILENCE,
            known.accounted != "COMPLETED" and min(known.age, known.silence) >= SILENCE,
        )
        assert any(reasons)
    else:
        assert verdict == UNKNOWN


@given(EVIDENCE)
def test_whoever_waits_long_enough_learns_it(known: Evidence) -> None:
    later = Evidence(None, known.accounted, known.sent, 1e7, 1e7, known.ended, waited=1e7)
    assert judge(later, SILENCE) == FINISHED


def test_without_accounting_a_sign_of_life_counts() -> None:
    def verdict(age: float, silence: float, ended: bool = False) -> str:
        return judge(Evidence(None, None, "17", age, silence, ended), SILENCE)

    assert verdict(1e6, 20.0) == UNKNOWN
    assert verdict(20.0, math.inf) == UNKNOWN
    assert verdict(1e6, 200.0) == verdict(1e6, math.inf) == FINISHED
    assert verdict(20.0, 20.0, ended=True) == FINISHED
