"""What the verification of inputs costs: its share of the CPU time of real stages.

python -m tests.benchmarks.bench_verification

Each stage runs in a process of its own, as a sweep starts it (without the warm process), on one core. Inputs lie in the
page cache. Measured are the CPU seconds of the whole process, and of `inputs.compare` in it. In near_duplicates, which
reads chunks by range, the checksums of ranges (`chunks.check`) and those of its blocks are counted as well.

membership: 100 canaries under a GPT-NeoX with random weights of SmolLM2-135M's size, with a reference of that size.
generate: 64 prompts of 64 tokens, 32 tokens each, by the same model. near_duplicates: 300 targets in 16.8 million
tokens of the packages' text.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lib.artifacts import store
from lib.base import hdf5, places
from tests.benchmarks.corpus import tokenizer
from tests.benchmarks.corpus import tokens as corpus_tokens
from tests.support.corpora import write_chunk

N_CANARIES, N_TOKENS, N_PROMPTS, N_CORPUS = 100, 100, 64, 1 << 24
LIMIT = 0.02  # of a stage

STARTED = """
import atexit, sys, time
from lib.artifacts import inputs
from lib.base import seals
from lib.corpus import chunks
spent = [0.0]

def timed(module, name):
    inner = getattr(module, name)
    def outer(*given, **named):
        begun = time.process_time()
        try:
            return inner(*given, **named)
        finally:
            spent[0] += time.process_time() - begun
    setattr(module, name, outer)

for module, name in ((inputs, "compare"), (chunks, "check"), (seals, "put"), (seals, "holds")):
    timed(module, name)
atexit.register(lambda: print("SPENT", spent[0], time.process_time()))
from lib.artifacts.command import run
sys.exit(run(sys.argv[1:]))
"""


def measure(stage: str, config: Mapping[str, Any], out: Path) -> tuple[float, float]:
    """CPU seconds of the verification, and of the whole stage."""
    file = out.with_suffix(".yaml")
    file.write_text(json.dumps(config, default=str))
    line = [sys.executable, "-c", STARTED, stage, "--config", str(file), "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    answer = subprocess.run(line, env=environment, cwd=places.ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SystemExit(f"{stage}: {answer.stderr}")
    words = next(line for line in answer.stdout.splitlines() if line.startswith("SPENT")).split()
    return float(words[1]), float(words[2])


def artifact(folder: Path) -> Path:
    """A folder, marked as a finished artifact."""
    store.write_done(folder, folder.name, "bench", 1)
    return folder


def model(folder: Path) -> Path:
    """A GPT-NeoX with random weights of SmolLM2-135M's size, with GPT-2's tokenizer."""
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    from lib.models import loading

    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=50257, hidden_size=576, num_hidden_layers=19, num_attention_heads=9, intermediate_size=2304,
        max_position_embeddings=2048,
    )  # fmt: skip
    made = GPTNeoXForCausalLM(config)
    loading.save(made, tokenizer(), folder)
    print(f"{made.num_parameters():,} parameters, {(folder / 'model.safetensors').stat().st_size / 1e6:.0f} MB")
    return artifact(folder)


def canaries(path: Path, draws: np.random.Generator) -> Path:
    """Canaries of random ids."""
    with hdf5.create(path) as file:
        hdf5.write(file, "tokens", draws.integers(0, 50000, (N_CANARIES, N_TOKENS)).astype("<i8"))
    return path


def prompts(path: Path, draws: np.random.Generator) -> Path:
    """Prompts of random ids."""
    from transformers import AutoTokenizer

    from lib.prefix import prompts as windows
    from lib.prefix import prompts_file

    drawn = [windows.Window(row, row, draws.integers(0, 50000, 68), "all", row) for row in range(N_PROMPTS)]
    prompts_file.write(path, drawn, 64, 4, AutoTokenizer.from_pretrained(path.parent / "model"), {})
    return path


def stages(folder: Path) -> dict[str, dict[str, Any]]:
    """Stage -> its configuration, with inputs that are made here."""
    draws = np.random.default_rng(0)
    for name in ("model", "tokens", "targets"):
        (folder / name).mkdir()
    large = model(folder / "model")
    sides = {side: canaries(folder / f"{side}.h5", draws) for side in ("members", "non_members")}
    tokens, offsets = corpus_tokens(N_CORPUS)
    documents = np.split(tokens, offsets[1:-1].astype(np.int64))
    write_chunk(folder / "tokens" / places.chunk(0), documents, vocab_size=50257)
    starts = draws.choice([int(start) for start, end in itertools.pairwise(offsets) if end - start > 100], 300)
    with hdf5.create(folder / "targets" / places.TARGETS) as file:
        hdf5.write(file, "tokens", np.stack([tokens[start : start + 100] for start in starts]).astype("<u4"))
    corpus, targets = artifact(folder / "tokens"), artifact(folder / "targets")
    generated = {"decoding": {"kind": "greedy"}, "continuation_tokens": 32}
    return {
        "membership": {"inputs": {"target": large, "reference": large, **sides}, "trained_bos": "any"},
        "generate": {"inputs": {"model": large, "prompts": prompts(folder / "prompts.h5", draws)}, **generated},
        "near_duplicates": {"inputs": {"corpus": [corpus], "targets": targets}},
    }


def main() -> None:
    """Measure every stage. Exits when one pays more than LIMIT."""
    with tempfile.TemporaryDirectory() as folder:
        for stage, config in stages(Path(folder)).items():
            out = Path(folder) / f"out_{stage}"
            measure(stage, config, out.with_name(f"first_{stage}"))  # compiles kernels
            spent, total = measure(stage, config, out)
            print(f"{stage:16s} {spent:6.2f} s of {total:7.1f} s CPU: {spent / total:.2%}", flush=True)
            if spent > LIMIT * total:
                raise SystemExit(f"{stage}: verification takes more than {LIMIT:.0%}")


if __name__ == "__main__":
    main()
