"""Ask a local chat model, or an OpenAI-compatible endpoint, to rephrase each canary.

    python -m jobs paraphrases --config FILE --out DIR

FILE holds, for a local model:

    inputs: {canaries: canaries.h5, target_tokenizer: DIR, model: DIR}   # model: an instruction-tuned one
    source: model
    rephrasings: 9

and for an endpoint:

    inputs: {canaries: canaries.h5, target_tokenizer: DIR}
    source: endpoint
    url: http://localhost:8000/v1
    model_name: meta-llama/Meta-Llama-3-8B-Instruct
    key_variable: OPENAI_API_KEY

Result paraphrases.h5, one row per rephrasing, canary by canary: `tokens` and `offsets` (target ids, ragged, no BOS),
`canary`, `text`; for each canary `found` (rephrasings), `answers` (how many it was asked for), `whole_answers` (those
that held as many rephrasings as asked for); attributes `source`, `rephrasings`, `canaries`, `success_rate` (canaries
with all rephrasings) and `answer_success_rate`. A run that is killed, or whose endpoint fails, continues at the first
canary without answers.
"""

import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lib.artifacts import store
from lib.base import blocks, hdf5, places
from lib.base.config import added, at_least, execution
from lib.base.errors import TesseraError, UsageError
from lib.base.progress import Meter
from lib.base.seeds import generator, key
from lib.canaries import canaries_file
from lib.costs import language_models as costs
from lib.costs.facts import Given
from lib.costs.work import PRECISIONS, Work
from lib.generation.chat_endpoint import Endpoint, check_url
from lib.generation.decoding import Decoding
from lib.perturbations import paraphrase

VERSION = 2
INPUTS = ("canaries", "target_tokenizer")
OPTIONAL_INPUTS = ("model",)
SLUG = ("source", "seed")
IMPORTS_TORCH = True
LENGTHS = 20  # different lengths of questions, in a plan: an assumption
MOST_AT_ONCE = 512  # answers, for a batch_size of `auto`
LONGER = 1.2  # tokens of a rephrasing, its number included, to those of the canary, in a plan: an assumption

WAVE = 8  # batches of answers in a round, from which those of equal length are taken; a killed task loses a round
AskAbout = Callable[[dict[int, str], Sequence[paraphrase.Request]], list[str]]  # (row -> text, requests) -> the answers


@dataclass(frozen=True)
class Config:
    """What is asked for, and of whom.

    source: `model` runs the input model on this machine; `endpoint` sends requests to `url`
    rephrasings: how many different rephrasings each canary should get
    per_answer: how many of them one answer is asked for
    min_share: a rephrasing must have at least this share of the canary's tokens
    attempts: how often the model is asked about a canary, at most
    max_new_tokens: the most tokens of an answer
    temperature: the temperature of the sampling; 1 is the model's own distribution
    top_p: sample among the likeliest tokens that together have this probability; 1 is all of them
    top_k: sample among the k likeliest tokens; 0 is all of them; source model
    seed: the seed of the sampling; an endpoint is sent a seed for each request
    turns: `user` asks in one turn; `system` gives the task in a system turn and the text in one of the user (as
        published); a chat template that has no system turn gets both in one
    prompt: `chat` uses the tokenizer's chat template; `plain` is for a model without one; source model
    begin: what each answer is made to begin with, such as "1. " for a small model; source model
    url: the address of the endpoint, without /chat/completions, user, password or query; source endpoint
    model_name: what the endpoint calls the model; source endpoint
    dtype: the type in which the local model computes
    key_variable: the environment variable that holds the key; the key itself is stored nowhere; source endpoint
    timeout_seconds: how long one whole answer of the endpoint may take
    retries: further tries after the first, where the endpoint fails
    backoff_seconds: the pause before the first further try, doubled each time; a server's Retry-After counts instead
    batch_size: answers that the local model writes at once; `auto` is 1 on a CPU, and as many as the memory of a GPU
        has room for
    device: where the local model runs: cpu, cuda, cuda:1, ..., or auto (a GPU if there is one)
    """

    source: Literal["model", "endpoint"] = "model"
    rephrasings: int = 9
    per_answer: int = 9
    min_share: float = 0.25
    attempts: int = 5
    max_new_tokens: int = 1024
    temperature: float = 0.6
    top_p: float = 0.9
    top_k: int = added(0)
    seed: int = 0
    turns: Literal["user", "system"] = added("user")
    prompt: Literal["chat", "plain"] = "chat"
    begin: str = ""
    url: str = ""
    model_name: str = ""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    key_variable: str = execution("")
    timeout_seconds: float = execution(120.0)
    retries: int = execution(5)
    backoff_seconds: float = execution(1.0)
    batch_size: int | Literal["auto"] = execution("auto")
    device: str = execution("auto")

    def __post_init__(self) -> None:
        """Raise ValueError for counts that are too small, and for keys of the other source."""
        at_least(1, rephrasings=self.rephrasings, per_answer=self.per_answer, attempts=self.attempts)
        at_least(1, max_new_tokens=self.max_new_tokens)
        at_least(1, batch_size=None if self.batch_size == "auto" else self.batch_size)
        at_least(0, seed=self.seed, retries=self.retries, backoff_seconds=self.backoff_seconds)
        if not self.timeout_seconds > 0:
            raise ValueError(f"timeout_seconds is {self.timeout_seconds}; it must be above 0")
        if self.per_answer > self.rephrasings:
            raise ValueError(f"per_answer is {self.per_answer}; it must be at most rephrasings ({self.rephrasings})")
        if self.turns == "system" and self.per_answer == 1:
            raise ValueError("turns: system asks for several rephrasings in one answer; raise per_answer")
        if self.source == "model":
            self.decoding()  # an endpoint has limits of its own
        _check_keys(self)
        _check_secrets(self)

    def decoding(self) -> Decoding:
        """How the local model samples. Raises ValueError for settings out of range."""
        return Decoding("sample", self.temperature, self.top_k, self.top_p)


