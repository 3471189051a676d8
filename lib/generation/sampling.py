"""Texts drawn from a causal language model, from beginnings of equal length, in batches."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lib.base.errors import UsageError
from lib.generation.decode_loop import ENDED, grow
from lib.generation.decoder_state import DecoderState, rows_together
from lib.generation.decoding import Decoding
from lib.models import output_head
from lib.tokens.tokenization import special_ids

Enough = Callable[[list[int]], bool]


def suppressed_ids(tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> np.ndarray:
    """Ids never to sample, int64, sorted: special tokens, and output rows beyond the tokenizer's vocabulary."""
    return np.array(sorted(special_ids(tokenizer) | set(range(len(tokenizer), vocab_size))), dtype=np.int64)


def start_id(tokenizer: PreTrainedTokenizerBase, token: str | None) -> int:
    """The id that sampling starts from: `token`, or the BOS. Raises UsageError when the tokenizer lacks it."""
    index = tokenizer.bos_token_id if token is None else tokenizer.get_vocab().get(token)
    if index is None:
        raise UsageError(f"start_token {token!r} is not a token of the reference model; name one, like '<|endoftext|>'")
    return index


@torch.inference_mode()
def sample(
    model: PreTrainedModel,
    start: Sequence[int] | NDArray[np.integer],
    n_tokens: int,
    keys: NDArray[np.int64],
    how: Decoding,
    *,
    suppress: Sequence[int] = (),
    enough: Enough | None = None,
) -> list[list[int]]:
    """Draw up to `n_tokens` ids after `start`, one row for each key; a row depends on its key and its start alone.

    start: at least one id, the same for all rows, or (rows, length), one start for each; keys: (rows,), see
    lib.base.seeds.key; suppress: ids never drawn; enough: asked now and then whether a row may end where it is. Raises
    UsageError without a start id.
    """
    starts = np.broadcast_to(np.asarray(start, dtype=np.int64), (len(keys), np.shape(start)[-1]))
    if not starts.shape[1]:
        raise UsageError("sampling needs at least one start id; name a start token of the reference model")
    together = rows_together(model, len(keys))
    parts = [slice(low, low + together) for low in range(0, len(keys), together)]
    return [row for some in parts for row in _sample(model, starts[some], n_tokens, keys[some], how, suppress, enough)]


def _sample(
    model: PreTrainedModel,
    starts: NDArray[np.int64],
    n_tokens: int,
    keys: NDArray[np.int64],
    how: Decoding,
    suppress: Sequence[int],
    enough: Enough | None,
) -> list[list[int]]:
    ids = torch.tensor(starts, device=model.device)
    state = DecoderState(model, starts.shape[1] + n_tokens, output_head.splits_off(model, ids[:1]))
    logits = state.logits(state.read(ids)[:, -1])

    def finished(made: torch.Tensor) -> torch.Tensor:
        found = [enough is not None and enough(row) for row in made.tolist()]
        return torch.tensor(found, dtype=torch.bool, device=made.device)

    made = grow(state, logits, n_tokens, how, torch.from_numpy(keys).to(ids.device), finished, suppress)
    return [row[row != ENDED].tolist() for row in made.cpu()]
