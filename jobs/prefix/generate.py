"""Continue prompts with a model, and compare with their true suffixes.

    python -m jobs generate --config FILE --out DIR

FILE holds:

    inputs: {model: DIR, prompts: prompts.h5}
    decoding: {kind: sample, temperature: 1.0, top_k: 40, top_p: 1.0, seed: 0}      # or {kind: greedy}
    continuation_tokens: 256

Result generations.h5, one row per prompt of this part:
`continuation` (n x C int64, its end id included, -1 after it);
`exact`, `matched_tokens`, `edit_similarity`, `bleu`, `suffix_in_prompt` (see lib.prefix.matching);
`suffix_nll` (nats, summed, under the model's own distribution), `suffix_log_p` (under the given decoding);
`samples_needed` (n x 3 float64): draws until the suffix comes with p = 0.1, 0.5, 0.9 (see lib.prefix.discoverable).
Greedy decoding draws nothing, so its numbers are those of sampling from the model's own distribution, as the attribute
`samples_needed_from` says;
`log_probs`, `mu`, `sigma` of every id of prompt and continuation (n x (P + C) float32, NaN where undefined), which the
stage score_generations reads;
`row` in prompts.h5, and copies of `prompt`, `suffix`, `document`, `subset`, `repetitions`.
A killed task continues at its first missing shard.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from lib.artifacts import store
from lib.base import blocks, hdf5, places
from lib.base.config import at_least, execution, plain
from lib.base.errors import TesseraError
from lib.base.progress import Advance, Meter
from lib.base.seeds import key
from lib.costs import language_models as costs
from lib.costs.facts import Facts, Given
from lib.costs.work import PRECISIONS, Work
from lib.generation.decoding import Decoding
from lib.prefix import prompts_file
from lib.prefix.discoverable import samples_by_probability
from lib.prefix.prompts_file import Prompts

if TYPE_CHECKING:
    from lib.generation.continuations import Continued

VERSION = 3
INPUTS = ("model", "prompts")
SLUG = ("part", "parts")
IMPORTS_TORCH = True
GREEDY = Decoding("greedy")
MEASURED_BYTES, ID_BYTES = 12, 8  # what a token takes in the result: three float32, and its id
COPIED = ("family", "n_parameters", "bos")  # what every shard says of the model, the same in all


@dataclass(frozen=True)
class Config:
    """How the model continues, and which prompts this task does.

    decoding: how the next token is chosen
    decoding.kind: `greedy` takes the likeliest token; `sample` draws one
    decoding.temperature: the temperature of the sampling; 1 is the model's own distribution; sample only
    decoding.top_k: draw among the k likeliest tokens; 0 is all of them; sample only
    decoding.top_p: draw among the likeliest tokens that together have this probability; 1 is all of them; sample only
    decoding.seed: the seed of the draws; sample only
    continuation_tokens: tokens to generate after each prompt, at least as many as the suffixes have
    part: which part of the prompts this task does, counted from 0
    parts: how many parts the prompts are cut into
    bos: `document` opens each prompt with the tokenizer's BOS; `none` does not: a prompt comes from inside a document
    dtype: the type in which the model computes
    batch_size: prompts that are continued at once; `auto` is 128 on a CPU, and as many as the memory of a GPU has room
        for
    shard_prompts: prompts that are stored at once; a killed task continues with the missing shards
    device: where the model runs: cpu, cuda, cuda:1, ..., or auto (a GPU if there is one)
    """

    decoding: Decoding = GREEDY
    continuation_tokens: int = 256
    part: int = 0
    parts: int = 1
    bos: Literal["none", "document"] = "none"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int | Literal["auto"] = execution("auto")
    shard_prompts: int = execution(512)
    device: str = execution("auto")

    def __post_init__(self) -> None:
        """Raise ValueError for a part that does not exist, and for sizes that are too small."""
        at_least(1, parts=self.parts, continuation_tokens=self.continuation_tokens)
        at_least(1, shard_prompts=self.shard_prompts)
        at_least(1, batch_size=None if self.batch_size == "auto" else self.batch_size)
        if not 0 <= self.part < self.parts:
            raise ValueError(f"part is {self.part}; it must be 0 to {self.parts - 1} (parts - 1)")


def check(config: Config, given: Given) -> None:
    """Raise ValueError for continuations that are shorter than the true suffixes."""
    suffix = given["prompts"].known("suffix_tokens")
    if config.continuation_tokens < suffix:
        raise ValueError(
            f"continuation_tokens is {config.continuation_tokens}; it must be at least the {suffix} suffix_tokens of "
            "the prompts"
        )


def facts(config: Config, given: Given) -> Facts:
    """How many texts a part has, of how many tokens with their prompts."""
    prompts = given["prompts"]
    length = prompts.known("tokens_a_text") + config.continuation_tokens
    return Facts(texts=prompts.known("texts") / config.parts, tokens_a_text=length)


def work(config: Config, given: Given) -> Work:
    """The prompts of this part are continued; a recurrent model reads each of them twice."""
    model, prompt, precision = given["model"].size, given["prompts"].known("tokens_a_text"), PRECISIONS[config.dtype]
    made, own = config.continuation_tokens, facts(config, given)
    rows = min(config.shard_prompts, costs.together(config.batch_size, model, prompt + made, precision))
    phases = costs.continuing(model, own.known("texts"), rows, prompt, made, precision)
    again = phases[:-1] if model.state_width else ()
    return Work(
        phases=(*phases, *again),
        gpu=costs.continuing_memory(model, 1 if config.batch_size == "auto" else rows, prompt + made, precision),
        spread=costs.weights(model, precision),
        in_turn=True,
        loaded=costs.weights(model, precision),
        results=own.known("texts") * (MEASURED_BYTES * (prompt + made) + ID_BYTES * (prompt + made)),
    )


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Make the missing shards, then one file of all."""
    prompts = prompts_file.read(store.find(inputs["prompts"], places.PROMPTS))
    _check_lengths(config, prompts)
    folder = out / places.BLOCKS
    blocks.claim(folder, store.made_from(VERSION, config, inputs))
    shards = {f"{start:09d}-{stop:09d}": slice(start, stop) for start, stop in _bounds(config, prompts)}
    _make(config, inputs["model"], prompts, folder, shards)
    _assemble(config, inputs["model"], prompts, folder, list(shards), out / places.GENERATIONS)


