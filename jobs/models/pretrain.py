"""A small language model from scratch: GPT-NeoX or Mamba (causal) or RoBERTa (masked), with its own tokenizer.

python -m jobs pretrain --config FILE --out DIR        inputs: text, optional tokenizer (a directory to reuse)
Result: a model and tokenizer directory, and metrics.h5 with the `loss` (nats) of every step and, as attributes,
`n_parameters` and `architecture`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.errors import TesseraError
from lib.texts.documents import leading, read_shuffled

if TYPE_CHECKING:
    from lib.training.pretraining import Architecture, Optimisation

VERSION = 1
INPUTS = ("text",)
OPTIONAL_INPUTS = ("tokenizer",)
SLUG = ("objective", "seed")
IMPORTS_TORCH = True


@dataclass(frozen=True)
class Config:
    """`steps` batches of `batch_size` rows of `context` tokens; threads is part of the results' last bits.

    architecture: of a causal model. Mamba has no heads, and a state of state_size numbers a channel; it wants about a
    third of the learning rate and, at equal size, about twice the layers of a transformer.
    """

    objective: Literal["causal", "masked"]
    architecture: Literal["gpt_neox", "mamba"] = "gpt_neox"
    vocab_size: int = 2048
    width: int = 128
    layers: int = 4
    heads: int = 4
    state_size: int = 16
    context: int = 256
    batch_size: int = 16
    steps: int = 500
    learning_rate: float = 3e-3
    tokenizer_characters: int = 5_000_000
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse sizes that make no model."""
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        if min(self.steps, self.batch_size, self.threads, self.layers, self.state_size) < 1 or self.context < 8:
            raise ValueError("steps, batch_size, threads, layers and state_size must be at least 1, context at least 8")
        if self.objective == "masked" and self.architecture != "gpt_neox":
            raise ValueError(f"architecture {self.architecture} is a causal one; leave it out for objective masked")


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Train the tokenizer (or take the given one), then the model, and save both."""
    from lib.models import loading
    from lib.training import pretraining

    texts = read_shuffled(store.find(inputs["text"], places.TEXT), config.seed)
    tokenizer = _tokenizer(config, inputs, texts)
    with pretraining.threads(config.threads):
        model, loss = _train(config, tokenizer, texts)
    loading.save(model, tokenizer, out)
    with hdf5.create(out / places.METRICS) as file:
        hdf5.write(file, "loss", loss)
        file.attrs.update(n_parameters=model.num_parameters(), architecture=model.config.model_type)


def _tokenizer(config: Config, inputs: dict[str, Path], texts: list[str]) -> Any:
    from lib.models import loading
    from lib.tokens import train_bpe

    if "tokenizer" not in inputs:
        sample = leading(texts, config.tokenizer_characters)
        return train_bpe.train_tokenizer(sample, config.vocab_size, masked=config.objective == "masked")
    tokenizer = loading.load_tokenizer(inputs["tokenizer"])
    if len(tokenizer) != config.vocab_size:
        raise TesseraError(
            f"vocab_size: {config.vocab_size}, but the tokenizer {inputs['tokenizer']} has {len(tokenizer)}"
        )
    if config.objective == "masked" and tokenizer.mask_token_id is None:
        raise TesseraError(f"{inputs['tokenizer']}: a masked model needs a tokenizer with a mask token")
    return tokenizer


def _train(config: Config, tokenizer: Any, texts: list[str]) -> tuple[Any, Any]:
    from lib.training import pretraining

    optimisation = _optimisation(config)
    print(f"pretrain: {config.objective}, {config.steps} steps of {config.batch_size} x {config.context} tokens, "
          f"{optimisation.precision}, {config.threads} thread(s)", flush=True)  # fmt: skip
    if config.objective == "causal":
        model, losses = _causal(config, tokenizer, texts)
    else:
        model, losses = _masked(config, tokenizer, texts)
    print(f"pretrain: {model.config.model_type} of {model.num_parameters()} parameters", flush=True)
    return model, pretraining.train(model, losses, optimisation, _report(config.steps))


def _causal(config: Config, tokenizer: Any, texts: list[str]) -> tuple[Any, Any]:
    from lib.training import pretraining

    wanted = config.steps * config.batch_size * config.context
    stream = pretraining.token_stream(tokenizer, texts, wanted, tokenizer.bos_token_id)
    model = pretraining.CAUSAL[config.architecture](_size(config), tokenizer, config.seed)
    data = pretraining.rows(stream, config.context)
    return model, pretraining.causal_losses(model, data, config.batch_size, config.seed)


def _masked(config: Config, tokenizer: Any, texts: list[str]) -> tuple[Any, Any]:
    from lib.training import pretraining

    length = config.context - 2  # <s> and </s> take two positions
    stream = pretraining.token_stream(tokenizer, texts, config.steps * config.batch_size * length, None)
    model = pretraining.masked_model(_size(config), tokenizer, config.seed)
    data = pretraining.framed(pretraining.rows(stream, length), tokenizer.cls_token_id, tokenizer.sep_token_id)
    return model, pretraining.masked_losses(model, data, tokenizer, config.batch_size, config.seed)


def _size(config: Config) -> "Architecture":
    from lib.training.pretraining import Architecture

    return Architecture(config.vocab_size, config.width, config.layers, config.heads, config.context, config.state_size)


def _optimisation(config: Config) -> "Optimisation":
    from lib.training.pretraining import Optimisation, choose_precision

    return Optimisation(config.learning_rate, config.steps, precision=choose_precision(config.precision))


def _report(steps: int):
    every = max(1, steps // 20)

    def report(step: int, loss: float) -> None:
        if (step + 1) % every == 0 or step + 1 == steps:
            print(f"pretrain: step {step + 1}/{steps} loss {loss:.3f}", flush=True)

    return report
