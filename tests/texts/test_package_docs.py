import importlib.metadata
import inspect
import quopri
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.base import distributions
from lib.base.errors import TesseraError
from lib.texts import package_docs

MODULE = '''
"""The module speaks first, in more than thirty characters."""

import os

if os:

    class Shape:
        """A shape has corners, and this many characters as well.

        Example:
            indented = True
        """

        def area(self):
            """The area of a shape, which is never negative at all."""

            def inner():
                """Nobody outside can call this, so nobody reads it."""


async def last():
    """The last definition of the module, documented all the same."""
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install files as a distribution `toys` 1.0 below a folder on the path."""

    def install(files: dict[str, str]) -> None:
        record = []
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
            record.append(f"{name},,")
        info = tmp_path / "toys-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
        (info / "RECORD").write_text("\n".join(record))
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()

    return install


def test_docstrings_come_in_the_order_of_the_source():
    found = package_docs.docstrings(MODULE)
    assert [text.split()[0] for text in found] == ["The", "A", "The", "The"]
    assert "    indented = True" in found[1]
    assert not any("Nobody" in text for text in found)


@pytest.mark.parametrize("module", [quopri, textwrap])
def test_docstrings_are_what_the_interpreter_says(module):
    """Oracle: the documentation of the imported module's own functions and classes."""
    found = package_docs.docstrings(Path(module.__file__).read_bytes())
    own = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    expected = {inspect.cleandoc(value.__doc__) for value in [module, *own] if value.__doc__}
    assert len(expected) >= 4
    assert expected <= set(found)


@given(st.lists(st.text(alphabet="ab \n\té", max_size=60), max_size=6))
def test_paragraphs_are_long_ascii_and_parts_of_the_text(parts):
    text = "\n\n".join(parts)
    for part in package_docs.paragraphs(text, 5):
        assert part in text
        assert len(part) >= 5
        assert part.isascii()
        assert "\n\n" not in part


@given(st.lists(st.sampled_from(["one two", "ONE  two", "one\ttwo", "three", "Three", "four"])))
def test_unseen_keeps_the_first_of_every_normalised_paragraph(parts):
    kept = package_docs.unseen(parts, set())
    keys = [tuple(part.lower().split()) for part in parts]
    assert kept == [part for index, part in enumerate(parts) if keys[index] not in keys[:index]]


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1), st.integers(1, 60))
def test_clip_keeps_whole_leading_parts(parts, room):
    text = package_docs.clip(parts, room)
    assert len(text) <= room
    fitting = [n for n in range(1, len(parts) + 1) if len("\n\n".join(parts[:n])) <= room]
    assert text == ("\n\n".join(parts[: fitting[-1]]) if fitting else parts[0][:room])


def test_a_paragraph_stands_in_one_document_only(package):
    shared = "This paragraph is in two modules and has its thirty characters."
    filler = "\n\n".join(f"Paragraph number {n} of a module that says a lot about itself." for n in range(4))
    package(
        {
            "toys/b.py": f'"""{shared}\n\n{filler}"""',
            "toys/a.py": f'"""{shared.upper()}\n\n{filler.replace("module", "package")}"""',
            "toys/tests/test_a.py": f'"""{filler.replace("module", "test")}"""',
            "toys/broken.py": 'def """no Python""" """',
            "toys/cafe.py": '"""' + "A caf\u00e9 is no ASCII, so this whole paragraph is left out. " * 9 + '"""',
        }
    )
    documents = package_docs.corpus(["toys==1.0"], min_characters=100)
    assert [document.name for document in documents] == ["toys/a.py", "toys/b.py"]
    assert [document.text.lower().count(shared.lower()) for document in documents] == [1, 0]


def test_the_order_in_which_packages_are_named_changes_nothing():
    packages = ["tqdm", "packaging"]
    assert package_docs.corpus(packages) == package_docs.corpus(reversed(packages))


def test_versions_are_those_installed():
    assert distributions.versions(["numpy", "PyYAML"]) == {
        name: importlib.metadata.version(name) for name in ("numpy", "PyYAML")
    }


def test_a_missing_package_that_the_project_does_not_pin_is_not_said_to_be_installed():
    with pytest.raises(TesseraError, match="'no-such-package' is not installed; this project does not use such"):
        package_docs.corpus(["no-such-package==2"])


def test_another_version_than_the_pinned_one_is_refused():
    with pytest.raises(TesseraError, match=r"numpy .* is installed, but 0\.1 is required; this project uses \d"):
        package_docs.corpus(["numpy==0.1"])


def test_packages_without_documentation_are_named(package):
    package({"toys/a.py": "x = 1"})
    with pytest.raises(TesseraError, match="no module of toys has documentation"):
        package_docs.corpus(["toys"])


def test_no_package_is_imported():
    assert "networkx" not in sys.modules or pytest.skip("another test imported it")
    package_docs.modules("networkx")
    assert "networkx" not in sys.modules
