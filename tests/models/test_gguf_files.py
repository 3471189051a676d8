import gguf
import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lib.models import gguf_files, loading

HEADS, WIDTH, VOCABULARY = 2, 32, 40
NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
OUTER = {"model.embed_tokens.weight": "token_embd", "model.norm.weight": "output_norm", "lm_head.weight": "output"}


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=1, num_attention_heads=HEADS,
        num_key_value_heads=HEADS, max_position_embeddings=64, rms_norm_eps=1e-5, initializer_range=0.3,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def gguf_name(name: str) -> str:
    if name in OUTER:
        return f"{OUTER[name]}.weight"
    part = name.removeprefix("model.layers.0.").removesuffix(".weight")
    return f"blk.0.{NAMES[part]}.weight"


def gguf_layout(name: str, weight: np.ndarray) -> np.ndarray:
    """llama.cpp rotates neighbouring features together, transformers those half a head apart."""
    if name.endswith(("q_proj.weight", "k_proj.weight")):
        halves = weight.reshape(HEADS, 2, WIDTH // HEADS // 2, WIDTH)
        return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weight.shape)
    return weight


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """(path, model): the model written by the gguf library as llama.cpp's converter does."""
    return written(tmp_path_factory.mktemp("gguf") / "tiny.gguf"), llama()


def written(path, **more):
    """The path of a file of that model. more: methods of the writer, with what they add."""
    model = llama()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(64)
    writer.add_block_count(1)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCABULARY)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = ["<|end|>", *letters, "\u0120", "th", "the"]
    tokens += [f"<unused{n}>" for n in range(VOCABULARY - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (VOCABULARY - 1))
    writer.add_token_merges(["t h", "th e"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, value in more.items():
        getattr(writer, name)(value)
    for name, weight in model.state_dict().items():
        writer.add_tensor(gguf_name(name), gguf_layout(name, weight.numpy()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_unpacked_model_computes_what_the_written_one_does(file, tmp_path):
    path, original = file
    model, tokenizer = gguf_files.load(path)
    ids = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])
    torch.testing.assert_close(model(ids).logits, original(ids).logits, rtol=1e-5, atol=1e-5)
    loading.save(model, tokenizer, tmp_path)
    again = loading.load_causal_lm(tmp_path)
    assert torch.equal(again(ids).logits, model(ids).logits)
    assert {weight.dtype for weight in again.parameters()} == {torch.float32}


def test_the_tokenizer_is_the_files(file):
    tokenizer = gguf_files.load(file[0])[1]
    assert tokenizer("the cat", add_special_tokens=False).input_ids == [29, 27, 3, 1, 20]
    assert tokenizer.bos_token_id == 0


@pytest.mark.parametrize("says", [True, False])
def test_texts_open_with_a_bos_where_the_file_says_so(tmp_path, says):
    model, tokenizer = gguf_files.load(written(tmp_path / "tiny.gguf", add_add_bos_token=says))
    loading.save(model, tokenizer, tmp_path / "saved")
    for one in (tokenizer, loading.load_tokenizer(tmp_path / "saved")):
        assert one("the cat").input_ids == [0] * says + [29, 27, 3, 1, 20]
        assert one("the cat", add_special_tokens=False).input_ids == [29, 27, 3, 1, 20]


def test_the_caller_chooses_the_type(file):
    assert gguf_files.load(file[0], "bfloat16")[0].dtype == torch.bfloat16
