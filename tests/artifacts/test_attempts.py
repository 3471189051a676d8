import json

import pytest

from lib.artifacts import attempts
from lib.base import places


def test_numbers_are_never_given_twice_and_logs_never_overwritten(tmp_path) -> None:
    (first, log), (second, _) = attempts.reserve(tmp_path), attempts.reserve(tmp_path)
    assert (first, second) == (1, 2)
    log.write_text("kept")
    assert attempts.reserve(tmp_path)[0] == 3
    assert log.read_text() == "kept"


def test_an_attempt_that_never_ended_counts_as_running(tmp_path) -> None:
    attempts.begin(tmp_path, None)
    attempts.reserve(tmp_path)
    assert [record["outcome"] for record in attempts.read(tmp_path)] == ["running", "running"]


def test_the_end_says_why_and_how_long(tmp_path) -> None:
    record = attempts.begin(tmp_path, None)
    attempts.end(tmp_path, record, 1.5, ValueError("bad\nnews"))
    (found,) = attempts.read(tmp_path)
    assert (found["outcome"], found["error"], found["seconds"]) == ("failed", "ValueError: bad news", 1.5)


def test_a_record_says_in_which_way_something_was_computed(tmp_path, capsys) -> None:
    for path in ({"mamba": "the compiled scan"}, {}):  # of an attempt, not of the next one in the same process
        record = attempts.begin(tmp_path, None)
        for what, way in path.items():
            attempts.note(what, "another way")
            attempts.note(what, way)
        attempts.end(tmp_path, record, 1.5, None)
        assert attempts.read(tmp_path)[-1].get("paths", {}) == path
    assert capsys.readouterr().out == "mamba: another way\nmamba: the compiled scan\n"


def test_a_record_says_whether_the_stage_reported_its_error(tmp_path) -> None:
    record = attempts.begin(tmp_path, None)
    attempts.end(tmp_path, record, 1.0, ValueError("bad news"))
    attempts.close(tmp_path, attempts.begin(tmp_path, None)["number"], "ended with signal SIGKILL")
    assert [attempts.reported_by_stage(record) for record in attempts.read(tmp_path)] == [True, False]


@pytest.mark.parametrize(("record", "reported"), [({"told": True}, True), ({"told": False}, False), ({}, False)])
def test_records_of_older_runs_are_understood(record, reported) -> None:
    assert attempts.reported_by_stage(record) == reported


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("key", ["HF_TOKEN", "OPENAI_API_KEY", "MY_SECRET"])
def test_secrets_reach_no_record(tmp_path, monkeypatch, key, end) -> None:
    monkeypatch.setenv(key, f"hf_verysecret{end}")
    monkeypatch.setattr("sys.argv", ["x", "--token=hf_verysecret"])
    record = attempts.begin(tmp_path, None)
    attempts.end(tmp_path, record, 1.0, RuntimeError("401 for hf_verysecret"))
    text = places.attempt(tmp_path, 1, "json").read_text()
    assert "hf_verysecret" not in text
    assert json.loads(text)["error"] == "RuntimeError: 401 for ***"


def test_an_attempt_that_the_user_ended_is_no_failure(tmp_path) -> None:
    record = attempts.begin(tmp_path, None)
    attempts.end(tmp_path, record, 1.0, KeyboardInterrupt())
    attempts.begin(tmp_path, None)
    attempts.close_running(tmp_path, "its launcher was interrupted", attempts.INTERRUPTED)
    assert [attempts.counts(record) for record in attempts.read(tmp_path)] == [False, False]
    attempts.begin(tmp_path, None)
    attempts.close_running(tmp_path, attempts.KILLED)
    assert [attempts.counts(record) for record in attempts.read(tmp_path)] == [False, False, True]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"{}", b'{"outcome": 3}', b'{"number": "x"}'])
def test_a_damaged_record_is_a_failure_that_names_its_file(tmp_path, content) -> None:
    number, _ = attempts.reserve(tmp_path)
    file = places.attempt(tmp_path, number, "json")
    file.write_bytes(content)
    (record,) = attempts.read(tmp_path)
    assert record == {"number": 1, "outcome": "failed", "error": f"{file}: the record is damaged"}
    attempts.close_running(tmp_path, "anything")  # reads it as well
    assert attempts.reserve(tmp_path)[0] == 2


def test_a_record_that_may_not_be_read_says_so(tmp_path) -> None:
    number, _ = attempts.reserve(tmp_path)
    places.attempt(tmp_path, number, "json").mkdir()  # root may read every file, but none may read this
    (record,) = attempts.read(tmp_path)
    assert "may not be read: Is a directory" in record["error"]


def test_a_record_of_a_newer_version_and_files_that_are_no_attempts_are_understood(tmp_path) -> None:
    record = attempts.begin(tmp_path, None)
    places.attempt(tmp_path, 1, "json").write_text(json.dumps({**record, "outcome": "postponed", "news": [1]}))
    (tmp_path / places.ATTEMPTS / "notes.log").touch()
    (found,) = attempts.read(tmp_path)
    assert found["news"] == [1]
    assert attempts.counts(found)
