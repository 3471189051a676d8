"""A task that asked for GPUs ends where torch sees fewer; without a GPU torch itself says why."""

import sys
from types import SimpleNamespace

import pytest

from lib.base import gpus
from lib.base.errors import TesseraError


def card(name: str) -> dict:
    return {"name": name, "capability": [8, 0]}


@pytest.mark.parametrize(("asked", "there"), [(1, 0), (2, 1), (1, 1), (2, 8), (0, 0)])
def test_a_task_ends_where_torch_sees_fewer_gpus_than_it_asked_for(monkeypatch, capsys, asked: int, there: int) -> None:
    found = {
        "torch": "2.13.0",
        "cuda": "13.0",
        "devices": [card("A100")] * there,
        "trouble": "" if there else "too old",
    }
    monkeypatch.setattr(gpus, "look", lambda: found)
    monkeypatch.setenv(gpus.ASKED, str(asked))
    monkeypatch.setenv(gpus.VISIBLE, "7")
    if there < asked:
        reason = "CUDA_VISIBLE_DEVICES is '7'" if there else "too old"
        with pytest.raises(
            TesseraError, match=f"asked for {asked} GPUs?, and torch 2.13.0 for CUDA 13.0 .*: {reason};"
        ):
            gpus.require()
    else:
        gpus.require()
        assert capsys.readouterr().out.count("A100") == (there if asked else 0)


def test_one_that_asked_for_none_does_not_import_torch(monkeypatch) -> None:
    monkeypatch.delenv(gpus.ASKED, raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)  # an import would fail
    gpus.require()


def test_the_reason_is_torchs_own(monkeypatch) -> None:
    """The errors are those that torch.cuda._lazy_init raises."""
    import torch

    for error in (
        RuntimeError("The NVIDIA driver on your system is too old\n(found version 12020)."),
        AssertionError("Torch not compiled with CUDA enabled"),
    ):
        monkeypatch.setattr(torch, "cuda", SimpleNamespace(**vars(torch.cuda)))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.cuda, "init", lambda error=error: (_ for _ in ()).throw(error))
        found = gpus.look()
        assert found["devices"] == []
        assert found["trouble"] == str(error).replace("\n", " ")


def test_a_package_is_importable_if_its_import_succeeds(tmp_path, monkeypatch) -> None:
    (tmp_path / "of_another_torch.py").write_text("raise OSError('undefined symbol: _ZN3c10')\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = gpus.look(["json", "of_another_torch", "nowhere_at_all"])["packages"]
    assert found["json"] == ""
    assert found["of_another_torch"] == "OSError: undefined symbol: _ZN3c10"
    assert found["nowhere_at_all"].startswith("ModuleNotFoundError")
