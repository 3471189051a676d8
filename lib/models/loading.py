"""Loads models and tokenizers from a directory that transformers saved, or that points into the hub cache.

Everything is read offline, from safetensors, without code from the repository unless its hub.json says
`trust_remote_code`. Type and device are always the caller's choice, so that a file's own type never decides them.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lib.artifacts import attempts
from lib.base import places
from lib.base.errors import TesseraError, let_refusals_through
from lib.models import hub, placement

# torch and transformers' Auto classes take seconds to import: functions that need them do so, the tokenizer's do not.
DTYPES = ("float32", "bfloat16", "float16")
WITHOUT_WEIGHTS = (*(pattern for pattern in hub.MODEL_FILES if pattern != "*.safetensors"), *hub.CODE)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


def load_causal_lm(directory: Path, dtype: str = "float32", device: str = "cpu") -> Any:
    """A causal language model in evaluation mode.

    `dtype` is float32, bfloat16 or float16. Raises TesseraError naming the directory when it holds no model, a
    model of another kind, or weights that are missing, damaged or incomplete.
    """
    from transformers import AutoModelForCausalLM

    return _load(AutoModelForCausalLM, "MaskedLM", Path(directory), dtype, device)


def load_masked_lm(directory: Path, dtype: str = "float32", device: str = "cpu") -> Any:
    """A masked language model in evaluation mode; otherwise as `load_causal_lm`."""
    from transformers import AutoModelForMaskedLM

    return _load(AutoModelForMaskedLM, "CausalLM", Path(directory), dtype, device)


def load_tokenizer(directory: Path) -> Any:
    """The tokenizer of a directory. Raises TesseraError naming the directory when it holds none."""
    folder = source(directory)
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        # transformers would silently make an empty tokenizer from config.json
        raise TesseraError(f"{directory}: no tokenizer in it (none of {', '.join(TOKENIZER_FILES)}); name another")
    try:
        return _tokenizer_class(folder).from_pretrained(folder, **_options(directory))
    except (OSError, ValueError, KeyError) as error:
        let_refusals_through(error)
        raise TesseraError(f"{directory}: the tokenizer cannot be read: {error}") from error


def source(directory: Path, read: Sequence[str] = WITHOUT_WEIGHTS) -> Path:
    """The folder that holds the files: the directory itself, or the hub snapshot that its hub.json names.

    read: patterns of the files that are read, whose bytes are compared with what the hub has. Raises Damaged naming
    one that differs.
    """
    pointer = _pointer(directory)
    if not pointer or pointer.get("converted"):
        return Path(directory)
    patterns = (*hub.MODEL_FILES, *hub.CODE) if runs_code(directory) else ()
    return hub.verify(hub.HubItem("model", pointer["repo"], pointer["revision"], patterns), read)


def runs_code(directory: Path) -> bool:
    """Whether the model runs code of its repository: its hub.json says `trust_remote_code: true`."""
    return _pointer(directory).get("trust_remote_code") is True


def check(directory: Path) -> None:
    """Read configuration, tokenizer and the header of every weight file, without loading the weights.

    Raises TesseraError naming what is missing or damaged.
    """
    folder = source(directory)
    _configuration(Path(directory), folder)
    load_tokenizer(directory)
    for file in weight_files(directory, folder):
        try:
            with safe_open(file, framework="np") as weights:
                weights.keys()
        except (SafetensorError, OSError) as error:
            let_refusals_through(error)
            raise TesseraError(f"{file}: missing or damaged weights ({error}); fetch or make it again") from error


def check_dtype(dtype: str) -> None:
    """Raise TesseraError unless `dtype` is one of DTYPES."""
    if dtype not in DTYPES:
        raise TesseraError(f"unknown dtype '{dtype}'; choose one of {', '.join(DTYPES)}")


def device(name: str) -> str:
    """A device's name: "auto" is the first GPU where there is one, else the CPU."""
    import torch

    return name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def save(model: Any, tokenizer: Any, directory: Path) -> None:
    """Write a model (safetensors) and its tokenizer, as `load_causal_lm` and transformers read them."""
    _no_progress_bars()
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)


def _pointer(directory: Path) -> dict[str, Any]:
    """What hub.json says; nothing if there is none."""
    file = Path(directory) / places.HUB
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {**found, "repo": found["repo"], "revision": found["revision"]}
    except (ValueError, KeyError, TypeError) as error:
        raise TesseraError(f"{file}: does not name a hub model ({error!r}); delete it and run again") from error


def _options(directory: Path) -> dict[str, Any]:
    trusted = runs_code(directory)
    if trusted:
        _check_whose_code(source(directory))
    return {"local_files_only": True, "trust_remote_code": trusted}


def _load(auto: Any, other_kind: str, directory: Path, dtype: str, device: str) -> Any:
    folder = source(directory, read=("*",))
    check_dtype(dtype)
    config = _configuration(directory, folder)
    _check_kind(directory, config, other_kind)
    files = weight_files(directory, folder)
    if runs_code(directory):
        print(f"{directory}: runs code of its repository (trust_remote_code)", flush=True)
    _no_progress_bars()
    place, gpus = _device(device), placement.gpus(device)
    try:
        placement.check(directory, files, dtype, gpus)
        onto = _onto(auto, config, directory, dtype, gpus)
        model, report = auto.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, output_loading_info=True, **_options(directory), **onto
        )
    except (OSError, ValueError, SafetensorError) as error:
        let_refusals_through(error)
        raise TesseraError(f"{directory}: the model cannot be loaded: {error}") from error
    _check_complete(directory, report)
    return _on(model, place).eval()


