import os
import stat

import numpy as np
import pytest
from safetensors.numpy import save_file

from lib.artifacts import store
from lib.base import places
from lib.base.errors import TesseraError


@pytest.fixture
def artifact(tmp_path):
    (tmp_path / "result.txt").write_text("result")
    (tmp_path / places.ATTEMPTS).mkdir()
    (tmp_path / places.ATTEMPTS / "0001.log").write_text("log")
    store.write_done(tmp_path, "abc", "stage", 1)
    return tmp_path


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides_who_may_read_an_artifact(tmp_path, umask, mode) -> None:
    """Whatever the library that wrote a file does: safetensors takes a private temporary file."""
    before = os.umask(umask)
    try:
        folder = tmp_path / "new"
        folder.mkdir()
        (folder / "result.txt").write_text("result")
        save_file({"weight": np.zeros(3)}, folder / "model.safetensors")
        store.write_done(folder, "abc", "stage", 1)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {mode}


def test_done_needs_the_digest(artifact) -> None:
    assert store.is_done(artifact, "abc")
    assert "another task" in store.missing_reason(artifact, "abd")


def test_records_are_not_results(artifact) -> None:
    assert list(store.read_done(artifact)["files"]) == ["result.txt"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"digest": "abc"}', '{"digest": "abc", "files": 3}'])
def test_a_damaged_marker_is_not_done(artifact, content) -> None:
    (artifact / places.DONE).write_text(content)
    assert not store.is_done(artifact, "abc")


def test_a_truncated_or_missing_file_is_not_done(artifact) -> None:
    (artifact / "result.txt").write_text("res")
    assert store.missing_reason(artifact, "abc") == "result.txt does not have the size that was written"
    (artifact / "result.txt").unlink()
    assert store.missing_reason(artifact, "abc") == "result.txt is gone"


def test_a_flipped_bit_is_found_by_verify(artifact) -> None:
    (artifact / "result.txt").write_text("rosult")
    assert store.is_done(artifact, "abc")
    with pytest.raises(TesseraError, match=r"result\.txt: not what was written"):
        store.verify(artifact)


def test_a_stage_that_wrote_nothing_is_an_error(tmp_path) -> None:
    with pytest.raises(TesseraError, match="wrote nothing"):
        store.write_done(tmp_path, "abc", "stage", 1)


def test_input_digest_of_a_folder_sees_changes_in_a_linked_one_and_names_a_circle(tmp_path) -> None:
    for name in ("given/a.txt", "elsewhere/b.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    (tmp_path / "given/linked").symlink_to(tmp_path / "elsewhere")
    before = store.input_digest(tmp_path / "given")
    (tmp_path / "elsewhere/b.txt").write_text("changed")
    assert store.input_digest(tmp_path / "given") != before
    (tmp_path / "elsewhere/up").symlink_to(tmp_path / "given")
    with pytest.raises(TesseraError, match="given/linked/up: a link back to a folder above it"):
        store.input_digest(tmp_path / "given")


def test_input_digest_of_an_artifact_is_its_own_and_of_files_their_bytes(artifact, tmp_path_factory) -> None:
    assert store.input_digest(artifact) == "abc"
    folders = [tmp_path_factory.mktemp("model") for _ in range(2)]
    for folder in folders:
        (folder / "config.json").write_text("{}")
    assert store.input_digest(folders[0]) == store.input_digest(folders[1])
    (folders[1] / "config.json").write_text("{ }")
    assert store.input_digest(folders[0]) != store.input_digest(folders[1])


def test_what_a_killed_attempt_left_is_removed_and_nothing_else(artifact) -> None:
    (artifact / f"{places.PRIVATE}host-1-result.txt").write_text("half")
    store.remove_private(artifact)
    left = sorted(file.name for file in artifact.rglob("*") if file.is_file())
    assert left == ["0001.log", places.DONE, "result.txt"]
    assert store.is_done(artifact, "abc")


def test_an_input_that_has_lost_a_file_is_refused(artifact) -> None:
    (artifact / "result.txt").unlink()
    with pytest.raises(TesseraError, match=r"result\.txt is gone; run its task again"):
        store.input_digest(artifact)
