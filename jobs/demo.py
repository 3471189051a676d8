"""rho of the four published models from their published AUCs, in seconds: tables, figures and a report.

python -m jobs.demo --root outputs

Writes <root>/sweeps/demo/tables/{auc,rho}.{csv,h5}, figures/ and report.html. It trains nothing and needs no network.
"""

import argparse
import sys
from pathlib import Path

from lib import names, store
from lib.errors import TesseraError

NAME = "demo"


def run(root: Path) -> Path:
    """Make the demo's results under `root`; returns the path of the report."""
    from lib import published, results

    sources = (published.AUCS, published.RHO)
    description = results.Description(
        title="ρ of four models, from published AUCs",
        summary=(
            "Recomputed from the 1,800 published AUCs of “The mosaic memory of large language models” (4 models, "
            "5 seeds, 5 attacks). The paper estimator on the ratio attack gives the published ρ to 4 decimals.",
        ),
        provenance={f"sweeps/published/{file.name}": f"sha256 {store.sha256(file)}" for file in sources},
        variant="paper",
        estimator="paper",
        published=published.references([(model, "replace", "") for model in published.MODELS]),
    )
    results.write(root, NAME, published.measurements(), description)
    return names.report(root, NAME)


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns 0 done, 1 failed; usage errors exit with 2."""
    parser = argparse.ArgumentParser(prog="python -m jobs.demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("outputs"), help="where results go (default: outputs)")
    root = parser.parse_args(argv).root.resolve()
    try:
        report = run(root)
    except (TesseraError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"tables   {names.tables(root, NAME)}\nfigures  {names.figures(root, NAME)}\nreport   {report}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
