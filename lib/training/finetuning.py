"""Fine-tunes with the transformers Trainer and DeepSpeed, in one process or several, and resumes exactly.

DeepSpeed allows one training per process. Call `lib.training.torch_ranks.join` before importing this module.
"""

import hashlib
import importlib.util
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import accelerate.state
import deepspeed.ops
import numpy as np
import torch
from deepspeed.utils import safe_get_full_fp32_param
from transformers import EvalPrediction, PreTrainedModel, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from lib.artifacts import attempts, checkpoints
from lib.base import config, distributions
from lib.base.errors import TesseraError
from lib.base.seeds import generator
from lib.models import limits
from lib.statistics.roc import auc
from lib.training import block_loss, sequences, torch_ranks
from lib.training.callbacks import Cadence, Progress
from lib.training.sequences import Recipe


@dataclass(frozen=True)
class Data:
    """Token ids, BOS included: what is trained on, and what the model is evaluated on while it trains.

    unlabelled: an id that is never predicted, or None.
    """

    sequences: list[np.ndarray]
    members: list[np.ndarray]
    non_members: list[np.ndarray]
    held_out: list[np.ndarray]
    unlabelled: int | None = None

    def evaluated(self) -> list[np.ndarray]:
        """Members, non-members, held-out sequences, in this order."""
        return [*self.members, *self.non_members, *self.held_out]


@dataclass(frozen=True)
class History:
    """What was measured: float64 per step, and per evaluation (`evaluation_step` counts from 0, before training)."""

    loss: np.ndarray
    learning_rate: np.ndarray
    evaluation_step: np.ndarray
    held_out_loss: np.ndarray
    auc: np.ndarray


class SequenceDataset(torch.utils.data.Dataset):
    """Sequences in the order of `data_order`; an EMPTY row is a sequence of no tokens."""

    def __init__(self, rows: Sequence[np.ndarray], order: np.ndarray):
        self.rows, self.order = rows, order.ravel()

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> np.ndarray:
        row = self.order[index]
        return np.zeros(0, dtype=np.int64) if row == sequences.EMPTY else self.rows[row]


