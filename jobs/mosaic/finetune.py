"""Fine-tune a causal language model on documents with injected canaries.

python -m jobs finetune --config finetune.yaml --out DIR
torchrun --standalone --nproc-per-node 2 -m jobs finetune --config finetune.yaml --out DIR

DIR becomes a model directory (safetensors and tokenizer) with metrics.h5 beside the weights: `loss` and
`learning_rate` by step; `evaluation_step`, `held_out_loss`, `auc` (of the loss attack) by evaluation.
The rank count changes nothing but the time: `batch_size` is that of all ranks together.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.errors import TesseraError, UsageError, suggestion
from lib.training.sequences import Recipe

VERSION = 1
INPUTS = ("model", "injected", "members", "non_members", "books")
SLUG = ("learning_rate", "seed")
IMPORTS_TORCH = True
DEEPSPEED = places.DEEPSPEED


@dataclass(frozen=True)
class Config(Recipe):
    """A recipe; whether a BOS opens each document (where the tokenizer has one); the type of the saved weights."""

    bos_policy: Literal["document", "none"] = "document"
    save_dtype: Literal["float32", "bfloat16"] = "float32"


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Train, save the model and tokenizer, then metrics.h5.

    Raises TesseraError for an empty or unfit input, and when a loss, gradient or metric is not finite.
    """
    deepspeed = _deepspeed(config.deepspeed)
    from lib.training import torch_ranks

    torch_ranks.join()  # before anything imports DeepSpeed
    from lib.models import loading
    from lib.training import finetuning

    tokenizer = loading.load_tokenizer(inputs["model"])
    data, facts = _data(config, inputs, tokenizer)
    model = loading.load_causal_lm(inputs["model"])
    history = finetuning.train(model, data, config, deepspeed, out / places.CHECKPOINTS, out / places.ATTEMPTS)
    finetuning.save(model, tokenizer, out, config.save_dtype)
    if torch_ranks.rank() == 0:
        _write(out / places.METRICS, history, facts)
    torch_ranks.leave()


def _deepspeed(name: str) -> dict[str, Any]:
    known = sorted(file.stem for file in DEEPSPEED.glob("*.json"))
    if name not in known:
        raise UsageError(f"deepspeed: no {DEEPSPEED / name}.json{suggestion(name, known)}")
    return json.loads((DEEPSPEED / f"{name}.json").read_text())


def _data(config: Config, inputs: dict[str, Path], tokenizer: Any) -> tuple[Any, dict[str, Any]]:
    """The token ids of a training, and what is worth noting of them."""
    from lib.tokens import tokenization
    from lib.training import finetuning
    from lib.training import sequences as training_sequences

    bos = tokenization.bos_id(tokenizer) if config.bos_policy == "document" else None

    def cut(name: str, filename: str, texts: str) -> list[np.ndarray]:
        file = store.find(inputs[name], filename)
        documents = tokenization.encode_all(tokenizer, hdf5.read_texts(file, texts))
        try:
            return training_sequences.sequences(documents, config.context, bos)
        except TesseraError as error:
            raise TesseraError(f"{file}: {texts}: {error}") from error

    def canaries(name: str) -> list[np.ndarray]:
        file = store.find(inputs[name], places.CANARIES)
        return [training_sequences.with_bos(row, bos) for row in hdf5.read(file, "tokens")]

    sequences = cut("injected", places.INJECTED, "text")
    data = finetuning.Data(
        sequences, canaries("members"), canaries("non_members"), cut("books", places.BOOKS, "held_out")
    )
    tokens = sum(map(len, sequences)) * config.epochs
    return data, {"sequences": len(sequences), "trained_tokens": tokens, "bos": -1 if bos is None else bos}


def _write(path: Path, history: Any, facts: dict[str, Any]) -> None:
    with hdf5.create(path) as file:
        for name, column in vars(history).items():
            hdf5.write(file, name, column)
        for name, value in facts.items():
            file.attrs[name] = value
