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
where asked for, `likeliest` (the id of the likeliest token, uint32), which the report shows beside the text, and `mu`
and `sigma` (mean and standard deviation of ln p under the model's own distribution, float32).
p_z, greedy matches and scores of membership follow from them. A killed task continues at its first missing block.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lib.artifacts import store
from lib.audit import in_blocks, texts_file, windows
from lib.audit.texts_file import AuditedTexts
from lib.audit.windows import Cut
from lib.base import places
from lib.base.config import added, at_least, execution
from lib.base.errors import TesseraError, counted
from lib.base.progress import Advance
from lib.costs import language_models as costs
from lib.costs.facts import Facts, Given
from lib.costs.work import PRECISIONS, Work

VERSION = 1
INPUTS = ("model", "texts")
SLUG = ("prompt_tokens", "suffix_tokens", "stride", "part", "parts")
IMPORTS_TORCH = True
COLUMNS = {"log_probs": "<f4", "top": "<f4", "rank": "<u4", "top_k_mass": "<f4"}
LIKELIEST = {"likeliest": "<u4"}
MOMENTS = {"mu": "<f4", "sigma": "<f4"}
ABOUT = ("prompt_tokens", "suffix_tokens", "stride", "top_k", "bos", "dtype", "part", "parts")
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
    moments: whether mean and standard deviation of the model's distribution are, for Min-K%++
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
    moments: bool = added(False)
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
        return {**COLUMNS, **(LIKELIEST if self.likeliest else {}), **(MOMENTS if self.moments else {})}

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
    text, start = windows.of_part(texts.lengths(), config.cut, config.part, config.parts, file)

    made_from, size = store.made_from(VERSION, config, inputs), config.block_windows
    found = in_blocks.make(out, made_from, text, start, size, lambda: _Scorer(config, inputs["model"], file, texts))
    about = {name: getattr(config, name) for name in ABOUT}
    in_blocks.assemble(out / places.WINDOWS, about, text, start, found)
    print(f"score_windows: {counted(len(text), 'window')} of {counted(len(np.unique(text)), 'text')}")


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
        how = (self.config.batch_size, self.config.moments, advance, self.config.top_k)
        try:
            found = [
                score_tokens(self.model, suffixes[rows], contexts[rows], *how)
                for rows in windows.read_together(contexts)
            ]
        except ValueError as error:
            raise TesseraError(f"{self.file}: windows from token {start[0]} of text {text[0]}: {error}") from error
        return {
            name: np.concatenate([np.stack(getattr(scores, name)) for scores in found]).astype(dtype)
            for name, dtype in self.config.columns.items()
        }
