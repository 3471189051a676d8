"""Fine-tune a causal language model on documents with injected canaries.

    python -m jobs finetune --config FILE --out DIR
    torchrun --standalone --nproc-per-node 2 -m jobs finetune --config FILE --out DIR     # with two ranks

FILE holds:

    inputs: {model: DIR, injected: DIR, members: canaries.h5, non_members: canaries.h5, books: DIR}
    seed: 1
    learning_rate: 5e-5
    context: 2048
    batch_size: 4

Result: a model directory (safetensors and tokenizer), and metrics.h5 with `loss` and `learning_rate` by step, and
`evaluation_step`, `held_out_loss` (nats per token), `auc` (of the loss attack) by evaluation; attributes `sequences`,
`trained_tokens`, `bos` (-1: none). More ranks save time; they change the result only within rounding.
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import added, execution
from lib.base.errors import TesseraError, UsageError, suggestion
from lib.canaries import canaries_file
from lib.costs import devices
from lib.costs import language_models as costs
from lib.costs.facts import Facts, Given, Model
from lib.costs.work import PRECISIONS, Work
from lib.training import sequences, torch_ranks
from lib.training.sequences import Recipe

VERSION = 1
INPUTS = ("model", "injected", "members", "non_members", "books")
SLUG = ("learning_rate", "seed")
IMPORTS_TORCH = True
DEEPSPEED = places.DEEPSPEED


@dataclass(frozen=True)
class Config(Recipe):
    """How the model is trained and saved.

    seed: the seed of the order of the sequences, and of dropout
    learning_rate: the highest learning rate
    context: tokens of a training sequence; longer documents are cut, and nothing is packed across documents
    batch_size: sequences of one step, over all ranks together
    epochs: how often all sequences are read
    schedule: after the warm-up the rate stays `constant`, or falls to 0 along a line (`linear`) or a cosine (`cosine`)
    warmup_ratio: the share of the steps in which the rate rises to its highest, at least 0 and below 1
    weight_decay: the weight decay of AdamW
    max_grad_norm: a gradient with a larger norm is scaled down to it; 0 leaves gradients as they are
    precision: the type of the arithmetic; `bf16` keeps fp32 master weights and needs a processor or GPU with bf16
    evaluations: how often the model is evaluated, in addition to once before the training
    evaluate_every: steps between two evaluations, in place of `evaluations`; the last step is one as well; 0: none
    unlabelled: `padding` is not predicted; `eos` is not predicted either, wherever it stands in a text (as published,
        where it is the padding token)
    micro_batch: the most sequences of one forward pass on one rank
    deepspeed: which file of env/deepspeed/ to use, without .json (zero0 to zero3)
    gradient_checkpointing: whether activations are computed again in the backward pass, which saves memory and takes a
        third more time; `auto`: only on a GPU whose memory they do not fit (computed)
    checkpoint_steps: steps between checkpoints, from which a killed training continues; 0 writes none by steps
    checkpoint_minutes: minutes between checkpoints; 0 writes none by minutes
    report_to: where the course of the training is also written: `tensorboard` and `wandb` write under attempts/
    bos_policy: `document` opens each document with the tokenizer's BOS, where it has one; `tokenizer` does so if the
        tokenizer itself would; `none` opens it with nothing
    scoring_bos_policy: the same for the canaries of an evaluation; null is `bos_policy`
    save_dtype: the type of the saved weights
    keep_weights: whether the weights stay after everything that reads them is done; the launcher of a sweep drops them
    """

    bos_policy: Literal["document", "tokenizer", "none"] = "document"
    scoring_bos_policy: Literal["document", "tokenizer", "none"] | None = added(None)
    save_dtype: Literal["float32", "bfloat16"] = "float32"
    keep_weights: bool = execution(True)


def facts(config: Config, given: Given) -> Facts:
    """The result is a model of the same size."""
    return Facts(model=given["model"].model)


def work(config: Config, given: Given) -> Work:
    """The training, its evaluations, and the states of AdamW; checkpoints are two while a new one is written."""
    if config.gradient_checkpointing == "auto":
        kept, again = (replace(config, gradient_checkpointing=recompute) for recompute in (False, True))
        return replace(work(kept, given), otherwise=work(again, given))
    model, injected, books = given["model"].size, given["injected"], given["books"]
    tokens, context = config.epochs * injected.tokens, config.context
    evaluated = books.held_out * books.known("tokens_a_text") + given["members"].tokens + given["non_members"].tokens
    steps = math.ceil(tokens / (context * config.batch_size))
    evaluations = len(sequences.evaluation_steps(steps, config.evaluations, config.evaluate_every))
    return replace(
        _needed(config, model),
        phases=(
            *costs.training(model, tokens, context, config.precision, bool(config.gradient_checkpointing)),
            *costs.reading(model, evaluations * evaluated, context, config.precision),
            costs.head_again(model, tokens, config.precision),
            costs.optimiser_steps(model, steps),
        ),
    )


def _needed(config: Config, model: Model) -> Work:
    """The memory and disk of a training, without its operations."""
    state = costs.training_state(model, config.precision, **_zero(config.deepspeed))
    rows, recompute = min(config.micro_batch, config.batch_size), bool(config.gradient_checkpointing)
    passes = costs.training_memory(model, rows, config.context, config.precision, recompute, sequences.BLOCK_VALUES)
    return Work(
        gpu=max(state.gpu + passes, state.step),
        spread=state.spread,
        loaded=costs.weights(model, "fp32"),
        ram=state.ram + costs.weights(model, "fp32"),  # the trained weights, to be saved
        weights=costs.weights(model, PRECISIONS[config.save_dtype]),
        scratch=2 * state.checkpoint if config.checkpoint_steps or config.checkpoint_minutes else 0.0,
    )


def decided(config: Config, model: Model, memory: float | None, ranks: int) -> Config:
    """The configuration with `gradient_checkpointing: auto` decided, for `memory` bytes of each GPU; None: on a CPU."""
    kept = replace(config, gradient_checkpointing=False)
    fits = memory is None or devices.fits(_needed(kept, model), memory, ranks)
    return kept if fits else replace(config, gradient_checkpointing=True)


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Train, save the model and tokenizer, then metrics.h5.

    Raises TesseraError for an empty or unfit input, and where a loss, gradient or metric is not finite.
    """
    deepspeed = _deepspeed(config.deepspeed)
    torch_ranks.join()  # before anything imports DeepSpeed
    from lib.models import loading
    from lib.tokens import tokenization
    from lib.training import finetuning

    tokenizer = loading.load_tokenizer(inputs["model"])
    bos = tokenization.bos_id(tokenizer, config.bos_policy)
    masked = tokenizer.eos_token_id if config.unlabelled == "eos" else None
    data = finetuning.Data(**_data(config, inputs, tokenizer, bos), unlabelled=masked)
    model = loading.load_causal_lm(inputs["model"])
    if config.gradient_checkpointing == "auto":
        config = decided(config, _size(model), torch_ranks.free_memory(), torch_ranks.size())
    history = finetuning.train(model, data, config, deepspeed, out / places.CHECKPOINTS, out / places.ATTEMPTS)
    finetuning.save(model, tokenizer, out, config.save_dtype)
    if torch_ranks.rank() == 0:
        _write(out / places.METRICS, config, history, data.sequences, bos)
    torch_ranks.leave()


