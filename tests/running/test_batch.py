"""The shell lines of a batch job."""

import subprocess
from pathlib import Path

import pytest

from lib.running import batch


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("nosuchcommand", 127, True),
        ("false", 0, True),
        ("source {inner}", 0, False),
        ("true", 0, False),
    ],
)
def test_a_set_up_line_that_fails_is_named_and_what_it_sources_is_not(
    line: str, code: int, said: bool, tmp_path: Path
) -> None:
    inner, script = tmp_path / "inner.sh", tmp_path / "job.sh"
    inner.write_text("nosuchcommand --token=secret 2>/dev/null\nA=1\n")
    script.write_text("\n".join([*batch.guarded([line.format(inner=inner)]), "echo went on"]))
    done = subprocess.run(["bash", script], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("went on" in done.stdout) == (code == 0)
    assert (batch.SETUP_MARK in done.stderr) == said
    assert "secret" not in done.stderr
