"""What a submission decides, without processes: sbatch and squeue are functions here."""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from lib.artifacts import attempts, heartbeat
from lib.base import lease, places
from lib.base.errors import TesseraError
from lib.plans import finished
from lib.plans.plan import Plan, Task
from lib.plans.resources import Resources
from lib.running import batch, ending, slurm, snapshot, submissions, submit
from lib.running.site import Cluster, LoginNode
from lib.running.slurm import Job
from lib.running.submissions import Array, Submit

CLUSTER = Cluster("c", max_array_size=100, poll_seconds=0.01, silence_seconds=0.1)
COMMAND = ["submit", "toy"]
SMALL = Resources(gpus=1, hours=1.0, expected_hours=1 / 60)


@dataclass
class Site:
    """A SLURM that takes jobs, as long as `refusals` has no answer for the next one, and never starts them."""

    root: Path
    jobs: dict[slurm.Element, Job] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    refusals: list[Exception | None] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    requeued: list[str] = field(default_factory=list)

    def take(self, file: Path, name: str, count: int, parameters: dict, pauses: object = ()) -> str:
        if self.refusals and (refusal := self.refusals.pop(0)):
            raise refusal
        self.sent.append(name)
        self.jobs |= {(name, index): Job(str(len(self.sent)), "PENDING") for index in range(count)}
        return str(len(self.sent))

    def requeue(self, job: str) -> None:
        """As SLURM does: the process ends."""
        self.requeued.append(job)
        raise KeyboardInterrupt

    def add_controller(self, campaign: str, tasks: dict[str, Task], code: str, state: str = "PENDING") -> str:
        """Somebody's controller of the same command, in the queue."""
        name = places.job("toy", campaign, "controller")
        made = Submit(campaign, time.time(), campaign, str(self.root), code, COMMAND, [], tasks, name)
        submissions.write(self.root, "toy", made)
        self.jobs[name, 0] = Job("99", state)
        return name


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(tmp_path)
    monkeypatch.setattr(batch, "submit", site.take)
    monkeypatch.setattr(slurm, "queue", lambda: site.jobs)
    monkeypatch.setattr(slurm, "queue_length", lambda: len(site.jobs))
    monkeypatch.setattr(slurm, "history", lambda *asked: {})
    monkeypatch.setattr(slurm, "cancel", site.cancelled.extend)
    monkeypatch.setattr(slurm, "requeue", site.requeue)
    monkeypatch.setattr(snapshot, "take", lambda root: tmp_path / "code")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    return site


def plan(count: int = 4, **asked) -> Plan:
    tasks = [
        Task(f"{number:012d}", "count", 1, "", "count", {}, {}, Resources(cpus=1 + number % 2, **asked))
        for number in range(count)
    ]
    return Plan("toy", "laptop", "", "toy", {task.digest: task for task in tasks}, [])


def run(site: Site, plan: Plan, cluster: Cluster = CLUSTER, **request) -> submit.Outcome:
    asked = submit.Request(site.root, COMMAND, **{"campaign": "2", **request})
    return submit.run(asked, plan, cluster, lambda outcome: None)


def live(site: Site, plan: Plan) -> None:
    """An earlier submission whose tasks wait, and whose controller is gone."""
    run(site, plan, campaign="1")
    for element in [element for element in site.jobs if "controller" in element[0]]:
        del site.jobs[element]
    site.sent.clear()


def test_submit_files_of_which_slurm_took_nothing_do_not_stay(site: Site) -> None:
    """The limit on jobs is found by halving; each file holds the whole plan."""
    site.refusals = [batch.LimitReached("limit"), batch.LimitReached("limit")]
    assert run(site, plan(8)).submitted == 2
    (file,) = submissions.files(site.root, "toy")
    assert {path.name.partition(".")[0] for path in file.parent.iterdir()} == {file.stem}


@pytest.mark.parametrize("error", [batch.Refused("invalid"), batch.Unanswered("no answer")])
@pytest.mark.parametrize("position", [0, 1])
def test_what_is_live_gets_a_controller_although_an_array_was_refused(site, error, position) -> None:
    live(site, plan(2))
    site.refusals = [*[None] * position, error]
    with pytest.raises(type(error)):
        run(site, plan(6))
    assert [name.rpartition(".")[2] for name in site.sent] == [*"0"[:position], "controller"]


