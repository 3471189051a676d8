"""What the Trainer calls as a training goes on: when it evaluates and checkpoints, and how far it is."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from lib.artifacts import checkpoints
from lib.base.progress import Meter
from lib.training import torch_ranks
from lib.training.sequences import Recipe


class Cadence(TrainerCallback):
    """When to evaluate and to checkpoint; marks each checkpoint complete once all ranks have written theirs."""

    def __init__(
        self, evaluate_at: Sequence[int], recipe: Recipe, folder: Path, origin: dict[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ):  # fmt: skip
        self.evaluate_at, self.recipe = set(evaluate_at), recipe
        self.folder, self.origin, self.clock = folder, origin, clock
        self.saved = clock()  # when, in seconds

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluate at the chosen steps, checkpoint on the cadence, but not after the last step."""
        step = state.global_step
        control.should_evaluate = step in self.evaluate_at
        control.should_save = step < state.max_steps and (self._steps_are_over(step) or self._minutes_are_over())

    def _steps_are_over(self, step: int) -> bool:
        return bool(self.recipe.checkpoint_steps) and step % self.recipe.checkpoint_steps == 0

    def _minutes_are_over(self) -> bool:
        """By the clock of the first rank: all ranks write a checkpoint together."""
        minutes = self.recipe.checkpoint_minutes
        return bool(minutes) and torch_ranks.first_says(self.clock() - self.saved >= 60 * minutes)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the checkpoint that all ranks have written, then remove the older ones."""
        torch_ranks.barrier()
        if torch_ranks.rank() == 0:
            checkpoint = self.folder / f"{checkpoints.PREFIX}{state.global_step}"
            checkpoints.complete(checkpoint, self.origin)
            checkpoints.keep_only(self.folder, checkpoint)
        torch_ranks.barrier()
        self.saved = self.clock()

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:
        """One line an evaluation."""
        if torch_ranks.rank() == 0:
            loss, area = metrics["eval_held_out_loss"], metrics["eval_auc"]
            print(f"step {state.global_step}/{state.max_steps}: held-out loss {loss:.4f}, AUC {area:.3f}", flush=True)


class Progress(TrainerCallback):
    """How far the training is, in the log of the first rank and beside its result."""

    def __init__(self, out: Path, tokens_a_step: float):
        self.out, self.tokens_a_step = out, tokens_a_step

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin with the step of the checkpoint."""
        steps = (state.max_steps, "steps")
        self.meter = Meter(self.out, *steps, begun=state.global_step, each=self.tokens_a_step, rated="tokens")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        """Each step is logged; evaluations and the summary at the end have no `loss`."""
        if "loss" in logs:
            self.meter.advance(1, f"loss {logs['loss']:.3f}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The last line."""
        self.meter.end()
