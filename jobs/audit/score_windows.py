"""Score windows through texts: how likely is each true token of a suffix after its prompt?

    python -m jobs score_windows --config FILE --out DIR

FILE holds:

    inputs: {model: DIR, texts: audited.h5}
    prompt_tokens: 50
    suffix_tokens: 50
    stride: 10

A window is a prompt and the suffix after it. It is read once, and only its suffix is scored: nothing is generated.
Result windows.h5, one row a window of this part: `text` (its row in audited.h5), `start` (of the prompt, in tokens),
and for every token of its suffix, n x S: `log_probs` (ln p of the true token), `top` (of the likeliest), `rank` (how
many tokens are likelier), `top_k_mass` (ln of the probability of the `top_k` likeliest together), float32 and uint32;
where asked for, `likeliest` (the id of the likeliest token, uint32), which the report shows beside the text.
p_z, greedy matches and scores of membership follow from them. A killed task continues at its first missing block.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lib.artifacts import store
from lib.audit import texts_file, windows
from lib.audit.texts_file import AuditedTexts
from lib.audit.windows import Cut
from lib.base import blocks, hdf5, places
from lib.base.config import added, at_least, execution
from lib.base.errors import TesseraError
from lib.base.progress import Advance, Meter
from lib.costs import language_models as costs
from lib.costs.facts import Facts, Given
from lib.costs.work import PRECISIONS, Work

VERSION = 1
INPUTS = ("model", "texts")
SLUG = ("prompt_tokens", "suffix_tokens", "stride", "part", "parts")
IMPORTS_TORCH = True
COLUMNS = {"log_probs": "<f4", "top": "<f4", "rank": "<u4", "top_k_mass": "<f4"}
LIKELIEST = {"likeliest": "<u4"}
BYTES = 4  # in the result: of a token, in each column


@dataclass(frozen=True)
class Config:
    """How texts are cut, and how the model runs.

    prompt_tokens: tokens of a prompt
    suffix_tokens: tokens after it, which are scored
    stride: tokens from one window to the next; the last window of a text ends with it
    top_k: of the decoding that is measured beside the model's own distribution: sampling from the k likeliest tokens
    bos: `tokenizer` opens each prompt with a BOS if the tokenizer itself begins texts with one; `document` if it has
        one; `none` opens it with nothing
    dtype: the type in which the model computes
    part: which part of the windows this task does, counted from 0
    parts: how many parts the windows are cut into
    likeliest: whether the ids of the likeliest tokens are stored as well
    batch_size: windows in one forward pass
    block_windows: windows that are stored at once; a killed task continues with the missing blocks
    device: where the model runs: cpu, cuda, cuda:1, ..., or auto (a GPU if there is one)
    """

    prompt_tokens: int = 50
    suffix_tokens: int = 50
    stride: int = 10
    top_k: int = 40
    bos: Literal["tokenizer", "document", "none"] = "tokenizer"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    part: int = 0
    parts: int = 1
    likeliest: bool = added(False)
    batch_size: int = execution(16)
    block_windows: int = execution(256)
    device: str = execution("auto")

    def __post_init__(self) -> None:
        """Raise ValueError for a part that does not exist, and for sizes that are too small."""
        at_least(1, top_k=self.top_k, parts=self.parts, batch_size=self.batch_size, block_windows=self.block_windows)
        if not 0 <= self.part < self.parts:
            raise ValueError(f"part is {self.part}; it must be 0 to {self.parts - 1} (parts - 1)")
        _ = self.cut  # refuses lengths below 1

    @property
    def columns(self) -> dict[str, str]:
        """What is stored of a token of a suffix, and its type."""
        return {**COLUMNS, **LIKELIEST} if self.likeliest else COLUMNS

    @property
    def cut(self) -> Cut:
        """How texts are cut."""
        return Cut(self.prompt_tokens, self.suffix_tokens, self.stride)


def facts(config: Config, given: Given) -> Facts:
    """How many windows a part has, if the tokens of the texts are known."""
    return Facts(texts=_windows(config, given), tokens_a_text=config.cut.length)


def work(config: Config, given: Given) -> Work:
    """Every window of this part is read once."""
    model, precision, length = given["model"].size, PRECISIONS[config.dtype], config.cut.length
    tokens = _windows(config, given) * length
    return Work(
        phases=costs.reading(model, tokens, length, precision),
        gpu=costs.reading_memory(model, config.batch_size, length, precision),
        spread=costs.weights(model, precision),
        loaded=costs.weights(model, precision),
        results=BYTES * len(config.columns) * _windows(config, given) * config.suffix_tokens,
    )


def _windows(config: Config, given: Given) -> float:
    return given["texts"].tokens / config.stride / config.parts


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Make the missing blocks, then one file of all."""
    file = store.find(inputs["texts"], places.AUDITED)
    texts = texts_file.read(file)
    text, start = _of_part(config, texts, file)
    folder = out / places.BLOCKS
    blocks.claim(folder, store.made_from(VERSION, config, inputs))
    rows = {f"{low:09d}-{high:09d}": slice(low, high) for low, high in _ranges(config, len(text))}
    if missing := blocks.missing(folder, list(rows)):
        scorer = _Scorer(config, inputs["model"], file, texts)
        begun = len(text) - sum(len(text[rows[name]]) for name in missing)
        with Meter(out, len(text), "windows", begun=begun) as meter:
            for name in missing:
                found = scorer.scores(text[rows[name]], start[rows[name]], meter.advance)
                blocks.write(blocks.file(folder, name), found)
    _assemble(config, folder, list(rows), text, start, out / places.WINDOWS)


