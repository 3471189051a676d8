"""Loads models from GGUF files and unpacks their weights, since packed ones are slow."""

import importlib.metadata
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, GgufConfig, PreTrainedTokenizerFast

from lib.base.distributions import versions
from lib.base.errors import TesseraError, let_refusals_through
from lib.models.loading import check_dtype


def find(package: str, file: str) -> Path:
    """The path of a GGUF file that an installed distribution ships (the package itself is not imported).

    file: its name; "" for the only one.

    Raises TesseraError when the distribution is missing, has another version than `name==version` says, or does not
    ship that file.
    """
    name = package.partition("==")[0]
    versions([package])
    distribution = importlib.metadata.distribution(name)
    shipped = [entry for entry in distribution.files or () if entry.suffix == ".gguf"]
    for entry in shipped:
        path = Path(str(distribution.locate_file(entry)))
        if (entry.name == file or (not file and len(shipped) == 1)) and path.is_file():
            return path
    known = ", ".join(sorted(entry.name for entry in shipped)) or "no GGUF file"
    raise TesseraError(f"{package}: no file '{file}' (it ships {known}); name one of these, or install it again")


def load(path: Path, dtype: str = "float32") -> tuple[Any, Any]:
    """(causal model, tokenizer) of a GGUF file, all weights dense in `dtype`. Raises TesseraError naming the file."""
    check_dtype(dtype)
    options: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True, "trust_remote_code": False}
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path.parent, dtype=dtype, quantization_config=GgufConfig(dequantize=True), **options
        )
        # AutoTokenizer ends at the same class after parsing all metadata once more (7 s)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(path.parent, **options)
    except (OSError, ValueError, ImportError) as error:
        let_refusals_through(error)
        raise TesseraError(f"{path}: not a readable GGUF model: {error}") from error
    return model.eval(), tokenizer
