import ast
import textwrap
from pathlib import Path

import pytest

from lib.base.errors import TesseraError
from lib.texts import package_files

MODULE = b'''"""The module."""
import os


class A:
    """A class.

    In two paragraphs.
    """

    x = 1

    def f(self):
        """A method."""
        return """no documentation"""
'''


def test_prose_and_code_share_out_a_module():
    assert package_files.prose(MODULE) == "The module.\n\nA class.\n\nIn two paragraphs.\n\nA method."
    code = package_files.code(MODULE)
    assert len(code.splitlines()) == len(MODULE.decode().splitlines())
    kept = [line for line in code.splitlines() if line.strip()]
    wanted = ["import os", "class A:", "    x = 1", "    def f(self):", '        return """no documentation"""']
    assert kept == wanted


def test_code_of_a_real_module_is_the_module_without_its_documentation():
    """Oracle: both parse to the same tree once the documentation is taken out of the module's."""
    source = Path(textwrap.__file__).read_bytes()

    def bare(text):
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
                del node.body[0]
        return ast.dump(tree)

    assert bare(package_files.code(source)) == bare(source)


@pytest.mark.parametrize("subset", ["prose", "code", "licences"])
@pytest.mark.parametrize("data", [b"no Python \xff", b"\x00", b"\xff\xfe"])
def test_what_cannot_be_read_is_no_text(tmp_path, subset, data):
    (tmp_path / "file.py").write_bytes(data)
    text = package_files.read(subset, tmp_path / "file.py")
    assert text == (data.decode() if subset == "licences" and data == b"\x00" else "")


def test_line_ends_of_licences_are_one_character():
    assert package_files.licence(b"one\r\ntwo\n") == "one\ntwo\n"


def test_files_are_sorted_and_of_their_kind():
    packages = ["networkx", "numpy"]
    legal, modules = package_files.paths("licences", packages), package_files.paths("code", packages)
    assert legal == sorted(legal) == package_files.paths("licences", reversed(packages))
    assert all(path.is_file() and name.rsplit("/")[-1].lower().startswith(package_files.LEGAL) for name, path in legal)
    assert {name.split("/")[0].split("-")[0] for name, _ in legal} == {"networkx", "numpy"}
    assert all(name.endswith(".py") for name, _ in modules)
    assert modules == package_files.paths("prose", packages)


def test_another_version_is_refused():
    with pytest.raises(TesseraError, match=r"numpy .* is installed, but 0\.1 is required"):
        package_files.paths("licences", ["numpy==0.1"])
