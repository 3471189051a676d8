"""The data of real sweeps is damaged, and what reads it is made again; real stages are killed, or their disk fails."""

import os
import shutil
import signal
from pathlib import Path

from lib.base import places
from lib.kernels import cache
from tests.campaign import damage
from tests.campaign.base import DATA_SWEEPS
from tests.campaign.kinds.disks import FAILURES
from tests.campaign.registry import DAMAGED, kind, kinds
from tests.campaign.scene import Missed, Scene

OTHER_CAUSES = r"damaged|truncated|no HDF5 file|not what was written"
OPERATIONS = 120  # about as many as a cheap stage does of one kind below outputs
UNREAD = ("metrics.h5", "generation_config.json", "hub.json")  # whoever reads a model does not read these
KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

# What of an artifact is damaged.
FILES = {
    "weights": "*.safetensors",
    "an HDF5 file": "*.h5",
    "a tokenizer or a configuration": "*.json",
    "text": "*.zst",
    "any result": "*",
}


def _results(artifact: Path, pattern: str) -> list[Path]:
    """The files of an artifact that are results, of one kind."""
    found = sorted(file for file in artifact.rglob(pattern) if file.is_file())
    tops = [(file, file.relative_to(artifact).parts[0]) for file in found]
    return [file for file, top in tops if top not in places.RECORDS and not top.startswith(".")]


def _choose(scene: Scene, pattern: str) -> Path:
    """A file of a finished artifact of a sweep, whose cheapest reader is then forgotten."""
    for sweep in scene.rng.sample(DATA_SWEEPS, len(DATA_SWEEPS)):
        scene.sweep = sweep
        cheap = [artifact for artifact in scene.parts() if scene.base.seconds(artifact.name) < 2.0]
        if files := [file for artifact in cheap for file in _results(artifact, pattern)]:
            break
    else:
        raise Missed(f"no {pattern} in any sweep")
    file = scene.rng.choice(files)
    artifact = scene.artifact_of(file)
    for reader in sorted(scene.readers(artifact), key=lambda path: scene.base.seconds(path.name))[:1]:
        scene.forget(reader)
    scene.excuse(artifact)
    return file


@kinds(
    "data",
    "{} damaged",
    FILES,
    "cut, flipped, zeroed, emptied or lost, and what reads it made again: named, moved aside, made again",
    twice="an HDF5 file",
)
def _damaged(scene: Scene, pattern: str) -> None:
    file = _choose(scene, pattern)
    scene.note(damage.some(file, scene.rng))
    scene.logs_are_read = True
    if file.exists() and file.name not in UNREAD:
        scene.said.append(DAMAGED)
    scene.type()


@kind("data", "a result replaced by another's")
def replaced(scene: Scene) -> None:
    """Another valid file of the same name stands in its place, with its time of change: named and made again."""
    file = _choose(scene, "*.*")
    others = [other for other in scene.outputs.glob(f"store/*/*/**/{file.name}") if other.parent != file.parent]
    others = [other for other in sorted(others) if other.read_bytes() != file.read_bytes()]
    if not others:
        raise Missed(f"no other {file.name}")
    scene.note(damage.swap(file, scene.rng.choice(others)))
    if file.name not in UNREAD:
        scene.said.append(DAMAGED)
    scene.type()


@kind("data", "two files of a store damaged")
def two(scene: Scene) -> None:
    """Files of two artifacts are damaged at once: both are made again by the same command."""
    first = _choose(scene, "*.*")
    cheap = [artifact for artifact in scene.parts() if scene.base.seconds(artifact.name) < 2.0]
    others = [file for artifact in cheap for file in _results(artifact, "*.*") if artifact not in first.parents]
    if not others:
        raise Missed("no file of another artifact")
    for file in (first, scene.rng.choice(others)):
        scene.excuse(scene.artifact_of(file))
        scene.note(damage.some(file, scene.rng))
    scene.type()


@kind("data", "a record damaged")
def record(scene: Scene) -> None:
    """DONE.json, task.json or an attempt's record is damaged: the artifact is made again if it must be."""
    artifact = scene.rng.choice([path for path in scene.parts() if scene.base.seconds(path.name) < 2.0])
    name = scene.rng.choice((places.DONE, places.DONE, places.TASK, f"{places.ATTEMPTS}/0001.json"))
    scene.excuse(artifact)
    scene.note(damage.some(artifact / name, scene.rng))
    for reader in scene.readers(artifact)[:1]:
        scene.forget(reader)
    scene.type()


@kind("data", "a compiled kernel damaged")
def kernel(scene: Scene) -> None:
    """The cache of compiled kernels is cut, flipped or lost: compiled again, or said so."""
    source, target = cache.home() / cache.sources_digest(), scene.folder / "kernels"
    shutil.copytree(source, target / source.name)
    scene.environment[cache.HOME] = str(target)
    files = [file for file in sorted(target.rglob("*.nb[ic]")) if "rank" in str(file) or "nbi" in file.suffix]
    for file in scene.rng.sample(files, min(8, len(files))):
        scene.note(damage.some(file, scene.rng))
    scene.remake(lambda stage: stage in ("count", "tokenize", "near_duplicates", "generate", "score_generations"))
    scene.type()


