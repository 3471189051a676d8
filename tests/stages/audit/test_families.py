"""The windows of an audit under models of several families, whatever batch, blocks and parts.

Against one pass over each window alone, in double precision."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
)

from lib.artifacts import command
from lib.audit import texts_file
from lib.base import hdf5

P, S, STRIDE, K = 6, 4, 2, 390
ROWS = ["the quick brown fox jumps over a lazy dog while", "many small models remember text that was repeated"]
SIZES = {"vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
WIDE = {**SIZES, "intermediate_size": 64}
MODELS = {
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**WIDE)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**WIDE)),
    "gemma": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(**WIDE, head_dim=16, num_key_value_heads=1, sliding_window=4, sliding_window_pattern=2)
    ),
    "mamba": lambda: MambaForCausalLM(MambaConfig(**SIZES, state_size=4)),
}


def run(stage: str, out: Path, inputs: dict, **config) -> None:
    out.with_suffix(".yaml").write_text(yaml.safe_dump({"inputs": inputs, **config}))
    assert command.main(stage, ["--config", str(out.with_suffix(".yaml")), "--out", str(out)]) == 0


@pytest.mark.parametrize("family", sorted(MODELS))
def test_every_window_equals_one_pass_alone_in_double_precision(family, tmp_path, tiny_tokenizer) -> None:
    torch.manual_seed(1)
    made = MODELS[family]()
    made.save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(tiny_tokenizer).save_pretrained(tmp_path / "model")
    (tmp_path / "mine.jsonl").write_text("".join(f"{json.dumps({'text': row})}\n" for row in ROWS))
    model = str(tmp_path / "model")
    run("audit_texts", tmp_path / "texts", {"tokenizer": model}, path=str(tmp_path / "mine.jsonl"))
    inputs = {"model": model, "texts": str(tmp_path / "texts")}
    cut = {"prompt_tokens": P, "suffix_tokens": S, "stride": STRIDE, "top_k": K, "moments": True, "bos": "document"}
    found: dict[str, list] = {}
    for part in (0, 1):
        out = tmp_path / f"part-{part}"
        run("score_windows", out, inputs, **cut, part=part, parts=2, batch_size=2, block_windows=3)
        for name in hdf5.rows(out / "windows.h5"):
            found.setdefault(name, []).extend(hdf5.read(out / "windows.h5", name))
    texts = texts_file.read(tmp_path / "texts" / "audited.h5")
    exact = AutoModelForCausalLM.from_pretrained(model).double().eval()
    assert len(found["text"]) > 6
    for row, (text, start) in enumerate(zip(found["text"], found["start"])):
        ids = np.append(0, texts.ids[text][start : start + P + S])  # behind the BOS
        with torch.no_grad():
            log_p = exact(torch.tensor(ids)[None]).logits[0, P:-1].double().log_softmax(1).numpy()
        true = log_p[np.arange(S), ids[P + 1 :]]
        np.testing.assert_allclose(found["log_probs"][row], true, atol=1e-5)
        np.testing.assert_allclose(found["top"][row], log_p.max(1), atol=1e-5)
        np.testing.assert_array_equal(found["rank"][row], (log_p > true[:, None]).sum(1))
        np.testing.assert_allclose(found["top_k_mass"][row], np.log(np.exp(np.sort(log_p)[:, -K:]).sum(1)), atol=1e-5)
        mean = (np.exp(log_p) * log_p).sum(1)
        np.testing.assert_allclose(found["mu"][row], mean, atol=1e-5)
        variance = (np.exp(log_p) * log_p**2).sum(1) - mean**2
        np.testing.assert_allclose(found["sigma"][row], np.sqrt(variance), atol=1e-4)
