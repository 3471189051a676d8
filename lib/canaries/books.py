"""Books: the long documents that canaries are injected into, and the held-out ones that never are."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lib.base.errors import TesseraError


def first_tokens(tokenizer: Any, text: str, count: int) -> str:
    """The beginning of `text` that its first `count` tokens cover; all of it when it has no more than these.

    A character that the last token holds only in part is kept whole.
    """
    ends = _token_ends(tokenizer, text)
    return text if len(ends) <= count else text[: ends[count - 1]]


def count_tokens(tokenizer: Any, text: str) -> int:
    """How many tokens `text` has, special ones apart."""
    return len(_token_ends(tokenizer, text))


def choose(order: Sequence[int], text_of: Callable[[int], str], fits: Callable[[str], bool], wanted: int) -> list[int]:
    """The first `wanted` documents of `order` whose text fits, as indices in that order; fewer when it ends.

    Only as many texts are read as it takes.
    """
    chosen: list[int] = []
    for index in order:
        if len(chosen) == wanted:
            break
        if fits(text_of(index)):
            chosen.append(index)
    return chosen


def load_data_set(folder: Path, split: str, columns: Sequence[str], scratch: Path) -> Any:
    """The rows of one split of a data set in a local folder (Parquet, JSON, CSV or text files), offline.

    The Arrow copy that `datasets` makes lies in `scratch`, which must be removed afterwards.
    Raises TesseraError naming the folder when the files cannot be read or the split or a column is not there.
    """
    import datasets

    datasets.disable_progress_bars()
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        rows = datasets.load_dataset(str(folder), split=split, cache_dir=str(scratch))
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise TesseraError(f"{folder}: no data set with a split '{split}' that can be read: {error}") from error
    missing = [column for column in columns if column not in rows.column_names]
    if missing:
        raise TesseraError(f"{folder}: no column '{missing[0]}'; it has {', '.join(rows.column_names)}")
    return rows


def _token_ends(tokenizer: Any, text: str) -> list[int]:
    if not tokenizer.is_fast:
        raise TesseraError(
            f"{tokenizer.name_or_path}: this tokenizer does not say which characters a token covers; "
            "use one with a tokenizer.json"
        )
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [end for _, end in encoded["offset_mapping"]]
