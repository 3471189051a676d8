"""Sample canaries from a reference model: texts of exactly `length` tokens of the target.

    python -m jobs canaries --config FILE --out DIR

FILE holds:

    inputs: {reference: DIR, target: DIR, exclude: canaries.h5}   # target: its tokenizer; exclude: may be left out
    role: non_member
    n: 100
    length: 100

No canary may resemble another one, or one of `exclude` (for non-members: the members).

Result canaries.h5: `tokens` (n x length, uint32, ids of the target), `text`, `draw` (the number of the sampled text);
attributes `role`, `drawn` (sampled texts) and `rejected_<cause>`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import added, at_least, execution
from lib.base.progress import Meter
from lib.base.seeds import key
from lib.canaries import canaries_file
from lib.costs import language_models as costs
from lib.costs.facts import Facts, Given
from lib.costs.work import PRECISIONS, Work
from lib.generation.decoding import Decoding

VERSION = 2
INPUTS = ("reference", "target")
OPTIONAL_INPUTS = ("exclude",)
SLUG = ("role", "seed")
IMPORTS_TORCH = True
DRAWS = 2  # texts that are sampled for each canary, in a plan: an assumption
SPARE_TOKENS = 8  # a text's last ids may be a part of a character or a word: the canary ends before them


@dataclass(frozen=True)
class Config:
    """How many canaries, how they are sampled, and what each must be.

    seed: the seed of the sampling; members and non-members of one seed are different texts
    role: `member` canaries are injected into the training text, `non_member` canaries are not
    n: how many canaries
    length: tokens of a canary, in ids of the target
    sampled_tokens: the most tokens of the reference model that a text may take; null is twice `length`
    start_token: the token that sampling starts from; null is the BOS of the reference model
    temperature: the temperature of the sampling; 1 is the model's own distribution
    top_k: sample among the k likeliest tokens; 0 is all of them
    top_p: sample among the likeliest tokens that together have this probability; 1 is all of them
    end_of_text: `never` gives special tokens of the reference model no probability; `discard` samples them like others
        and throws a text away that holds one, with no early end of the others (as published)
    max_jaccard: two canaries must have token sets with a Jaccard similarity below this, above 0 and at most 1
    separator: what the stage inject will put around a canary; the ids of the canary must survive it; "" skips the check
    max_draws: the stage fails if so many sampled texts do not give `n` canaries
    dtype: the type in which the reference model computes
    device: where the reference model runs: cpu, cuda, cuda:1, ...
    batch_size: texts that are sampled at once
    """

    seed: int = 0
    role: Literal["member", "non_member"] = "member"
    n: int = 100
    length: int = 100
    sampled_tokens: int | None = None
    start_token: str | None = None
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    end_of_text: Literal["never", "discard"] = added("never")
    max_jaccard: float = 0.2
    separator: str = "\n"
    max_draws: int = 2000
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = execution("cpu")
    batch_size: int = execution(64)

    def __post_init__(self) -> None:
        """Raise ValueError for settings that cannot give a canary."""
        at_least(1, n=self.n, length=self.length, max_draws=self.max_draws, batch_size=self.batch_size)
        at_least(1, sampled_tokens=self.sampled_tokens)
        at_least(0, seed=self.seed)
        if not 0 < self.max_jaccard <= 1:
            raise ValueError(f"max_jaccard is {self.max_jaccard}; it must be above 0 and at most 1")
        self.decoding()

    @property
    def most_tokens(self) -> int:
        """The most tokens of the reference model that a text may take."""
        return self.sampled_tokens or 2 * self.length

    def decoding(self) -> Decoding:
        """How texts are sampled. Raises ValueError for settings out of range."""
        return Decoding("sample", self.temperature, self.top_k, self.top_p)


def facts(config: Config, given: Given) -> Facts:
    """How many texts, of how many tokens."""
    return Facts(texts=config.n, tokens_a_text=config.length)


def work(config: Config, given: Given) -> Work:
    """The sampled texts, with those that are rejected; a batch ends when its longest text has enough tokens."""
    model, precision = given["reference"].size, PRECISIONS[config.dtype]
    return Work(
        phases=costs.continuing(model, DRAWS * config.n, config.batch_size, 1, config.most_tokens, precision),
        gpu=costs.continuing_memory(model, config.batch_size, config.most_tokens, precision),
        loaded=costs.weights(model, precision),
    )


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Sample, select, write."""
    from lib.canaries.selection import Rules, select
    from lib.models import loading

    target = loading.load_tokenizer(inputs["target"])
    exclude = inputs.get("exclude") and store.find(inputs["exclude"], places.CANARIES)
    rules = Rules(config.length, config.max_jaccard, config.separator)
    with Meter(out, config.n, "canaries") as meter:
        selection = select(
            _sampler(config, inputs["reference"], target), config.n, target, rules,
            excluded=canaries_file.read_excluded(exclude, len(target)),
            max_draws=config.max_draws, batch_size=config.batch_size, advance=meter.advance,
        )  # fmt: skip
    print(f"{config.n} canaries from {selection.drawn} draws; rejected: {selection.rejections}")
    _write(out / places.CANARIES, selection, target, asdict(config))


def _sampler(config: Config, reference: Path, target: Any) -> Callable[[range], list[str | None]]:
    """The texts of the given indices, each by a key of its own; None for one that is thrown away."""
    from lib.generation import sampling
    from lib.models import loading
    from lib.tokens.tokenization import decode, special_ids

    tokenizer, model = loading.load_tokenizer(reference), loading.load_causal_lm(reference, config.dtype, config.device)
    start = sampling.start_id(tokenizer, config.start_token)
    never = sampling.suppressed_ids(tokenizer, model.config.vocab_size)
    ends: frozenset[int] = frozenset()
    if config.end_of_text == "discard":
        ends = special_ids(tokenizer)
        never = never[~np.isin(never, list(ends))]
    finished = _finished(config, tokenizer, target, ends)

    def draw(indices: range) -> list[str | None]:
        keys = np.array([key(config.seed, f"canary {config.role}", index) for index in indices], dtype=np.int64)
        rows = sampling.sample(
            model, [start], config.most_tokens, keys, config.decoding(), suppress=never, enough=finished
        )
        return [decode(tokenizer, row) if ends.isdisjoint(row) else None for row in rows]

    return draw


def _finished(config: Config, tokenizer: Any, target: Any, ends: frozenset[int]) -> Callable[[list[int]], bool]:
    """Whether a text may end: it has enough target ids, or holds one of `ends`, for which it is thrown away."""
    from lib.tokens.tokenization import decode, encode

    if config.end_of_text == "discard":
        return lambda ids: not ends.isdisjoint(ids)
    return lambda ids: len(encode(target, decode(tokenizer, ids))) >= config.length + SPARE_TOKENS


def _write(path: Path, selection: Any, target: Any, config: dict) -> None:
    from lib.tokens.tokenization import decode_all

    with hdf5.create(path) as file:
        hdf5.write(file, "tokens", np.array(selection.tokens, dtype="<u4"))
        hdf5.write(file, "draw", np.array(selection.draws, dtype="<u4"))
        hdf5.write_texts(file, "text", decode_all(target, selection.tokens))
        _write_counts(file, selection)
        file.attrs["role"] = config["role"]


def _write_counts(file: h5py.File, selection: Any) -> None:
    file.attrs["drawn"] = selection.drawn
    for cause, count in selection.rejections.items():
        file.attrs[f"rejected_{cause}"] = count