def test_a_refusal_without_live_jobs_sends_no_controller(site: Site) -> None:
    site.refusals = [batch.Refused("invalid")]
    with pytest.raises(batch.Refused):
        run(site, plan())
    assert not site.sent


@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
def test_the_controller_of_a_later_command_goes_on(site: Site, state: str) -> None:
    """An old controller that SLURM has put back into the queue meets one with other code: it ends, and cancels none."""
    site.add_controller("3", plan().tasks, "other code", state)
    with pytest.raises(TesseraError, match="of a later command goes on"):
        run(site, plan(), controller=places.job("toy", "1", "controller"))
    assert not site.cancelled
    assert not site.sent


def test_a_user_and_a_controller_of_a_later_command_cancel_an_earlier_one(site: Site) -> None:
    site.add_controller("1", plan().tasks, "other code")
    run(site, plan(), controller=places.job("toy", "2", "controller"))
    assert site.cancelled == ["99"]
    assert site.sent[-1].endswith("controller")


@pytest.mark.parametrize("obstacle", ["lock", "silent", "unknown"])
def test_a_controller_whose_time_ends_goes_back_into_the_queue_whatever_it_waits_for(
    site, monkeypatch, obstacle
) -> None:
    monkeypatch.setattr(submit, "_controller_seconds", lambda cluster: 0.05)
    if obstacle == "silent":
        monkeypatch.setattr(slurm, "queue", _no_answer)
    elif obstacle == "unknown":
        live(site, plan())
        site.jobs.clear()
    cluster = Cluster("c", max_array_size=100, poll_seconds=0.01, silence_seconds=1e6)
    if obstacle == "lock":
        with lease.hold(places.lock(site.root, "toy")), pytest.raises(KeyboardInterrupt):
            run(site, plan(), cluster, controller=places.job("toy", "1", "controller"))
    else:
        with pytest.raises(KeyboardInterrupt):
            run(site, plan(), cluster, controller=places.job("toy", "1", "controller"))
    assert site.requeued == ["7"]
    assert not site.sent


def _no_answer() -> dict:
    raise slurm.SchedulerUnavailable("squeue failed")


def test_a_command_that_stays_ends_when_only_the_login_node_can_go_on(site: Site) -> None:
    cluster = Cluster("c", max_array_size=100, max_submit_jobs=1, login_node=LoginNode(2, 8.0), poll_seconds=0.01)
    outcome = run(site, plan(network=True), cluster)
    assert outcome.waits_for_login_node
    assert not site.sent


def test_cancel_ends_what_a_controller_submits_meanwhile(site: Site, monkeypatch) -> None:
    """squeue lists cancelled jobs for the time of their epilog."""
    run(site, plan(2))
    before = {job.id for job in site.jobs.values()}

    def cancel(ids: set[str]) -> None:
        if not site.cancelled:
            submissions.write(site.root, "toy", Submit("later", time.time(), "2", "", "", COMMAND, [], {}))
            site.take(Path(), places.job("toy", "later", 0), 2, {})
        site.cancelled.extend(ids)

    monkeypatch.setattr(slurm, "cancel", cancel)
    assert ending.cancel_jobs(site.root, "toy") == set(site.cancelled)
    assert len(site.cancelled) == len(set(site.cancelled))
    assert before < set(site.cancelled) == {job.id for job in site.jobs.values()}


def test_a_command_of_another_host_that_holds_the_sweep_is_named(site: Site) -> None:
    assert not ending.held_elsewhere(site.root, "toy")
    lock = places.lock(site.root, "toy")
    with lease.hold(lock):
        assert not ending.held_elsewhere(site.root, "toy")
    lock.write_text(json.dumps({"host": "login2", "pid": 17, "birth": "1", "since": 0}))
    assert "process 17 on login2" in ending.held_elsewhere(site.root, "toy")


