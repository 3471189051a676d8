"""Tables as text for a paper: Markdown, and LaTeX with booktabs. Header and rows of cells in, text out."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from lib.base import files
from lib.reporting.cells import LEFT_OUT, MARK, is_marked

ESCAPED = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "[": "{[}", "*": "{*}",  # after a line end LaTeX would read them as its option
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "ρ": r"$\rho$", "ν": r"$\nu$", "τ": r"$\tau$", "±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$", "×": r"$\times$",
    "–": "--", "−": "$-$", "∞": r"$\infty$", "†": r"\textdagger{}",
}  # fmt: skip
SUFFIXES = (".md", ".tex")
ALL = "_all"  # ends the names of tables that have marked cells, too
NUMBER = re.compile(rf"\[[-−+\d., ]+\]|(< )?[-−+]?[\d.,]+(e[-+]?\d+)?\s*%?([ ±\[\](),\d.{MARK}-]*)|{LEFT_OUT}")


def write(
    stem: Path,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str,
    run: str,
    comments: Sequence[str] = (),
) -> None:
    """Write `<stem>.md` and `<stem>.tex`, each with the comments first; the same arguments give the same bytes.

    run: what stands before the table's name in its LaTeX label, so that tables of several runs fit into one paper.

    They leave marked cells out. If there are any, `<stem>_all.md` and `<stem>_all.tex` have every value with its mark.
    """
    kept = [[LEFT_OUT if is_marked(cell) else cell for cell in row] for row in rows]
    _write(stem, header, kept, caption.replace(MARK, LEFT_OUT), run, comments)
    everything = stem.with_name(f"{stem.name}{ALL}")
    if everything.name in names(stem.name, rows):
        _write(everything, header, rows, caption, run, comments)
    else:
        for suffix in SUFFIXES:  # of an earlier collection
            everything.with_suffix(suffix).unlink(missing_ok=True)


def names(name: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """The names of the files that `write` makes for a table, without SUFFIXES."""
    return [name, f"{name}{ALL}"] if any(map(is_marked, itertools.chain(*rows))) else [name]


def _write(
    stem: Path, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, run: str, comments: Sequence[str]
) -> None:
    lines = [" ".join(comment.split()) for comment in comments]
    hidden = "\n".join(["<!--", *(line.replace("-->", "-- >") for line in lines), "-->", ""]) if lines else ""
    files.write_bytes(stem.with_suffix(".md"), (hidden + markdown(header, rows)).encode())
    hidden = "".join(f"% {line}\n" for line in lines)
    table = latex(header, rows, caption, f"tab:{run}:{stem.name}")
    files.write_bytes(stem.with_suffix(".tex"), (hidden + table).encode())


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in GitHub's Markdown, columns of numbers aligned right. Raises ValueError for rows of another length."""
    _check(header, rows)
    marks = ["---:" if right else "---" for right in numeric_columns(header, rows)]
    lines = [[_plain(cell) for cell in row] for row in (header, *rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in (lines[0], marks, *lines[1:]))


def latex(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str) -> str:
    """A `table` environment for `\\usepackage{booktabs}`: every cell and the caption escaped, numbers aligned right.

    label: not escaped. Raises ValueError for a row of another length.
    """
    _check(header, rows)
    columns = "".join("r" if right else "l" for right in numeric_columns(header, rows))
    lines = [" & ".join(map(escape, row)) + r" \\" for row in (header, *rows)]
    return "\n".join(
        [r"\begin{table}", r"\centering", rf"\caption{{{escape(caption)}}}", rf"\label{{{label}}}",
         rf"\begin{{tabular}}{{{columns}}}", r"\toprule", lines[0], r"\midrule", *lines[1:],
         r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    )  # fmt: skip


def escape(text: str) -> str:
    """`text` with every character escaped that LaTeX reads as a command or does not have."""
    return "".join(ESCAPED.get(character, character) for character in text)


def _plain(cell: str) -> str:
    """A cell on one line that neither ends its column nor opens HTML."""
    return " ".join(cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())


def numeric_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns hold only numbers, intervals or empty cells, and at least one number."""
    columns = list(zip(*rows)) or [()] * len(header)
    return [any(column) and all(NUMBER.fullmatch(cell) for cell in column if cell) for column in columns]


def _check(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise ValueError(f"row {number}: {len(row)} cells under a header of {len(header)}")
