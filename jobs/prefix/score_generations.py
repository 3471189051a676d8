"""Score generated texts: the published rankings of the prefix attack, min-k and min-k++.

    python -m jobs score_generations --config FILE --out DIR

FILE holds:

    inputs: {generations: [DIR, ...], prompts: prompts.h5, large: DIR, small: DIR}     # small may be left out
    batch_size: 32

`generations` are all parts. `large` is the model that generated; what it measured of its texts while it made them is
not computed again.

Result prefix_scores.h5, one row per prompt in the order of prompts.h5 (`row`), NaN where a text has no scored token:
`nll_<m>` (nats, summed), `tokens_<m>`, `log_perplexity_<m>` (nats per token) for m of large, small, lower (the
lowercased text under the large model); `zlib_bytes`; `min_k`, `min_k_paper`, `min_k_plus_plus` (see lib.attacks);
`ranking/<name>` (see lib.prefix.rankings); texts `prompt_text`, `continuation_text`, `suffix_text`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lib.artifacts import store
from lib.attacks import scores
from lib.attacks.zlib import compressed_bytes
from lib.base import hdf5, places, ragged
from lib.base.config import at_least, execution
from lib.base.errors import TesseraError, UsageError
from lib.base.progress import Meter, divided
from lib.canaries import canaries_file
from lib.costs import language_models as costs
from lib.costs.facts import Given
from lib.costs.work import PRECISIONS, TEXT_BYTES, Work
from lib.prefix import prompts_file, rankings
from lib.prefix.prompts_file import Prompts

if TYPE_CHECKING:
    from lib.prefix.generated import Generated

VERSION = 1
INPUTS = ("generations", "prompts", "large")
OPTIONAL_INPUTS = ("small",)
LISTS = ("generations",)
SLUG = ("scored",)
IMPORTS_TORCH = True


@dataclass(frozen=True)
class Config:
    """Which texts are scored, and how the models run.

    scored: `all` scores prompt and continuation as one text, as published; `continuation` scores it given the prompt
    bos: `document` opens each text with the tokenizer's BOS; `none` does not, since a text comes from inside a document
    dtype: the type in which the models compute
    batch_size: texts in one forward pass
    device: where the models run: cpu, cuda, cuda:1, ..., or auto (a GPU if there is one)
    """

    scored: Literal["all", "continuation"] = "all"
    bos: Literal["none", "document"] = "none"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = execution(32)
    device: str = execution("auto")

    def __post_init__(self) -> None:
        """Raise ValueError for empty batches."""
        at_least(1, batch_size=self.batch_size)


def work(config: Config, given: Given) -> Work:
    """The texts in lower case under the large model, and as they are under the small one.

    What the large model measured while it made them is read from the generations.
    """
    large, prompts, made = given["large"].size, given["prompts"], given["generations"]
    length, precision = made.known("tokens_a_text"), PRECISIONS[config.dtype]
    tokens = prompts.known("texts") * length
    models = [(large, costs.LOWER_CASE), *([(given["small"].size, 1)] if "small" in given else [])]
    return Work(
        phases=tuple(p for model, times in models for p in costs.reading(model, times * tokens, length, precision)),
        gpu=max(costs.reading_memory(model, config.batch_size, times * length, precision) for model, times in models),
        spread=costs.weights(large, precision),
        in_turn=True,
        loaded=sum(costs.weights(model, precision) for model, _ in models),
        results=TEXT_BYTES * tokens,
    )


def run(config: Config, inputs: dict[str, Any], out: Path) -> None:
    """Put the parts together, score under each model in turn, write."""
    from lib.models import loading

    _check_models(inputs)
    prompts = prompts_file.read(store.find(inputs["prompts"], places.PROMPTS))
    files = [store.find(path, places.GENERATIONS) for path in inputs["generations"]]
    continuations = together(files, prompts)
    tokenizer = loading.load_tokenizer(inputs["large"])
    prompts_file.check_tokenizer(prompts, tokenizer)
    given, columns = _under_large(config, inputs["large"], tokenizer, prompts, continuations, files, out)
    if "small" in inputs:
        columns |= _under_small(config, inputs["small"], tokenizer, given, out)
    _write(out / places.PREFIX_SCORES, config, prompts, tokenizer, given, columns)


def together(files: Sequence[Path], prompts: Prompts) -> np.ndarray:
    """The continuations of all parts, int64 (n, C), in the order of the prompts.

    Raises TesseraError if a prompt has no continuation or two, or if other prompts were continued.
    """
    rows = np.concatenate([hdf5.read(file, "row") for file in files]).astype(np.int64)
    expected = np.arange(len(prompts.prompt))
    if not np.array_equal(np.sort(rows), expected):
        lost, twice = np.setdiff1d(expected, rows), rows[np.bincount(rows)[rows] > 1]
        raise TesseraError(
            f"{prompts.file}: {len(expected)} prompts, but {len(files)} parts hold {len(rows)} rows; "
            f"missing {lost[:4].tolist()}, more than once {np.unique(twice)[:4].tolist()}; give every part once"
        )
    for file in files:
        if not np.array_equal(hdf5.read(file, "prompt"), prompts.prompt[hdf5.read(file, "row").astype(np.int64)]):
            raise TesseraError(f"{file}: continues other prompts than those of {prompts.file}")
    made = [hdf5.read(file, "continuation") for file in files]
    if len({part.shape[1] for part in made}) > 1:
        raise TesseraError(
            f"{files[0]} and others have different continuation_tokens; generate all parts with the same"
        )
    return np.concatenate(made)[np.argsort(rows)]


def measured(files: Sequence[Path], model: str, dtype: str, first: np.ndarray) -> dict[str, np.ndarray] | None:
    """`log_probs`, `mu` and `sigma` (n, P + C) in the order of the prompts, as generation measured them; None unless
    every part has them from this model (its digest), in this type, after the same opening id."""
    expected = {"model": model, "dtype": dtype, "bos": int(first[0]) if len(first) else -1}
    for file in files:
        if not (expected.items() <= hdf5.attributes(file).items() and set(places.MEASURED) <= hdf5.rows(file).keys()):
            return None
    order = np.argsort(np.concatenate([hdf5.read(file, "row") for file in files]))
    return {name: np.concatenate([hdf5.read(file, name) for file in files])[order] for name in places.MEASURED}


def _check_models(inputs: dict[str, Any]) -> None:
    if "small" not in inputs:
        return
    large, small = inputs["large"], inputs["small"]
    if large.resolve() == small.resolve() or store.input_digest(large) == store.input_digest(small):
        raise UsageError(
            f"small: {small} is the large model, so their ratio says nothing; give another one, or leave it out"
        )


def _under_large(
    config: Config, directory: Path, tokenizer: Any, prompts: Prompts, continuations: np.ndarray,
    files: Sequence[Path], out: Path,
) -> tuple["Generated", dict[str, np.ndarray]]:  # fmt: skip
    from lib.generation.continuations import check_ids, end_ids
    from lib.models import likelihoods, loading
    from lib.prefix import generated

    model = loading.load_causal_lm(directory, config.dtype, loading.device(config.device))
    first = likelihoods.opening(tokenizer, None if config.bos == "document" else "")
    with canaries_file.naming(prompts.file, " and its continuations"):
        check_ids(model, prompts.prompt, continuations)
        given = generated.decoded(prompts.prompt, continuations, end_ids(model, tokenizer), tokenizer)
        made = measured(files, store.input_digest(directory), config.dtype, first)
        with Meter(out, len(continuations), "texts") as meter:
            advance, how = divided(meter.advance, 1 if made else 2), (config.scored, first, config.batch_size)
            if made:
                own = generated.as_made(given, config.scored, made)
            else:
                own = generated.by_ids(model, given, *how, moments=True, advance=advance)
            lower = generated.by_text(model, tokenizer, given, *how, change=str.lower, advance=advance)
    columns = summed("large", own.log_probs) | summed("lower", lower.log_probs)
    texts = given.texts if config.scored == "all" else given.continuation_texts
    columns["zlib_bytes"] = compressed_bytes(texts).astype("<u4")
    return given, columns | _min_k(own)


def _min_k(rows: Any) -> dict[str, np.ndarray]:
    """The scores of texts with a scored token, NaN for the others."""
    there = np.array([len(row) > 0 for row in rows.log_probs], dtype=bool)
    chosen = {
        name: [row for row, full in zip(getattr(rows, name), there) if full] for name in ("log_probs", "mu", "sigma")
    }
    unpadded = np.full(int(there.sum()), np.nan)  # every text stands by itself
    found = scores.compute({**chosen, "padding_log_probs": unpadded})
    columns = {}
    for name in ("min_k", "min_k_paper", "min_k_plus_plus"):
        columns[name] = np.full(len(there), np.nan)
        columns[name][there] = found[name]
    return columns


def _under_small(config: Config, directory: Path, large: Any, given: "Generated", out: Path) -> dict[str, np.ndarray]:
    """The same ids where they mean the same to the small model, else the texts in its own tokens."""
    from lib.models import likelihoods, loading
    from lib.prefix import generated

    tokenizer = loading.load_tokenizer(directory)
    model = loading.load_causal_lm(directory, config.dtype, loading.device(config.device))
    first = likelihoods.opening(tokenizer, None if config.bos == "document" else "")
    used = [*given.prompts, *given.continuations]
    how = (config.scored, first, config.batch_size)
    with canaries_file.naming(directory, " (small model)"), Meter(out, len(given.prompts), "texts") as meter:
        if prompts_file.spelling(tokenizer, *used) == prompts_file.spelling(large, *used):
            rows = generated.by_ids(model, given, *how, advance=meter.advance)
        else:
            rows = generated.by_text(model, tokenizer, given, *how, advance=meter.advance)
    return summed("small", rows.log_probs)


def summed(model: str, rows: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """NLL in nats, scored tokens and log-perplexity of every text; NaN where it has no scored token."""
    tokens = ragged.lengths(rows)
    nll = np.where(tokens > 0, -ragged.sums(rows), np.nan)
    return {
        f"nll_{model}": nll, f"tokens_{model}": tokens.astype("<u4"),
        f"log_perplexity_{model}": nll / np.maximum(tokens, 1),
    }  # fmt: skip


def _rankings(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found = {name: columns.get(f"log_perplexity_{name}") for name in ("large", "small", "lower")}
    evidence = {name: values for name, values in found.items() if values is not None}
    return rankings.scores(evidence | {"zlib_bytes": columns["zlib_bytes"]})


def _write(
    path: Path, config: Config, prompts: Prompts, tokenizer: Any, given: "Generated", columns: dict[str, np.ndarray]
) -> None:
    from lib.tokens.tokenization import decode_all

    texts = {
        "prompt_text": given.prompt_texts, "continuation_text": given.continuation_texts,
        "suffix_text": decode_all(tokenizer, prompts.suffix),
    }  # fmt: skip
    with hdf5.create(path) as file:
        file.attrs.update({"scored": config.scored, "bos": config.bos, "dtype": config.dtype})
        hdf5.write(file, "row", np.arange(len(prompts.prompt), dtype="<u8"))
        for name, values in columns.items():
            hdf5.write(file, name, values)
        for name, values in _rankings(columns).items():
            hdf5.write(file, f"ranking/{name}", values)
        for name, strings in texts.items():
            hdf5.write_texts(file, name, strings)
