"""The stage finetune, killed at a checkpoint and run again, against one that nothing disturbed: with dropout."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from lib.artifacts import checkpoints
from lib.base import hdf5, places
from lib.base.errors import TesseraError
from tests.gpu.running import Options, start

WORDS = "river stone letter number mountain old machine book fox remember while others forget what they read once"
KILLED_AT = 4  # the step of a checkpoint
VOCABULARY = 300
SIDES = ("members", "non_members")
SETTINGS = {
    "seed": 1,
    "learning_rate": 1e-3,
    "context": 128,
    "batch_size": 8,
    "micro_batch": 4,
    "epochs": 2,
    "evaluations": 1,
    "precision": "bf16",
    "deepspeed": "zero2",
    "gradient_checkpointing": True,
    "checkpoint_steps": 2,
}


def measure(options: Options) -> dict[str, Any]:
    """The largest difference of losses, whether the weights have the same bytes, and the steps."""
    folder = options.folder("resume")
    _write_inputs(folder, options)
    whole, killed = folder / "whole", folder / "killed"
    _finetune(options, folder, whole)
    _kill(options, folder, killed)
    _finetune(options, folder, killed)
    losses = [hdf5.read(out / places.METRICS, "loss") for out in (whole, killed)]
    weights = [(out / "model.safetensors").read_bytes() for out in (whole, killed)]
    return {
        "loss_difference": float(np.abs(losses[0] - losses[1]).max()),
        "weights_equal": weights[0] == weights[1],
        "steps": len(losses[0]),
    }


def _finetune(options: Options, folder: Path, out: Path) -> None:
    process = _started(options, folder, out)
    process.join()
    if process.exitcode:
        raise TesseraError(f"finetune ended with {process.exitcode}:\n{_log(out).read_text()[-1500:]}")


def _kill(options: Options, folder: Path, out: Path) -> None:
    """Kill a training as soon as its checkpoint is there."""
    process = _started(options, folder, out)
    marker = out / places.CHECKPOINTS / f"{checkpoints.PREFIX}{KILLED_AT}" / checkpoints.MARKER
    while not marker.exists() and process.is_alive():
        time.sleep(0.005)
    process.kill()
    process.join()
    if (out / places.METRICS).exists():
        raise TesseraError(f"{out}: the training was done before it could be killed")


def _started(options: Options, folder: Path, out: Path) -> Any:
    from lib.artifacts import command

    argv = ["--config", str(folder / "finetune.yaml"), "--out", str(out)]
    return start(options, _log(out), command.main, "finetune", argv)


def _log(out: Path) -> Path:
    return out.with_name(f"{out.name}.log")


def _write_inputs(folder: Path, options: Options) -> None:
    """A model with dropout and a tokenizer, documents of random words, canaries, a held-out document."""
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS.split(), 200)) for _ in range(17)]
    _write_model(folder / "model", texts, options)
    (folder / "texts").mkdir()
    for name, key, some in ((places.INJECTED, "text", texts[:16]), (places.BOOKS, "held_out", texts[16:])):
        with hdf5.create(folder / "texts" / name) as file:
            hdf5.write_texts(file, key, some)
    for side in SIDES:
        with hdf5.create(folder / f"{side}.h5") as file:
            hdf5.write(file, "tokens", draw.integers(2, 250, (8, 20)).astype("<u4"))
    inputs = {"model": "model", "injected": "texts", "books": "texts", **{side: f"{side}.h5" for side in SIDES}}
    settings = SETTINGS | {"inputs": {name: str(folder / place) for name, place in inputs.items()}}
    (folder / "finetune.yaml").write_text(json.dumps(settings))


def _write_model(folder: Path, texts: list[str], options: Options) -> None:
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    from lib.models import loading
    from lib.tokens.train_bpe import train_tokenizer

    width = 32 if options.tiny else 256
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        hidden_dropout=0.1,
        intermediate_size=4 * width,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=0,
    )
    loading.save(GPTNeoXForCausalLM(config), train_tokenizer(texts, VOCABULARY, masked=False), folder)
