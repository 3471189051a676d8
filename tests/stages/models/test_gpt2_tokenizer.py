from pathlib import Path

import pytest

from jobs.models import gpt2_tokenizer
from lib.artifacts.command import main
from lib.base.errors import TesseraError
from lib.models import loading
from lib.tokens import gpt2, tokenization
from lib.tokens.encoders import Encoder


def test_published_ids(tmp_path: Path) -> None:
    """Ids as in the documentation of tiktoken and of GPT-2's release."""
    (tmp_path / "g.yaml").write_text("{}")
    assert main("gpt2_tokenizer", ["--config", str(tmp_path / "g.yaml"), "--out", str(tmp_path / "out")]) == 0
    tokenizer = loading.load_tokenizer(tmp_path / "out")
    assert len(tokenizer) == 50257
    assert tokenizer.eos_token_id == 50256
    assert tokenization.encode(tokenizer, "hello world") == [31373, 995]
    assert tokenization.encode_markup(tokenizer, "<|endoftext|>") == [50256]
    assert 50256 not in tokenization.encode(tokenizer, "<|endoftext|>")
    assert tokenization.decode(tokenizer, [31373, 995, 50256]) == "hello world<|endoftext|>"
    encoder = Encoder(tokenizer)
    assert encoder.engine == "tiktoken"
    assert encoder.fast(["<|endoftext|>"]).ids.tolist() == [27, 91, 437, 1659, 5239, 91, 29]
    assert encoder.original.encode(["<|endoftext|>"]).ids.tolist() == [27, 91, 437, 1659, 5239, 91, 29]


def test_a_missing_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpt2, "PACKAGE", "no-such-package")
    with pytest.raises(TesseraError, match="'no-such-package' is not installed; this project does not"):
        gpt2_tokenizer.run(gpt2_tokenizer.Config(), {}, tmp_path)
