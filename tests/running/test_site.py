"""Cluster files that are not as they must be."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lib.base.errors import UsageError
from lib.plans.plan import Task
from lib.plans.resources import Resources
from lib.running import site

WRONG = {
    "gres: 'gpu:{type}:{gpus}'": "gres: 'gpu:{type}:{gpus}' must have {gpus}, and no other braces",
    "gres: 'gpu:{'": "gres: 'gpu:{' must have {gpus}",
    "env: {HF_TOKEN: hf_verysecret}": "env: HF_TOKEN: a secret does not belong in a file; export it",
    "env: {MY_API_KEY: hf_verysecret}": "env: MY_API_KEY: a secret",
    "env: {A: [1]}": "env: A is [1]; it must be str",
    "env: {A: 1}": "env: A is 1; it must be str; put it in quotes",
    "env: {A: true}": "env: A is True; it must be str; put it in quotes",
    "env: {1: a}": "a key of env is 1; it must be str; put it in quotes",
    "max_hours: 23:59:00": "max_hours is '23:59:00'; it must be float or null: a number, without quotes, unit or `_`",
    "array_parallelism: '4'": "array_parallelism is '4'; it must be int: a number, without quotes",
    "setup: [on, true]": "setup is True; it must be str; put it in quotes",
    "partition: 2026": "partition is 2026; it must be str or null; put it in quotes",
    "login_node: {cpus: 2}": "login_node: missing key 'memory_gb'",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items())
def test_a_wrong_cluster_file_is_named_with_the_key(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        site.read(file)
    assert f"{file}: {message}" in str(caught.value)
    assert "verysecret" not in str(caught.value)


def test_what_is_right_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("gres: gpu:a100:{gpus}\nenv: {TOKENIZERS_PARALLELISM: 'false'}")
    found = site.read(tmp_path / "mine.yaml")
    assert (found.gres, found.env) == ("gpu:a100:{gpus}", {"TOKENIZERS_PARALLELISM": "false"})


def test_a_task_that_asks_for_too_much_names_node_stage_key_and_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("max_hours: 0.5\n")
    task = Task("0123456789ab", "count", 1, "", "text", {}, {}, Resources(hours=1.0))
    (excess,) = site.excesses_of(task, site.read(file))
    assert excess.text == (
        "node text (stage count): resources: hours 1 is more than cluster 'mine' has (max_hours 0.5); ask for less "
        f"(SET=nodes.text.resources.hours=...), or correct max_hours in {file}"
    )
    for line, key in (("file: elsewhere", "file"), ("mail_user: me@here", "mail_user")):
        file.write_text(line)
        with pytest.raises(UsageError, match=rf"unknown key '{key}'.*; an option of sbatch: put it under `sbatch:`"):
            site.read(file)


@pytest.mark.parametrize("quiet", [False, True])
def test_an_sbatch_of_no_cluster_is_said_unless_errors_alone_are_asked_for(monkeypatch, capsys, quiet: bool) -> None:
    monkeypatch.setattr("shutil.which", lambda name: "/bin/sbatch")
    monkeypatch.setattr("subprocess.run", lambda *given, **options: SimpleNamespace(returncode=1))
    assert site.load(None, quiet) is None
    assert ("not configured for any cluster" in capsys.readouterr().err) != quiet
