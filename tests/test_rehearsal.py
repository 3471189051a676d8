"""The rehearsal itself, small: a chunk of more than 2^32 tokens, two ranks as threads."""

from lib.base import mpi
from lib.corpus.exact import layout
from tests.rehearsal import holes, steps
from tests.rehearsal.sparse import Size
from tests.support import threads

SMALL = Size(chunks=2, files=5, documents=10_000, length=90_000, real=2)


def test_every_stage_works_beyond_four_billion_tokens(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(layout, "MOST_SHARDS", 4)  # 4,096 files take ten seconds
    lines: list[str] = []

    def rank() -> None:
        found = list(steps.rehearse(tmp_path, SMALL, 0.5))
        if mpi.world().rank == 0:
            lines.extend(found)

    assert SMALL.n_tokens > 1 << 32
    with holes.skipped():
        threads.run(rank, 2)
    assert [line.split()[0] for line in lines] == list(steps.STEPS)