def _ranges(config: Config, n: int) -> list[tuple[int, int]]:
    return blocks.ranges(0, n, config.block_windows)


def _of_part(config: Config, texts: AuditedTexts, file: Path) -> tuple[np.ndarray, np.ndarray]:
    """The text and the start of each window of this part. Raises TesseraError for too few windows."""
    lengths = texts.lengths()
    text, start = windows.of_texts(lengths, config.cut)
    if not len(text):
        raise TesseraError(
            f"{file}: none of {len(lengths)} texts has the {config.cut.length} tokens of a window (prompt_tokens + "
            f"suffix_tokens); the longest has {max(lengths)}; lower one of them, or give longer texts"
        )
    if config.parts > len(text):
        raise TesseraError(f"parts is {config.parts}, but {file} has only {len(text)} windows; lower parts")
    mine = slice(len(text) * config.part // config.parts, len(text) * (config.part + 1) // config.parts)
    return text[mine], start[mine]


class _Scorer:
    """The model, loaded once, and its scores of windows."""

    def __init__(self, config: Config, directory: Path, file: Path, texts: AuditedTexts):
        from lib.models import likelihoods, loading

        tokenizer = loading.load_tokenizer(directory)
        texts_file.check_tokenizer(file, texts, tokenizer)
        self.config, self.ids, self.file = config, texts.ids, file
        self.opening = likelihoods.opening(tokenizer, policy=config.bos)
        self.model = loading.load_causal_lm(directory, config.dtype, loading.device(config.device))

    def scores(self, text: np.ndarray, start: np.ndarray, advance: Advance) -> dict[str, np.ndarray]:
        """The columns of some windows, each (windows, S)."""
        from lib.models.token_scores import score_tokens

        places_ = list(zip(text.tolist(), start.tolist()))
        prompt, length = self.config.prompt_tokens, self.config.cut.length
        contexts = [np.concatenate([self.opening, self.ids[row][at : at + prompt]]) for row, at in places_]
        suffixes = [self.ids[row][at + prompt : at + length] for row, at in places_]
        try:
            found = score_tokens(
                self.model, suffixes, contexts, self.config.batch_size, advance=advance, top_k=self.config.top_k
            )
        except ValueError as error:
            raise TesseraError(f"{self.file}: windows from token {start[0]} of text {text[0]}: {error}") from error
        return {name: np.stack(getattr(found, name)).astype(dtype) for name, dtype in self.config.columns.items()}


def _assemble(config: Config, folder: Path, names: list[str], text: np.ndarray, start: np.ndarray, path: Path) -> None:
    with hdf5.create(path) as file:
        file.attrs.update(
            prompt_tokens=config.prompt_tokens,
            suffix_tokens=config.suffix_tokens,
            stride=config.stride,
            top_k=config.top_k,
            bos=config.bos,
            dtype=config.dtype,
            part=config.part,
            parts=config.parts,
        )
        hdf5.write(file, "text", text.astype("<u4"))
        hdf5.write(file, "start", start.astype("<u4"))
        for name in names:
            for column, values in blocks.read(folder, name).items():
                hdf5.append(file, column, values)
    print(f"score_windows: {len(text)} windows of {len(np.unique(text))} texts")
