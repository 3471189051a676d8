"""Score the windows of an audit under a reference model, in its own tokens.

    python -m jobs reference_windows --config FILE --out DIR

FILE holds:

    inputs: {model: DIR, texts: audited.h5}     # the reference model; of the stage audit_texts or fuzzy_windows
    prompt_tokens: 50                           # this and the next two as in score_windows
    suffix_tokens: 50
    stride: 10

A window is the text of as many tokens of the examined model; the reference reads the same text, in its own tokens. A
token of it that lies across the end of the prompt counts as prompt. Result reference_windows.h5, one row a window:
`text`, `start` (as in windows.h5), `log_p` (ln p of the suffix after the prompt), `tokens` and `bytes` (UTF-8) that
this is of. A suffix may have no token of its own (tokens 0). A killed task continues at its first missing block.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lib.artifacts import store
from lib.audit import in_blocks, respelled, texts_file, windows
from lib.audit.texts_file import AuditedTexts
from lib.audit.windows import Cut
from lib.base import places, ragged
from lib.base.config import at_least, execution
from lib.base.errors import TesseraError, counted
from lib.base.progress import Advance
from lib.costs import language_models as costs
from lib.costs.facts import Given
from lib.costs.work import PRECISIONS, Work

VERSION = 1
INPUTS = ("model", "texts")
SLUG = ("prompt_tokens", "suffix_tokens", "stride", "part", "parts")
IMPORTS_TORCH = True
LONGER = 1.5  # tokens of a reference for one of the examined model, for plans
COLUMNS = ("log_p", "tokens", "bytes")
ABOUT = ("prompt_tokens", "suffix_tokens", "stride", "bos", "dtype", "part", "parts")


@dataclass(frozen=True)
class Config:
    """How texts are cut, and how the reference model runs.

    prompt_tokens: tokens of a prompt, of the examined model
    suffix_tokens: tokens after it, which are scored
    stride: tokens from one window to the next
    bos: `tokenizer` opens each prompt with a BOS if the tokenizer itself begins texts with one; `document` if it has
        one; `none` opens it with nothing
    dtype: the type in which the model computes
    part: which part of the windows this task does, counted from 0
    parts: how many parts the windows are cut into
    batch_size: windows in one forward pass
    block_windows: windows that are stored at once; a killed task continues with the missing blocks
    device: where the model runs: cpu, cuda, cuda:1, ..., or auto (a GPU if there is one)
    """

    prompt_tokens: int = 50
    suffix_tokens: int = 50
    stride: int = 10
    bos: Literal["tokenizer", "document", "none"] = "tokenizer"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    part: int = 0
    parts: int = 1
    batch_size: int = execution(16)
    block_windows: int = execution(256)
    device: str = execution("auto")

    def __post_init__(self) -> None:
        """Raise ValueError for a part that does not exist, and for sizes that are too small."""
        at_least(1, parts=self.parts, batch_size=self.batch_size, block_windows=self.block_windows)
        if not 0 <= self.part < self.parts:
            raise ValueError(f"part is {self.part}; it must be 0 to {self.parts - 1} (parts - 1)")
        _ = self.cut  # refuses lengths below 1

    @property
    def cut(self) -> Cut:
        """How texts are cut."""
        return Cut(self.prompt_tokens, self.suffix_tokens, self.stride)


def work(config: Config, given: Given) -> Work:
    """Every window of this part is read once."""
    model, precision, length = given["model"].size, PRECISIONS[config.dtype], LONGER * config.cut.length
    tokens = given["texts"].tokens / config.stride / config.parts * length
    return Work(
        phases=costs.reading(model, tokens, length, precision),
        gpu=costs.reading_memory(model, config.batch_size, length, precision),
        spread=costs.weights(model, precision),
        loaded=costs.weights(model, precision),
    )


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Make the missing blocks, then one file of all."""
    file = store.find(inputs["texts"], places.AUDITED)
    texts = texts_file.read(file)
    text, start = windows.of_part(texts.lengths(), config.cut, config.part, config.parts, file)

    made_from, size = store.made_from(VERSION, config, inputs), config.block_windows
    found = in_blocks.make(out, made_from, text, start, size, lambda: _Scorer(config, inputs["model"], file, texts))
    about = {name: getattr(config, name) for name in ABOUT}
    columns = ({column: one[column] for column in COLUMNS} for one in found)
    in_blocks.assemble(out / places.REFERENCE_WINDOWS, about, text, start, columns)
    print(f"reference_windows: {counted(len(text), 'window')} of {counted(len(np.unique(text)), 'text')}")


class _Scorer:
    """The reference model, loaded once, and its scores of windows."""

    def __init__(self, config: Config, directory: Path, file: Path, texts: AuditedTexts):
        from lib.models import likelihoods, loading

        self.config, self.texts, self.file = config, texts, file
        self.tokenizer = loading.load_tokenizer(directory)
        self.opening = likelihoods.opening(self.tokenizer, policy=config.bos)
        self.model = loading.load_causal_lm(directory, config.dtype, loading.device(config.device))

    def scores(self, text: np.ndarray, start: np.ndarray, advance: Advance) -> in_blocks.Columns:
        """COLUMNS of some windows, each (windows,)."""
        places_ = zip(text.tolist(), start.tolist())
        given = [respelled.window(self.texts, *place, self.config.cut) for place in places_]
        parts = [respelled.split(self.tokenizer, *one) for one in given]
        rows = np.array([number for number, (_, suffix, _) in enumerate(parts) if len(suffix)], dtype=np.int64)
        log_p = np.zeros(len(parts))
        log_p[rows] = self._log_p([parts[row] for row in rows], advance)
        advance(len(parts) - len(rows))
        return {
            "log_p": log_p,
            "tokens": np.array([len(suffix) for _, suffix, _ in parts], dtype=np.uint32),
            "bytes": np.array([size for _, _, size in parts], dtype=np.uint32),
        }

    def _log_p(self, parts: list[tuple[np.ndarray, np.ndarray, int]], advance: Advance) -> np.ndarray:
        from lib.models.token_scores import score_tokens

        contexts = [np.concatenate([self.opening, prompt]) for prompt, _, _ in parts]
        suffixes = [ids for _, ids, _ in parts]
        size = self.config.batch_size
        try:
            found = [
                ragged.sums(score_tokens(self.model, suffixes[rows], contexts[rows], size, advance=advance).log_probs)
                for rows in windows.read_together(contexts)
            ]
        except ValueError as error:
            raise TesseraError(f"{self.file}: windows under the reference model: {error}") from error
        return np.concatenate(found)
