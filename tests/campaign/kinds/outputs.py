"""Files below outputs are damaged or lost between two commands of the toy sweep."""

import shutil
import socket
import time

from lib.base import places
from tests.campaign import damage, scenes
from tests.campaign.registry import DAMAGED, kind, kinds
from tests.campaign.scene import Missed, Scene

# Name -> pattern below outputs.
OF_ARTIFACTS = {
    "DONE.json": "store/*/*/DONE.json",
    "task.json": "store/*/*/task.json",
    "an attempt's record": "store/*/*/attempts/*.json",
    "an attempt's log": "store/*/*/attempts/*.log",
    "a result": "store/count/*/count.h5",
    "a last result": "store/total/*/total.h5",
    "an artifact's lock": "store/*/*/.lock",
}


def _begin(scene: Scene) -> None:
    """A run that was interrupted: all is done but some last results."""
    scenes.restore(scene)
    for artifact in scene.rng.sample(sorted(scene.outputs.glob("store/total/*")), scene.rng.randint(1, 2)):
        scene.forget(artifact)


@kinds(
    "local",
    "{} damaged",
    OF_ARTIFACTS,
    "cut, flipped, zeroed, emptied or lost: noticed before it is used, made again if it is needed",
)
def _damaged(scene: Scene, pattern: str) -> None:
    _begin(scene)
    files = sorted(scene.outputs.glob(pattern))
    if not files:
        raise Missed(f"no file {pattern}")
    file = scene.rng.choice(files)
    artifact = scene.artifact_of(file)
    scene.excuse(artifact)
    scene.note(damage.some(file, scene.rng))
    if file.suffix == ".h5" and file.exists() and scene.is_read(artifact):
        scene.said.append(DAMAGED)


@kind("local", "a result replaced by another's")
def replaced(scene: Scene) -> None:
    """A valid file of another task stands in its place: noticed, and made again."""
    _begin(scene)
    one, other = scene.rng.sample(sorted(scene.outputs.glob("store/count/*/count.h5")), 2)
    scene.excuse(one.parent)
    scene.note(damage.swap(one, other))
    if scene.is_read(one.parent):
        scene.said.append(DAMAGED)


@kind("local", "a snapshot's file damaged")
def snapshot(scene: Scene) -> None:
    """The frozen code is damaged between two commands: noticed, and frozen again."""
    files = sorted(scene.outputs.glob("snapshots/*/**/*.py"))
    code = [file for file in files if file.name in ("count.py", "total.py", "hdf5.py", "store.py", "runner.py")]
    scene.note(damage.some(scene.rng.choice(code if scene.rng.random() < 0.7 else files), scene.rng))


@kind("local", "a submit file damaged during a run")
def submit_file(scene: Scene) -> None:
    """The record of the submission is damaged while tasks read it: the same command goes on."""
    command = scene.start("submit", "--set=seconds=0.4")
    scene.see("runner")
    scene.pause(0.5)
    files = sorted(scene.outputs.glob(f"sweeps/{scene.run}/submits/*.json"))
    scene.note(damage.some(scene.rng.choice(files), scene.rng))
    command.wait()


@kind("local", "a lock left behind")
def lock(scene: Scene) -> None:
    """submit.lock of a dead process, damaged or empty: the command takes over."""
    file = places.lock(scene.outputs, scene.run)
    file.parent.mkdir(parents=True)
    dead = f'{{"host": "{socket.gethostname()}", "pid": 999999, "birth": "1", "since": {time.time()}}}'
    text = scene.rng.choice([dead, dead[: scene.rng.randrange(len(dead))], "", "[]", "null", '{"host": 1}'])
    file.write_text(text)
    scene.note(f"lock: {text!r}")


@kind("local", "tables damaged or lost")
def tables(scene: Scene) -> None:
    """The tables are made again from the store."""
    scenes.restore(scene)
    scene.type()
    scene.note(damage.some(scene.rng.choice(sorted(scene.tables_folder.iterdir())), scene.rng))


@kind("local", "foreign files in outputs")
def foreign(scene: Scene) -> None:
    """What other programs leave in folders is ignored: .nfs files, .DS_Store, editors' copies, empty folders."""
    _begin(scene)
    folders = [scene.outputs, *scene.outputs.glob("store"), *scene.outputs.glob("store/*"), *scene.artifacts()]
    folders += [folder / places.ATTEMPTS for folder in scene.artifacts()]
    for _ in range(5):
        name = scene.rng.choice(
            [".nfs00000001", ".DS_Store", "DONE.json~", "x.log", "0001.log.swp", "#copy#", "new folder"]
        )
        place = scene.rng.choice(folders) / name
        place.mkdir(exist_ok=True) if name == "new folder" else place.write_bytes(b"\xff\x00")
        scene.note(f"write {place}")


@kind("local", "an artifact's folder taken by something else")
def taken(scene: Scene) -> None:
    """A file, or a link to nowhere, stands where an artifact's folder should be: the message names it."""
    _begin(scene)
    artifact = scene.rng.choice(sorted(scene.outputs.glob("store/count/*")))
    scene.forget(artifact)
    scene.excuse(artifact)
    artifact.write_text("") if scene.rng.random() < 0.5 else artifact.symlink_to("/nowhere/at/all")
    command = scene.type()
    if command.code == 0:
        return
    if artifact.name not in command.printed:
        scene.problem(f"the message does not name {artifact}")
    artifact.unlink(missing_ok=True)


@kind("local", "outputs moved between commands")
def moved(scene: Scene) -> None:
    """A run goes on in outputs that were moved, with their old submit files; a link may lead there."""
    command = scene.start("submit", "--set=seconds=0.4")
    scene.pause(2.0)
    command.signal(9)
    command.wait()
    scenes.end(scene)
    place = scene.folder / "elsewhere with a blank"
    shutil.move(scene.outputs, place)
    if scene.rng.random() < 0.5:
        scene.outputs.symlink_to(place)
    else:
        scene.flags += (f"--outputs={place}",)
        scene.outputs = place
