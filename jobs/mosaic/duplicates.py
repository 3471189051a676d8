"""Fuzzy duplicates: `variations` near-copies of each canary.

python -m jobs duplicates --config duplicates.yaml --out DIR

    inputs: {canaries: canaries.h5, masked_lm: DIR}   # masked_lm: a model, or finished candidates
    target_tokenizer: DIR
    kind: replace
    strategy: mlm
    replaced_tokens: 5
    top_k: 10
    variations: 9

Other kinds need no masked LM: `kind: insert, ngram: 5, inserted_tokens: 1` (random tokens between n-grams) and
`kind: shuffle, ngram: 5, tau: 0.3` (n-grams in another order; `method: paper` for the published random walk), and
`kind: paraphrase` with `inputs: {paraphrases: paraphrases.h5}` (the stage paraphrases): where a canary has fewer than
`variations`, they come again from the first; a canary that has none is an error. So it is with `kind: near_duplicates,
nearest: 1, farthest: 10` and `inputs: {near_duplicates: near_duplicates.h5, corpus: [chunk-00.h5, ...],
corpus_tokenizer: DIR}`: windows of a corpus at such a distance of the target that a canary begins, in random order, cut
to the canary's length (see the stage corpus_canaries).

Writes duplicates.h5, one row a variation, canary by canary: `tokens` and `offsets` (target ids, ragged), `canary`
(row of its canary), `edit_distance` (tokens, to the canary), `survives_text` (whether decode and encode give the
same ids), `trained_edit_distance` (of the ids that the text gives: what a model trains on), `text`; for each canary
`distinct`, the variations that are neither the canary nor an earlier one; attribute `repeated`: how many are.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import execution
from lib.base.errors import TesseraError, UsageError
from lib.base.seeds import generator
from lib.canaries import canaries_file

VERSION = 1
INPUTS = ("canaries", "target_tokenizer")
OPTIONAL_INPUTS = ("masked_lm", "paraphrases", "near_duplicates", "corpus", "corpus_tokenizer")
LISTS = ("corpus",)
SLUG = ("kind", "level", "seed")
IMPORTS_TORCH = True

Vary = Callable[[int, int, int], list[int]]  # (row of the canary, number of the variation, attempt) -> its ids
ATTEMPTS = 100  # draws that a variation has to differ from the canary and the others


@dataclass(frozen=True)
class Config:
    """`same_positions`: the same positions in every variation of a canary; `spread`: one in each of `replaced_tokens`
    equal segments; `top_k` counts for the strategy `mlm` only. `ngram`, `inserted_tokens`, `tau`, `method`: see
    lib.perturbations.insert and lib.perturbations.shuffle. `nearest`, `farthest`, `metric`: the band of distance to
    the target, in tokens of the corpus. Keys of another kind are refused."""

    kind: Literal["replace", "insert", "shuffle", "paraphrase", "near_duplicates"] = "replace"
    strategy: Literal["mlm", "mlm_random", "random"] = "mlm"
    replaced_tokens: int = 1
    top_k: int = 10
    variations: int = 9
    same_positions: bool = False
    spread: bool = False
    ngram: int | None = None
    inserted_tokens: int | None = None
    tau: float | None = None
    method: Literal["uniform", "paper"] = "uniform"
    farthest: int | None = None
    nearest: int | None = None
    metric: Literal["levenshtein", "hamming"] = "levenshtein"
    seed: int = 0
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = execution("cpu")
    batch_size: int = execution(128)

    def __post_init__(self) -> None:
        """Refuse keys of another kind, missing ones, and counts of nothing."""
        _check_keys(self)
        for name in ("replaced_tokens", "top_k", "variations", "batch_size", "ngram", "inserted_tokens", "nearest"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} is {value}; at least 1 is wanted")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; at least 0 is wanted")
        if self.farthest is not None and self.farthest < self.nearest:
            raise ValueError(f"nearest {self.nearest} and farthest {self.farthest}: no distance lies between them")
        if self.tau is not None and not 0 < self.tau <= 1:
            raise ValueError(f"tau is {self.tau}; above 0 (the canary itself) and at most 1 (its reversal) is wanted")

    @property
    def level(self) -> float:
        """What the kind varies first: R, n of the n-gram, tau, the largest distance; else the number of variations."""
        return getattr(self, (*KEYS[self.kind], "variations")[0])


KEYS = {
    "replace": ("replaced_tokens", "strategy", "top_k", "same_positions", "spread", "dtype"),
    "insert": ("ngram", "inserted_tokens"),
    "shuffle": ("tau", "ngram", "method"),
    "paraphrase": (),
    "near_duplicates": ("farthest", "nearest", "metric"),
}
CORPUS_INPUTS = ("near_duplicates", "corpus", "corpus_tokenizer")
# optional input -> the kind that reads it
INPUT_OF = {"masked_lm": "replace", "paraphrases": "paraphrase", **dict.fromkeys(CORPUS_INPUTS, "near_duplicates")}


def _check_keys(config: Config) -> None:
    """Raise ValueError for a key that says nothing about the kind, or one that it lacks."""
    own = KEYS[config.kind]
    defaults = {field.name: field.default for field in fields(config)}
    for name in dict.fromkeys(name for names_ in KEYS.values() for name in names_):
        value = getattr(config, name)
        if name in own and value is None:
            raise ValueError(f"kind {config.kind} needs {name}")
        if name not in own and value != defaults[name]:
            raise ValueError(
                f"{name} is {value}, but kind {config.kind} takes {', '.join(own) or 'none such'} only; leave it out"
            )


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Vary each canary, measure, write."""
    from lib.models import loading
    from lib.perturbations import variations as perturbations_variations

    for name, kind in INPUT_OF.items():
        if name in inputs and config.kind != kind:
            raise UsageError(f"kind {config.kind} has no use for the input {name}; leave it out")
    tokenizer = loading.load_tokenizer(inputs["target_tokenizer"])
    tokens = canaries_file.read_ids(store.find(inputs["canaries"], places.CANARIES), len(tokenizer))
    vary, attempts = KINDS[config.kind](config, inputs, tokens, tokenizer)
    made = [
        perturbations_variations.distinct(partial(vary, row), canary, config.variations, attempts)
        for row, canary in enumerate(tokens)
    ]
    repeats = [perturbations_variations.repeats(canary, rows) for canary, rows in zip(tokens, made)]
    if any(repeats):
        print(f"{sum(repeats)} of {len(made) * config.variations} variations equal their canary or another variation")
    measured = [
        m for canary, rows in zip(tokens, made) for m in perturbations_variations.measure(tokenizer, canary, rows)
    ]
    _write(out / places.DUPLICATES, config, tokenizer, [row for rows in made for row in rows], measured, repeats)


