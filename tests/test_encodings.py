"""Text is UTF-8 wherever it is read or written, whatever the locale says: every call names its encoding."""

import ast
from collections.abc import Iterator

from lib.base.places import ROOT

OPENERS = {"open", "read_text", "write_text"}
PROCESSES = {"run", "Popen", "check_output", "check_call", "call"}


def offences(source: str) -> Iterator[int]:
    """The lines of calls that open a file as text, or read a program's output as text, without an encoding."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (_opens_text(node) or _decodes_output(node)):
            yield node.lineno


def _opens_text(call: ast.Call) -> bool:
    name, keywords = _name(call.func), {keyword.arg for keyword in call.keywords}
    if name not in OPENERS or {"encoding", "timeout"} & keywords:  # what has a timeout is a connection
        return False
    owner = getattr(call.func, "value", None)
    if owner is not None and _name(owner) in {"os", "gzip", "bz2", "lzma", "h5o"}:  # numbers, bytes, objects
        return False
    place = 1 if owner is None else 0  # of the mode among the arguments
    modes = [*call.args[place : place + 1], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return name != "open" or not any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in modes)


def _decodes_output(call: ast.Call) -> bool:
    keywords = {keyword.arg for keyword in call.keywords}
    is_process = _name(getattr(call.func, "value", call.func)) == "subprocess" and _name(call.func) in PROCESSES
    return is_process and bool({"text", "universal_newlines", "errors"} & keywords) and "encoding" not in keywords


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def test_every_call_names_its_encoding() -> None:
    files = [ROOT / "launch.py", *(ROOT / "lib").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")]
    found = [
        f"{file.relative_to(ROOT)}:{line}" for file in files for line in offences(file.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(sorted(found))


def test_the_check_finds_what_it_looks_for() -> None:
    bad = [
        "open(p)",
        "open(p, 'w')",
        "p.read_text()",
        "p.write_text(x)",
        "p.open()",
        "p.open(mode='r')",
        "Path(p).open()",
        "P(p).read_text()",
    ]
    bad += ["subprocess.run(a, text=True)", "subprocess.Popen(a, universal_newlines=True)"]
    good = [
        "open(p, 'rb')",
        "p.open('wb')",
        "open(p, encoding='utf-8')",
        "gzip.open(p)",
        "os.open(p, 0)",
        "a().open(p, timeout=1)",
    ]
    good += ["subprocess.run(a)", "p.read_bytes()", "subprocess.run(a, text=True, encoding='utf-8')"]
    assert [line for line in bad if not list(offences(line))] == []
    assert [line for line in good if list(offences(line))] == []
