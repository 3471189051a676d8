"""SLURM does not answer, answers wrongly, ends tasks, or limits them; jobs and processes die there."""

import signal

from tests.campaign import damage, processes, scenes, shim
from tests.campaign.registry import kind, kinds
from tests.campaign.scene import Missed
from tests.campaign.scenes import SlurmScene
from tests.support import toys

ROLES = ("launcher", "controller", "job", "stage")
SLOW = "--set=seconds=0.4"
COMMON = ("fail", "silent", "garbage", "killed", "slow", "hang", "latin")
WORDS = {"sbatch": (*COMMON, "refuse", "mute", "no_id"), "squeue": COMMON, "sacct": COMMON, "scontrol": COMMON}
PASSING = ("fail", "slow", "hang", "mute", "no_id")  # answers of sbatch after which it is asked again
CALLS = {"sbatch": 4, "squeue": 4, "sacct": 2, "scontrol": 2}  # in an undisturbed run, about
WISHES = ("node_fail", "requeue", "cancel", "launch_fail", "lose")


@kinds(
    "slurm",
    "{} answers wrongly",
    WORDS.keys(),
    "fails, is silent, garbled, killed, slow, in another encoding, loses its answer: nothing is sent twice",
    twice="sbatch",
)
def _answers(scene: SlurmScene, command: str) -> None:
    word = scene.rng.choice(WORDS[command])
    first = scene.rng.randint(1, CALLS[command])
    scene.fault(command, word, first, first if scene.rng.random() < 0.7 else first + scene.rng.randint(1, 4))
    typed = scene.type("submit", SLOW)
    if scene.rng.random() < 0.4:
        scene.type("status")
    scene.fired = scene.met_fault()
    if typed.code == 0 and (word in PASSING or command != "sbatch"):
        scene.expect_alone()
    scene.settle()
    scene.mend()


@kind("slurm", "tasks are ended by SLURM", weight=2)
def ended(scene: SlurmScene) -> None:
    """Elements are cancelled, requeued or lost with their node, one or several: only these run again.

    SLURM holds an element whose launch has failed until the next command releases it.
    """
    needs_command = False
    scene.type("submit", SLOW)
    for _ in range(scene.rng.randint(1, 3)):
        scene.pause(1.0)
        live = scene.elements()
        if not live:
            raise Missed("no element was live")
        job, element = scene.rng.choice(live)
        wish = scene.rng.choice(WISHES)
        scene.ask(job, element, wish)
        needs_command |= wish == "launch_fail" or scene.controls(job)
    if not needs_command:
        scene.expect_alone()


@kinds(
    "slurm",
    "{} gets a signal",
    ROLES,
    "KILL, TERM, HUP or INT: the same command goes on, nothing is sent twice",
    twice="controller",
)
def _signalled(scene: SlurmScene, role: str) -> None:
    scene.start("submit", SLOW)
    process = scene.see(role)
    scene.pause(1.0 if role == "launcher" else 0.5)
    number = scene.rng.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT))
    scene.hit(process, number)
    scene.typed[0].wait()


@kinds(
    "slurm",
    "{} killed at a file operation",
    ROLES,
    "killed before its n-th create, write, sync, rename, open or read: the same command goes on",
    needs_shim=True,
)
def _cut_off(scene: SlurmScene, role: str) -> None:
    operation = scene.rng.choice(("create", "write", "sync", "rename", "open", "read"))
    command = scene.start("submit", environment=scene.rule(role, operation, "kill"))
    command.cut_off = role == "launcher"
    command.wait()
    scene.settle()
    scene.met()


@kinds(
    "slurm",
    "{}",
    {"the disk is full": 28, "the disk fails at a write": 5},
    "at one operation of launcher, controller, runner or stage: the same command goes on",
    needs_shim=True,
)
def _full(scene: SlurmScene, number: int) -> None:
    role = scene.rng.choice(ROLES)
    operation = scene.rng.choice(("create", "write", "rename", "sync"))
    scene.type("submit", environment=scene.rule(role, operation, str(number), lasting=False))
    scene.settle()
    scene.met()


@kind("slurm", "the cluster loses power")
def power(scene: SlurmScene) -> None:
    """All jobs and the launcher end at once; SLURM reports their nodes as failed: the same command goes on."""
    scene.start("submit", SLOW)
    scene.pause(3.0)
    scene.typed[0].cut_off = True
    processes.end(scene.folder)
    scene.typed[0].wait()
    scene.lose_jobs()


