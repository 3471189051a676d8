"""Models with random weights in the sizes of published ones, loaded as stages load them, and what a pass costs."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GPTNeoConfig, GPTNeoXConfig, LlamaConfig, MambaConfig

from lib.costs import language_models as costs
from lib.costs.facts import Model
from lib.models import loading

ENDS = {"bos_token_id": 0, "eos_token_id": 0}
POSITIONS = {"max_position_embeddings": 2048}
ALTERNATING = "attention_types"  # of GPT-Neo: every second layer sees the last 256 tokens
REAL = {
    "neo": lambda: GPTNeoConfig(hidden_size=2048, num_layers=24, num_heads=16, vocab_size=50257, **POSITIONS, **ENDS),
    "llama": lambda: LlamaConfig(
        hidden_size=2048,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        intermediate_size=8192,
        vocab_size=128256,
        head_dim=64,
        tie_word_embeddings=True,
        **POSITIONS,
        **ENDS,
    ),
    "neox": lambda: GPTNeoXConfig(
        hidden_size=2048,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=8192,
        vocab_size=50304,
        **POSITIONS,
        **ENDS,
    ),
    "mamba": lambda: MambaConfig(hidden_size=2048, num_hidden_layers=48, vocab_size=50280, **ENDS),
}
SMALL = {"vocab_size": 512, "hidden_size": 64, "initializer_range": 0.1, **ENDS}  # 0.1: ids that stand out
HEADS = {"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128, "max_position_embeddings": 256}
TINY = {
    "neo": lambda: GPTNeoConfig(
        **SMALL,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        window_size=16,
        max_position_embeddings=256,
    ),
    "llama": lambda: LlamaConfig(**SMALL, **HEADS, num_key_value_heads=2, tie_word_embeddings=True),
    "neox": lambda: GPTNeoXConfig(**SMALL, **HEADS),
    "mamba": lambda: MambaConfig(**SMALL, num_hidden_layers=2),
}


def configured(family: str, tiny: bool) -> Any:
    """The configuration of GPT-Neo 1.3B, Llama 3.2 1B, Pythia 1.4B, Mamba 1.4B, or of a tiny model of the family."""
    return (TINY if tiny else REAL)[family]()


def save(config: Any, dtype: torch.dtype, device: str, folder: Path) -> Path:
    """A folder with random weights, drawn on the device: a CPU would need longer than the check."""
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.save_pretrained(folder)
    del model
    torch.cuda.empty_cache()  # nothing without a GPU
    return folder


def load(config: Any, dtype: str, device: str, folder: Path) -> Any:
    """A random model as a stage would load it, with whatever makes it fast there. dtype: float32 or bfloat16."""
    kind = getattr(torch, dtype)
    return loading.load_causal_lm(save(config, kind, device, folder), dtype, device)


def size(model: Any) -> Model:
    """The size of a model, as lib/costs counts. The embedding of the input is not counted if it is no output matrix
    as well: nothing is multiplied with it, and few of its rows are read."""
    config, mamba = model.config, model.config.model_type == "mamba"
    heads = 1 if mamba else config.num_attention_heads
    groups = getattr(config, "num_key_value_heads", None) or heads
    embedding = model.get_input_embeddings().weight
    shared = model.get_output_embeddings().weight is embedding
    return Model(
        parameters=model.num_parameters() - (0 if shared else embedding.numel()),
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        vocabulary=config.vocab_size,
        kv_width=0 if mamba else groups * config.hidden_size // heads,
        state_width=config.intermediate_size * (config.state_size + config.conv_kernel) if mamba else 0,
    )


def reading_flops(of: Model, tokens: float, length: float) -> float:
    """Operations of a pass forward over texts of `length`; of pairs of tokens half, since the model is causal."""
    matrices, pairs = costs.reading(of, tokens, length, "bf16")
    return matrices.flops + pairs.flops / 2


def step_bytes(of: Model, rows: int, prompt: int, made: int) -> float:
    """Bytes that a step of continuing `rows` texts must read, in bf16: weights, keys and values (or states)."""
    return costs.continuing(of, rows, rows, prompt, made, "bf16")[-1].moved / made
