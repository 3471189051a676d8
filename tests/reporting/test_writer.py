"""What a study has found, written."""

import pandas as pd
from matplotlib.figure import Figure

from lib.base import places
from lib.reporting import page
from lib.reporting.writer import Description, Drawn, Results, write


def test_a_caveat_begins_every_caption_of_the_page_and_of_its_tables_as_text(tmp_path):
    table = pd.DataFrame({"value": [0.5]})
    shown = page.report_table("values", "The values. All rows:", (["value"], [["0.5"]]), table)
    drawn = [Drawn("figure", "A figure", "What it shows.", Figure(), finding) for finding in ("", "It rises.")]
    results = Results({"values": table}, drawn, [shown], [], [], {})
    for name, caveat in (("with", "No result."), ("without", "")):
        write(tmp_path, name, results, Description("t", caveat=caveat))
    found, plain = (page.read(places.report_data(tmp_path, name)) for name in ("with", "without"))
    said = [[f"{one.finding} {one.caption}".strip() for one in given.figures] for given in (found, plain)]
    assert said[0] == ["No result. What it shows.", "No result. It rises. What it shows."]
    assert said[1] == ["What it shows.", "It rises. What it shows."]
    assert [one.caption for one in (*found.tables, *plain.tables)] == [
        "No result. The values. All rows:", "The values. All rows:",
    ]  # fmt: skip
    assert r"\caption{No result. The values.}" in (places.tables(tmp_path, "with") / "values.tex").read_text()
