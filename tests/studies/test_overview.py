"""The report over all sweeps: its long table, that it needs nothing but itself, and how a real browser shows it."""

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lib.base import places
from lib.base.errors import TesseraError
from lib.plans import documents
from lib.reporting import drawing, frames, writer
from lib.reporting import page as reports
from lib.studies import overview
from lib.studies.mosaic import auc_table, measurements, rho_table, summaries
from lib.studies.mosaic.measurements import Record

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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


def write_sweep(root, name, records, settings, warnings=()):
    """What a study leaves, but for its figures, which take seconds: one of 12 x 6 inches stands for them."""
    measured = measurements.measure(records, seed=1, n_bootstrap=50)
    auc, rho = auc_table.make(measured), rho_table.make(measured)
    for stem, table in (("auc", auc), ("rho", rho)):
        writer.write_table(places.tables(root, name) / stem, table)
    figure = reports.ReportFigure(f"Figure of {name}", "A caption.", drawing.png(Figure(figsize=(12, 6))))
    listed = [
        reports.report_table("auc", "AUC. All rows:", summaries.auc_summary(auc_table.means(measured)), auc),
        reports.report_table("rho", "ρ. All rows:", summaries.rho_summary(rho), rho),
    ]
    given = reports.Report(
        f"The sweep <{name}>", ["In words."], [figure], listed, warnings, {**reports.METHODS, **settings},
        {"model tiny": "task abc, code def"},
    )  # fmt: skip
    reports.write(places.report(root, name), given)


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
    assert [*long.columns][1:-3] == list(rho_table.COLUMNS)
    beside = long[long["published_source"] != ""]
    assert set(beside["sweep"]) == {"near_dupls"}
    assert set(zip(beside["attack"], beside["estimator"], beside["seed"])) == {("ratio", "paper", "")}
    assert dict(zip(beside["level"], beside["published_mean"].astype(float))) == {1: 0.9, 25: 0.4}


def test_a_setting_is_shown_once_in_the_order_of_kinds_settings_and_levels(root):
    header, rows = overview.shown(overview.rho_over_all(root, ["distances", "near_dupls", "shuffles"]))
    shown = [dict(zip(header, row)) for row in rows]
    assert [(row["kind"], row["setting"], row["level"], row["sweep"]) for row in shown] == [
        ("replace", "", "1", "near_dupls"), ("replace", "", "25", "near_dupls"),
        ("shuffle", "ngram=2", "0.1", "shuffles"), ("shuffle", "ngram=2", "0.25", "shuffles"),
        ("shuffle", "ngram=10", "0.1", "shuffles"), ("shuffle", "ngram=10", "0.25", "shuffles"),
    ]  # fmt: skip
    rho = frames.read_csv(places.tables(root, "near_dupls") / "rho.csv")
    chosen = rho[rho["seed"].isna() & (rho["attack"] == "ratio") & (rho["level"] == 25)].set_index("estimator")["rho"]
    assert (shown[1]["ρ isotonic"], shown[1]["ρ paper"]) == (f"{chosen['isotonic']:.3f}", f"{chosen['paper']:.3f}")
    assert (shown[1]["published"], shown[1]["published of"]) == ("0.400", "published, big")
    assert "s" not in header  # of seeds: there is one


def test_renderings_lie_beside_the_csv(root):
    markdown = (root / "report" / "rho.md").read_text().splitlines()
    assert markdown[2].startswith("| replace |  | 1 | tiny | near_dupls |")
    assert len(markdown) == 2 + 6
    assert r"\midrule" in (root / "report" / "rho.tex").read_text()
    for name in ("auc.md", "auc.tex", "rho.md", "rho.tex"):
        assert (places.tables(root, "near_dupls") / name).is_file()


def test_the_page_holds_every_sweep_s_figures_tables_settings_and_provenance(page, root):
    for name in ("near_dupls", "shuffles"):
        given = reports.read(places.report_data(root, name))
        for figure in given.figures:
            assert base64.b64encode(figure.png).decode() in page
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
    assert not {"script", "iframe", "object", "embed", "base"} & set(parser.tags)
    outside = [link for link in parser.links if not link.startswith(("data:", "#"))]
    assert outside == []
    assert {link[1:] for link in parser.links if link.startswith("#")} <= set(parser.ids)
    assert len(parser.ids) == len(set(parser.ids))
    styles = " ".join([*re.findall(r"<style>(.*?)</style>", page, re.S), *parser.styles])
    assert not re.search(r"url\(|@import|expression", styles)


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


PROBE = """<script>
addEventListener("error", event => parent.postMessage(JSON.stringify({error: event.message}), "*"));
addEventListener("load", () => setTimeout(() => {
  const cut = [...document.querySelectorAll("body *")].filter(element => {
    const box = element.getBoundingClientRect(), scroll = element.closest(".scroll");
    return (!scroll || scroll === element) && (box.right > innerWidth + 1 || box.left < -1);
  }).map(element => element.outerHTML.slice(0, 80));
  const broken = [...document.images].filter(image => !image.naturalWidth).length;
  const entries = performance.getEntriesByType("resource").map(entry => entry.name);
  const fetched = entries.filter(name => !name.startsWith("data:"));
  const page = document.documentElement.scrollWidth;
  parent.postMessage(JSON.stringify({width: innerWidth, page, cut, broken, fetched}), "*");
}, 100));
</script></head>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: chromium, chromium-browser or google-chrome")
def test_a_real_browser_cuts_nothing_off_at_desktop_and_phone_width(page, tmp_path):
    """In frames of 1,280 and 390 pixels (a window cannot be as narrow as a phone), without a network."""
    (tmp_path / "page.html").write_text(page.replace("</head>", PROBE))
    iframes = "".join(f'<iframe src="page.html" width="{width}" height="900"></iframe>' for width in (1280, 390))
    listen = "<script>addEventListener('message', event => out.append(event.data + '\\n'))</script>"
    (tmp_path / "frames.html").write_text(f"<pre id=out></pre>{listen}{iframes}")
    line = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
        "--virtual-time-budget=5000", "--dump-dom", f"file://{tmp_path / 'frames.html'}",
    ]  # fmt: skip
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
    said = re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.S).group(1).replace("&lt;", "<").replace("&gt;", ">")
    found = sorted(map(json.loads, said.split("\n")[:-1]), key=lambda answer: answer.get("width", 0))
    assert [answer.get("width") for answer in found] == [390, 1280], found
    for answer in found:
        assert answer["page"] <= answer["width"]
        assert (answer["cut"], answer["broken"], answer["fetched"]) == ([], 0, [])
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
