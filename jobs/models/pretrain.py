"""Pre-train a small language model: GPT-NeoX, Mamba or RWKV-4 (causal), RoBERTa (masked).

    python -m jobs pretrain --config FILE --out DIR

FILE holds:

    inputs: {text: DIR, tokenizer: DIR}     # without `tokenizer` the stage trains one of its own
    objective: causal
    width: 128
    layers: 4
    steps: 500

Result: a model and tokenizer directory, and metrics.h5 with the `loss` (nats) of every step and the attributes
`n_parameters` and `architecture`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import at_least
from lib.base.errors import TesseraError
from lib.base.progress import Meter
from lib.costs.facts import Facts, Given, Model
from lib.costs.work import Work
from lib.texts.documents import leading, read_shuffled

VERSION = 1
INPUTS = ("text",)
OPTIONAL_INPUTS = ("tokenizer",)
SLUG = ("objective", "seed")
IMPORTS_TORCH = True


@dataclass(frozen=True)
class Config:
    """The model, its tokenizer and its training.

    objective: `causal` predicts the next token; `masked` predicts hidden tokens from both sides
    architecture: which kind of causal model; Mamba needs about a third of the learning rate and, at equal size, about
        twice the layers of a transformer; RWKV-4 needs at least two layers, and at equal size as many
    vocab_size: ids of the tokenizer; a given tokenizer must have exactly so many
    width: numbers in the hidden state of a token; a multiple of `heads`
    layers: how many layers the model has
    heads: attention heads of a layer; Mamba and RWKV-4 have none
    state_size: numbers of state in each channel of a Mamba; other models have none
    context: tokens of a training row, at least 8; a transformer can read no more than that
    batch_size: rows of a step
    steps: how many steps the training has
    learning_rate: the highest rate; it warms up linearly and falls along a cosine to a tenth
    tokenizer_characters: characters of text that the tokenizer is trained on, where none is given
    precision: the type of the arithmetic; `auto` takes bf16 on processors with instructions for it, else fp32
    threads: threads that compute; their number changes the last bits of the result
    seed: the seed of the order of documents and rows, the initial weights and the masks
    """

    objective: Literal["causal", "masked"]
    architecture: Literal["gpt_neox", "mamba", "rwkv"] = "gpt_neox"
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
        """Raise ValueError for settings that do not make a model."""
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}; it must be a multiple of heads ({self.heads})")
        at_least(1, steps=self.steps, batch_size=self.batch_size, threads=self.threads, layers=self.layers)
        at_least(1, state_size=self.state_size)
        at_least(8, context=self.context)
        if self.architecture == "rwkv":
            at_least(2, layers=self.layers)  # its initial weights depend on the layer's place between first and last
        if self.objective == "masked" and self.architecture != "gpt_neox":
            raise ValueError(f"architecture {self.architecture} is a causal one; leave it out for objective masked")


def facts(config: Config, given: Given) -> Facts:
    """The size of the model: for a transformer 12 width^2 weights a layer, for Mamba 6, and two vocabularies."""
    width, mamba = config.width, config.architecture == "mamba"
    a_layer = (6 if mamba else 12) * width**2
    vocabularies = 2 if config.objective == "causal" and not mamba else 1
    return Facts(
        model=Model(
            parameters=config.layers * a_layer + vocabularies * config.vocab_size * width,
            layers=config.layers,
            width=width,
            vocabulary=config.vocab_size,
            kv_width=0 if mamba else width,
            state_width=2 * width * (config.state_size + 4) if mamba else 0,
        )
    )


def work(config: Config, given: Given) -> Work:
    """It stores the weights in fp32."""
    return Work(results=4 * facts(config, given).size.parameters)


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Train the tokenizer (or take the given one), then the model, and save both."""
    from lib.models import loading
    from lib.training import pretraining

    texts = read_shuffled(store.find(inputs["text"], places.TEXT), config.seed)
    tokenizer = _tokenizer(config, inputs, texts)
    with pretraining.threads(config.threads):
        model, loss = _train(config, tokenizer, texts, out)
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


def _train(config: Config, tokenizer: Any, texts: list[str], out: Path) -> tuple[Any, Any]:
    from lib.training import pretraining

    precision = pretraining.choose_precision(config.precision)
    print(f"pretrain: {config.objective}, {config.steps} steps of {config.batch_size} x {config.context} tokens, "
          f"{precision}, {config.threads} thread(s)", flush=True)  # fmt: skip
    size = pretraining.Architecture(
        config.vocab_size, config.width, config.layers, config.heads, config.context, config.state_size
    )
    prepare = {"causal": _causal, "masked": _masked}[config.objective]
    model, losses = prepare(config, pretraining, size, tokenizer, texts)
    print(f"pretrain: {model.config.model_type} of {model.num_parameters()} parameters", flush=True)
    optimisation = pretraining.Optimisation(config.learning_rate, config.steps, precision=precision)
    with Meter(out, config.steps, "steps", each=config.batch_size * config.context, rated="tokens") as meter:

        def report(step: int, loss: float) -> None:
            meter.advance(1, f"loss {loss:.3f}")

        return model, pretraining.train(model, losses, optimisation, report)


def _causal(config: Config, pretraining: Any, size: Any, tokenizer: Any, texts: list[str]) -> tuple[Any, Any]:
    tokens = config.steps * config.batch_size * config.context
    stream = pretraining.token_stream(tokenizer, texts, tokens, tokenizer.bos_token_id)
    model = pretraining.CAUSAL[config.architecture](size, tokenizer, config.seed)
    data = pretraining.rows(stream, config.context)
    return model, pretraining.causal_losses(model, data, config.batch_size, config.seed)


def _masked(config: Config, pretraining: Any, size: Any, tokenizer: Any, texts: list[str]) -> tuple[Any, Any]:
    length = config.context - 2  # <s> and </s> take two positions
    stream = pretraining.token_stream(tokenizer, texts, config.steps * config.batch_size * length, None)
    model = pretraining.masked_model(size, tokenizer, config.seed)
    data = pretraining.framed(pretraining.rows(stream, length), tokenizer.cls_token_id, tokenizer.sep_token_id)
    return model, pretraining.masked_losses(model, data, tokenizer, config.batch_size, config.seed)
