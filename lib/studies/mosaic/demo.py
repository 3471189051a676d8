"""rho of the four published models from their published AUCs, in seconds: tables, figures and a report.

Writes <root>/sweeps/demo/tables/{auc,rho}.{csv,h5}, figures/ and report.html. It trains nothing and needs no network.
"""

from pathlib import Path

from lib.artifacts import store
from lib.base import places
from lib.base.version import VERSION

NAME = "demo"
DATA = "published AUCs of 4 models and 5 seeds"
COMMAND = "make demo"
IDENTITY = {"run": NAME, "data": DATA, "Tessera": VERSION, "command": COMMAND}
RECORD = {"run": NAME, "sweep": NAME, "profile": "", "settings": [], "tessera": VERSION, "command": COMMAND}


def run(root: Path) -> Path:
    """Make the demo's results under `root`; returns the path of the report."""
    from lib.studies.mosaic import published, results

    sources = (published.AUCS, published.RHO)
    description = results.MosaicDescription(
        title="ρ of four models, from published AUCs",
        summary=(
            "Recomputed from the 1,800 published AUCs of “The mosaic memory of large language models” (4 models, "
            "5 seeds, 5 attacks). The paper estimator on the ratio attack gives the published ρ to 4 decimals.",
        ),
        provenance={f"sweeps/published/{file.name}": f"sha256 {store.sha256(file)}" for file in sources},
        variant="paper",
        estimator="paper",
        published=published.references([(model, "replace", "") for model in published.MODELS]),
        identity=IDENTITY,
        stamp=[f"{label}: {text}" for label, text in IDENTITY.items()],
        record=RECORD,
    )
    results.write(root, NAME, published.measurements(), description)
    return places.report(root, NAME)
