"""The report over all sweeps: its long table, and that it needs nothing but itself."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lib.base import places
from lib.base.errors import TesseraError
from lib.plans import documents
from lib.reporting import drawing, frames, vector, writer
from lib.reporting import page as reports
from lib.reporting.cells import is_marked
from lib.studies import collected, overview
from lib.studies.mosaic import auc_table, measurements, rho_table, summaries
from lib.studies.mosaic.measurements import Record

LINKS = {"href", "src", "srcset", "data", "action", "poster", "background", "xlink:href"}


def record(kind, level, strength, setting=""):
    stream = np.random.default_rng(1)
    members, others = stream.normal(size=(2, 40))
    labels = {"model": "tiny", "seed": 1, "kind": kind, "level": level, "setting": setting}
    scores = {"loss": members + 0.8 * strength, "ratio": members + strength}
    return Record(labels, scores, dict.fromkeys(scores, others), effective_copies=level, nominal_copies=10)


EXACT = [record("exact", nu, 0.2 * nu) for nu in (1, 4, 7, 10)]
REPLACED = [record("replace", r, 1.9 - 0.02 * r) for r in (1, 25)]
SHUFFLED = [record("shuffle", tau, 2 - n * tau / 10, f"ngram={n}") for n in (10, 2) for tau in (0.1, 0.25)]


def write_sweep(root, name, records, settings, warnings=(), profile="laptop"):
    """What a study leaves, but for its figures, which take seconds: an empty one stands for them."""
    measured = measurements.measure(records, seed=1, n_bootstrap=50)
    auc, rho = auc_table.make(measured), rho_table.make(measured)
    for stem, table in (("auc", auc), ("rho", rho)):
        writer.write_table(places.tables(root, name) / stem, table)
    svg = vector.svg(Figure(figsize=(12, 6)), drawing.STYLE).replace("</svg>", f"<desc>{name}</desc></svg>")
    figure = reports.ReportFigure(f"Figure of {name}", "A caption.", svg, "It rises.")
    listed = [
        reports.report_table("auc", "AUC. All rows:", summaries.auc_summary(auc_table.means(measured)), auc),
        reports.report_table("rho", "ρ. All rows:", summaries.rho_summary(rho), rho),
    ]
    given = reports.Report(
        f"The sweep <{name}>", ["In words."], [figure], listed, warnings, {**reports.METHODS, **settings},
        {"model tiny": "task abc, code def"},
    )  # fmt: skip
    reports.write(places.report(root, name), given)
    if profile:  # older runs have no such record
        known = {"run": name, "sweep": name, "profile": profile, "settings": [], "ended": "2026-11-28T06:00:00+00:00"}
        places.run_record(root, name).write_text(json.dumps(known))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("outputs")
    write_sweep(root, "near_dupls", EXACT + REPLACED, settings={"settings of books": "{}"}, warnings=("A & B.",))
    write_sweep(root, "distances", REPLACED + EXACT, settings={"settings of books": "{}"})
    write_sweep(root, "shuffles", EXACT + REPLACED + SHUFFLED, settings={"settings of books": '{"n":2}'})
    published = pd.DataFrame(
        {"model": "tiny", "kind": "replace", "setting": "", "level": [1, 25], "published_source": "published, big",
         "published_mean": [0.9, 0.4], "published_std": [0.03, 0.02]}
    )  # fmt: skip
    published.to_csv(places.tables(root, "near_dupls") / "published.csv", index=False)
    places.submits(root, "top_k").mkdir(parents=True)
    places.submits(root, "all").mkdir(parents=True)
    overview.write(root)
    return root


@pytest.fixture(scope="module")
def page(root):
    return (root / "report" / "report.html").read_text()


def test_the_long_table_is_every_sweep_s_with_the_published_figures_beside_ours(root):
    long = pd.read_csv(root / "report" / "rho.csv", keep_default_na=False)
    order = ("near_dupls", "distances", "shuffles")
    parts = [frames.read_csv(places.tables(root, name) / "rho.csv") for name in order]
    assert list(long["sweep"]) == [name for name, part in zip(order, parts) for _ in range(len(part))]
    assert [*long.columns][2:-3] == list(rho_table.COLUMNS)
    beside = long[long["published_source"] != ""]
    assert set(beside["sweep"]) == {"near_dupls"}
    assert set(zip(beside["attack"], beside["estimator"], beside["seed"])) == {("ratio", "paper", "")}
    assert dict(zip(beside["level"], beside["published_mean"].astype(float))) == {1: 0.9, 25: 0.4}


def long_table(root):
    return overview.rho_over_all(root, collected.find(root))


def test_values_of_profile_smoke_are_no_results(root, tmp_path):
    """They are marked, never beside published values, in no sentence, and not in the table for a paper."""
    write_sweep(tmp_path, "near_dupls", EXACT + REPLACED, {}, profile="smoke")
    write_sweep(tmp_path, "shuffles", EXACT + SHUFFLED, {})
    published = places.tables(root, "near_dupls") / places.PUBLISHED_CURVES
    (places.tables(tmp_path, "near_dupls") / places.PUBLISHED_CURVES).write_bytes(published.read_bytes())
    overview.write(tmp_path)
    header, rows = overview.shown(long_table(tmp_path))
    profile, rho = header.index("profile"), header.index("ρ isotonic")
    assert {row[profile] for row in rows} == {"smoke", "laptop"}
    assert all(is_marked(row[rho]) for row in rows if row[profile] == "smoke")
    assert not any("published" in name for name in header)
    said = (tmp_path / "report" / "report.html").read_text()
    assert "They have ρ of 4 settings." in said  # those of shuffles
    assert "The numbers of near_dupls mean nothing" in said
    assert "counterpart" not in said
    assert said.count("In words.") == 1  # of shuffles alone
    numbers = [cell for row in rows if row[profile] == "smoke" for cell in row if is_marked(cell)]
    assert not any(
        cell in (tmp_path / "report" / f"rho.{kind}").read_text() for cell in numbers for kind in ("md", "tex")
    )
    assert all(cell in (tmp_path / "report" / "rho_all.md").read_text() for cell in numbers)


def test_the_demo_is_not_compared_with_the_values_that_it_is_made_of(root, tmp_path):
    write_sweep(tmp_path, "demo", EXACT + REPLACED, {})
    file = places.tables(root, "near_dupls") / places.PUBLISHED_CURVES
    (places.tables(tmp_path, "demo") / places.PUBLISHED_CURVES).write_bytes(file.read_bytes())
    overview.write(tmp_path)
    assert long_table(tmp_path)["published_mean"].isna().all()
    assert "published counterpart" not in (tmp_path / "report" / "report.html").read_text()


@pytest.mark.parametrize(
    ("title", "opened"), [("memory of text", "Memory of text"), ("ρ of four models", "ρ of four models"), ("", "")]
)
def test_a_title_begins_with_a_capital_or_a_symbol(title, opened):
    assert f"<h1>{opened}</h1>" in reports.render(reports.Report(title, []))


def test_a_setting_is_shown_once_in_the_order_of_kinds_settings_and_levels(root):
    header, rows = overview.shown(long_table(root))
    shown = [dict(zip(header, row)) for row in rows]
    assert [(row["kind"], row["setting"], row["level"], row["sweep"]) for row in shown] == [
        ("replace", "", "1", "near_dupls"), ("replace", "", "25", "near_dupls"),
        ("shuffle", "ngram=2", "0.1", "shuffles"), ("shuffle", "ngram=2", "0.25", "shuffles"),
        ("shuffle", "ngram=10", "0.1", "shuffles"), ("shuffle", "ngram=10", "0.25", "shuffles"),
    ]  # fmt: skip
    rho = frames.read_csv(places.tables(root, "near_dupls") / "rho.csv")
    chosen = rho[rho["seed"].isna() & (rho["attack"] == "ratio") & (rho["level"] == 25)].set_index("estimator")["rho"]
    assert (shown[1]["ρ isotonic"].split(" ")[0], shown[1]["ρ paper"]) == (
        f"{chosen['isotonic']:.3f}", f"{chosen['paper']:.3f}"
    )  # fmt: skip
    assert (shown[1]["published"], shown[1]["published of"]) == ("0.400", "big")
    assert "s" not in header  # of seeds: there is one


def test_renderings_lie_beside_the_csv(root):
    markdown = (root / "report" / "rho.md").read_text().splitlines()
    assert markdown[:3] == ["<!--", "runs: distances, near_dupls, shuffles", "-->"]
    assert markdown[5].startswith("| replace |  | 1 | tiny | near_dupls |")
    assert len(markdown) == 5 + 6
    assert r"\midrule" in (root / "report" / "rho.tex").read_text()
    for name in ("auc.md", "auc.tex", "rho.md", "rho.tex"):
        assert (places.tables(root, "near_dupls") / name).is_file()


def test_the_page_holds_every_sweep_s_figures_tables_settings_and_provenance(page, root):
    for name in ("near_dupls", "shuffles"):
        given = reports.read(places.report_data(root, name))
        for figure in given.figures:
            assert figure.svg[figure.svg.index("viewBox") :] in page
        for table in given.tables:
            assert base64.b64encode(table.csv).decode() in page
    for text in ("The sweep &lt;shuffles&gt;", "A &amp; B.", "{&#34;n&#34;:2}", "task abc, code def",
                 "3 sweeps are collected: distances, near_dupls, shuffles.", "top_k was submitted but is not collected",
                 "of another model (big)", "Area under the ROC curve"):  # fmt: skip
        assert text in page, text
    assert page.count("Area under the ROC curve") == 1


def test_what_a_report_was_made_of_reads_as_it_was(root):
    given = reports.read(places.report_data(root, "near_dupls"))
    assert reports.render(given) == places.report(root, "near_dupls").read_text()
    table = pd.read_csv(io.BytesIO(given.tables[0].csv))
    assert len(table) == given.tables[0].n_rows


def test_a_sweep_of_sweeps_is_collected_when_its_sweeps_are(page):
    said = re.findall(r"(\w+) was submitted", page)
    assert "all" not in said
    assert sorted(said) == sorted(set(documents.parts("all")) - {"near_dupls", "distances", "shuffles"})


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.ids, self.styles = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in LINKS]
        self.ids += [value for name, value in attributes if name == "id"]
        self.styles += [value for name, value in attributes if name == "style"]
        assert not any(name.startswith("on") for name, _ in attributes)


@pytest.mark.parametrize("which", ["report", "sweeps/shuffles"])
def test_nothing_outside_the_file_is_needed(root, which):
    page = (root / which / "report.html").read_text()
    parser = Links()
    parser.feed(page)
    assert parser.tags.count("script") == 1
    (script,), (allowed,) = (
        re.findall(pattern, page, re.S) for pattern in ("<script>(.*?)</script>", r"script-src '([^']+)'")
    )
    assert allowed == f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
    assert not {"iframe", "object", "embed", "base"} & set(parser.tags)
    outside = [link for link in parser.links if not link.startswith(("data:", "#"))]
    assert outside == []
    assert {link[1:] for link in parser.links if link.startswith("#")} <= set(parser.ids)
    assert len(parser.ids) == len(set(parser.ids))
    styles = " ".join([*re.findall(r"<style>(.*?)</style>", page, re.S), *parser.styles])
    assert not re.search(r"url\((?!#)|@import|expression", styles)


def test_the_same_sweeps_give_the_same_bytes(root, page):
    overview.write(root)
    assert (root / "report" / "report.html").read_text() == page


def test_nothing_collected_and_a_damaged_report_are_errors_that_say_what_to_do(tmp_path):
    with pytest.raises(TesseraError, match="no sweep is collected; run one"):
        overview.write(tmp_path)
    file = places.report_data(tmp_path, "near_dupls")
    file.parent.mkdir(parents=True)
    file.write_text('{"title": ')
    with pytest.raises(TesseraError, match=r"report\.json: not a report .*; collect its sweep again"):
        overview.write(tmp_path)
