"""Faults of SLURM's own daemons, on a real cluster alone: what was submitted is not lost, and nothing is sent twice."""

from tests.campaign.real_slurm import RealScene
from tests.campaign.registry import kinds

SLOW = "--set=seconds=3"
DOWN_SECONDS = 12.0  # longer than a SLURM command waits before it fails


@kinds(
    "slurm", "{} killed", ("slurmctld", "slurmd", "slurmdbd", "munged"),
    "killed while tasks wait or run, and started again later: the same command goes on, nothing is sent twice",
    needs_real=True,
)  # fmt: skip
def killed(scene: RealScene, daemon: str) -> None:
    before = scene.rng.random() < 0.3
    if not before:
        scene.type("submit", SLOW)
        scene.pause(4.0)
    with scene.without(daemon):
        if before or scene.rng.random() < 0.5:
            scene.type(scene.rng.choice(("submit", "status")), SLOW)
        scene.pause(DOWN_SECONDS)