@kind("slurm", "records of a submission damaged", weight=2)
def records(scene: SlurmScene) -> None:
    """A submit file, the job ids, or a script are damaged or lost while tasks wait or run."""
    held = scene.rng.random() < 0.5
    if held:
        scene.hold()
    scene.type("submit", SLOW)
    scene.pause(1.0)
    pattern = scene.rng.choice(("*.json", "*.jobs.json", "*/*.sh", "*.json"))
    files = [file for file in sorted(scene.outputs.glob(f"sweeps/{scene.run}/submits/{pattern}")) if file.is_file()]
    if not files:
        raise Missed(f"no {pattern}")
    scene.note(damage.some(scene.rng.choice(files), scene.rng))
    if scene.rng.random() < 0.5:
        scene.type("status")
    scene.release()


@kind("slurm", "a snapshot's file damaged")
def snapshot(scene: SlurmScene) -> None:
    """Frozen code is damaged or lost while tasks wait: noticed, and frozen again."""
    scene.hold()
    scene.type("submit")
    files = sorted(scene.outputs.glob("snapshots/*/**/*.py"))
    code = [file for file in files if file.name in ("count.py", "total.py", "hdf5.py", "runner.py", "launch.py")]
    scene.note(damage.some(scene.rng.choice(code if scene.rng.random() < 0.7 else files), scene.rng))
    scene.release()


@kind("slurm", "the same command twice at once")
def twice(scene: SlurmScene) -> None:
    """One submits, the other is refused or finds all submitted: no task is sent twice."""
    for _ in range(2):
        scene.start("submit", SLOW)
        scene.pause(0.3)
    for command in scene.typed:
        command.wait()
    scene.expect_alone()


@kind("slurm", "other commands during a run")
def beside(scene: SlurmScene) -> None:
    """status, plan, logs, collect and the same command again, while tasks run, change nothing."""
    scene.type("submit", SLOW)
    for _ in range(4):
        scene.pause(0.5)
        words = scene.rng.choice([("status",), ("plan",), ("logs",), ("collect",), ("submit", SLOW)])
        scene.type(*words)
    scene.expect_alone()


@kind("slurm", "cancel")
def cancel(scene: SlurmScene) -> None:
    """`cancel` ends what waits and runs; the same command goes on."""
    scene.type("submit", "--set=seconds=20")
    scene.pause(2.0)
    scene.type("cancel")
    if not scene.settle_within(10):
        scene.problem("jobs live on after cancel")


@kind("slurm", "code edited while tasks wait")
def edited(scene: SlurmScene) -> None:
    """The checkout is edited after the submission, and the same command typed again with the old or the new code."""
    scene.hold()
    scene.type("submit")
    file = scene.cwd / scene.rng.choice(("jobs/toy/count.py", "jobs/toy/total.py", "lib/base/hdf5.py", "launch.py"))
    content = file.read_bytes()
    broken = scene.rng.random() < 0.5
    file.write_bytes(content + (b"\nraise SystemExit('edited')\n" if broken else b"\n# edited\n"))
    if not broken and scene.rng.random() < 0.5:
        scene.type("submit")
    scene.release()
    scene.expect_alone()
    if broken:
        file.write_bytes(content)


@kind("slurm", "limits of the site", needs_fake=True)
def limits(scene: SlurmScene) -> None:
    """MaxSubmitJobs of 1 to 4, known or not, arrays of 0 to 2, no accounting, an epilog: one command is enough."""
    jobs, size = scene.rng.choice((1, 2, 3, 4, None)), scene.rng.choice((0, 1, 2, 1001))
    _limited(scene, max_submit_jobs=jobs, max_array_size=size)
    if jobs and scene.rng.random() < 0.5:
        file = scene.cwd / "env" / "clusters" / "toy.yaml"
        file.write_text(file.read_text() + f"max_submit_jobs: {jobs}\n")
    scene.type("submit")
    scene.expect_alone()


def _limited(scene: SlurmScene, **others) -> None:
    """A site that may have no accounting, and jobs that complete for a while."""
    rng = scene.rng
    scene.allow(accounting=rng.random() < 0.5, epilog_seconds=rng.choice((0, 0, 2)), **others)


@kind("slurm", "tasks are lost on a site of few means", needs_fake=True)
def poor(scene: SlurmScene) -> None:
    """No accounting or a long epilog, and an element that is killed, cancelled or lost: it runs again."""
    _limited(scene)
    scene.type("submit", SLOW)
    scene.pause(1.5)
    if live := scene.elements():
        scene.ask(*scene.rng.choice(live), scene.rng.choice(WISHES))