def _killed(scene: Scene, sweep: str, chosen) -> None:
    """A process of a real stage, its runner or its fork, is killed at a random moment."""
    scene.sweep = sweep
    artifact = scene.remake(chosen)
    command = scene.start()
    role = scene.rng.choice(("stage", "warm", "runner") if sweep != "slimpajama" else ("stage", "runner"))
    process = scene.see(role)
    scene.pause(1.5 * scene.base.seconds(artifact.name) + (3.0 if role == "warm" else 0.5))
    scene.hit(process, scene.rng.choice(KILLS))
    command.wait()


@kind("data", "a stage of near_dupls or prefix_sizes killed")
def killed(scene: Scene) -> None:
    """Training, scoring or generating is killed at a random moment: it goes on from its checkpoints or blocks."""
    _killed(scene, scene.rng.choice(("near_dupls", "prefix_sizes")), lambda stage: True)


@kind("data", "a rank killed")
def rank(scene: Scene) -> None:
    """One of two MPI ranks, mpirun, or their runner is killed at a random moment: it goes on from its blocks."""
    scene.flags += ("--set=ranks=2",)
    scene.environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    _killed(scene, "slimpajama", lambda stage: stage in ("suffix_array", "targets", "near_duplicates"))


@kind("data", "a checkpoint or a block damaged")
def partial(scene: Scene) -> None:
    """A stage is killed, and what it had stored is damaged before it goes on: not used, and said so."""
    chosen = ("finetune", "pretrain", "near_duplicates", "suffix_array", "generate", "tokenize")
    artifact = scene.remake(lambda stage: stage in chosen)
    command = scene.start()
    file = _scratch(scene, artifact, command)
    for role in ("launcher", "runner", "warm", "stage"):
        for process in scene.processes(role):
            scene.hit(process, signal.SIGKILL)
    command.wait()
    if not file.exists():
        raise Missed(f"{file} was gone before it could be damaged")
    scene.note(damage.some(file, scene.rng))


def _scratch(scene: Scene, artifact: Path, command) -> Path:
    """A file of an unfinished stage, once there is one."""
    while command.code is None:
        found = [path for name in (places.CHECKPOINTS, places.BLOCKS) for path in (artifact / name).rglob("*")]
        found = [path for path in found if path.is_file() and not path.name.startswith(places.PRIVATE)]
        if found:
            return scene.rng.choice(sorted(found))
        scene.pause(0.04)
    raise Missed("the stage stored nothing before its end")


REAL_FAILURES = ("the disk is full", "the disk fails at a write", "the disk fails at a read", "a file may not be read")


@kinds(
    "data",
    "{}",
    {name: FAILURES[name] for name in REAL_FAILURES},
    "at a random operation of a real stage, once or from there on: said so, in that word; then it goes on",
    needs_shim=True,
)
def _failing(scene: Scene, failure: tuple[tuple[str, ...], int, str]) -> None:
    operations, number, says = failure
    scene.remake(lambda stage: True)
    role, operation = scene.rng.choice(("stage", "stage", "launcher")), scene.rng.choice(operations)
    rule = scene.rule(role, operation, str(number), lasting=scene.rng.random() < 0.5, many=OPERATIONS)
    command = scene.type(environment=rule)
    scene.unsaid.append(OTHER_CAUSES)
    scene.logs_are_read = True
    if scene.met() and command.code != 0:
        scene.said.append(says)


@kind("data", "a stage killed at a file operation", needs_shim=True)
def cut_off(scene: Scene) -> None:
    """A real stage is killed before its n-th create, write, sync, rename, open or read: it goes on."""
    scene.remake(lambda stage: True)
    operation = scene.rng.choice(("create", "write", "sync", "rename", "open", "read"))
    rule = scene.rule(scene.rng.choice(("stage", "runner")), operation, "kill", many=OPERATIONS)
    scene.type(environment=rule)
    scene.met()


@kind("data", "short reads and writes", needs_shim=True)
def short(scene: Scene) -> None:
    """Every read or write of real stages moves half of what was asked for: nothing is noticed."""
    scene.remake(lambda stage: True)
    operation = scene.rng.choice(("read", "write"))
    command = scene.type(environment=scene.rule("stage", operation, "short", lasting=True, many=1))
    if command.code:
        scene.problem(f"the command ended with {command.code}")
    scene.met()


@kind("data", "outputs moved or linked")
def moved(scene: Scene) -> None:
    """The finished store is moved, or reached through a link: nothing finished is made again."""
    place = scene.folder / "moved to here"
    os.rename(scene.outputs, place)
    link = scene.folder / "link"
    link.symlink_to(place)
    chosen = scene.rng.choice((place, link))
    scene.flags = (*scene.flags[:-1], f"--outputs={chosen}")
    scene.outputs = place
    scene.remake(lambda stage: True)
    scene.type()


@kind("data", "another time zone, locale or shell")
def surroundings(scene: Scene) -> None:
    """A stage is made again under another locale, time zone, umask or limit: the same tables."""
    from tests.campaign.kinds.surroundings import VARIABLES

    scene.remake(lambda stage: True)
    names = scene.rng.sample(sorted(set(VARIABLES) - {"PYTHONPATH", "OMP_NUM_THREADS", "HOME", "TMPDIR"}), 3)
    chosen = {name: scene.rng.choice(VARIABLES[name]) for name in names}
    command = scene.type(environment=chosen)
    if command.code:
        scene.problem(f"the command ended with {command.code} under {chosen}")
