"""Report pages in a real browser: axe-core finds no violation, nothing is cut off, tables sort and filter.

They need Chromium and env/browser.txt. PAGES=<outputs folder> also looks at every report that lies there.
"""

import os
import shutil
import threading
from pathlib import Path

import pandas as pd
import pytest

from lib.base import places
from lib.reporting import cells, drawing, page, writer
from lib.reporting.excerpts import AROUND, CHANGED, LACKING, SAME, SHARED, Excerpt, passage
from lib.reporting.heat_maps import HeatMaps, Part, Text, View
from lib.reporting.page import report_table
from lib.studies.trace import server

pytestmark = pytest.mark.browser
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OUTPUTS = os.environ.get("PAGES", "")
MADE = sorted(file for name in ("sweeps", "report") for file in Path(OUTPUTS, name).rglob("report.html") if OUTPUTS)
SIZES = {1280: 900, 390: 800}  # a desk and a phone: width and height in pixels
LOOKS = [(width, scheme) for width in SIZES for scheme in ("light", "dark")]
RHO = ["0.5", "", "0.25", "1,234", "< 0.001", "-0.5", "0.1 [0.0, 0.9]", "12.3 %", "1e-05"]
SORTED = ["-0.5", "1e-05", "< 0.001", "0.1 [0.0, 0.9]", "0.25", "0.5", "12.3 %", "1,234", ""]
CUT_OFF = """() => [...document.querySelectorAll("body *")].filter(element => {
  const box = element.getBoundingClientRect(), inside = element.parentElement.closest(".scroll, .card, pre");
  return !inside && !element.matches(".skip, .unseen") && (box.right > innerWidth + 1 || box.left < -1);
}).map(element => element.outerHTML.slice(0, 80))"""


VIEWS = [View("p_z", [f"step {step}" for step in range(7)]), View("probability", ["low", "high"])]
RUNS = [(f"word {step} ", f"a{step} b1 x") for step in range(1, 7)] + [("run" * 90, "b1")]
TEXTS = [
    Text("the first", [Part("tokens 1 to 7", RUNS)]),
    Text("the second", [Part("tokens 1 to 7", RUNS), Part("tokens 8 to 14", RUNS)]),
]


