from pathlib import Path

import pytest

from jobs.texts import package_text
from lib.artifacts import store
from lib.base.errors import TesseraError
from lib.texts import package_docs, text_files

PACKAGES = ("iniconfig", "pluggy")


def make(out: Path, **settings) -> Path:
    out.mkdir(parents=True)
    package_text.run(package_text.Config(**{"packages": PACKAGES, "n_files": 3, **settings}), {}, out)
    return out


def read(out: Path, key: str = "text") -> list[list[str]]:
    return [list(text_files.documents(file, key)) for file in sorted(out.iterdir())]


def read_all(out: Path, key: str = "text") -> list[str]:
    return [text for texts in read(out, key) for text in texts]


def test_source_docstrings_and_licences_as_they_are(tmp_path: Path) -> None:
    names = read_all(make(tmp_path / "a"), "name")
    texts = dict(zip(names, read_all(tmp_path / "a")))
    assert len(names) == len(texts) == len(set(names))
    source = Path(pytest.importorskip("pluggy").__file__)
    assert texts["pluggy/__init__.py"].encode() == source.read_bytes()
    assert any("Permission is hereby granted" in text for name, text in texts.items() if "LICENSE" in name)
    assert not any(name.endswith((".pyc", "RECORD", "METADATA")) for name in names)


def test_the_same_bytes_again_and_another_order_by_seed(tmp_path: Path) -> None:
    def hashes(out: Path) -> list[str]:
        return [store.sha256(file) for file in sorted(out.iterdir())]

    first = hashes(make(tmp_path / "a"))
    assert hashes(make(tmp_path / "b", packages=PACKAGES[::-1])) == first
    assert hashes(make(tmp_path / "c", seed=1)) != first
    assert sorted(read_all(tmp_path / "c")) == sorted(read_all(tmp_path / "a"))


def test_documents_are_dealt_evenly(tmp_path: Path) -> None:
    counts = [len(found) for found in read(make(tmp_path / "a", n_files=5))]
    assert max(counts) - min(counts) <= 1


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(TesseraError, match="cannot fill 9000 files; name more packages or lower n_files"):
        make(tmp_path / "a", n_files=9000)
    with pytest.raises(TesseraError, match=r"is installed, but 0\.0\.1 is required"):
        make(tmp_path / "b", packages=("pluggy==0.0.1",))
    with pytest.raises(ValueError, match="at least 1"):
        package_text.Config(())


def test_every_docstring_of_a_module_is_its_documentation() -> None:
    found = {document.name: document.text for document in package_docs.texts("pluggy")}
    parts = package_docs.docstrings(found["pluggy/_manager.py"])
    assert found["pluggy/_manager.py: documentation"] == "\n\n".join(parts)
    assert len(parts) > 5
