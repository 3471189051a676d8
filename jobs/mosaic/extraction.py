"""Prompt a fine-tuned model with the first tokens of each canary: does it continue with the rest?

    python -m jobs extraction --config FILE --out DIR

FILE holds:

    inputs: {target: DIR, members: canaries.h5, non_members: canaries.h5}
    prompt_tokens: 50
    suffix_tokens: 50

Result extracted.h5, one row per canary in the groups `members` and `non_members`. Of the greedy continuation:
`continuation` (n x S int64, its end id included, -1 after it), `exact`, `matched_tokens`, `edit_similarity`,
`bleu`, `suffix_in_prompt` (see lib.prefix.matching), and `word_bleu` of the decoded texts (see lib.prefix.bleu). Of the
model's own distribution: `suffix_nll` (nats, summed) and `samples_needed` (n x 3 float64): how many samples hold the
true suffix with probability 0.1, 0.5, 0.9.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.config import added, at_least, execution
from lib.base.errors import TesseraError, UsageError
from lib.base.progress import Advance, Meter
from lib.canaries import canaries_file
from lib.costs import language_models as costs
from lib.costs.facts import Given
from lib.costs.work import PRECISIONS, Work
from lib.generation.decoding import Decoding
from lib.prefix.discoverable import samples_by_probability
from lib.training import bos

if TYPE_CHECKING:
    from lib.generation.continuations import Continued

VERSION = 2
INPUTS = ("target", "members", "non_members")
SLUG = ("prompt_tokens", "suffix_tokens")
IMPORTS_TORCH = True


@dataclass(frozen=True)
class Config:
    """Where the canary is cut, and how the model runs.

    prompt_tokens: the first tokens of the canary, which the model is given
    suffix_tokens: the tokens after them, which it should produce
    bos_policy: as in the training (stage finetune): `document` opens each prompt with the tokenizer's BOS, if it has
        one; `tokenizer` does so if the tokenizer itself would; `none` opens it with nothing
    trained_bos: `same` stops if prompts open in another way than in the training of the target; `any` does not
    dtype: the type in which the model computes
    batch_size: prompts that are continued at once
    device: where the model runs: cpu, cuda, cuda:1, ..., or auto (a GPU if there is one)
    """

    prompt_tokens: int = 50
    suffix_tokens: int = 50
    bos_policy: Literal["document", "tokenizer", "none"] = "document"
    trained_bos: Literal["same", "any"] = added("same")
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = execution(64)
    device: str = execution("auto")

    def __post_init__(self) -> None:
        """Raise ValueError for empty prompts, suffixes and batches."""
        at_least(1, prompt_tokens=self.prompt_tokens, suffix_tokens=self.suffix_tokens, batch_size=self.batch_size)


def check(config: Config, given: Given) -> None:
    """Raise UsageError for prompts and suffixes that are longer than the canaries."""
    for side in canaries_file.SIDES:
        _check_length(config, int(given[side].known("tokens_a_text")), side)


def work(config: Config, given: Given) -> Work:
    """The canaries of both sides are continued."""
    model, precision = given["target"].size, PRECISIONS[config.dtype]
    prompt, made = config.prompt_tokens, config.suffix_tokens
    sides = [given[side].known("texts") for side in canaries_file.SIDES]
    return Work(
        phases=tuple(
            phase
            for texts in sides
            for phase in costs.continuing(model, texts, config.batch_size, prompt, made, precision)
        ),
        gpu=costs.continuing_memory(model, config.batch_size, prompt + made, precision),
        loaded=costs.weights(model, precision),
    )


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Continue the canaries of both sides, compare, write."""
    from lib.models import likelihoods, loading

    tokenizer = loading.load_tokenizer(inputs["target"])
    first = likelihoods.opening(tokenizer, policy=config.bos_policy)
    if config.trained_bos == "same":
        bos.check_training(inputs["target"], first)
    sides = {side: canaries_file.read_texts(store.find(inputs[side], places.CANARIES)) for side in canaries_file.SIDES}
    for texts in sides.values():
        _check_length(config, texts.ids.shape[1], str(texts.file))
    model = loading.load_causal_lm(inputs["target"], config.dtype, loading.device(config.device))
    with Meter(out, sum(len(texts.ids) for texts in sides.values()), "prompts") as meter:
        found = {side: _side(config, model, tokenizer, first, texts, meter.advance) for side, texts in sides.items()}
    _write(out / places.EXTRACTED, config, found)


def _check_length(config: Config, length: int, where: str) -> None:
    needed = config.prompt_tokens + config.suffix_tokens
    if needed > length:
        raise UsageError(
            f"prompt_tokens is {config.prompt_tokens} and suffix_tokens is {config.suffix_tokens}; they need canaries "
            f"of {needed} tokens, but those in {where} have {length} tokens; lower one of them"
        )


def _side(
    config: Config, model: Any, tokenizer: Any, first: np.ndarray, texts: canaries_file.CanaryTexts, advance: Advance
) -> dict[str, np.ndarray]:
    from lib.prefix import matching

    prompts = texts.ids[:, : config.prompt_tokens].astype(np.int64)
    suffixes = texts.ids[:, config.prompt_tokens :][:, : config.suffix_tokens].astype(np.int64)
    made = _continued(config, model, tokenizer, first, texts, prompts, suffixes, advance)
    return {
        "continuation": made.ids,
        **matching.columns(made.ids, prompts, suffixes),
        "word_bleu": _word_bleu(tokenizer, made.ids, suffixes),
        "suffix_nll": made.suffix_nll,
        "samples_needed": samples_by_probability(-made.suffix_nll),
    }


def _word_bleu(tokenizer: Any, continuations: np.ndarray, suffixes: np.ndarray) -> np.ndarray:
    """Word BLEU of each continuation, (n,): of its text without special tokens, such as the end it may have."""
    from lib.generation.decode_loop import ENDED
    from lib.prefix import bleu
    from lib.tokens.tokenization import decode_all, special_ids

    silent = [ENDED, *special_ids(tokenizer)]
    spoken = decode_all(tokenizer, [row[~np.isin(row, silent)] for row in continuations])
    return np.array([bleu.word_score(*pair) for pair in zip(spoken, decode_all(tokenizer, suffixes))])


def _continued(
    config: Config, model: Any, tokenizer: Any, first: np.ndarray, texts: canaries_file.CanaryTexts,
    prompts: np.ndarray, suffixes: np.ndarray, advance: Advance,
) -> "Continued":  # fmt: skip
    from lib.generation import continuations

    opened = np.concatenate([np.tile(first, (len(prompts), 1)), prompts], axis=1).astype(np.int64)
    keys = np.zeros(len(prompts), dtype=np.int64)  # greedy decoding draws nothing
    try:
        return continuations.continue_prompts(
            model, opened, suffixes, config.suffix_tokens, Decoding("greedy"), keys,
            continuations.end_ids(model, tokenizer), config.batch_size, advance,
        )  # fmt: skip
    except ValueError as error:
        raise TesseraError(f"{texts.file}: {error}") from error


def _write(path: Path, config: Config, found: dict[str, dict[str, np.ndarray]]) -> None:
    with hdf5.create(path) as file:
        for side, columns in found.items():
            group = file.create_group(side)
            for name, values in columns.items():
                hdf5.write(group, name, values)
        file.attrs.update(prompt_tokens=config.prompt_tokens, suffix_tokens=config.suffix_tokens, dtype=config.dtype)
    counts = [f"{int(columns['exact'].sum())} of {len(columns['exact'])} {side}" for side, columns in found.items()]
    print(f"extraction: whole suffixes of {' and '.join(counts).replace('_', '-')}")
