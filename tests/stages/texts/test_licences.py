"""Licence texts of installed packages: as they are, and each once."""

import importlib.metadata
from pathlib import Path

import pytest

from jobs.texts import licences
from lib.base.errors import TesseraError
from lib.texts import records


def test_every_text_once_as_it_is(tmp_path: Path) -> None:
    licences.run(licences.Config(("networkx", "sympy")), {}, tmp_path)
    found = {one.name: one.text for one in records.read(tmp_path / "licences.jsonl", records.MADE)}
    (own,) = [file for file in importlib.metadata.files("networkx") or () if file.name == "LICENSE.txt"]
    assert found[own.as_posix()] == Path(str(own.locate())).read_text()
    assert len({" ".join(text.lower().split()) for text in found.values()}) == len(found)
    with pytest.raises(TesseraError, match=r"networkx .* is installed, but 0\.1 is required"):
        licences.run(licences.Config(("networkx==0.1",)), {}, tmp_path)