def _size(model: Any) -> Model:
    """What the memory of a training depends on, of a model that is loaded."""
    from lib.models import limits

    settings = model.config.get_text_config()
    return Model(model.num_parameters(), settings.num_hidden_layers, settings.hidden_size, limits.n_logits(model))


def _deepspeed(name: str) -> dict[str, Any]:
    known = sorted(file.stem for file in DEEPSPEED.glob("*.json"))
    if name not in known:
        raise UsageError(f"deepspeed: there is no {DEEPSPEED / name}.json{suggestion(name, known)}")
    return json.loads((DEEPSPEED / f"{name}.json").read_text(encoding="utf-8"))


def _zero(name: str) -> dict[str, Any]:
    """What a file of env/deepspeed/ divides among GPUs, and whether it moves that to RAM."""
    settings = _deepspeed(name).get("zero_optimization", {})
    return {"stage": settings.get("stage", 0), "offload": "offload_optimizer" in settings}


def _data(config: Config, inputs: dict[str, Path], tokenizer: Any, bos: int | None) -> dict[str, list[np.ndarray]]:
    """The token ids of a training: what the model is trained on, and what it is evaluated on."""
    from lib.tokens.tokenization import bos_id

    sides = {
        side: canaries_file.read_ids(store.find(inputs[side], places.CANARIES), len(tokenizer))
        for side in canaries_file.SIDES
    }
    scored = bos if config.scoring_bos_policy is None else bos_id(tokenizer, config.scoring_bos_policy)
    return {
        "sequences": _cut(config, tokenizer, store.find(inputs["injected"], places.INJECTED), "text", bos),
        "held_out": _cut(config, tokenizer, store.find(inputs["books"], places.BOOKS), "held_out", bos),
        **{side: [sequences.with_bos(row, scored) for row in ids] for side, ids in sides.items()},
    }


def _cut(config: Config, tokenizer: Any, file: Path, name: str, bos: int | None) -> list[np.ndarray]:
    """The training sequences of the texts `name` of a file."""
    from lib.tokens.encoders import encode_large

    documents = encode_large(tokenizer, hdf5.read_texts(file, name))
    try:
        return sequences.sequences(documents, config.context, bos)
    except TesseraError as error:
        raise TesseraError(f"{file}: {name}: {error}") from error


def _write(path: Path, config: Config, history: Any, trained: list[np.ndarray], bos: int | None) -> None:
    with hdf5.create(path) as file:
        for name, column in vars(history).items():
            hdf5.write(file, name, column)
        file.attrs["sequences"] = len(trained)
        file.attrs["trained_tokens"] = sum(map(len, trained)) * config.epochs
        file.attrs["bos"] = -1 if bos is None else bos
