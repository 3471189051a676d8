"""Paraphrases: rephrasings of each canary by a local chat model, or by an OpenAI-compatible endpoint.

python -m jobs paraphrases --config paraphrases.yaml --out DIR

    inputs: {canaries: canaries.h5, target_tokenizer: DIR, model: DIR}   # model: an instruction-tuned one
    source: model
    rephrasings: 9

    source: endpoint
    url: http://localhost:8000/v1        # no input model; without /chat/completions
    model_name: meta-llama/Meta-Llama-3-8B-Instruct
    key_variable: OPENAI_API_KEY         # the environment variable that holds the key; its value is stored nowhere

Writes paraphrases.h5, one row a rephrasing, canary by canary: `tokens` and `offsets` (target ids, ragged, no BOS),
`canary`, `text`; for each canary `found` (rephrasings, at most as many as wanted), `answers` (asked for),
`whole_answers` (that held as many as asked for); as attributes `success_rate` (canaries with all) and
`answer_success_rate`. A run that is killed, or whose endpoint fails, goes on at the first canary without answers.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lib.artifacts import store
from lib.base import blocks, hdf5, places
from lib.base.config import execution
from lib.base.errors import TesseraError, UsageError
from lib.base.seeds import generator
from lib.canaries import canaries_file

if TYPE_CHECKING:
    from lib.perturbations.paraphrase import Found

VERSION = 1
INPUTS = ("canaries", "target_tokenizer")
OPTIONAL_INPUTS = ("model",)
SLUG = ("source", "seed")
IMPORTS_TORCH = True

AskAbout = Callable[[int, str, int], str]  # (row of the canary, its text, number of the attempt) -> the answer


@dataclass(frozen=True)
class Config:
    """per_answer: rephrasings asked for at a time; attempts: answers that a canary is given at most; min_share: of the
    canary's tokens, what a shorter rephrasing is none; prompt: `plain` for a model without chat template; begin: what
    an answer of the local model is made to begin with, such as "1. " for a small one; batch_size: answers of the local
    model at a time; timeout_seconds, retries, backoff_seconds: see lib.generation.chat_endpoint."""

    source: Literal["model", "endpoint"] = "model"
    rephrasings: int = 9
    per_answer: int = 9
    min_share: float = 0.25
    attempts: int = 5
    max_new_tokens: int = 1024
    temperature: float = 0.6
    top_p: float = 0.9
    seed: int = 0
    prompt: Literal["chat", "plain"] = "chat"
    begin: str = ""
    url: str = ""
    model_name: str = ""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    key_variable: str = execution("")
    timeout_seconds: float = execution(120.0)
    retries: int = execution(5)
    backoff_seconds: float = execution(1.0)
    batch_size: int = execution(1)
    device: str = execution("auto")

    def __post_init__(self) -> None:
        """Refuse counts of nothing, and keys of the other source."""
        for name in ("rephrasings", "per_answer", "attempts", "max_new_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; at least 1 is wanted")
        if min(self.seed, self.retries, self.backoff_seconds) < 0 or self.timeout_seconds <= 0:
            raise ValueError("seed, retries and backoff_seconds: at least 0; timeout_seconds: above 0")
        if self.per_answer > self.rephrasings:
            raise ValueError(f"per_answer is {self.per_answer}; at most the {self.rephrasings} rephrasings are wanted")
        _check_keys(self)
        _check_secrets(self)


KEYS = {"model": ("begin",), "endpoint": ("url", "model_name", "key_variable")}
REQUIRED = ("url", "model_name")


def _check_keys(config: Config) -> None:
    """Raise ValueError for a key of the other source, or one that the source lacks."""
    own = KEYS[config.source]
    for name in own:
        if not getattr(config, name) and name in REQUIRED:
            raise ValueError(f"source {config.source} needs {name}")
    for name in {name for names_ in KEYS.values() for name in names_}.difference(own):
        if getattr(config, name):
            raise ValueError(f"source {config.source} has no use for {name}; leave it out")


def _check_secrets(config: Config) -> None:
    """Raise ValueError, which quotes nothing, for what would put a secret into a stored configuration."""
    if config.url:
        from lib.generation.chat_endpoint import check_url

        check_url(config.url)
    if config.key_variable and not config.key_variable.isidentifier():
        raise ValueError("key_variable: the name of a variable is wanted, not the key")


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Ask about the canaries that are missing, then one file of all."""
    from lib.models import loading

    if ("model" in inputs) != (config.source == "model"):
        raise UsageError(f"source {config.source}: the input model belongs to source model, and to no other")
    tokenizer = loading.load_tokenizer(inputs["target_tokenizer"])
    tokens = canaries_file.read_ids(store.find(inputs["canaries"], places.CANARIES), len(tokenizer))
    folder = out / places.BLOCKS
    blocks.claim(folder, store.made_from(VERSION, config, inputs))
    rows = [f"{row:06d}" for row in range(len(tokens))]
    _ask_missing(config, inputs, tokenizer, tokens, folder, rows)
    _write(out / places.PARAPHRASES, config, tokenizer, tokens, [blocks.read(folder, name) for name in rows])