@pytest.mark.parametrize(("restarts", "again"), [("0", True), ("2", True), ("3", False)])
def test_a_controller_tries_again_after_an_error_of_the_disk(
    site: Site, monkeypatch: pytest.MonkeyPatch, restarts: str, again: bool
) -> None:
    """It goes back into the queue, three times at most; a user is told at once."""
    monkeypatch.setattr(submit.survey, "cluster", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    monkeypatch.setenv("SLURM_JOB_ID", "99")
    monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    plan = Plan("toy", "laptop", "", "t", {}, [])
    name = places.job("toy", "20260101-000000-aaaaaa", "controller")
    with pytest.raises(KeyboardInterrupt if again else OSError):
        submit.run(submit.Request(site.root, COMMAND, "c", name), plan, CLUSTER, lambda _: None)
    assert site.requeued == (["99"] if again else [])
    with pytest.raises(OSError, match="Input/output"):
        submit.run(submit.Request(site.root, COMMAND, "c"), plan, CLUSTER, lambda _: None)


def test_a_submit_file_of_newer_code_is_read(tmp_path: Path) -> None:
    """A key that this code does not know may stand in every record of it."""
    tasks = plan(2).tasks
    arrays = [Array("1-0", list(tasks), Resources(gpus=1), [2])]
    made = Submit("1", 0.0, "c", str(tmp_path), "/snapshots/a", COMMAND, arrays, tasks, None)
    file = submissions.write(tmp_path, "toy", made)
    values = json.loads(file.read_bytes())
    records = [values, values["arrays"][0], *values["tasks"].values()]
    for record in [*records, *(one["resources"] for one in records[1:])]:
        record["newer"] = 1
    file.write_text(json.dumps(values))
    assert submissions.read(file) == made


def test_of_a_job_that_ended_only_what_had_begun_is_sent_alone(site: Site) -> None:
    several = {one: replace(task, resources=SMALL) for one, task in plan(6).tasks.items()}
    small = replace(plan(6), tasks=several)
    run(site, small)
    (_, sent), *_ = submissions.all_of(site.root, "toy")
    assert sent.arrays[0].bundles == [6]
    site.jobs.clear()
    begun = attempts.begin(finished.directory(site.root, several["000000000000"]), None, "2", sent.id)
    attempts.close(finished.directory(site.root, several["000000000000"]), begun["number"], "killed")
    time.sleep(2 * CLUSTER.silence_seconds)  # SLURM has no accounting here
    run(site, small)
    again = [one for _, one in submissions.all_of(site.root, "toy") if one.id != sent.id]
    assert [len(job) for one in again for array in one.arrays for job in array.elements()] == [1, 5]


def test_a_controller_that_slurm_holds_is_released_whatever_command_it_is_of(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same command another one takes its place; one of other settings would be held for ever."""
    released: list[str] = []
    monkeypatch.setattr(slurm, "release", released.extend)
    name = site.add_controller("20260101-000000-aaaaaa", {}, "/code")
    site.jobs[name, 0] = Job("99", "PENDING", "launch failed requeued held")
    submit.run(submit.Request(site.root, [*COMMAND, "--set=x=1"], "c"), plan(), CLUSTER, lambda _: None)
    assert released == ["99"]
    assert "99" not in site.cancelled


def test_a_command_that_waits_says_why_once_and_then_how_long_it_still_asks(site: Site, monkeypatch, capsys) -> None:
    """Whether sbatch was heard before Ctrl-C is not known for some time. The clock is the test's, by its sleeps."""
    live(site, plan())
    site.jobs.clear()
    now, slept = time.time(), [0.0]
    clock = SimpleNamespace(sleep=slept.append, monotonic=lambda: sum(slept), time=time.time)
    monkeypatch.setattr(submit, "time", clock)
    monkeypatch.setattr(heartbeat, "clock", lambda root: now + sum(slept))
    run(site, plan(), replace(CLUSTER, poll_seconds=7.0, silence_seconds=100.0))
    first, *others = capsys.readouterr().err.splitlines()
    assert first.startswith("4 submitted tasks are not done and not in SLURM's queue")
    assert first.endswith("; trying again for up to 1 min 40 s")
    assert others == ["still waiting; 1 min 5 s left", "still waiting; 30 s left"]
    assert site.sent