def _replace(config: Config, inputs: dict[str, Path], tokens: np.ndarray, tokenizer: Any) -> tuple[Vary, int]:
    from lib.perturbations.replace import Plan, positions, variation

    found = _candidates(config, inputs, tokens)
    plan = Plan(config.replaced_tokens, config.variations, config.same_positions, config.spread, config.seed)
    every = [(row, number) for row in range(len(tokens)) for number in range(config.variations)]
    short = sum(len(positions(found.replaceable[row], row, n, plan)) < config.replaced_tokens for row, n in every)
    if short:
        print(f"{short} of {len(every)} variations have fewer than {config.replaced_tokens} replaceable positions")
    # one attempt: another would break that a larger R keeps the replacements of a smaller one
    return lambda row, number, attempt: variation(tokens[row], row, number, found, plan), 1


def _insert(config: Config, inputs: dict[str, Path], tokens: np.ndarray, tokenizer: Any) -> tuple[Vary, int]:
    from lib.perturbations.insert import variation
    from lib.tokens.vocabulary import fragments

    pool = np.array(list(fragments(tokenizer).values()), dtype=np.int64)

    def vary(row: int, number: int, attempt: int) -> list[int]:
        stream = generator(config.seed, "inserted tokens", row, number, attempt)
        return variation(tokens[row], config.ngram, config.inserted_tokens, pool, stream)

    return vary, ATTEMPTS


def _shuffle(config: Config, inputs: dict[str, Path], tokens: np.ndarray, tokenizer: Any) -> tuple[Vary, int]:
    from lib.perturbations.shuffle import variation

    def vary(row: int, number: int, attempt: int) -> list[int]:
        stream = generator(config.seed, "shuffled n-grams", row, number, attempt)
        return variation(tokens[row], config.ngram, config.tau, config.method, stream)

    return vary, ATTEMPTS


def _paraphrase(config: Config, inputs: dict[str, Path], tokens: np.ndarray, tokenizer: Any) -> tuple[Vary, int]:
    if "paraphrases" not in inputs:
        raise UsageError("kind paraphrase needs the input paraphrases: what the stage paraphrases wrote")
    path = store.find(inputs["paraphrases"], places.PARAPHRASES)
    if hdf5.attributes(path)["canaries"] != canaries_file.ids_digest(tokens):
        raise TesseraError(f"{path}: rephrases other canaries than those of {inputs['canaries']}; make them again")
    owners, rows = hdf5.read(path, "canary"), hdf5.read_ragged(path, "tokens")
    of = [[ids.tolist() for ids, owner in zip(rows, owners) if owner == row] for row in range(len(tokens))]
    if not all(of):
        none = [row for row, several in enumerate(of) if not several]
        raise TesseraError(f"{path}: no paraphrase of canaries {none}; raise attempts, or ask a larger model")
    return _in_turn(of, config.variations, "paraphrases")