def _ask_missing(
    config: Config, inputs: dict[str, Path], tokenizer: Any, tokens: np.ndarray, folder: Path, rows: list[str]
) -> None:
    from lib.perturbations import paraphrase
    from lib.tokens.tokenization import REPLACEMENT_CHARACTER, decode, encode, special_ids

    missing = blocks.missing(folder, rows)
    if not missing:
        return
    ask, special = SOURCES[config.source](config, inputs), special_ids(tokenizer)

    def usable(text: str) -> bool:
        ids = encode(tokenizer, text)
        long = len(ids) >= max(1, config.min_share * tokens.shape[1])
        return long and special.isdisjoint(ids) and REPLACEMENT_CHARACTER not in text

    for name in missing:
        row = int(name)
        text = decode(tokenizer, tokens[row])
        found = paraphrase.collect(
            lambda number, row=row, text=text: ask(row, text, number),
            config.rephrasings, config.per_answer, config.attempts, usable, text,
        )  # fmt: skip
        blocks.write(blocks.file(folder, name), _block(found))
        print(f"canary {row}: {len(found.rephrasings)} rephrasings in {found.answers} answers", flush=True)


def _block(found: "Found") -> dict[str, np.ndarray]:
    texts = json.dumps(found.rephrasings).encode()
    return {
        "rephrasings": np.frombuffer(texts, dtype=np.uint8),
        "answers": np.array(found.answers),
        "whole": np.array(found.whole),
    }


def _of_endpoint(config: Config, inputs: dict[str, Path]) -> AskAbout:
    from lib.generation.chat_endpoint import Endpoint
    from lib.perturbations.paraphrase import question

    key = os.environ.get(config.key_variable, "") if config.key_variable else ""
    if config.key_variable and not key:
        raise UsageError(f"key_variable: {config.key_variable} is not set in the environment; export the key in it")
    endpoint = Endpoint(
        config.url, config.model_name, key, config.timeout_seconds, config.retries, config.backoff_seconds
    )
    settings = {"temperature": config.temperature, "top_p": config.top_p, "max_tokens": config.max_new_tokens}

    def ask(row: int, text: str, number: int) -> str:
        seed = int(generator(config.seed, "paraphrase", row, number).integers(2**31))
        return endpoint.ask(question(text, config.per_answer), {**settings, "seed": seed})

    return ask


def _of_model(config: Config, inputs: dict[str, Path]) -> AskAbout:
    from lib.generation import chat_model
    from lib.models import loading
    from lib.perturbations.paraphrase import question

    tokenizer = loading.load_tokenizer(inputs["model"])
    model = loading.load_causal_lm(inputs["model"], config.dtype, loading.device(config.device))
    how = chat_model.Answering(config.max_new_tokens, config.temperature, config.top_p, config.prompt, config.begin)
    answered: dict[tuple[int, int], str] = {}

    def ask(row: int, text: str, number: int) -> str:
        if (row, number) not in answered:
            numbers = range(number, min(number + config.batch_size, config.attempts))
            streams = [generator(config.seed, "paraphrase", row, one) for one in numbers]
            given = chat_model.answers(model, tokenizer, question(text, config.per_answer), streams, how)
            answered.clear()
            answered.update({(row, one): answer for one, answer in zip(numbers, given)})
        return answered[row, number]

    return ask


SOURCES: dict[str, Callable[[Config, dict[str, Path]], AskAbout]] = {"model": _of_model, "endpoint": _of_endpoint}


def _write(path: Path, config: Config, tokenizer: Any, tokens: np.ndarray, found: list[dict[str, np.ndarray]]) -> None:
    from lib.tokens.tokenization import encode_all

    texts = [json.loads(block["rephrasings"].tobytes()) for block in found]
    flat = [text for several in texts for text in several]
    counts = np.array([len(several) for several in texts], dtype="<u4")
    answers, whole = (np.array([block[name] for block in found], dtype="<u4") for name in ("answers", "whole"))
    _say(config, counts, answers, whole)
    with hdf5.create(path) as file:
        hdf5.write_ragged(file, "tokens", encode_all(tokenizer, flat))
        hdf5.write(file, "canary", np.repeat(np.arange(len(texts), dtype="<u4"), counts))
        hdf5.write_texts(file, "text", flat)
        for name, column in {"found": counts, "answers": answers, "whole_answers": whole}.items():
            hdf5.write(file, name, column)
        file.attrs["success_rate"] = np.mean(counts == config.rephrasings)
        file.attrs["answer_success_rate"] = whole.sum() / answers.sum()
        file.attrs.update(source=config.source, rephrasings=config.rephrasings)
        file.attrs["canaries"] = canaries_file.ids_digest(tokens)


def _say(config: Config, counts: np.ndarray, answers: np.ndarray, whole: np.ndarray) -> None:
    """Print how often it went well. Raises TesseraError when it never did."""
    if not counts.any():
        raise TesseraError(
            f"none of {answers.sum()} answers held a single rephrasing; ask a larger model, or help a small one along "
            "(begin: '1. ')"
        )
    print(
        f"{(counts == config.rephrasings).sum()} of {len(counts)} canaries have {config.rephrasings} rephrasings; "
        f"{whole.sum()} of {answers.sum()} answers held what was asked for; {(counts == 0).sum()} canaries have none"
    )
