"""One trial: a function of (seed, number) from a fault to what does not hold afterwards."""

import json
import random
import shutil
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.campaign import processes, promises, scenes
from tests.campaign.base import Base
from tests.campaign.commands import Hung
from tests.campaign.registry import KINDS, Kind
from tests.campaign.scene import Missed, Scene

SCENES = {"local": scenes.local, "slurm": scenes.slurm, "data": scenes.data}


@dataclass
class Result:
    """One line of the results. fired: whether the fault met anything. skipped: why it was not tried."""

    seed: int
    number: int
    kind: str
    seconds: float = 0.0
    commands: int = 0
    fired: bool = True
    problems: list[str] = field(default_factory=list)
    skipped: str = ""


def kind_of(seed: int, number: int) -> Kind:
    """The kind of a trial: shuffled decks of all kinds, each as often as its weight."""
    possible = {name: kind for name, kind in KINDS.items() if not kind.needs_real or _on_a_real_cluster()}
    deck = sorted(name for name, kind in possible.items() for _ in range(kind.weight))
    block, place = divmod(number, len(deck))
    random.Random(f"{seed}:deck:{block}").shuffle(deck)
    return KINDS[deck[place]]


def _on_a_real_cluster() -> bool:
    return SCENES["slurm"] is not scenes.slurm


def run(seed: int, number: int, kind: Kind, base: Base, folder: Path) -> Result:
    """Run one trial in `folder`. What has held is removed; what has not stays there."""
    result = Result(seed, number, kind.name)
    if kind.needs_shim and base.shim is None:
        result.skipped = "no C compiler"
    elif kind.needs_fake and _on_a_real_cluster():
        result.skipped = "the real cluster has no such policy"
    if result.skipped:
        return result
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    scene = SCENES[kind.layer](folder, base, random.Random(f"{seed}:{number}"))
    try:
        result.problems = _act(scene, kind)
    finally:
        processes.end(folder)
    result.seconds, result.commands = round(time.monotonic() - began, 2), len(scene.typed)
    result.fired = scene.fired
    _keep(scene, result)
    return result


def _act(scene: Scene, kind: Kind) -> list[str]:
    try:
        try:
            kind.act(scene)
        except Missed as missed:
            scene.fired = False
            scene.note(str(missed))
        return promises.broken(scene, scene.finish())
    except Hung as hung:
        return [*scene.problems, str(hung)]
    except Exception:
        return [*scene.problems, f"the campaign itself failed:\n{traceback.format_exc()}"]


def _keep(scene: Scene, result: Result) -> None:
    """Of a trial that has not ended as promised keep everything, with its log; else remove it."""
    if not result.problems:
        shutil.rmtree(scene.folder)
        return
    printed = [f"\n== {' '.join(one.line)}\n-- ended with {one.code}\n{one.printed}" for one in scene.typed]
    head = json.dumps(asdict(result), indent=1)
    again = f"repeat: make campaign TRIAL={result.seed}:{result.number}"
    (scene.folder / "trial.log").write_text("\n".join([head, again, "", *scene.notes, *printed]))