class FineTuner(Trainer):
    """The Trainer with our schedule; a loss or gradient that is not finite stops it; checkpoints hold one copy."""

    lr_scheduler: Any  # the Trainer sets it to None

    def __init__(self, *args: Any, recipe: Recipe, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.recipe = recipe

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> torch.optim.lr_scheduler.LambdaLR:
        """The warm-up and schedule of the recipe; the Trainer's own begins with a step at rate 0."""
        if self.lr_scheduler is None:
            warmup = math.ceil(self.recipe.warmup_ratio * num_training_steps)

            def scale(step: int) -> float:
                return sequences.learning_rate_scale(step, num_training_steps, warmup, self.recipe.schedule)

            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, scale)
        return self.lr_scheduler

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """One forward and backward pass. Raises TesseraError naming the step when a loss or gradient is not finite."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        if self.deepspeed.skipped_steps:  # DeepSpeed has looked at the gradients
            found = "a gradient is not finite" if torch.isfinite(loss) else f"the loss is {loss.item()}"
            raise TesseraError(f"step {self.state.global_step + 1}: {found}; {REMEDY}")
        return loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log a step. Raises TesseraError naming it when its loss is not finite; a GPU has been waited for here."""
        if not math.isfinite(logs.get("loss", 0.0)):
            raise TesseraError(f"step {self.state.global_step}: the loss is {logs['loss']}; {REMEDY}")
        super().log(logs, *args, **kwargs)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write nothing: the checkpoint of DeepSpeed already holds the weights."""
        if not _internal_call:
            raise NotImplementedError("finetuning.save writes the final model")
        Path(output_dir or self.args.output_dir).mkdir(parents=True, exist_ok=True)


REMEDY = "lower learning_rate, or look for damaged weights in the model"


def train(
    model: PreTrainedModel, data: Data, recipe: Recipe, deepspeed_config: dict[str, Any], folder: Path, reports: Path
) -> History:
    """Train `model` in place, from the newest complete checkpoint in `folder` when there is one.

    deepspeed_config: with "auto" where the recipe fills it; reports: where TensorBoard or W&B write. Raises
    TesseraError for ids or lengths that the model does not take, a loss, gradient or metric that is not finite.
    """
    _check(model, data, recipe, deepspeed_config)
    _report_into(reports, recipe)
    order = sequences.data_order(len(data.sequences), recipe.batch_size, recipe.epochs, recipe.seed)
    origin = _origin(model, data, recipe, deepspeed_config)
    resumed = _resumable(folder, origin)
    trainer = _trainer(model, data, recipe, order, _arguments(recipe, deepspeed_config, folder, resumed is None))
    evaluations = sequences.evaluation_steps(len(order), recipe.evaluations, recipe.evaluate_every)
    trainer.add_callback(Cadence(evaluations, recipe, folder, origin))
    if torch_ranks.rank() == 0:
        tokens = recipe.epochs * sum(map(len, data.sequences))
        trainer.add_callback(Progress(folder.parent, tokens / len(order)))
    torch.manual_seed(int(generator(recipe.seed, "dropout", torch_ranks.rank()).integers(2**32)))
    longest = max(map(len, [*data.sequences, *data.evaluated()]))
    with block_loss.used(model, recipe.micro_batch, longest) as loss:
        _say(recipe, deepspeed_config, loss)
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    return _history(trainer.state.log_history)


def save(model: PreTrainedModel, tokenizer: Any, out: Path, dtype: str) -> None:
    """Save the trained model (its fp32 master weights, as `dtype`, in safetensors) and its tokenizer.

    Every rank calls this, since ZeRO spreads the weights over them; the first one writes.
    """
    for parameter in model.parameters():
        master = safe_get_full_fp32_param(parameter)
        if torch_ranks.rank() == 0:
            full = parameter.data if master is None else master
            parameter.data = full.detach().to("cpu", getattr(torch, dtype))
    if torch_ranks.rank() == 0:
        model.config.use_cache = True  # the Trainer turns it off
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
    torch_ranks.barrier()


def token_loss(logits: Any, labels: torch.Tensor) -> torch.Tensor:
    """The summed negative log-likelihood of each row's labels and their number: float64, rows x 2.

    logits: rows x length x vocabulary, or what it returns, from a loss by blocks; labels: rows x length, IGNORED where
    nothing is predicted.
    """
    logits = logits[0] if isinstance(logits, tuple) else logits
    if logits.ndim == 2:
        return logits
    target = labels[:, 1:]
    scored = target != sequences.IGNORED
    picked = logits[:, :-1][scored].float()
    nll = torch.nn.functional.cross_entropy(picked, target[scored], reduction="none")
    sums = torch.zeros(target.shape, dtype=torch.float64, device=nll.device)
    sums[scored] = nll.double()
    return torch.stack([sums.sum(dim=1), scored.sum(dim=1).double()], dim=1)


def evaluation(sums: np.ndarray, n_members: int, n_non_members: int) -> dict[str, float]:
    """Held-out loss (nats per token) and AUC of the loss attack from the rows of `token_loss`.

    sums: members, non-members, held-out sequences. Raises TesseraError when one of them is not finite.
    """
    mean = -sums[:, 0] / sums[:, 1]
    held_out = sums[n_members + n_non_members :]
    if not np.isfinite(mean).all():
        raise TesseraError(f"evaluation: the loss of row {int(np.argmin(np.isfinite(mean)))} is not finite; {REMEDY}")
    area = auc(mean[:n_members], mean[n_members : n_members + n_non_members])
    return {"held_out_loss": float(held_out[:, 0].sum() / held_out[:, 1].sum()), "auc": area}


def _trainer(
    model: PreTrainedModel, data: Data, recipe: Recipe, order: np.ndarray, arguments: TrainingArguments
) -> FineTuner:
    rows = data.evaluated()

    def collate(batch: list[np.ndarray]) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(array) for name, array in sequences.batch(batch, 0, data.unlabelled).items()}

    def metrics(prediction: EvalPrediction) -> dict[str, float]:
        return evaluation(prediction.predictions, len(data.members), len(data.non_members))

    trainer = FineTuner(
        model,
        arguments,
        collate,
        SequenceDataset(data.sequences, order),
        SequenceDataset(rows, np.arange(len(rows))),
        recipe=recipe,
        compute_metrics=metrics,
        preprocess_logits_for_metrics=token_loss,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(recipe: Recipe, deepspeed_config: dict[str, Any], folder: Path, fresh: bool) -> TrainingArguments:
    if torch_ranks.on_cpu():
        # The shared-memory collective serves tensor-parallel inference alone; compiling it would take a minute.
        deepspeed.ops.__compatible_ops__ = {}
    rows, passes = sequences.accumulation(recipe.batch_size, recipe.micro_batch, torch_ranks.size())
    return TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=rows, per_device_eval_batch_size=recipe.micro_batch,
        gradient_accumulation_steps=passes, num_train_epochs=1, train_sampling_strategy="sequential",
        learning_rate=recipe.learning_rate, weight_decay=recipe.weight_decay, max_grad_norm=recipe.max_grad_norm,
        optim=_optimizer(deepspeed_config), tf32=False, bf16=recipe.precision == "bf16", seed=recipe.seed,
        gradient_checkpointing=recipe.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if recipe.gradient_checkpointing else None,
        deepspeed=deepspeed_config, use_cpu=torch_ranks.on_cpu(), report_to=recipe.report_to, disable_tqdm=True,
        logging_steps=1, logging_nan_inf_filter=False, save_strategy="no", eval_strategy="no",
        eval_on_start=fresh, remove_unused_columns=False,
    )  # fmt: skip


def _optimizer(deepspeed_config: dict[str, Any]) -> str:
    """AdamW in one kernel where its states are on a GPU: there the other form needs a copy of them and more time."""
    on_gpu = not torch_ranks.on_cpu() and "offload_optimizer" not in deepspeed_config["zero_optimization"]
    return "adamw_torch_fused" if on_gpu else "adamw_torch"


def _say(recipe: Recipe, deepspeed_config: dict[str, Any], loss: str) -> None:
    """How the work is done, in the log and the record of the first rank."""
    if torch_ranks.rank() == 0:
        arithmetic = "bf16" if recipe.precision == "bf16" else "fp32, TF32 off"
        activations = "computed again" if recipe.gradient_checkpointing else "kept"
        attempts.note("fine-tuning", f"{arithmetic}; {_optimizer(deepspeed_config)}; {loss}; activations {activations}")


def _check(model: PreTrainedModel, data: Data, recipe: Recipe, deepspeed_config: dict[str, Any]) -> None:
    if accelerate.state.is_initialized():
        raise TesseraError("this process has already trained a model; DeepSpeed allows one training per process")
    if recipe.precision == "bf16" and deepspeed_config["zero_optimization"]["stage"] == 0:
        raise TesseraError("deepspeed: zero0 hides the fp32 master weights of a bf16 training; use zero1")
    for name in ("sequences", "members", "non_members", "held_out"):
        if not getattr(data, name):
            raise TesseraError(f"{name}: empty; a training needs at least one")
    _check_lengths(model, data, recipe.context)
    _check_ids(model, data)


def _check_lengths(model: PreTrainedModel, data: Data, context: int) -> None:
    positions = limits.trained_length(model) or math.inf
    longest = max(map(len, data.evaluated()))
    if context > positions:
        raise TesseraError(f"context is {context}, but the model has {positions} positions; lower context")
    if longest > positions:
        raise TesseraError(f"a canary has {longest} tokens, but the model has {positions} positions; make them shorter")


def _check_ids(model: PreTrainedModel, data: Data) -> None:
    vocabulary = limits.vocabulary(model)
    highest = max(int(row.max()) for row in [*data.sequences, *data.evaluated()])
    if highest >= vocabulary:
        raise TesseraError(
            f"token id {highest}, but the model has {vocabulary} embeddings; "
            "make canaries and documents with the tokenizer of this model"
        )


def _report_into(folder: Path, recipe: Recipe) -> None:
    """Send the reports of the recipe to `folder`. Raises TesseraError when their package is not installed."""
    if recipe.report_to != "none" and not importlib.util.find_spec(recipe.report_to):
        remedy = distributions.remedy(recipe.report_to)
        raise TesseraError(f"report_to: {recipe.report_to} is not installed; {remedy}, or set 'none'")
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder / "tensorboard"))
    os.environ.setdefault("WANDB_DIR", str(folder))


def _origin(model: PreTrainedModel, data: Data, recipe: Recipe, deepspeed_config: dict[str, Any]) -> dict[str, Any]:
    """Identifies a training: a checkpoint is resumed only if its own is equal."""
    contents = hashlib.sha256()
    for row in [*data.sequences, *data.evaluated()]:
        contents.update(len(row).to_bytes(8, "little") + row.tobytes())
    for parameter in model.parameters():  # the beginning of each tells models apart
        contents.update(parameter.detach().flatten()[:64].float().numpy().tobytes())
    return {
        "ranks": torch_ranks.size(),
        "recipe": config.digest(config.science(recipe)),
        "model or data": contents.hexdigest(),
        "DeepSpeed configuration": config.digest(deepspeed_config),
    }


def _resumable(folder: Path, origin: dict[str, Any]) -> Path | None:
    found = checkpoints.newest(folder, origin)
    torch_ranks.barrier()  # every rank has looked before one removes the rest
    if torch_ranks.rank() == 0:
        checkpoints.keep_only(folder, found)
    return found


def _history(log: list[dict[str, float]]) -> History:
    steps = [entry for entry in log if "loss" in entry]
    evaluations = [entry for entry in log if "eval_auc" in entry]

    def column(entries: list[dict[str, float]], name: str) -> np.ndarray:
        return np.array([entry[name] for entry in entries], dtype=np.float64)

    return History(
        column(steps, "loss"),
        column(steps, "learning_rate"),
        column(evaluations, "step").astype(np.int64),
        column(evaluations, "eval_held_out_loss"),
        column(evaluations, "eval_auc"),
    )
