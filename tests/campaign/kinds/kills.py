"""Processes of a sweep on this machine end at a random moment."""

import signal

from tests.campaign.commands import LIMIT_SECONDS
from tests.campaign.registry import kind, kinds
from tests.campaign.scene import Scene

ROLES = ("launcher", "runner", "stage")
RUN_SECONDS = 2.0  # about as long as the toy sweep takes
SLOW = "--set=seconds=0.4"
LONG = "--set=seconds=40"  # longer than a command may take to end
SOON = 20.0  # seconds in which a command ends that was asked to; the machine may be busy
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGSTOP)
NOTHING_LIVES_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


@kinds(
    "local",
    "{} gets a signal",
    ROLES,
    "KILL, TERM, HUP, INT or STOP and KILL: the same command goes on; after TERM, HUP, INT nothing lives on",
    twice="launcher",
)
def _killed(scene: Scene, role: str) -> None:
    """A signal to one process, and then the end of the command."""
    number = scene.rng.choice(SIGNALS)
    ends = role == "launcher" and number in NOTHING_LIVES_ON
    command = scene.start("submit", LONG if ends else SLOW)
    process = scene.see(role)
    scene.pause(RUN_SECONDS if role == "launcher" else 0.4)
    scene.hit(process, number)
    if number == signal.SIGSTOP:
        scene.pause(1.0)
        process.signal(signal.SIGKILL)
    command.wait(SOON if ends else LIMIT_SECONDS)
    if ends:
        scene.expect_end()


@kind("local", "all processes killed at once")
def power(scene: Scene) -> None:
    """Power is cut: the same command goes on."""
    command = scene.start("submit", SLOW)
    scene.pause(RUN_SECONDS)
    for process in scene.processes("launcher") + scene.processes("runner"):
        scene.hit(process, signal.SIGKILL)
    for process in scene.processes("stage"):
        scene.hit(process, signal.SIGKILL)
    command.wait()


@kinds(
    "local",
    "{} killed at a file operation",
    ROLES,
    "killed before its n-th create, write, sync, rename, open or read below outputs: the same command goes on",
    needs_shim=True,
)
def _cut_off(scene: Scene, role: str) -> None:
    operation = scene.rng.choice(("create", "write", "sync", "rename", "open", "read"))
    command = scene.start(environment=scene.rule(role, operation, "kill"))
    command.cut_off = role == "launcher"
    command.wait()
    scene.met()


@kind("local", "terminal closed")
def terminal(scene: Scene) -> None:
    """HUP to the group, as from a terminal that is closed: nothing lives on, the same command goes on."""
    command = scene.start("submit", LONG)
    scene.see("launcher")
    scene.pause(RUN_SECONDS)
    command.signal_group(signal.SIGHUP)
    command.wait(SOON)
    scene.expect_end()


@kind("local", "interrupt from a terminal")
def interrupted(scene: Scene) -> None:
    """INT to the group, once or twice, as by ctrl-c: nothing lives on, exit code 1, the same command goes on."""
    command = scene.start("submit", LONG)
    scene.see("launcher")
    scene.pause(RUN_SECONDS)
    for _ in range(scene.rng.randint(1, 2)):
        command.signal_group(signal.SIGINT)
        scene.pause(0.2)
    command.wait(SOON)
    scene.expect_end()


@kind("local", "cancel")
def cancel(scene: Scene) -> None:
    """`cancel` from another shell, interrupts ignored or not: the run ends with what it started."""
    if scene.rng.random() < 0.5:
        scene.wrapper = ("bash", "-c", 'trap "" INT; exec "$@"', "bash")
    command = scene.start("submit", "--set=seconds=20")
    scene.wrapper = ()
    scene.see("stage")
    scene.pause(1.0)
    command.cut_off = True
    scene.type("cancel")
    command.wait(SOON)
    scene.expect_end()
