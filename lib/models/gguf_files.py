"""Loads models from GGUF files and unpacks their weights, since packed ones are slow."""

import importlib.metadata
from pathlib import Path
from typing import Any

from gguf import Keys
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForCausalLM, GgufConfig, PreTrainedTokenizerFast
from transformers.integrations.gguf.reader import read_gguf_metadata

from lib.base.distributions import versions
from lib.base.errors import TesseraError, let_refusals_through
from lib.models.loading import check_dtype
from lib.tokens.tokenization import bos_id


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
        if _says_bos(path) and bos_id(tokenizer, "tokenizer") is None:
            _open_with_bos(tokenizer)
    except (OSError, ValueError, ImportError) as error:
        let_refusals_through(error)
        raise TesseraError(f"{path}: not a readable GGUF model: {error}") from error
    return model.eval(), tokenizer


def _says_bos(path: Path) -> bool:
    """Whether the file says that every text opens with the BOS, which transformers passes over."""
    metadata, _ = read_gguf_metadata(str(path))
    return bool(metadata.get(Keys.Tokenizer.ADD_BOS))


def _open_with_bos(tokenizer: PreTrainedTokenizerFast) -> None:
    """Let the tokenizer open texts with its BOS: Gemma writes nonsense without it."""
    bos = (str(tokenizer.bos_token), tokenizer.bos_token_id)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{bos[0]} $A", pair=f"{bos[0]} $A {bos[0]}:1 $B:1", special_tokens=[bos]
    )
