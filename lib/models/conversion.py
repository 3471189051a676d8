"""Rewrites a model of the hub that transformers cannot read as it is: weights that are pickled, and checkpoints in the
format of the `mamba-ssm` package (keys `d_model`, `n_layer`, `ssm_cfg` in config.json, `embedding` in the weights).

Pickles are read with torch's `weights_only`, which builds tensors and refuses everything else.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.base.errors import TesseraError, let_refusals_through
from lib.models import hub, loading

PICKLED = "pytorch_model.bin"
# mamba-ssm's name of a setting -> that of transformers
MAMBA_KEYS = {
    "d_model": "hidden_size",
    "n_layer": "num_hidden_layers",
    "residual_in_fp32": "residual_in_fp32",
    "tie_embeddings": "tie_word_embeddings",
}
SSM_KEYS = {
    "d_state": "state_size",
    "d_conv": "conv_kernel",
    "expand": "expand",
    "dt_rank": "time_step_rank",
    "bias": "use_bias",
    "conv_bias": "use_conv_bias",
}
OTHER_LAYERS = ("attn_layer_idx", "d_intermediate")  # attention and MLP, of which a plain Mamba has none
COPIED = (".json", ".txt", ".model", ".jinja", ".py")


def needed(folder: Path, pickled: bool) -> list[str]:
    """What must be rewritten of a model, in words; nothing if transformers reads it as it is.

    pickled: whether pickled weights may be read, where there are no others.
    """
    found = ["mamba-ssm's format"] if _is_mamba_ssm(_config(folder)) else []
    return found + (["pickled weights"] if pickled and not list(folder.glob("*.safetensors")) else [])


def convert(folder: Path, out: Path, pickled: bool, tokenizer: Path | None = None) -> None:
    """Write the model of `folder` to `out` as transformers reads it: config.json, safetensors, tokenizer, code.

    tokenizer: a directory whose tokenizer the model gets. Raises TesseraError naming the file for a pickle that holds
    anything but tensors, weights that are not there, and kinds of Mamba that transformers does not know.
    """
    for file in folder.iterdir():
        if file.suffix in COPIED and not file.name.endswith(".index.json"):
            shutil.copyfile(file, out / file.name)
    weights, config = _weights(folder, pickled), _config(folder)
    if _is_mamba_ssm(config):
        _mamba_config(config, folder / "config.json").save_pretrained(out)
        weights = {name.replace("embedding.", "embeddings."): weight for name, weight in weights.items()}
    _save(weights, out / "model.safetensors")
    if tokenizer:
        loading.load_tokenizer(tokenizer).save_pretrained(out)


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise TesseraError(f"{file}: not valid JSON ({error}); fetch the model again") from error
    if not isinstance(found, dict):
        raise TesseraError(f"{file}: not a mapping of keys to values; choose another model")
    return found


def _is_mamba_ssm(config: Mapping[str, Any]) -> bool:
    return "model_type" not in config and {"d_model", "n_layer", "ssm_cfg"} <= config.keys()


def _mamba_config(config: Mapping[str, Any], file: Path) -> Any:
    from transformers import MambaConfig

    ssm = config["ssm_cfg"] or {}
    if not isinstance(ssm, dict) or "vocab_size" not in config:
        raise TesseraError(f"{file}: ssm_cfg is no mapping, or vocab_size is missing; choose another model")
    other = [key for key in OTHER_LAYERS if config.get(key)]
    if ssm.get("layer", "Mamba1") != "Mamba1" or other or not config.get("rms_norm", True):
        raise TesseraError(
            f"{file}: not a plain Mamba (layer, rms_norm, {' or '.join(OTHER_LAYERS)}); choose another model"
        )
    multiple = config.get("pad_vocab_size_multiple", 8)
    known = {ours: config[theirs] for theirs, ours in MAMBA_KEYS.items() if theirs in config}
    known |= {ours: ssm[theirs] for theirs, ours in SSM_KEYS.items() if theirs in ssm}
    known["vocab_size"] = -(-config["vocab_size"] // multiple) * multiple
    return MambaConfig(architectures=["MambaForCausalLM"], **known)  # the defaults of both are the same


def _weights(folder: Path, pickled: bool) -> dict[str, Any]:
    """Every tensor by its name."""
    if list(folder.glob("*.safetensors")) or not pickled:
        files, read = loading.weight_files(folder, folder), _safetensors
    else:
        files, read = _pickled_files(folder), _unpickled
    return {name: weight for file in files for name, weight in read(file).items()}


def _pickled_files(folder: Path) -> list[Path]:
    index = folder / f"{PICKLED}.index.json"
    names = hub.shards(index) if index.is_file() else [PICKLED]
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise TesseraError(f"{folder}: no {missing[0]} in it; fetch the model again")
    return [folder / name for name in names]


def _unpickled(file: Path) -> dict[str, Any]:
    import torch

    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
        if not isinstance(found, Mapping) or not all(isinstance(value, torch.Tensor) for value in found.values()):
            raise ValueError("it holds other objects")
        return dict(found)
    except Exception as error:  # what a damaged pickle raises depends on where it is damaged
        let_refusals_through(error)
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise TesseraError(f"{file}: not tensors alone, or damaged ({first}); choose another revision") from error


def _safetensors(file: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except SafetensorError as error:
        raise TesseraError(f"{file}: damaged weights ({error}); fetch the model again") from error


def _save(weights: Mapping[str, Any], file: Path) -> None:
    """Write tensors; safetensors does not take two that share memory, as tied ones in a pickle do."""
    from safetensors.torch import save_file

    own: dict[str, Any] = {}
    taken: set[int] = set()
    for name, weight in sorted(weights.items()):
        shared = weight.untyped_storage().data_ptr() in taken
        taken.add(weight.untyped_storage().data_ptr())
        own[name] = weight.clone() if shared else weight.contiguous()
    save_file(own, file, {"format": "pt"})