@kind("slurm", "jobs are held", needs_fake=True)
def held(scene: SlurmScene) -> None:
    """Held by their user, or by SLURM because their launch failed: status says why; released, the sweep ends."""
    scene.hold()
    scene.type("submit", SLOW)
    wishes = {"hold": "JobHeldUser", "launch_fail": "launch failed requeued held"}
    wish = scene.rng.choice(sorted(wishes))
    job, element = scene.rng.choice(scene.elements())
    scene.ask(job, element, wish)
    scene.pause(0.5)
    scene.said.append(wishes[wish])
    scene.type("status")
    scene.release()
    if wish == "hold":
        scene.ask(job, element, "release")
    else:
        scene.type("submit", SLOW)  # releases it


@kind("slurm", "the clock is off", needs_shim=True)
def clock(scene: SlurmScene) -> None:
    """The clock of the login node, or of the nodes, is minutes to days off in one submission."""
    role = scene.rng.choice(("launcher", "controller", "job", "stage"))
    seconds = scene.rng.choice((-1, 1)) * scene.rng.choice((61, 700, 3700, 90000, 3 * 86400))
    scene.type("submit", SLOW, environment=shim.shifted(scene.base.shim, role, seconds))
    if scene.rng.random() < 0.5:
        scene.pause(1.0)
        processes.end(scene.folder)
        scene.lose_jobs()


@kind("slurm", "another time zone or locale")
def zone(scene: SlurmScene) -> None:
    """Commands are typed under other time zones and locales, with a lost job between them."""
    for _ in range(2):
        zone, locale = (
            scene.rng.choice(("UTC-14", "UTC+11", "Asia/Kolkata")),
            scene.rng.choice(("C", "POSIX", "C.UTF-8")),
        )
        scene.type("submit", SLOW, environment={"TZ": zone, "LC_ALL": locale})
        scene.pause(1.0)
        if live := scene.elements():
            scene.ask(*scene.rng.choice(live), "node_fail")


@kind("slurm", "variables of the submitting shell", needs_fake=True)
def variables(scene: SlurmScene) -> None:
    """Options of SLURM's commands and ids of an enclosing job stand in the shell's environment: they change nothing."""
    names = (
        "SBATCH_PARTITION",
        "SBATCH_ARRAY_INX",
        "SLURM_JOB_ID",
        "SLURM_ARRAY_TASK_ID",
        "SQUEUE_FORMAT",
        "PYTHONPATH",
    )
    scene.type("submit", environment=dict.fromkeys(scene.rng.sample(names, 3), "7"))
    scene.expect_alone()


@kind("slurm", "a file system without locks", needs_fake=True)
def no_locks(scene: SlurmScene) -> None:
    """flock is not there (ENOLCK), and an element is ended by SLURM: leases stand in."""
    file = scene.cwd / "lib" / "artifacts" / "lock.py"
    toys.edit(file, "fcntl.flock(file, operation)", "raise OSError(errno.ENOLCK, 'No locks available')")
    scene.type("submit", SLOW)
    scene.pause(1.5)
    if live := scene.elements():
        scene.ask(*scene.rng.choice(live), scene.rng.choice(("requeue", "node_fail", "cancel")))


@kind("slurm", "two sweeps share tasks")
def shared(scene: SlurmScene) -> None:
    """Another sweep of the same outputs needs the same tasks, which wait or run: none is sent twice, both end."""
    text = (scene.cwd / "sweeps" / "toy.yaml").read_text()
    (scene.cwd / "sweeps" / "other.yaml").write_text(text.replace("name: toy", "name: other"))
    if scene.rng.random() < 0.5:
        scene.hold()
    sweeps = ["toy", "other"]
    scene.rng.shuffle(sweeps)
    for sweep in sweeps:
        scene.sweep = sweep
        scene.type("submit", SLOW)
        scene.pause(0.5)
    scene.release()
    for sweep in sweeps:
        scene.sweep = sweep
        scene.expect_alone()
    scene.sweep = "toy"


@kind("slurm", "outputs of finished tasks damaged")
def results(scene: SlurmScene) -> None:
    """A finished task's file is damaged before what reads it is submitted: named, moved aside and made again."""
    scenes.restore(scene)
    for artifact in sorted(scene.outputs.glob("store/total/*")):
        scene.forget(artifact)
    file = scene.rng.choice(sorted(scene.outputs.glob("store/count/*/*.*")))
    scene.excuse(file.parent)
    scene.note(damage.some(file, scene.rng))
    scene.type("submit")
