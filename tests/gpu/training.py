"""Some steps of a fine-tuning as the stage runs it: the real Trainer, DeepSpeed and checkpoint rules, on random ids."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch

from jobs.mosaic import finetune
from lib.models import loading
from lib.plans import documents
from lib.training import torch_ranks
from tests.gpu.running import Options

WARM_UP = 2  # steps that are not counted: memory is taken and kernels are chosen in them
ROWS, CANARY_TOKENS = 8, 100  # canaries a side


def measure(options: Options, family: str, precision: str, batch_size: int, steps: int) -> dict[str, Any]:
    """Tokens/s, FLOP/s, peak memory and losses of `steps` steps of `batch_size` sequences of 2,048 tokens."""
    torch_ranks.join()  # before anything imports DeepSpeed
    from lib.training import finetuning
    from tests.gpu import models, timing

    folder, config = options.folder("training"), models.configured(family, options.tiny)
    saved = models.save(config, torch.bfloat16, options.device, folder / "model")
    model = loading.load_causal_lm(saved, "float32")
    of, context = models.size(model), 64 if options.tiny else 2048
    recipe = _recipe(model, precision, batch_size, context)
    data, settings = _data(config, recipe, steps), finetune._deepspeed(recipe.deepspeed)
    with _watched(finetuning.Cadence, options.device) as ends:
        history = finetuning.train(model, data, recipe, settings, folder / "checkpoints", folder)
    tokens = batch_size * context * (len(ends) - WARM_UP) / (ends[-1] - ends[WARM_UP - 1])
    return {
        "tokens_per_s": tokens,
        "flops": 3 * models.reading_flops(of, tokens, context),
        "losses": history.loss.tolist(),
        "finite": bool(np.isfinite(history.loss).all()),
        "recomputes": bool(recipe.gradient_checkpointing),
        **timing.peak(options.device),
    }


def _recipe(model: Any, precision: str, batch_size: int, context: int) -> finetune.Config:
    """With what the profile `paper` says of memory, decided as the stage decides it; without checkpoints."""
    paper = documents.read("near_dupls", "paper", [])["nodes"]["finetuned"]["config"]
    how = {name: paper[name] for name in ("micro_batch", "deepspeed", "gradient_checkpointing")}
    recipe = finetune.Config(
        seed=1,
        learning_rate=2e-5,
        context=context,
        batch_size=batch_size,
        precision=precision,
        evaluations=1,
        **how,
    )
    if recipe.gradient_checkpointing != "auto":
        return recipe
    return finetune.decided(recipe, finetune._size(model), torch_ranks.free_memory(), torch_ranks.size())


def _data(config: Any, recipe: Any, steps: int) -> Any:
    from lib.training.finetuning import Data

    draw = np.random.default_rng(0)

    def rows(count: int, length: int) -> list[np.ndarray]:
        return list(draw.integers(1, config.vocab_size, (count, length)))

    short = min(CANARY_TOKENS, recipe.context)
    return Data(rows(recipe.batch_size * steps, recipe.context), rows(ROWS, short), rows(ROWS, short), rows(2, short))


@contextmanager
def _watched(cadence: type, device: str) -> Iterator[list[float]]:
    """The times at which steps end, before anything is evaluated."""
    from tests.gpu import timing

    ends: list[float] = []
    original = cadence.on_step_end

    def timed(self: Any, *arguments: Any, **more: Any) -> None:
        timing.wait(device)
        ends.append(time.perf_counter())
        original(self, *arguments, **more)

    with mock.patch.object(cadence, "on_step_end", timed):
        yield ends
