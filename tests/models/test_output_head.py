"""A vocabulary of 256,000 ids costs blocks of logits, never those of a whole batch: peak memory of a fresh process."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lib.models import output_head

V, ROWS, LENGTH = 256_000, 8, 64
ALL_AT_ONCE = 3 * V * ROWS * LENGTH * 4  # bytes in float32 of logits, log-probabilities and probabilities
BOUND = 7 * V * output_head.BLOCK_POSITIONS * 4  # what a reduction holds at once is a few blocks
STATUS = Path("/proc/self/status")
PROGRAM = """
import sys
import numpy as np, torch
from pathlib import Path
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM
from lib.generation.decoding import Decoding
from lib.generation.continuations import continue_prompts
from lib.models.token_scores import score_tokens

def peak():  # VmHWM: ru_maxrss would begin with that of the parent
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024

V, rows, length = map(int, sys.argv[1:])
torch.manual_seed(0)
model = GPTNeoXForCausalLM(GPTNeoXConfig(
    vocab_size=V, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
    max_position_embeddings=1024,
)).eval()
ids = np.random.default_rng(0).integers(0, V, (rows, length))
score_tokens(model, [[1, 2, 3]])  # what a first pass allocates once
before = peak()
scored = score_tokens(model, ids, batch_size=rows, moments=True).log_probs
how, half = Decoding("sample", 1.0, 40, 1.0, 0), length // 2
made = continue_prompts(model, ids[:, :half], ids[:, half:], 2, how, np.arange(rows), batch_size=rows).log_probs
np.testing.assert_allclose(made[:, 1:half], np.stack(scored)[:, : half - 1], rtol=1e-5)
print(peak() - before)
"""


def bytes_beside_the_model() -> int:
    command = [sys.executable, "-c", PROGRAM, *map(str, (V, ROWS, LENGTH))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


@pytest.mark.skipif(not STATUS.is_file(), reason="peak memory is read from /proc")
def test_logits_of_a_large_vocabulary_are_held_by_the_block() -> None:
    assert 0 < bytes_beside_the_model() < BOUND < ALL_AT_ONCE


@pytest.mark.parametrize("bias", [True, False])
def test_logits_of_a_gpu_are_not_rounded_to_bfloat16(bias: bool) -> None:
    """Shapes and types alone: this machine may have no GPU, and a CPU has no such product."""
    output = torch.nn.Linear(8, 50, bias, dtype=torch.bfloat16)
    hidden = torch.randn(2, 3, 8).bfloat16()
    assert torch.equal(output_head.unrounded(output, hidden), output(hidden))
    found = output_head.unrounded(output.to("meta"), hidden.to("meta"))
    assert (found.dtype, tuple(found.shape)) == (torch.float32, (2, 3, 50))