def _onto(auto: Any, config: Any, directory: Path, dtype: str, gpus: Sequence[int]) -> dict[str, Any]:
    """For transformers: weights go from their files to one GPU or several, without a copy in RAM; nothing for a CPU."""
    if len(gpus) < 2:
        return {"device_map": {"": gpus[0]}} if gpus else {}
    import torch

    with torch.device("meta"):
        trusted = {"trust_remote_code": runs_code(directory)}
        skeleton = auto.from_config(config, dtype=getattr(torch, dtype), **trusted)
    print(f"{directory}: spread over {len(gpus)} GPUs", flush=True)
    return {"device_map": placement.spread(skeleton, gpus)}


def _on(model: Any, device: Any) -> Any:
    if model.config.model_type == "mamba":
        from lib.models import mamba_scan

        attempts.note("mamba", mamba_scan.choose_path(model, device))
    elif model.config.model_type == "rwkv":
        from lib.models import rwkv_scan

        rwkv_scan.use_parallel_scan(model)
    elif model.config.model_type == "gpt_neo":
        from lib.models import gpt_neo_attention

        gpt_neo_attention.choose(model)
    return model if placement.is_spread(model) else model.to(device)


def _configuration(directory: Path, folder: Path) -> Any:
    if not (folder / "config.json").is_file():
        found = ", ".join(sorted(file.name for file in folder.iterdir())[:8]) if folder.is_dir() else "no such folder"
        raise TesseraError(
            f"{directory}: no model in it (no config.json and no {places.HUB}; found: {found or 'nothing'}); "
            "give a directory that transformers' save_pretrained wrote"
        )
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, **_options(directory))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        let_refusals_through(error)
        file = folder / "config.json"
        if _auto_map(file) and not runs_code(directory):
            raise TesseraError(
                f"{file}: not a model that transformers knows; it needs code of its repository, which is not run "
                "unless the stage hub_model has `trust_remote_code: true` for this model (sweeps/common/models.yaml)"
            ) from error
        raise TesseraError(f"{file}: not a model that transformers knows: {error}") from error


def check_code(folder: Path) -> None:
    """Import the model's own classes, so that code that does not run is found before weights are read.

    Raises TesseraError that says why it does not run, or that the code is that of another repository.
    """
    import transformers
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    _check_whose_code(folder)
    own = _auto_map(folder / "config.json")
    name = ""
    try:
        for name in (own[auto] for auto in ("AutoConfig", "AutoModelForCausalLM") if auto in own):
            get_class_from_dynamic_module(name, folder, local_files_only=True)
    except Exception as error:  # whatever the code of others may raise
        let_refusals_through(error)
        raise TesseraError(
            f"{folder}: its code ({name}) does not run with transformers {transformers.__version__}: {error}; choose a "
            "revision whose code does, or another model"
        ) from error


def _check_whose_code(folder: Path) -> None:
    """Raise TesseraError if the files name code of another repository, which would be of any commit."""
    for file in (folder / "config.json", folder / "tokenizer_config.json"):
        if other := re.search(r"[\w./-]+?(?=--)", json.dumps(_auto_map(file))):
            raise TesseraError(
                f"{file}: auto_map names code of another repository ({other.group()}), which is not run; choose a "
                "model with code of its own"
            )


def _auto_map(file: Path) -> dict[str, Any]:
    """Which classes of the repository's code stand for those of transformers, as a configuration says."""
    try:
        return json.loads(file.read_text(encoding="utf-8")).get("auto_map") or {}
    except (FileNotFoundError, ValueError, AttributeError):  # no file, no JSON, or no mapping
        return {}


def _check_kind(directory: Path, config: Any, other_kind: str) -> None:
    # transformers turns a masked model into a causal one (and back) where a class exists; its values mean nothing
    architectures = config.architectures or []
    if any(name.endswith(other_kind) for name in architectures):
        needed = "causal" if other_kind == "MaskedLM" else "masked"
        raise TesseraError(f"{directory}: holds {', '.join(architectures)}; give a {needed} language model")


def _check_complete(directory: Path, report: dict[str, Any]) -> None:
    lacking = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if lacking:  # transformers would go on with random weights in their place
        raise TesseraError(f"{directory}: the weights lack {', '.join(lacking[:4])}; fetch or make the model again")


def weight_files(directory: Path, folder: Path) -> list[Path]:
    """The safetensors files of a folder. Raises TesseraError that names the directory if one is not there."""
    index = folder / "model.safetensors.index.json"
    files = hub.shards(index) if index.is_file() else ["model.safetensors"]
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise TesseraError(f"{directory}: no {missing[0]} in it (pickled weights are not read); fetch or make it again")
    return [folder / name for name in files]


def _tokenizer_class(folder: Path) -> Any:
    file = folder / "tokenizer_config.json"
    named = json.loads(file.read_text(encoding="utf-8")).get("tokenizer_class") if file.is_file() else None
    if named in ("TokenizersBackend", "PreTrainedTokenizerFast"):  # the class AutoTokenizer ends at, 5 s later
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast
    from transformers import AutoTokenizer

    return AutoTokenizer


def _no_progress_bars() -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()


def _device(name: str) -> Any:
    import torch

    if name.startswith("cuda") and not torch.cuda.is_available():
        raise TesseraError(f"device is '{name}', but this process sees no GPU; set device: cpu, or use a GPU node")
    return torch.device(name)
