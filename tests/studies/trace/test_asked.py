"""The command line of trace: what it prints, and what it says of a wrong line."""

import contextlib
import json
import os
import signal
import socket
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import launch
from lib.artifacts import store
from lib.base import hdf5, places
from lib.tokens.tokenization import encode
from tests.studies.trace.conftest import Run


def trace(run: Run, *words: str) -> int:
    return launch.main(["trace", *words, f"--outputs={run.root}"])


def test_a_text_and_a_file_of_texts(finished: Run, tmp_path: Path, capsys) -> None:
    assert trace(finished, "--text", "we saw a lazy dog", "--min-run=3") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{finished.plan.run}: ")
    assert "«" in said
    assert "chunk-01, document 0, token" in said
    (tmp_path / "mine.txt").write_text("a lazy dog")
    assert trace(finished, f"--texts={tmp_path / 'mine.txt'}", "--min-run=3") == 0
    said = capsys.readouterr().out
    assert "0 of 1 texts have a run of at least 50 tokens" in said
    assert trace(finished, f"--texts={tmp_path}") == 2
    assert f"{tmp_path}: a folder without generations.h5; give a file of texts" in capsys.readouterr().err


def test_what_a_model_wrote(finished: Run, corpus, tiny_tokenizer: Path, tmp_path: Path, capsys) -> None:
    """An artifact of the stage generate, whose task.json names the model."""
    ids = encode(corpus.tokenizer, "many small models remember")
    with hdf5.create(tmp_path / places.GENERATIONS) as file:
        hdf5.write(file, "prompt", np.array([[5, 6]]))
        hdf5.write(file, "continuation", np.array([[*ids, -1]]))
    store.write_done(tmp_path, "0" * 12, "generate", 1)
    (tmp_path / places.TASK).write_text("{}")
    assert trace(finished, f"--texts={tmp_path}") == 1
    assert "does not name the model that wrote generations.h5" in capsys.readouterr().err
    (tmp_path / places.TASK).write_text(json.dumps({"inputs": {"model": str(tiny_tokenizer)}}))
    assert trace(finished, f"--texts={tmp_path}", "--min-run=3") == 0
    assert f"the longest run has {len(ids)} tokens" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "give a text (--text; TEXT= of make)"),
        (["--text=a", "--serve"], 2, "give a text (--text; TEXT= of make)"),
        (["--text="], 2, "the text is empty"),
        (["--text=a", "--min-run=0"], 2, "min_run is 0; it must be 1 to 65535"),
        (["--text=a", "--corpus=near-dupl"], 2, "no finished run or sweep 'near-dupl'"),
        (["--texts=/nothing/mine.jsonl"], 1, "/nothing/mine.jsonl: no such file"),
    ],
)
def test_a_wrong_line_is_answered_with_what_to_give(finished: Run, capsys, words, code, message) -> None:
    assert trace(finished, *words) == code
    assert message in capsys.readouterr().err


def test_the_page_is_served_until_it_is_interrupted(finished: Run, capsys) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pages: list[str] = []

    def visit() -> None:
        body = urllib.parse.urlencode({"text": "we saw a lazy dog"}).encode()
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", body, 60) as answer:
                pages.append(answer.read().decode())
                break
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    visitor = threading.Thread(target=visit)
    visitor.start()
    code = trace(finished, "--serve", f"--port={port}", "--min-run=3")
    visitor.join()
    assert code == 128 + signal.SIGINT
    assert "<h2>Found</h2>" in pages[0]
    assert f"open http://127.0.0.1:{port}/ in a browser" in capsys.readouterr().out
