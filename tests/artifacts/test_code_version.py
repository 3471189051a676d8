"""Which code runs: by git in a checkout, by what the submission recorded in a copy of it."""

import subprocess
from pathlib import Path

import pytest

from lib.artifacts import code_version


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch) -> Path:
    """A repository with one commit, which the module takes for its own."""
    root = tmp_path / "checkout"
    (root / "lib").mkdir(parents=True)
    (root / "lib" / "a.py").write_text("a = 1\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    monkeypatch.setattr(code_version, "ROOT", root)
    monkeypatch.setenv(code_version.COMMIT, "of the user's shell")
    code_version._of_checkout.cache_clear()
    yield root
    code_version._of_checkout.cache_clear()


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def found() -> str:
    code_version._of_checkout.cache_clear()
    return code_version.commit()


def test_a_commit_and_whether_files_of_the_code_are_changed_or_new(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    (checkout / "notes.txt").write_text("no part of the code")
    assert found() == head
    (checkout / "lib" / "b.py").write_text("b = 1\n")
    assert found() == f"{head} with uncommitted changes"
    (checkout / "lib" / "b.py").unlink()
    (checkout / "lib" / "a.py").write_text("a = 2\n")
    assert found() == f"{head} with uncommitted changes"


def test_a_folder_without_git_says_so_even_inside_another_repository(checkout: Path, monkeypatch) -> None:
    inner = checkout / "unpacked"
    inner.mkdir()
    monkeypatch.setattr(code_version, "ROOT", inner)
    assert found() == "no git"


def test_a_copy_knows_what_the_submission_recorded(checkout: Path, monkeypatch) -> None:
    copy = checkout / "outputs" / "snapshots" / "abc"
    copy.mkdir(parents=True)
    monkeypatch.setattr(code_version, "ROOT", copy)
    monkeypatch.setenv(code_version.COMMIT, "1234 with uncommitted changes")
    assert found() == "1234 with uncommitted changes"
    monkeypatch.delenv(code_version.COMMIT)
    assert found() == "unknown"