KEYS = {"model": ("begin", "top_k"), "endpoint": ("url", "model_name", "key_variable")}
REQUIRED = ("url", "model_name")


def _check_keys(config: Config) -> None:
    """Raise ValueError for a key of the other source, or one that the source lacks."""
    own = KEYS[config.source]
    for name in own:
        if not getattr(config, name) and name in REQUIRED:
            raise ValueError(f"source {config.source} needs {name}")
    for source, names in KEYS.items():
        for name in names:
            if source != config.source and getattr(config, name):
                raise ValueError(f"source {config.source} does not read {name}; leave it out")


def _check_secrets(config: Config) -> None:
    """Raise ValueError, which quotes nothing, for what would put a secret into a stored configuration."""
    if config.url:
        check_url(config.url)
    if config.key_variable and not config.key_variable.isidentifier():
        raise ValueError("key_variable must be the name of an environment variable, not the key itself")


def network(config: Config) -> bool:
    """Whether the task sends requests to another machine."""
    return config.source == "endpoint"


def work(config: Config, given: Given) -> Work:
    """The answers that are needed if all can be used; each canary is asked about alone."""
    if "model" not in given:
        return Work()
    model, canaries, precision = given["model"].size, given["canaries"], PRECISIONS[config.dtype]
    length, answers = canaries.known("tokens_a_text"), -(-config.rephrasings // config.per_answer)
    made = min(config.max_new_tokens, config.per_answer * length * LONGER)
    # Questions of equal length are asked together: a few of all that fit.
    rows = costs.together(config.batch_size, model, 2 * length + made, precision)
    alike = min(rows, max(1, int(canaries.known("texts") * answers) // LENGTHS))
    return Work(
        phases=costs.continuing(model, canaries.known("texts") * answers, alike, 2 * length, made, precision),
        gpu=costs.continuing_memory(model, alike, 2 * length + made, precision),
        loaded=costs.weights(model, precision),
    )


def check_inputs(config: Config, inputs: Collection[str]) -> None:
    """Raise UsageError for a chat model that is not given, or not read."""
    if ("model" in inputs) != (config.source == "model"):
        raise UsageError("source model needs the input model, and source endpoint does not read it")


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Ask about the canaries that are missing, then one file of all."""
    from lib.models import loading

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
    from lib.tokens.tokenization import REPLACEMENT_CHARACTER, decode, encode, special_spellings, spells_any

    missing = blocks.missing(folder, rows)
    if not missing:
        return
    ask, special = SOURCES[config.source](config, inputs), special_spellings(tokenizer)

    def usable(text: str) -> bool:
        ids = encode(tokenizer, text)
        long = len(ids) >= max(1, config.min_share * tokens.shape[1])
        return long and not spells_any(text, special) and REPLACEMENT_CHARACTER not in text

    with Meter(folder.parent, len(rows), "canaries", begun=len(rows) - len(missing)) as meter:
        for some in _waves(config, [int(name) for name in missing]):
            originals = {row: decode(tokenizer, tokens[row]) for row in some}
            how = (config.rephrasings, config.per_answer, config.attempts, usable)
            for row, found in paraphrase.collect(partial(ask, originals), originals, *how):
                blocks.write(blocks.file(folder, rows[row]), _block(found))
                meter.advance(1, f"{len(found.rephrasings)} rephrasings of the last in {found.answers} answers")


def _waves(config: Config, missing: list[int]) -> Iterator[list[int]]:
    """The canaries that are asked about together: one by one at an endpoint, else WAVE batches of answers."""
    from lib.models import loading

    batch = config.batch_size
    if batch == "auto":
        batch = 1 if loading.device(config.device) == "cpu" else MOST_AT_ONCE
    answers = -(-config.rephrasings // config.per_answer)
    size = 1 if config.source == "endpoint" else max(1, WAVE * batch // answers)
    return (missing[low : low + size] for low in range(0, len(missing), size))


def _messages(config: Config, text: str) -> list[dict[str, str]]:
    return paraphrase.messages(text, config.per_answer, config.turns)


def _block(found: paraphrase.Found) -> dict[str, np.ndarray]:
    texts = json.dumps(found.rephrasings).encode()
    return {
        "rephrasings": np.frombuffer(texts, dtype=np.uint8),
        "answers": np.array(found.answers),
        "whole": np.array(found.whole),
    }


def _of_endpoint(config: Config, inputs: dict[str, Path]) -> AskAbout:
    key = os.environ.get(config.key_variable, "") if config.key_variable else ""
    if config.key_variable and not key:
        raise UsageError(f"key_variable: {config.key_variable} is not set in the environment; export it with the key")
    endpoint = Endpoint(
        config.url, config.model_name, key, config.timeout_seconds, config.retries, config.backoff_seconds
    )
    settings = {"temperature": config.temperature, "top_p": config.top_p, "max_tokens": config.max_new_tokens}

    def ask(originals: dict[int, str], wanted: Sequence[paraphrase.Request]) -> list[str]:
        seeds = [int(generator(config.seed, "paraphrase", *request).integers(2**31)) for request in wanted]
        return [
            endpoint.ask(_messages(config, originals[row]), {**settings, "seed": seed})
            for (row, _), seed in zip(wanted, seeds)
        ]

    return ask


def _of_model(config: Config, inputs: dict[str, Path]) -> AskAbout:
    from lib.generation import chat_model
    from lib.models import loading
    from lib.tokens.tokenization import special_spellings, spells_any

    tokenizer = loading.load_tokenizer(inputs["model"])
    model = loading.load_causal_lm(inputs["model"], config.dtype, loading.device(config.device))
    how = chat_model.Answering(config.max_new_tokens, config.decoding(), config.prompt, config.begin)
    special = special_spellings(tokenizer)

    def ask(originals: dict[int, str], wanted: Sequence[paraphrase.Request]) -> list[str]:
        if marked := [row for row, text in originals.items() if spells_any(text, special)]:
            raise TesseraError(
                f"canary {marked[0]} spells a special token of the model, which would take it for a mark of its chat "
                "template; give another model, or other canaries"
            )
        keys = np.array([key(config.seed, "paraphrase", *request) for request in wanted], dtype=np.int64)
        questions = [_messages(config, originals[row]) for row, _ in wanted]
        return chat_model.answers(model, tokenizer, questions, keys, how, config.batch_size)

    return ask


SOURCES: dict[str, Callable[[Config, dict[str, Path]], AskAbout]] = {"model": _of_model, "endpoint": _of_endpoint}


def _write(path: Path, config: Config, tokenizer: Any, tokens: np.ndarray, found: list[dict[str, np.ndarray]]) -> None:
    from lib.tokens.tokenization import encode_all

    texts = [json.loads(block["rephrasings"].tobytes()) for block in found]
    flat = [text for several in texts for text in several]
    counts = np.array([len(several) for several in texts], dtype="<u4")
    answers, whole = (np.array([block[name] for block in found], dtype="<u4") for name in ("answers", "whole"))
    _report(config, counts, answers, whole)
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


def _report(config: Config, counts: np.ndarray, answers: np.ndarray, whole: np.ndarray) -> None:
    """Print how many rephrasings there are. Raises TesseraError if there are none."""
    if not counts.any():
        raise TesseraError(
            f"none of {answers.sum()} answers held a single rephrasing; ask a larger model, or help a small one with "
            "begin: '1. '"
        )
    print(
        f"{(counts == config.rephrasings).sum()} of {len(counts)} canaries have {config.rephrasings} rephrasings; "
        f"{whole.sum()} of {answers.sum()} answers held what was asked for; {(counts == 0).sum()} canaries have none"
    )
