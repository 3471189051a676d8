"""Make fuzzy duplicates of windows of texts: does a model prefer a text to what is near it?

    python -m jobs fuzzy_windows --config FILE --out DIR

FILE holds:

    inputs: {texts: audited.h5, tokenizer: DIR, causal_lm: DIR}   # the last one for `clm` and `clm_random` alone
    prompt_tokens: 50
    suffix_tokens: 50
    stride: 10
    most: 2
    replaced_tokens: [1, 5, 25]

Of each text at most `most` windows are taken, by a hash of their tokens. A fuzzy duplicate has the same prompt, and R
tokens of the suffix replaced (fewer where the text cannot be cut around so many); each R keeps the replacements of a
smaller one.

Results: audited.h5, whose texts are single windows for the stages score_windows and reference_windows: every window
taken, followed by its duplicates; and fuzzy_windows.h5, one row for each of these: `text`, `start` (of the window),
`replaced` (0: as it stands), `variation`, `survives` (whether the tokenizer makes the same tokens of its text).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lib.artifacts import store
from lib.audit import sample, texts_file
from lib.audit.texts_file import UNKNOWN, AuditedTexts
from lib.audit.windows import Cut
from lib.base import hdf5, places
from lib.base.config import at_least, execution
from lib.base.errors import TesseraError, UsageError, counted
from lib.base.progress import Meter
from lib.costs import language_models as costs
from lib.costs.facts import Facts, Given
from lib.costs.work import PRECISIONS, Work
from lib.perturbations.candidates import PROPOSALS, ReplacementCandidates, model_input

VERSION = 1
INPUTS = ("texts", "tokenizer")
OPTIONAL_INPUTS = ("causal_lm",)
SLUG = ("prompt_tokens", "suffix_tokens", "stride", "most")
IMPORTS_TORCH = True

Row = tuple[list[int], int, int]  # ids of a window, tokens of it that are replaced, number of the variation


@dataclass(frozen=True)
class Config:
    """Which windows, and what takes the place of their tokens.

    prompt_tokens: tokens of a prompt, which stay
    suffix_tokens: tokens after it, some of which are replaced
    stride: tokens from one window to the next
    most: windows of a text that are taken, if it has so many whose suffixes do not overlap
    variations: fuzzy duplicates of a window for each number of replaced tokens
    replaced_tokens: numbers of tokens that are replaced, rising
    strategy: what may replace a token; `clm`: the `top_k` tokens that the causal model finds likeliest between the text
        before, prompt included, and the next token; `clm_random`: any token of its vocabulary; `random`: any token of
        the examined model's
    top_k: how many candidates `clm` has for a position
    start_token: opens each text for the causal model; null is its BOS
    seed: of every draw
    dtype: the type in which the causal model computes
    batch_size: proposals in one forward pass
    device: where the causal model runs: cpu, cuda, cuda:1, ..., or auto (a GPU if there is one)
    """

    prompt_tokens: int = 50
    suffix_tokens: int = 50
    stride: int = 10
    most: int = 2
    variations: int = 9
    replaced_tokens: tuple[int, ...] = (1, 5, 25)
    strategy: Literal["clm", "clm_random", "random"] = "clm"
    top_k: int = 10
    start_token: str | None = None
    seed: int = 0
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = execution(128)
    device: str = execution("auto")

    def __post_init__(self) -> None:
        """Raise ValueError for sizes that are too small, and numbers of replaced tokens that no suffix has."""
        at_least(1, most=self.most, variations=self.variations, top_k=self.top_k, batch_size=self.batch_size)
        at_least(0, seed=self.seed)
        levels = list(self.replaced_tokens)
        if not levels or levels != sorted(set(levels)) or not 1 <= levels[0] <= levels[-1] <= self.suffix_tokens:
            raise ValueError(
                f"replaced_tokens is {levels}; it must be at least one number, rising, from 1 to {self.suffix_tokens} "
                "(suffix_tokens)"
            )
        _ = self.cut  # refuses lengths below 1

    @property
    def cut(self) -> Cut:
        """How texts are cut."""
        return Cut(self.prompt_tokens, self.suffix_tokens, self.stride)

    @property
    def each(self) -> int:
        """Rows for a window: itself and all its duplicates."""
        return 1 + self.variations * len(self.replaced_tokens)


def check_inputs(config: Config, inputs: Collection[str]) -> None:
    """Raise UsageError if the model of the strategy is not given, or one that it does not read."""
    if model_input(config.strategy, inputs) is None and "causal_lm" in inputs:
        raise UsageError(f"strategy {config.strategy} does not read the input causal_lm; leave it out")


def facts(config: Config, given: Given) -> Facts:
    """As many windows of one stride, for the plan of what scores them: at most `most` of each text, each as a text."""
    return Facts(texts=config.most * config.each * given["texts"].known("texts"), tokens_a_text=config.stride)


def work(config: Config, given: Given) -> Work:
    """For each token of a suffix, as many tokens as are proposed."""
    if config.strategy != "clm":
        return Work()
    model, precision, length = given["causal_lm"].size, PRECISIONS[config.dtype], config.cut.length
    tokens = config.most * given["texts"].known("texts") * config.suffix_tokens * max(config.top_k, PROPOSALS)
    return Work(
        phases=costs.reading(model, tokens, length, precision),
        gpu=costs.reading_memory(model, config.batch_size, length, precision),
        loaded=costs.weights(model, precision),
    )


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Choose windows, find candidates, vary, write."""
    from lib.models import loading

    file = store.find(inputs["texts"], places.AUDITED)
    texts, tokenizer = texts_file.read(file), loading.load_tokenizer(inputs["tokenizer"])
    texts_file.check_tokenizer(file, texts, tokenizer)
    text, start = sample.of_texts(texts.ids, config.cut, config.most, config.seed)
    if not len(text):
        raise TesseraError(f"{file}: no text has the {config.cut.length} tokens of a window; give longer texts")
    windows = np.stack([texts.ids[row][at : at + config.cut.length] for row, at in zip(text.tolist(), start.tolist())])
    found = _candidates(config, inputs, windows, out)
    rows = [row for number, ids in enumerate(windows) for row in _rows(config, ids, _one(found, number))]
    audited, survives = _as_texts(tokenizer, rows)
    texts_file.write(out / places.AUDITED, audited, tokenizer)
    _write(out / places.FUZZY_WINDOWS, config, np.repeat([text, start], config.each, axis=1), rows, survives)
    share = f"{100 * survives.mean():.3g} % of these rows keep their tokens as text"
    print(
        f"fuzzy_windows: {counted(len(windows), 'window')} of {counted(len(set(text.tolist())), 'text')}, "
        f"{counted(len(rows), 'row')}; {share}"
    )