def panel(axes, title):
    for i, label in enumerate(("loss", "ratio")):
        drawn = axes.errorbar([1, 5, 10], [0.9 - i / 9, 0.5, 0.1], 0.05, marker="o", label=label)
        drawing.beside(drawn.get_children(), i)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report with every part that one may have."""
    root = tmp_path_factory.mktemp("outputs")
    whole = pd.DataFrame({"attack": ["loss"] * 9, "rho": range(9)})
    rows = [[f"setting {i}", cell] for i, cell in enumerate(RHO)]
    long = (["level", "value"], [[str(i), cells.number(i / 7)] for i in range(40)])
    shown = [
        report_table("rho", "ρ. All rows:", (["setting", "ρ"], rows), whole),
        report_table("long", "", long, whole),
    ]
    figures = [
        writer.Drawn("one", "One panel", "A caption.", drawing.panels(["a"], panel, "tokens R", "ρ")),
        writer.Drawn("two", "Two panels", "A caption.", drawing.panels(["a", "b"], panel, "tokens R", "ρ")),
    ]
    about = writer.Description(
        "A sweep", ["In words."], {"settings of x": '{"n":' + "1" * 200 + "}"}, {"tiny": "task abc"}, ["A warning."],
        "We did it.", (["stage", "tasks"], [["text", "1"]]), ["mosaic"],
        heat_maps=[HeatMaps("m: mine", "A caption.", VIEWS, TEXTS)],
    )  # fmt: skip
    results = writer.Results({"rho": whole}, figures, shown, [], [], page.METHODS)
    writer.write(root, "toy", results, about)
    return places.report(root, "toy")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.fail("no Chromium here: install chromium, chromium-browser or google-chrome")
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def opened(browser, report):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown = context.new_page()
    shown.goto(report.as_uri())
    yield shown
    context.close()


def complaints(browser, file, width, scheme):
    """What axe-core, the console and the layout have against a page."""
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(viewport={"width": width, "height": SIZES[width]}, color_scheme=scheme)
    shown, found, asked = context.new_page(), [], []
    shown.on("console", lambda message: found.append(message.text))
    shown.on("pageerror", lambda error: found.append(str(error)))
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(file.as_uri())
    found += [url for url in asked if not url.startswith("data:") and url != file.as_uri()]
    found += shown.evaluate(CUT_OFF)
    for violation in Axe().run(shown).response["violations"]:
        found.append(f"{violation['id']}: {violation['help']}: {violation['nodes'][0]['html'][:200]}")
    context.close()
    return found


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_a_page_with_every_part_is_accessible_and_whole(browser, report, width, scheme):
    assert complaints(browser, report, width, scheme) == []


@pytest.mark.parametrize("file", MADE, ids=lambda file: file.parent.name)
@pytest.mark.parametrize(("width", "scheme"), LOOKS[::3])
def test_reports_that_were_made_are_accessible_and_whole(browser, file, width, scheme):
    assert complaints(browser, file, width, scheme) == []


def column(shown, place):
    return shown.eval_on_selector_all(
        f"[aria-label='Table rho'] tbody tr:not([hidden]) td:nth-child({place})",
        "found => found.map(cell => cell.textContent)",
    )


def test_a_column_sorts_by_its_numbers_empty_cells_last_and_back(opened):
    head = opened.locator("[aria-label='Table rho'] th").nth(1)
    seen = [(head.get_attribute("aria-sort"), column(opened, 2))]
    for _ in range(3):
        head.get_by_role("button").press("Enter")
        seen.append((head.get_attribute("aria-sort"), column(opened, 2)))
    downwards = [*SORTED[-2::-1], ""]
    assert seen == [(None, RHO), ("ascending", SORTED), ("descending", downwards), (None, RHO)]


def test_a_filter_keeps_the_rows_with_every_word(opened):
    tools = opened.locator(".tools", has=opened.get_by_label("Filter")).first
    tools.get_by_label("Filter").fill("SETTING 2")
    assert column(opened, 2) == ["0.25"] + [cell for cell in RHO[3:] if "2" in cell]
    assert tools.get_by_role("status").text_content() == f"{len(column(opened, 2))} of {len(RHO)} rows"
    tools.get_by_label("Filter").fill("")
    assert column(opened, 2) == RHO


def test_texts_are_copied(opened):
    for name, selector in (("p", "p.copy"), ("pre", "pre.copy")):
        opened.locator(f".tools:has(+ {name}.copy) button").click()
        opened.locator(f".tools:has(+ {name}.copy) [role=status]", has_text="copied").wait_for()
        assert opened.evaluate("navigator.clipboard.readText()") == opened.locator(selector).text_content()


def test_heat_maps_show_another_view_and_unfold(opened):
    colour = "found => getComputedStyle(found).backgroundColor"
    first, alone = opened.locator(".heat .a6").first, opened.locator(".heat i:not(.x)").first
    seen = [(first.evaluate(colour) == alone.evaluate(colour), opened.locator(".scale:visible").count())]
    opened.get_by_label("Colours show").select_option("probability")
    seen.append((first.evaluate(colour) == alone.evaluate(colour), opened.locator(".scale:visible").count()))
    assert seen == [(False, 1), (True, 1)]
    assert opened.locator(".heat:visible").count() == 1
    opened.get_by_text("the second", exact=True).click()
    opened.locator("summary", has_text="tokens 8 to 14").click()
    assert opened.locator(".heat:visible").count() == 2


def middle(shown, place):
    """The middle of a point of the first figure, in the window."""
    circle = shown.locator("figure >> nth=0 >> .values circle").nth(place)
    circle.scroll_into_view_if_needed()
    box = circle.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


FIRST, SECOND, LAST = ("loss: tokens R 1, ρ 0.9", "loss: tokens R 5, ρ 0.5", "ratio: tokens R 10, ρ 0.1")


def value(shown):
    """What is shown of the values of the first figure."""
    box = shown.locator("figure >> nth=0 >> .value")
    assert shown.evaluate(CUT_OFF) == []
    return box.text_content().split(" (")[0] if box.is_visible() else None


def test_values_show_under_the_pointer(opened):
    opened.mouse.move(*middle(opened, 0))
    assert value(opened) == FIRST
    opened.mouse.move(0, 0)
    assert value(opened) is None


def test_values_show_with_the_focus_which_arrow_keys_move(opened):
    opened.locator("figure >> nth=0 >> .card").focus()
    seen = []
    for key in ("Tab", "ArrowRight", "ArrowLeft", "ArrowLeft", "End", "ArrowDown", "Escape", "Home"):
        opened.keyboard.press(key)
        seen.append(value(opened))
    assert seen == [FIRST, SECOND, FIRST, FIRST, LAST, LAST, None, FIRST]
    opened.keyboard.press("Tab")  # one stop a figure
    assert value(opened) is None
    assert opened.evaluate("document.activeElement.className") == "card"


@pytest.mark.parametrize("width", SIZES)
def test_values_show_where_a_point_is_touched_and_go_with_a_touch_elsewhere(browser, report, width):
    context = browser.new_context(viewport={"width": width, "height": SIZES[width]}, has_touch=True)
    shown = context.new_page()
    shown.goto(report.as_uri())
    x, y = middle(shown, 0)
    shown.touchscreen.tap(x + 10, y + 10)  # a finger is not exact
    assert value(shown) == FIRST
    shown.locator("h1").tap()
    assert value(shown) is None
    context.close()


def test_without_its_script_the_page_says_the_same(browser, report):
    context = browser.new_context(java_script_enabled=False)
    shown = context.new_page()
    shown.goto(report.as_uri())
    assert shown.locator("button, input").count() == 0
    assert shown.locator("[aria-label='Table rho'] tbody tr").count() == len(RHO)
    assert shown.locator("[aria-label='Table rho'] th").nth(1).text_content() == "ρ"
    assert shown.locator(".values circle title").first.text_content().startswith("loss: tokens R 1")
    assert shown.locator(".card svg[role=img]").count() == 2
    context.close()


FOUND = [
    Excerpt("The text", "12 tokens.", [[passage("The text", [("a <b>", SAME), ("run" * 90, SHARED)])]]),
    Excerpt("2 near-duplicates", "", [[passage("1 edit away", [("old", LACKING), ("new", CHANGED), ("x", AROUND)])]]),
]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_page_of_trace_is_accessible_and_whole(browser, tmp_path, width, scheme):
    for name, given in {"empty": {}, "found": {"text": "a", "excerpts": FOUND}, "error": {"error": "no text"}}.items():
        (tmp_path / name).with_suffix(".html").write_bytes(server.render("a run: 12 tokens in 1 chunk", **given))
        assert complaints(browser, tmp_path / f"{name}.html", width, scheme) == []


def test_the_page_of_trace_searches_in_a_browser(browser):
    context = browser.new_context(viewport={"width": 390, "height": 800})
    shown, asked = context.new_page(), []
    with server.Server(lambda text: asked.append(text) or FOUND, "a run", 0) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        shown.goto(serving.url)
        shown.get_by_label("A text").fill("\nsome\ntext")
        shown.get_by_role("button", name="Search").click()
        shown.get_by_role("heading", name="2 near-duplicates").wait_for()
        assert (asked, shown.get_by_label("A text").input_value()) == (["\nsome\ntext"], "\nsome\ntext")
        assert shown.locator("mark").nth(1).text_content() == "run" * 90
        assert shown.evaluate(CUT_OFF) == []
        serving.shutdown()
        thread.join()
    context.close()