def _check_lengths(config: Config, prompts: Prompts) -> None:
    if config.continuation_tokens < prompts.suffix.shape[1]:
        raise TesseraError(
            f"continuation_tokens is {config.continuation_tokens}, but the suffixes in {prompts.file} have "
            f"{prompts.suffix.shape[1]} tokens; it must be at least that"
        )
    if config.parts > len(prompts.prompt):
        raise TesseraError(
            f"parts is {config.parts}, but {prompts.file} has only {len(prompts.prompt)} prompts; lower parts"
        )


def _bounds(config: Config, prompts: Prompts) -> list[tuple[int, int]]:
    n = len(prompts.prompt)
    return blocks.ranges(n * config.part // config.parts, n * (config.part + 1) // config.parts, config.shard_prompts)


def _make(config: Config, model: Path, prompts: Prompts, folder: Path, shards: dict[str, slice]) -> None:
    missing = blocks.missing(folder, list(shards))
    if not missing:
        return
    worker = _Worker(config, model, prompts)
    sizes = {name: rows.stop - rows.start for name, rows in shards.items()}
    begun = sum(size for name, size in sizes.items() if name not in missing)
    with Meter(folder.parent, sum(sizes.values()), "prompts", begun=begun) as meter:
        for name in missing:
            blocks.write(blocks.file(folder, name), worker.shard(shards[name], meter.advance))


class _Worker:
    """The model, loaded once, and what it makes of a range of prompts."""

    def __init__(self, config: Config, directory: Path, prompts: Prompts):
        from lib.generation.continuations import end_ids
        from lib.models import likelihoods, loading

        tokenizer = loading.load_tokenizer(directory)
        prompts_file.check_tokenizer(prompts, tokenizer)
        self.config, self.prompts = config, prompts
        self.opening = likelihoods.opening(tokenizer, None if config.bos == "document" else "")
        self.model = loading.load_causal_lm(directory, config.dtype, loading.device(config.device))
        self.ends = end_ids(self.model, tokenizer)

    def shard(self, rows: slice, advance: Advance) -> dict[str, np.ndarray]:
        """The datasets of one range of rows."""
        from lib.generation.continuations import continue_prompts
        from lib.prefix import matching

        prompt, suffix = self.prompts.prompt[rows], self.prompts.suffix[rows]
        opened = np.concatenate([np.tile(self.opening, (len(prompt), 1)), prompt], axis=1)
        try:
            made = continue_prompts(
                self.model, opened, suffix, self.config.continuation_tokens, self.config.decoding,
                keys(self.config.decoding.seed, self.prompts, rows), self.ends, self.config.batch_size, advance,
            )  # fmt: skip
        except ValueError as error:
            raise TesseraError(f"{self.prompts.file}: rows from {rows.start}: {error}") from error
        found = {"continuation": made.ids, "suffix_nll": made.suffix_nll, "suffix_log_p": made.suffix_log_p}
        scores = {name: getattr(made, name)[:, len(self.opening) :] for name in places.MEASURED}
        found["samples_needed"] = _samples_needed(self.config.decoding, made)
        return {**found, **scores, **matching.columns(made.ids, prompt, suffix), **self._about()}

    def _about(self) -> dict[str, np.ndarray]:
        return {
            "family": np.array(self.model.config.model_type.encode()),
            "n_parameters": np.array(self.model.num_parameters()),
            "bos": np.array(self.opening[0] if len(self.opening) else -1),
        }


def keys(seed: int, prompts: Prompts, rows: slice) -> np.ndarray:
    """The key of all draws for a prompt, int64; it depends on (seed, document) and its turn in the document alone."""
    found = [
        key(seed, "continuations", int(number), *([turn] if turn else []))
        for number, turn in zip(prompts.document[rows], turns(prompts.document)[rows].tolist())
    ]
    return np.array(found, dtype=np.int64)


def turns(documents: np.ndarray) -> np.ndarray:
    """How many earlier rows are of the same document, int64 (n,)."""
    import pandas as pd

    return pd.Series(documents).groupby(documents).cumcount().to_numpy()


def _samples_needed(decoding: Decoding, made: "Continued") -> np.ndarray:
    return samples_by_probability(-made.suffix_nll if decoding.kind == "greedy" else made.suffix_log_p)


def _assemble(config: Config, model: Path, prompts: Prompts, folder: Path, shards: list[str], path: Path) -> None:
    found = [blocks.read(folder, name) for name in shards]
    about = {name: found[0][name] for name in COPIED}
    columns = {name: np.concatenate([shard[name] for shard in found]) for name in found[0] if name not in COPIED}
    bounds = _bounds(config, prompts)
    rows = slice(bounds[0][0], bounds[-1][1])
    with hdf5.create(path) as file:
        file.attrs.update({f"decoding_{key}": value for key, value in plain(config.decoding).items()})
        file.attrs.update({"family": about["family"].item().decode(), "dtype": config.dtype})
        file.attrs["samples_needed_from"] = "model" if config.decoding.kind == "greedy" else "decoding"
        file.attrs["model"] = store.input_digest(model)
        file.attrs.update({name: int(about[name]) for name in ("n_parameters", "bos")})
        hdf5.write(file, "row", np.arange(rows.start, rows.stop, dtype="<u8"))
        for name, values in {**columns, **prompts.rows(rows)}.items():
            hdf5.write(file, name, values)
    exact = int(columns["exact"].sum())
    print(f"generate: {exact} of {len(columns['exact'])} suffixes repeated exactly")