def _near_duplicates(config: Config, inputs: dict[str, Any], tokens: np.ndarray, tokenizer: Any) -> tuple[Vary, int]:
    from lib.corpus import chunks
    from lib.models import loading
    from lib.tokens.tokenization import decode_all, encode_all

    if missing := [name for name in CORPUS_INPUTS if name not in inputs]:
        raise UsageError(f"kind near_duplicates needs the input {missing[0]}: what its targets were found with")
    windows = _windows(config, inputs, chunks.open_chunks(inputs["corpus"]))
    corpus_tokenizer = loading.load_tokenizer(inputs["corpus_tokenizer"])
    of = [
        [ids[: len(canary)] for ids in encode_all(tokenizer, decode_all(corpus_tokenizer, rows))]
        for canary, rows in zip(tokens, windows)
    ]
    return _in_turn(of, config.variations, "near-duplicates")


def _in_turn(of: list[list[list[int]]], variations: int, what: str) -> tuple[Vary, int]:
    """Those that each canary has, again from the first where they are too few."""
    short = sum(len(several) < variations for several in of)
    if short:
        print(f"{short} of {len(of)} canaries have fewer than {variations} {what}: theirs are used again")
    return lambda row, number, attempt: of[row][number % len(of[row])], 1


def _windows(config: Config, inputs: dict[str, Any], corpus: list) -> list[list[list[int]]]:
    """For each canary up to `variations` windows of the corpus in the band, in random order: ids of the corpus."""
    from lib.perturbations.near_duplicates import in_band

    path = store.find(inputs["near_duplicates"], places.NEAR_DUPLICATES)
    near = {name: hdf5.read(path, f"{config.metric}/{name}") for name in ("target", "chunk", "position", "distance")}
    length, band = int(hdf5.attributes(path)["length"]), in_band(near, (config.nearest, config.farthest))
    targets = _targets(store.find(inputs["canaries"], places.CANARIES))
    if none := [row for row, target in enumerate(targets) if target not in band]:
        raise TesseraError(
            f"{path}: no near-duplicate at {config.nearest} to {config.farthest} of canaries {none}; name this band in "
            "band_ends of the canaries"
        )

    def read(row: int) -> list[int]:
        start = int(near["position"][row])
        return corpus[int(near["chunk"][row])].tokens[start : start + length].tolist()

    chosen = [
        generator(config.seed, "near-duplicates", target).permutation(band[target])[: config.variations]
        for target in targets
    ]
    return [[read(row) for row in rows] for rows in chosen]


def _targets(canaries: Path) -> list[int]:
    if "target" not in hdf5.rows(canaries):
        raise TesseraError(f"{canaries}: no targets of a corpus; make them with the stage corpus_canaries")
    return hdf5.read(canaries, "target").tolist()


# (config, inputs, canaries, target tokenizer) -> how to vary, and how many attempts a new variation is given
KINDS: dict[str, Callable[[Config, dict[str, Path], np.ndarray, Any], tuple[Vary, int]]] = {
    "replace": _replace,
    "insert": _insert,
    "shuffle": _shuffle,
    "paraphrase": _paraphrase,
    "near_duplicates": _near_duplicates,
}


def _candidates(config: Config, inputs: dict[str, Path], tokens: np.ndarray):
    from lib.perturbations import candidates_file

    settings = candidates_file.Settings(config.strategy, config.top_k, config.dtype, config.device, config.batch_size)
    given = inputs.get("masked_lm")
    if given is not None and (given.is_file() or (given / places.CANDIDATES).is_file()):
        return candidates_file.read(store.find(given, places.CANDIDATES), tokens, settings)
    return candidates_file.compute(tokens, inputs["target_tokenizer"], given, settings)


def _write(path: Path, config: Config, tokenizer, rows: list[list[int]], measured: list, repeats: list[int]) -> None:
    from lib.tokens.tokenization import decode_all

    with hdf5.create(path) as file:
        hdf5.write_ragged(file, "tokens", rows)
        hdf5.write(file, "canary", np.arange(len(rows), dtype="<u4") // config.variations)
        hdf5.write(file, "edit_distance", np.array([m.edit_distance for m in measured], dtype="<u4"))
        hdf5.write(file, "trained_edit_distance", np.array([m.trained_edit_distance for m in measured], dtype="<u4"))
        hdf5.write(file, "survives_text", np.array([m.survives_text for m in measured], dtype=bool))
        hdf5.write_texts(file, "text", decode_all(tokenizer, rows))
        hdf5.write(file, "distinct", config.variations - np.array(repeats, dtype="<u4"))
        file.attrs.update(kind=config.kind, repeated=sum(repeats))
        file.attrs.update({name: getattr(config, name) for name in KEYS[config.kind]})
