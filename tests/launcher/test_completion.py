"""The completion of the launcher's words, asked of a shell."""

import subprocess
from pathlib import Path

import pytest

import launch
from lib.launcher import completion

ASK = """
source "$0"; COMP_WORDS=(tessera "$@"); COMP_CWORD=$#; _shtab_tessera; echo "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("shell") / "completion"
    file.write_text(completion.script(launch.parser(), "bash"))
    return file


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["stat"], "status"),
        (["plan", "near"], "near_dupls"),
        (["submit", "near_dupls", "--prof"], "--profile"),
        (["submit", "near_dupls", "--profile", "s"], "smoke"),
        (["vars", "prefix_"], "prefix_draws prefix_lengths prefix_sizes prefix_subsets"),
    ],
)
def test_bash_completes_commands_sweeps_flags_and_profiles(script: Path, words: list[str], found: str) -> None:
    line = ["bash", "-c", ASK, str(script), *words]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.split() == found.split()


def test_the_command_runs_this_checkout_from_any_folder(script: Path, tmp_path: Path) -> None:
    line = ["bash", "-c", 'source "$0"; tessera vars top_k', str(script)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "ks  k, the numbers of likeliest candidates" in done.stdout
    assert "    corrected, laptop, paper: [10,100,1000]" in done.stdout
