"""Commands typed at the same time, and code that is edited, while a sweep runs on this machine."""

import shutil

from tests.campaign.kinds.kills import RUN_SECONDS, SLOW
from tests.campaign.registry import kind
from tests.campaign.scene import Scene


@kind("local", "the same command twice at once")
def twice(scene: Scene) -> None:
    """One of two runs, the other is refused and says who holds the sweep."""
    both = [scene.start("submit", SLOW), scene.start("submit", SLOW)]
    for command in both:
        command.wait()


@kind("local", "other commands during a run")
def beside(scene: Scene) -> None:
    """status, plan, logs, collect and collect --partial during a run change nothing, and say what is so."""
    command = scene.start("submit", SLOW)
    scene.see("launcher")
    for _ in range(3):
        scene.pause(0.5)
        words = scene.rng.choice([("status",), ("plan",), ("logs",), ("collect",), ("collect", "--partial")])
        scene.type(*words)
    command.wait()


@kind("local", "code edited during a run")
def edited(scene: Scene) -> None:
    """A file of the checkout is broken, changed or gone while a sweep runs: the run ends well, with the old code."""
    command = scene.start("submit", SLOW)
    scene.see("runner")
    scene.pause(RUN_SECONDS / 2)
    files = sorted([*scene.cwd.glob("lib/**/*.py"), *scene.cwd.glob("jobs/**/*.py"), scene.cwd / "sweeps/toy.yaml"])
    chosen = scene.rng.sample(files, scene.rng.choice([1, 20, len(files)]))
    kept = {file: file.read_bytes() for file in chosen}
    how = scene.rng.choice(["broken", "other", "gone"])
    for file, content in kept.items():
        _edit(file, content, how)
    scene.note(f"{len(kept)} files {how}: {sorted(kept)[0]} ...")
    code = command.wait().code
    if code != 0:
        scene.problem(f"the run ended with {code} after the checkout was edited")
    for file, content in kept.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _edit(file, content: bytes, how: str) -> None:
    if how == "gone":
        file.unlink()
    elif how == "broken":
        file.write_bytes(b"this is ( no code\n" + content)
    else:
        file.write_bytes(content.replace(b"OFFSET = 0", b"OFFSET = 7") + b"\n# edited\n")


@kind("local", "the checkout deleted during a run")
def deleted(scene: Scene) -> None:
    """The code is gone while tasks run: what was started ends, and after a new checkout the same command goes on."""
    command = scene.start("submit", SLOW)
    scene.see("stage")
    scene.pause(0.5)
    aside = scene.folder / "aside"
    for name in ("lib", "jobs", "sweeps", "env"):
        shutil.move(scene.cwd / name, aside / name)
    command.wait()
    for name in ("lib", "jobs", "sweeps", "env"):
        shutil.move(aside / name, scene.cwd / name)
