"""The completion of the launcher's words, asked of a shell."""

import shutil
import subprocess
from pathlib import Path

import pytest

import launch
from lib.launcher import completion

ASK = """
source "$0"; COMP_WORDS=(tessera "$@"); COMP_CWORD=$#
$(complete -p tessera | sed "s/.*-F //; s/ .*//"); echo "${COMPREPLY[@]}"
"""


# A zsh under a terminal of its own sources the script; of each word on the command line: what the line is after Tab.
ASK_ZSH = r"""
zmodload zsh/zpty
zpty shell zsh -f
zpty -w shell "PS1=; show() { print -r -- '<''<'\$BUFFER'>''>'; BUFFER= }; zle -N show; bindkey '^X' show; source $1"
zpty -w -n shell $'\x18'
zpty -r -m shell found '*<<>>*'
for typed in "${@:2}"; do
  zpty -w -n shell "$typed"$'\t\x18'
  zpty -r -m shell found '*<<*>>*'
  print -r -- "${${found##*<<}%%>>*}"
done
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
        (["submit", "near_dupls", "--profile", "=", "sm"], "smoke"),
        (["submit", "near_dupls", "--profile", "="], "corrected laptop paper smoke"),
        (["submit", "--profile", "=", "smoke", "near"], "near_dupls"),
        (["vars", "prefix_"], "prefix_draws prefix_lengths prefix_sizes prefix_subsets"),
    ],
)
def test_bash_completes_commands_sweeps_flags_and_profiles(script: Path, words: list[str], found: str) -> None:
    line = ["bash", "-c", ASK, str(script), *words]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.split() == found.split()


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_completes_them_as_well(tmp_path: Path) -> None:
    file, ask = tmp_path / "completion", tmp_path / "ask"
    file.write_text(completion.script(launch.parser(), "zsh"))
    ask.write_text(ASK_ZSH)
    ends = {
        "stat": "status",
        "plan near": "plan near_dupls",
        "submit near_dupls --prof": "submit near_dupls --profile",
        "submit near_dupls --profile sm": "submit near_dupls --profile smoke",
        "vars prefix_s": "vars prefix_s",  # sizes or subsets
    }
    line = ["zsh", "-f", str(ask), str(file), *(f"tessera {typed}" for typed in ends)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == [f"tessera {end}{'' if end[-2:] == '_s' else ' '}" for end in ends.values()]


def test_the_command_runs_this_checkout_from_any_folder(script: Path, tmp_path: Path) -> None:
    line = ["bash", "-c", 'source "$0"; tessera vars top_k', str(script)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "ks  k, the numbers of likeliest candidates" in done.stdout
    assert "    corrected, laptop, paper: [10,100,1000]" in done.stdout
