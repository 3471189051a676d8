from pathlib import Path

import pytest

from lib.running import quota


def test_a_quota_counts_what_lies_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "store" / "a").mkdir(parents=True)
    (tmp_path / "store" / "a" / "file").write_bytes(b"x" * 3_000_000)
    (tmp_path / "file").write_bytes(b"x" * 1_000_000)
    assert quota.used_gb(tmp_path) == pytest.approx(0.004)
    found = quota.left(tmp_path, 0.005)
    assert (found.gb, found.where) == (pytest.approx(0.001), "left of the quota of 0.005 GB (disk_quota_gb)")


def test_without_a_quota_or_below_it_the_file_system_counts(tmp_path: Path) -> None:
    for limit in (None, 1e12):
        found = quota.left(tmp_path / "not" / "there" / "yet", limit)
        assert (found.gb > 0, found.where) == (True, f"free at {tmp_path}")
