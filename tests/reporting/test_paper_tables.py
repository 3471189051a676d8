"""Markdown and LaTeX, read back by a few lines that know the formats' rules."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.reporting import paper_tables

HEADER = ["model", "attack", "ρ at R=1"]
ROWS = [["gpt_neox", "min-k | 20 %", "0.98 ± 0.01"], ["a & b", "zlib", ""]]
SPELLED = {r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^", r"\textless{}": "<",
           r"\textgreater{}": ">", r"\textbar{}": "|", r"\&": "&", r"\%": "%", r"\$": "$", r"\#": "#", r"\_": "_",
           r"\{": "{", r"\}": "}", "{[}": "[", "{*}": "*"}  # fmt: skip
cells = st.text(st.sampled_from("ab 1.\\~^&%$#_{}<>|[*"), max_size=8)


def test_markdown_of_a_small_table():
    assert paper_tables.markdown(HEADER, ROWS) == (
        "| model | attack | ρ at R=1 |\n| --- | --- | ---: |\n"
        "| gpt_neox | min-k \\| 20 % | 0.98 ± 0.01 |\n| a & b | zlib |  |\n"
    )


def test_latex_of_a_small_table():
    found = paper_tables.latex(HEADER, ROWS, "ρ by R, 95 %", "tab:rho")
    assert found.splitlines() == [
        r"\begin{table}", r"\centering", r"\caption{$\rho$ by R, 95 \%}", r"\label{tab:rho}",
        r"\begin{tabular}{llr}", r"\toprule", r"model & attack & $\rho$ at R=1 \\", r"\midrule",
        r"gpt\_neox & min-k \textbar{} 20 \% & 0.98 $\pm$ 0.01 \\", r"a \& b & zlib &  \\",
        r"\bottomrule", r"\end{tabular}", r"\end{table}",
    ]  # fmt: skip


@given(cells)
def test_escaped_text_reads_as_it_was(text):
    pattern = "|".join(map(re.escape, SPELLED))
    assert re.sub(pattern, lambda match: SPELLED[match.group()], paper_tables.escape(text)) == text
    left = re.sub(pattern, "", paper_tables.escape(text))
    assert not set(left) & set("\\~^&%$#_{}<>|[*")


@given(st.lists(st.lists(cells, min_size=2, max_size=2), max_size=4))
def test_markdown_keeps_rows_and_columns(rows):
    lines = paper_tables.markdown(["a", "b"], rows).splitlines()
    assert len(lines) == len(rows) + 2
    for line in lines:
        unescaped = re.sub(r"\\.", "", line)
        assert unescaped.count("|") == 3
        assert "<" not in unescaped


@pytest.mark.parametrize(
    ("cells", "numeric"),
    [(["0.1", ""], True), (["[0.1, 0.2]", "[-0.3, 1.000]"], True), (["5 %", "-1"], True), (["1e-05"], True),
     (["0.8† [0.1, 1.0]", "–", "< 0.001"], True), (["20.8 % [9.2, 40.5]"], True),
     (["[a]", "1"], False), (["[]"], False), (["k = 5"], False), (["", ""], False)],
)  # fmt: skip
def test_columns_of_numbers_and_of_their_intervals_stand_to_the_right(cells, numeric):
    assert paper_tables.numeric_columns(["a"], [[cell] for cell in cells]) == [numeric]


def test_a_row_of_another_length_is_named():
    for render in (paper_tables.markdown, lambda header, rows: paper_tables.latex(header, rows, "", "")):
        with pytest.raises(ValueError, match="row 1: 1 cells under a header of 3"):
            render(HEADER, [ROWS[0], ["alone"]])


def test_both_files_are_written(tmp_path):
    paper_tables.write(tmp_path / "rho", HEADER, ROWS, "ρ", "near_dupls--smoke")
    assert (tmp_path / "rho.md").read_text() == paper_tables.markdown(HEADER, ROWS)
    assert r"\label{tab:near_dupls--smoke:rho}" in (tmp_path / "rho.tex").read_text()


def test_flagged_values_are_left_out_unless_they_are_asked_for(tmp_path):
    rows = [["loss", "0.900 [0.8, 1.0]"], ["recall", "0.874† [0.2, 1.0]"]]
    paper_tables.write(tmp_path / "rho", ["attack", "ρ"], rows, "ρ. † no result.", "demo")
    for suffix in (".md", ".tex"):
        main, everything = ((tmp_path / f"{stem}{suffix}").read_text() for stem in ("rho", "rho_all"))
        assert "0.874" not in main
        assert "0.900" in main
        assert "0.874" in everything
    assert r"\caption{$\rho$. -- no result.}" in (tmp_path / "rho.tex").read_text()
    paper_tables.write(tmp_path / "rho", ["attack", "ρ"], rows[:1], "ρ", "demo")
    assert {file.name for file in tmp_path.iterdir()} == {"rho.md", "rho.tex"}
