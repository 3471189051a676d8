"""Tiny repositories behind the names that a plan gives: random weights of the same family, small data sets."""

import functools
import io
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lib.models.hub import PICKLED, HubItem
from tests.support.hub_server import HubServer

WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "while", "small", "models", "remember")
ROWS = 40
SPLIT_FILE = "data/train-00000-of-00001.parquet"  # of a data set that is asked for by its split
FAMILIES = {"mamba": "mamba", "rwkv": "rwkv", "roberta": "roberta", "neo": "gpt_neo", "llama": "llama"}


def publish(server: HubServer, items: Iterable[HubItem], tokenizer: Path) -> None:
    """Put every item on the server, beside files of its repository that no sweep needs."""
    for item in items:
        server.add(item.kind, item.repo, _model(item, tokenizer) if item.kind == "model" else _data_set(item))


def _model(item: HubItem, tokenizer: Path) -> dict[str, bytes]:
    """A model; with pickled weights alone if the sweep says that it may read those."""
    name = item.repo.rpartition("/")[2].lower()
    family = next((family for word, family in FAMILIES.items() if word in name), "gpt_neox")
    files = _weights(family, tokenizer)
    if set(PICKLED) <= set(item.patterns):
        kept = {name: body for name, body in files.items() if "safetensors" not in name}
        return {**kept, "pytorch_model.bin": _pickled(files), "README.md": b"a card"}
    return {**files, "pytorch_model.bin": b"pickle", "README.md": b"a card"}


def _pickled(files: dict[str, bytes]) -> bytes:
    import torch
    from safetensors.torch import load

    shards = [load(body) for file, body in files.items() if file.endswith(".safetensors")]
    tensors = {name: value for shard in shards for name, value in shard.items()}
    target = io.BytesIO()
    torch.save(tensors, target)
    return target.getvalue()


@functools.cache
def _weights(family: str, tokenizer: Path) -> dict[str, bytes]:
    """The files of a random model; of GPT-NeoX in several shards."""
    import torch
    from transformers import AutoTokenizer

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        _random(family).save_pretrained(folder, max_shard_size="40KB" if family == "gpt_neox" else "5GB")
        AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def _random(family: str) -> Any:
    import transformers as hf

    common = {"vocab_size": 400, "hidden_size": 16, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    heads = {"num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 256}
    if family == "mamba":
        return hf.MambaForCausalLM(hf.MambaConfig(**common, num_hidden_layers=2, state_size=4))
    if family == "rwkv":
        return hf.RwkvForCausalLM(hf.RwkvConfig(**common, num_hidden_layers=2, context_length=256))
    if family == "roberta":
        return hf.RobertaForMaskedLM(hf.RobertaConfig(**common, **heads, num_hidden_layers=1))
    if family == "llama":
        return hf.LlamaForCausalLM(hf.LlamaConfig(**common, **heads, num_hidden_layers=1))
    if family == "gpt_neo":
        layers = {"num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]]}
        return hf.GPTNeoForCausalLM(hf.GPTNeoConfig(**common, **layers, max_position_embeddings=256))
    return hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**common, **heads, num_hidden_layers=2))


def _data_set(item: HubItem) -> dict[str, bytes]:
    """A file for each pattern, and one of another split."""
    split = any("train[" in pattern for pattern in item.patterns)
    names = [SPLIT_FILE] if split else [_name(pattern) for pattern in item.patterns]
    other = f"extra/validation-00000-of-00001{Path(names[0]).suffix}"
    return {"README.md": b"a card", other: b"not needed", **{name: _rows(name) for name in names}}


def _name(pattern: str) -> str:
    """A file's name that matches a pattern."""
    return pattern.replace("**/", "chunk1/").replace("*", "part-00000")


def _rows(name: str) -> bytes:
    """Texts of growing length, with every column that a sweep reads, in the format of the file's ending."""
    import pyarrow
    from pyarrow import parquet

    texts = [" ".join(np.random.default_rng(row).choice(WORDS, 20 + 2 * row)) for row in range(ROWS)]
    named = [["Github", "CommonCrawl"][row % 2] for row in range(ROWS)]
    meta = [{"pile_set_name": name, "redpajama_set_name": f"RedPajama{name}"} for name in named]
    table = pyarrow.table({"text": texts, "book_title": [f"title {row}" for row in range(ROWS)], "meta": meta})
    target = io.BytesIO()
    if name.endswith(".parquet"):
        parquet.write_table(table, target)
    elif name.endswith(".arrow"):
        with pyarrow.ipc.new_stream(target, table.schema) as writer:
            writer.write_table(table)
    else:
        lines = "\n".join(map(json.dumps, table.to_pylist())).encode()
        target.write(_compressed(lines) if name.endswith(".zst") else lines)
    return target.getvalue()


def _compressed(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(data)
