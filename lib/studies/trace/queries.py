"""Many texts to be traced: documents of a file, or what models wrote in the prefix study."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.artifacts import store
from lib.base import hdf5, places
from lib.base.errors import TesseraError, UsageError, let_refusals_through
from lib.texts import text_files
from lib.tokens.encoders import encode_large


def read(path: Path, tokenizer: Any) -> list[NDArray[np.int64]]:
    """Texts as ids of the corpus's tokenizer: the documents of a file (`text` of JSON lines, CSV or Parquet, or one
    text), or the continuations in a generations.h5 or its artifact.

    Raises UsageError for a file without texts, TesseraError for one that cannot be read.
    """
    file = path / places.GENERATIONS if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise UsageError(f"{path}: a folder without {places.GENERATIONS}; give a file of texts")
    found = _written(file, tokenizer) if file.name == places.GENERATIONS else _documents(file, tokenizer)
    if not found:
        raise UsageError(f"{path}: no text in it; give a file with at least one")
    return found


def _documents(file: Path, tokenizer: Any) -> list[NDArray[np.int64]]:
    return [np.asarray(ids, np.int64) for ids in encode_large(tokenizer, list(text_files.documents(file)))]


def _written(file: Path, tokenizer: Any) -> list[NDArray[np.int64]]:
    """The continuations of an artifact of the stage generate, whose task.json names the model, hence its tokenizer."""
    from lib.models import loading
    from lib.prefix.generated import continuations_as

    store.verify_file(file)
    try:
        model = Path(json.loads((file.parent / places.TASK).read_bytes())["inputs"]["model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        let_refusals_through(error)
        raise TesseraError(
            f"{file.parent / places.TASK}: does not name the model that wrote {file.name}: {error}"
        ) from error
    prompts, continuations = (hdf5.read(file, name) for name in ("prompt", "continuation"))
    return continuations_as(prompts, continuations, loading.load_tokenizer(model), tokenizer)
