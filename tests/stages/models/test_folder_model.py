"""A model from a folder: copied, checked, and another task when a byte changes."""

import shutil
from pathlib import Path

import pytest

from jobs.models import folder_model
from lib.base.errors import TesseraError
from lib.models import loading


def test_what_is_needed_is_copied_and_code_is_not(tiny_causal_lm: Path, tmp_path: Path) -> None:
    given, out = tmp_path / "given", tmp_path / "out"
    shutil.copytree(tiny_causal_lm, given)
    (given / "modeling.py").write_text("raise SystemExit\n")
    out.mkdir()
    folder_model.run(folder_model.pin(folder_model.Config(str(given))), {}, out)
    kept = {path.name for path in given.iterdir()} - {"modeling.py"}
    assert {path.name for path in out.iterdir()} == kept
    assert (out / "model.safetensors").read_bytes() == (given / "model.safetensors").read_bytes()
    assert loading.load_causal_lm(out).config.model_type == "gpt_neox"


def test_other_bytes_are_another_task(tiny_causal_lm: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_causal_lm, tmp_path / "given")
    config = folder_model.Config(str(tmp_path / "given"))
    pinned = folder_model.pin(config)
    (tmp_path / "given" / "config.json").touch()
    assert folder_model.pin(config) == pinned
    (tmp_path / "given" / "config.json").write_text("{}")
    assert folder_model.pin(config) != pinned
    with pytest.raises(TesseraError, match="the files changed since this run was planned"):
        folder_model.run(pinned, {}, tmp_path)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="no such folder"):
        folder_model.pin(folder_model.Config(str(tmp_path / "none")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(TesseraError, match="no model in it"):
        folder_model.run(folder_model.Config(str(tmp_path / "empty")), {}, tmp_path)
