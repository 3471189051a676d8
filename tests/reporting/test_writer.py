"""What a study has found, written."""

import pandas as pd
from matplotlib.figure import Figure

from lib.base import places
from lib.reporting import page
from lib.reporting.writer import Description, Drawn, Results, write


def test_a_caveat_begins_every_caption_of_the_page_and_of_its_tables_as_text(tmp_path):
    table = pd.DataFrame({"value": [0.5]})
    shown = page.report_table("values", "The values. All rows:", (["value"], [["0.5"]]), table)
    drawn = Drawn("figure", "A figure", "What it shows.", Figure())
    results = Results({"values": table}, [drawn], [shown], [], [], {})
    for name, caveat in (("with", "No result."), ("without", "")):
        write(tmp_path, name, results, Description("t", caveat=caveat))
    found, plain = (page.read(places.report_data(tmp_path, name)) for name in ("with", "without"))
    assert [one.caption for one in (*found.figures, *found.tables)] == [
        "No result. What it shows.",
        "No result. The values. All rows:",
    ]
    assert [one.caption for one in (*plain.figures, *plain.tables)] == ["What it shows.", "The values. All rows:"]
    assert r"\caption{No result. The values.}" in (places.tables(tmp_path, "with") / "values.tex").read_text()