def _candidates(config: Config, inputs: dict[str, Path], windows: np.ndarray, out: Path) -> ReplacementCandidates:
    """What may replace each token of the suffixes."""
    from lib.models import loading
    from lib.perturbations import candidates_file

    device = loading.device(config.device)
    how = (config.start_token, config.dtype, str(device), config.batch_size)
    settings = candidates_file.Settings(config.strategy, config.top_k, *how)
    given = {"target_tokenizer": inputs["tokenizer"], **{k: inputs[k] for k in OPTIONAL_INPUTS if k in inputs}}
    with Meter(out, windows.size, "positions") as meter:
        found = candidates_file.compute(windows, given, settings, meter.advance, config.prompt_tokens)
    found.replaceable[:, : config.prompt_tokens] = False
    return found


def _one(found: ReplacementCandidates, number: int) -> ReplacementCandidates:
    """The candidates of one window alone, so that its draws do not depend on its place among the others."""
    length = found.original.shape[1]
    options = None if found.options is None else found.options[number * length : (number + 1) * length]
    return ReplacementCandidates(found.sequences, options, found.original[[number]], found.replaceable[[number]])


def _rows(config: Config, ids: np.ndarray, found: ReplacementCandidates) -> Iterator[Row]:
    """A window, and its duplicates by number of replaced tokens."""
    from lib.perturbations.replace import Keys, variation

    keys = Keys(seed=sample.key(ids, config.seed))
    yield ids.tolist(), 0, 0
    for level in config.replaced_tokens:
        for number in range(config.variations):
            yield variation(ids.tolist(), 0, number, found, replace(keys, replaced_tokens=level)), level, number


def _as_texts(tokenizer: Any, rows: list[Row]) -> tuple[AuditedTexts, np.ndarray]:
    """The windows as texts of an audit, and whether the tokenizer makes the same tokens of each text, (rows,) bool."""
    from lib.tokens.tokenization import decode_all, encode_all

    ids = [np.array(row, dtype=np.int64) for row, _, _ in rows]
    texts = decode_all(tokenizer, ids)
    survives = np.array([row.tolist() == seen for row, seen in zip(ids, encode_all(tokenizer, texts))])
    nothing = [""] * len(rows)
    label = np.full(len(rows), UNKNOWN, dtype=np.int8)
    characters = [_characters(tokenizer, row, text) for row, text in zip(ids, texts)]
    return AuditedTexts(texts, nothing, nothing, label, ids, characters), survives


def _characters(tokenizer: Any, ids: np.ndarray, text: str) -> np.ndarray:
    """The characters of `text` that each id stands for, (T, 2) half open; of the parts of one character the last has
    it."""
    from lib.tokens.vocabulary import spans

    ends = np.maximum.accumulate([0 if span is None else span[1] for span in spans(tokenizer, ids.tolist())])
    ends[-1] = len(text)
    return np.stack([np.append(0, ends[:-1]), ends], axis=1)


def _write(path: Path, config: Config, where: np.ndarray, rows: list[Row], survives: np.ndarray) -> None:
    with hdf5.create(path) as file:
        file.attrs.update(variations=config.variations, replaced_tokens=np.array(config.replaced_tokens))
        for name, values in zip(("text", "start"), where):
            hdf5.write(file, name, values.astype("<u4"))
        hdf5.write(file, "replaced", np.array([level for _, level, _ in rows], dtype="<u4"))
        hdf5.write(file, "variation", np.array([number for _, _, number in rows], dtype="<u4"))
        hdf5.write(file, "survives", survives)
