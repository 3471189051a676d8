"""The names of all files and folders.

<root>/store/<stage>/<slug>-<digest>/     one artifact
<root>/sweeps/<run>/{tables,figures,report.html,report.json,run.json,submits,submit.lock}
<root>/snapshots/<hash>/                  the code that queued tasks run
"""

import re
from pathlib import Path

# The checkout (or snapshot of one) that contains this code.
ROOT = Path(__file__).parents[2]
JOBS = ROOT / "jobs"
SWEEPS = ROOT / "sweeps"
PUBLISHED = SWEEPS / "published"
PUBLISHED_RHO = PUBLISHED / "mosaic_rho.csv"
CLUSTERS = ROOT / "env" / "clusters"
DEEPSPEED = ROOT / "env" / "deepspeed"

# Files inside an artifact.
DONE = "DONE.json"
DROPPED = "DROPPED.json"  # beside DONE.json: the weights were removed on purpose
TASK = "task.json"
ATTEMPTS = "attempts"

TEXT = "text.h5"
PASSAGES = "passages.h5"
PLANTED = "planted.h5"
PLANTED_PASSAGES = "passages.jsonl"  # beside it
BOOKS = "books.h5"
CANARIES = "canaries.h5"
CANDIDATES = "candidates.h5"
DUPLICATES = "duplicates.h5"
DISTANCES = "distances.h5"
PARAPHRASES = "paraphrases.h5"
INJECTED = "injected.h5"
METRICS = "metrics.h5"
REFERENCE = "reference.h5"
SCORES = "scores.h5"
EXTRACTED = "extracted.h5"
PROMPTS = "prompts.h5"
GENERATIONS = "generations.h5"
MEASURED = ("log_probs", "mu", "sigma")  # columns of generations.h5: for every id, under the generating model
PREFIX_SCORES = "prefix_scores.h5"
WEIGHTS = ".safetensors"  # ends the names of files that hold weights
HUB = "hub.json"
CORPUS = "corpus.h5"
CHUNKS = "chunk-*.h5"
SUFFIX_ARRAY = "suffix_array.h5"
SEARCH_TABLE = "search_table.h5"
GROUPS = "groups.h5"
GROUP_SHARDS = "groups-*.h5"  # beside it, where the groups of a whole corpus are in shards
QUERIES = "queries.h5"
COUNTS = "counts.h5"
TARGETS = "targets.h5"
NEAR_DUPLICATES = "near_duplicates.h5"
DEDUPLICATION = "deduplication.h5"
EXPOSURE = "exposure.h5"
AUDITED = "audited.h5"
WINDOWS = "windows.h5"
REFERENCE_WINDOWS = "reference_windows.h5"
FUZZY_WINDOWS = "fuzzy_windows.h5"
AUDIT = "audit.h5"
CUTS = "cuts-*.h5"  # one for each chunk of a corpus
CLEANED = "cleaned.h5"
LEFT = "left.h5"
CLEANED_FILES = "files"  # the folder of a cleaned corpus, beside it
TRACES = "traces.h5"

# Hidden: not results, and removed once the artifact is done.
CHECKPOINTS = ".checkpoints"
BLOCKS = ".blocks"

LOCK = ".lock"  # of an artifact, held by its runner
ALIVE = ".alive"  # renewed by the runner while the task runs
PROGRESS = ".progress"  # how far the task has got, while it runs
LEASE = ".lease"  # the same, on a file system without locks
TABLES = "tables"  # the folder of a sweep's tables
FIGURES = "figures"  # the folder of a sweep's figures
REPORT_DATA = "report.json"  # beside a sweep's report: the same as data

JOBS_SUFFIX = ".jobs.json"
PUBLISHED_CURVES = "published.csv"  # in a sweep's tables, for the report over all sweeps
MISSING = "missing.csv"  # in a sweep's tables: what a partial collection lacks

# Files that are not results: never listed in DONE.json.
RECORDS = (DONE, DROPPED, TASK, ATTEMPTS)
PRIVATE = ".tmp-"
DAMAGED = ".damaged-"  # begins the name of a damaged file that was set aside


def group_shard(number: int) -> str:
    """The file of a shard of the groups of a whole corpus."""
    return GROUP_SHARDS.replace("*", f"{number:04d}")


