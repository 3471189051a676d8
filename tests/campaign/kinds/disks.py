"""The disk is full, fails, or refuses, at a random operation of a random process."""

import errno

from tests.campaign import scenes, shim
from tests.campaign.registry import FULL, PERMISSION, READ_ERROR, READ_ONLY, kind, kinds
from tests.campaign.scene import Scene

ROLES = ("launcher", "runner", "stage")
OTHER_CAUSES = r"damaged|truncated|no HDF5 file"
WRITES = ("create", "write", "rename", "sync")

# Name -> the operations that may fail, with which error, and what the message must say.
FAILURES = {
    "the disk is full": (WRITES, errno.ENOSPC, FULL),
    "the quota is used up": (WRITES, errno.EDQUOT, r"[Qq]uota"),
    "the disk fails at a write": (WRITES, errno.EIO, READ_ERROR),
    "the disk fails at a read": (("read", "open"), errno.EIO, READ_ERROR),
    "outputs may not be written": (("create", "rename"), errno.EROFS, READ_ONLY),
    "a file may not be read": (("open",), errno.EACCES, PERMISSION),
}


@kinds(
    "local",
    "{}",
    FAILURES,
    "at a random operation, once or from there on: said so in that word, no other cause; then the command goes on",
    needs_shim=True,
)
def _failing(scene: Scene, failure: tuple[tuple[str, ...], int, str]) -> None:
    """One operation fails, or all from there on, until the command ends; then the disk is well again."""
    operations, number, says = failure
    role, operation = scene.rng.choice(ROLES), scene.rng.choice(operations)
    lasting = scene.rng.random() < 0.5
    if operation in ("read", "open"):
        scenes.restore(scene)
        for artifact in sorted(scene.outputs.glob("store/total/*")):
            scene.forget(artifact)
    scene.type(environment=scene.rule(role, operation, str(number), lasting))
    scene.unsaid.append(OTHER_CAUSES)
    scene.logs_are_read = True
    if scene.met() and scene.typed[0].code != 0:
        scene.said.append(says)


@kind("local", "short reads and writes", needs_shim=True)
def short(scene: Scene) -> None:
    """Every read or write moves only half of what was asked for, as the kernel may: nothing is noticed."""
    rule = scene.rule(scene.rng.choice(ROLES), scene.rng.choice(("read", "write")), "short", lasting=True)
    command = scene.type(environment=rule)
    if command.code:
        scene.problem(f"the command ended with {command.code}")
    scene.met()


@kind("local", "one result may not be read", needs_shim=True)
def unreadable(scene: Scene) -> None:
    """A file that is there may not be read: the message says so and names it; it is not called damaged."""
    scenes.restore(scene)
    for artifact in sorted(scene.outputs.glob("store/total/*")):
        scene.forget(artifact)
    file = scene.rng.choice(sorted(scene.outputs.glob("store/count/*/count.h5")))
    rule = f"stage:open:{errno.EACCES}:1:{1 << 40}:{file}"
    scene.note(f"rule {rule}")
    scene.type(environment=shim.failing(scene.base.shim, scene.counts, rule))
    if scene.met():
        scene.said += [PERMISSION, file.name]
        scene.unsaid.append(OTHER_CAUSES)
