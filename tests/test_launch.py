"""The command line: its flags are an interface, its exit codes a promise."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import launch
from lib.base.places import ROOT
from lib.launcher import commands

COMMON = {"--profile", "--cluster", "--outputs", "--set", "--settings", "--quiet", "--help", "-h"}
FLAGS = {
    "plan": {"--scripts", "--power"},
    "fetch": set(),
    "submit": {"--yes", "--no-fetch", "--force", "--max-failures", "--notify", "--campaign", "--controller"},
    "status": {"--json"},
    "logs": {"--stage", "--lines"},
    "collect": {"--partial"},
    "report": {"--run"},
    "trace": {"--text", "--texts", "--corpus", "--min-run", "--edits", "--window", "--serve", "--port"},
    "demo": set(),
    "cancel": set(),
    "doctor": set(),
    "sweeps": set(),
    "vars": set(),
    "completion": set(),
}


def verbs() -> dict[str, argparse.ArgumentParser]:
    (found,) = [action for action in launch.parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return found.choices


def test_help_names_every_command() -> None:
    description = launch.parser().description
    assert [name for name in FLAGS if not re.search(rf"\b{name}\b", description)] == []


@pytest.mark.parametrize("line", [["launch.py"], ["-m", "jobs"]])
def test_a_python_without_the_packages_says_which_one_has_them(line: list[str]) -> None:
    bare = [sys.executable, "-I", "-S", "-c", "import runpy, sys; sys.path.insert(0, '.'); " + _run(line)]
    answer = subprocess.run(bare, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert re.fullmatch(r"error: \S+ has no packages of this project; take .venv/bin/python, .*\n", answer.stderr)


def _run(line: list[str]) -> str:
    call = f"run_module({line[1]!r}" if line[0] == "-m" else f"run_path({line[0]!r}"
    return f"runpy.{call}, run_name='__main__')"


def test_the_flags_are_these() -> None:
    found = {name: set(verb._option_string_actions) - COMMON for name, verb in verbs().items()}
    assert found == FLAGS


def test_every_flag_has_help_that_shows_a_value_and_every_command_an_example() -> None:
    for name, verb in verbs().items():
        line = verb.format_help().split("example:\n")[1].splitlines()[0]
        words = shlex.split(line)
        assert words[:3] == [".venv/bin/python", "launch.py", name]
        launch.parser().parse_args(words[2:])
        for flag in verb._actions:
            assert flag.help, (name, flag.dest)
            takes_a_value = flag.option_strings and flag.nargs != 0 and flag.help != argparse.SUPPRESS
            assert not takes_a_value or "such as" in flag.help or "default" in flag.help, (name, flag.dest)


def test_outputs_are_in_the_checkout_and_a_given_path_is_the_user_s_own() -> None:
    parse = launch.parser().parse_args
    assert parse(["status", "near_dupls"]).outputs == ROOT / "outputs"
    assert parse(["status", "near_dupls", "--outputs=here"]).outputs == Path("here")


def run(*arguments: str, outputs: Path) -> tuple[int, str]:
    line = [sys.executable, "launch.py", *arguments, f"--outputs={outputs}", "--cluster=local"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "near_dupl"], "did you mean 'near_dupls'"),
        (["plan", "near_dupls", "--profile=labtop"], "did you mean 'laptop'"),
        (["plan", "near_dupls", "--profile=smoke", "--set=seed=[1]"], "did you mean 'seeds'"),
        (["plan", "near_dupls", "--profile=smoke", "--set=nodes.finetuned.config.learning_rat=1"], "'learning_rate'"),
        (["plan", "near_dupls", "--profile=smoke", "--scripts"], "--cluster"),
        (["plan"], "usage"),
        (["plna", "near_dupls"], "did you mean 'plan'"),
    ],
)
def test_usage_errors_end_with_2_and_suggest(arguments, message, tmp_path) -> None:
    code, output = run(*arguments, outputs=tmp_path)
    assert code == 2
    assert message in output.replace("\n", " ")


def test_power_is_printed_for_the_sweep_s_own_numbers(tmp_path) -> None:
    code, output = run("plan", "near_dupls", "--profile=smoke", "--power", outputs=tmp_path)
    assert code == 0
    assert "near_dupls: the least difference in rho" in output
    assert "16       │     1" in output  # canaries and seeds of the profile
    code, output = run("plan", "slimpajama", "--profile=smoke", "--power", outputs=tmp_path)
    assert code == 2
    assert "no curve of exact copies" in output
    assert "to do" not in output  # it is said before the plan


def test_what_is_missing_ends_with_1_and_is_listed(tmp_path) -> None:
    code, output = run("collect", "near_dupls", "--profile=smoke", outputs=tmp_path)
    assert code == 1
    assert "tasks are missing" in output
    assert "missing: text" in output
    code, output = run("status", "near_dupls", "--profile=smoke", "--json", outputs=tmp_path)
    status = json.loads(output)
    assert (code, status["all_done"], status["states"]) == (0, False, {"waiting": status["tasks"]})
    assert run("fetch", "near_dupls", "--profile=smoke", "--quiet", outputs=tmp_path) == (0, "")


def test_planning_imports_nothing_heavy() -> None:
    code = (
        "import sys, launch; launch.main(['plan', 'near_dupls', '--profile=smoke', '--cluster=local']);"
        "print(sorted({'torch', 'transformers', 'matplotlib', 'pandas', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_secrets_are_in_no_file_of_a_submit(tmp_path) -> None:
    environment = {**os.environ, "HF_TOKEN": "hf_verysecret"}
    line = [sys.executable, "launch.py", "submit", "near_dupls", "--profile=smoke", "--cluster=local"]
    line += [f"--outputs={tmp_path}", "--set=nodes.text.config.n_books=1000000"]  # there are not so many
    assert subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 1
    written = [file for file in tmp_path.rglob("*") if file.is_file() and "snapshots" not in file.parts]
    assert any(file.name == "0001.log" for file in written)
    assert not any(b"hf_verysecret" in file.read_bytes() for file in written)


def launched(shell: str, folder: Path) -> subprocess.CompletedProcess:
    """A shell line in which $LAUNCH is the launcher and $T a folder."""
    environment = {**os.environ, "LAUNCH": f"{sys.executable} {ROOT / 'launch.py'}", "T": str(folder)}
    line = ["bash", "-c", shell]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


PLAN = "$LAUNCH plan near_dupls --profile=smoke --cluster=local"


@pytest.mark.parametrize(
    ("shell", "code", "words"),
    [
        (f"set -o pipefail; {PLAN} | true", 128 + 13, ""),
        (f"{PLAN} > /dev/full", 1, "error: standard output cannot be written: No space left on device\n"),
        (f"{PLAN} <&- >&- 2>&-", 0, ""),
        (f"{PLAN} --outputs=launch.py", 2, f"error: --outputs launch.py: {ROOT}/launch.py is a file; name a folder\n"),
        (f"{PLAN} --outputs=launch.py/below", 2, f"{ROOT}/launch.py is a file; name a folder\n"),
        (f"mkdir $T/d; cd $T/d; rmdir $T/d; {PLAN}", 2, "error: the current folder does not exist any more; `cd` to"),
        ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 PYTHONIOENCODING=ascii " + PLAN, 0, ""),
        (rf"{PLAN} --set=$'seeds=\xe9'", 2, "seeds=\\udce9' is no text in this shell's encoding, utf-8"),
    ],
)
def test_what_is_in_the_users_hands_gives_a_message_and_no_traceback(tmp_path, shell, code, words) -> None:
    done = launched(shell, tmp_path)
    assert "Traceback" not in done.stderr, done.stderr
    assert (done.returncode, words in done.stderr) == (code, True), done.stdout + done.stderr


def test_commands_have_a_function_each() -> None:
    assert all(callable(getattr(commands, name)) for name in FLAGS)