def cuts(chunk: int) -> str:
    """The name of what goes from one chunk."""
    return f"cuts-{chunk:02d}.h5"


def private(path: Path, owner: str) -> Path:
    """The temporary file beside `path` that `owner` writes and then renames."""
    return path.with_name(f"{PRIVATE}{owner}-{path.name}")


def chunk(index: int) -> str:
    """The name of one chunk of a corpus."""
    return f"chunk-{index:02d}.h5"


def slug(text: str) -> str:
    """`text` with a dash for everything but letters, digits, dots, dashes and underscores."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")


def artifact(root: Path, stage: str, label: str, digest: str) -> Path:
    """The artifact directory of one task."""
    return root / "store" / stage / (f"{slug(label)}-{digest}" if label else digest)


def artifacts(root: Path, stage: str) -> Path:
    """The folder of all artifacts of a stage."""
    return root / "store" / stage


def attempt(directory: Path, number: int, suffix: str) -> Path:
    """`attempts/0001.json` (the record) or `attempts/0001.log`."""
    return directory / ATTEMPTS / f"{number:04d}.{suffix}"


def sweep(root: Path, run: str) -> Path:
    """The folder of a run's results (lib/plans/runs.py names it)."""
    return root / "sweeps" / run


def tables(root: Path, run: str) -> Path:
    """The folder of a run's tables."""
    return sweep(root, run) / TABLES


def figures(root: Path, run: str) -> Path:
    """The folder of a run's figures."""
    return sweep(root, run) / FIGURES


def report(root: Path, run: str) -> Path:
    """A run's report."""
    return sweep(root, run) / "report.html"


def report_data(root: Path, run: str = "*") -> Path:
    """The data of a run's report, read by the report over all sweeps."""
    return sweep(root, run) / REPORT_DATA


def run_record(root: Path, run: str) -> Path:
    """What a run is, and when, where and by which code its results were made."""
    return sweep(root, run) / "run.json"


def overview(root: Path) -> Path:
    """The folder of the report over all sweeps."""
    return root / "report"


def submits(root: Path, run: str) -> Path:
    """The folder of a run's submit files."""
    return sweep(root, run) / "submits"


def submit_file(root: Path, run: str, submit_id: str) -> Path:
    """One frozen submission: its tasks, and index -> digest for every array."""
    return submits(root, run) / f"{submit_id}.json"


def submit_jobs(submit_file: Path) -> Path:
    """Beside a frozen submit: the job id of every array that SLURM has accepted."""
    return submit_file.with_suffix(JOBS_SUFFIX)


def submit_acted(submit_file: Path) -> Path:
    """Beside a frozen submit, once its controller has done all that it will do."""
    return submit_file.with_suffix(".acted")


def submit_refused(submit_file: Path) -> Path:
    """Beside a frozen submit of which sbatch has refused a job: what it said."""
    return submit_file.with_suffix(".refused")


def submit_cancelled(submit_file: Path) -> Path:
    """Beside a frozen submit, once its jobs were cancelled by the user."""
    return submit_file.with_suffix(".cancelled")


def runner_log(submit_file: Path, digest: str) -> Path:
    """What the runner of a task printed in a local run."""
    return submit_file.with_suffix("") / f"{digest}.log"


def job(run: str, submit_id: str, array: int | str) -> str:
    """A job name that no other submission uses. squeue shows its beginning: the run."""
    return f"{run}.{submit_id}.{array}"


def submit_of_job(name: str) -> str | None:
    """The id of the submission that a job's name belongs to; None for the job of another program.

    Jobs of earlier versions are called `tessera-<id>-<array>`.
    """
    found = re.fullmatch(r"(?:tessera-|.+\.)([^.]+)[-.](\d+|controller)", name)
    return found.group(1) if found else None


def lock(root: Path, run: str) -> Path:
    """The lock file of the process that plans and submits a run."""
    return sweep(root, run) / "submit.lock"


def submission_lock(root: Path) -> Path:
    """The lock file of the process that submits tasks of any sweep, since sweeps share tasks."""
    return root / "submit.lock"


def snapshot(root: Path, code_hash: str) -> Path:
    """The frozen copy of the code."""
    return root / "snapshots" / code_hash


def hub_lock(root: Path) -> Path:
    """Branch names of the hub and the commits that they were resolved to."""
    return root / "hub.lock.json"
