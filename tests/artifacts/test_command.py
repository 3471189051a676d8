"""Wrong words on the command line of stages: one message and the usage, whatever the number of ranks."""

import os
import subprocess
from pathlib import Path

import pytest

from lib.artifacts import manual
from lib.artifacts.command import run
from lib.base.places import ROOT
from tests.support import ranks


@pytest.mark.parametrize("option", ["--version", "-x"])
def test_an_option_in_place_of_a_stage_is_named_with_the_usage(option, capsys) -> None:
    assert run([option]) == 2
    assert capsys.readouterr().err == f"error: unknown option '{option}'\n{manual.USAGE}\n"


def test_a_missing_argument_is_named_with_the_usage_of_the_stage(capsys) -> None:
    assert run(["text", "--config", "x.yaml"]) == 2
    message, usage = capsys.readouterr().err.splitlines()
    assert message == "error: the following arguments are required: --out"
    assert usage.startswith("usage: python -m jobs text ")


def test_several_ranks_print_the_usage_once(tmp_path: Path) -> None:
    line = ranks.command("count", tmp_path / "x.yaml", tmp_path / "out", 3)[:-2]  # without --out
    environment = {**os.environ, **ranks.ENVIRONMENT}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.count("usage: python -m jobs count") == 1
