"""RWKV-4 on one core: transformers' loop over time and the scan without one, side by side.

python -m tests.benchmarks.bench_rwkv

One model of random weights (width 128, 4 layers, 1.4 M parameters), the same batch of 4 x 256 tokens for all. Loss and
gradients have to agree. CPU time, the least of three interleaved repeats; a GPT-NeoX and a Mamba of its size, as the
sweep `architectures` compares them, stand beside them.
"""

import copy

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, MambaConfig, MambaForCausalLM, RwkvConfig, RwkvForCausalLM
from transformers.utils import logging

from lib.models import mamba_scan, rwkv_scan
from tests.benchmarks.bench_mamba import rates, training_step

SIZES = {"vocab_size": 2048, "hidden_size": 128, "tie_word_embeddings": False}
ROWS, LENGTH = 4, 256


def models() -> dict[str, torch.nn.Module]:
    """The same RWKV-4 twice, a GPT-NeoX and a Mamba."""
    torch.manual_seed(0)
    stock = RwkvForCausalLM(RwkvConfig(**SIZES, num_hidden_layers=4, context_length=LENGTH, rescale_every=0))
    ours = copy.deepcopy(stock)
    rwkv_scan.use_parallel_scan(ours)
    neox = GPTNeoXConfig(
        **SIZES, num_hidden_layers=4, num_attention_heads=4, intermediate_size=512, max_position_embeddings=LENGTH
    )
    mamba = MambaForCausalLM(MambaConfig(**SIZES, num_hidden_layers=7, state_size=8))
    mamba_scan.use_fast_scan(mamba)
    return {"loop": stock, "scan": ours, "(GPT-NeoX)": GPTNeoXForCausalLM(neox), "(Mamba)": mamba}


def reading(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """One pass without gradients."""
    with torch.no_grad():
        return model.eval()(ids, use_cache=False).logits


def main() -> None:
    """Print seconds of CPU time a batch, and how far losses and gradients are apart."""
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    found, ids = models(), torch.randint(2048, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0))
    losses = [training_step(found[name], ids) for name in ("loop", "scan")]
    pairs = zip(found["loop"].parameters(), found["scan"].parameters())
    apart = max(float((one.grad - other.grad).abs().max()) for one, other in pairs)
    assert apart < 1e-5, apart
    print(f"loss apart {float(abs(losses[0] - losses[1])):.1e}, gradients {apart:.1e}")
    for what, work in {"training": training_step, "reading": reading}.items():
        measured = rates(found, lambda model, work=work: lambda: work(model, ids), 1, dict.fromkeys(found, 3))
        for name, rate in measured.items():
            print(f"{what:9} {name:12} {1 / rate:7.3f} s a batch of {ROWS} x {LENGTH} tokens", flush=True)


if __name__ == "__main__":
    main()
