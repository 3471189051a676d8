"""A copy of the code that tasks run is what was copied, or it is restored."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib.base.errors import TesseraError
from lib.running import snapshot


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch) -> Path:
    for name in ("jobs/a.py", "lib/b.py", "lib/deep/c.py", "launch.py"):
        file = tmp_path / "checkout" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {name}")
    monkeypatch.setattr(snapshot, "ROOT", tmp_path / "checkout")
    return tmp_path / "outputs"


def damage(file: Path, how: str) -> None:
    if how == "lost":
        file.unlink()
    elif how == "more":
        file.with_name("more.py").write_text("# more")
    else:
        file.write_text({"flip": "# lib/deep/d.py", "cut": "# lib", "empty": ""}[how])


@pytest.mark.parametrize("how", ["lost", "more", "flip", "cut", "empty"])
def test_a_damaged_copy_is_named_and_restored_in_its_place(checkout: Path, how: str, capsys) -> None:
    place = snapshot.take(checkout)
    assert not snapshot.difference(place)
    damage(place / "lib/deep/c.py", how)
    assert str(place) in snapshot.difference(place)
    assert snapshot.take(checkout) == place
    assert not snapshot.difference(place)
    assert "restored" in capsys.readouterr().out
    assert (place / "lib/deep/c.py").read_text() == "# lib/deep/c.py"


def test_what_python_has_compiled_of_a_damaged_copy_is_not_run(checkout: Path) -> None:
    """Its time and size are those of the good file, by which Python knows what it has compiled."""
    source = snapshot.ROOT / "lib/b.py"
    source.write_text("print('good')")
    damaged = snapshot.take(checkout) / "lib/b.py"
    for said in ("evil", "good"):
        if said == "evil":
            times = (damaged.stat().st_atime, damaged.stat().st_mtime)
            damaged.write_text("print('evil')")
            os.utime(damaged, times)
        else:
            snapshot.take(checkout)
        line = [sys.executable, "-c", "import b"]
        environment = {"PYTHONPATH": str(damaged.parent)}
        assert subprocess.run(line, env=environment, capture_output=True, text=True).stdout == f"{said}\n"


def test_a_controller_does_not_run_a_damaged_copy(checkout: Path, monkeypatch) -> None:
    place = snapshot.take(checkout)
    monkeypatch.setattr(snapshot, "ROOT", place)
    assert snapshot.take(checkout) == place
    damage(place / "lib/b.py", "cut")
    with pytest.raises(TesseraError, match="lost or changed; type the sweep's command again"):
        snapshot.take(checkout)
