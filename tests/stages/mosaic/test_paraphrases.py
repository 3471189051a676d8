"""The stage `paraphrases` against a real HTTP server on loopback and a tiny model; what `duplicates` makes of it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from jobs.mosaic import duplicates, paraphrases
from lib.artifacts.command import main
from lib.base import hdf5
from lib.base.errors import TesseraError, UsageError
from lib.canaries import canaries_file
from lib.generation import chat_model
from lib.generation.chat_endpoint import Endpoint
from lib.generation.decoding import Decoding
from lib.models import loading
from lib.tokens.tokenization import decode, encode

QUESTION = [{"role": "user", "content": "?"}]
WHY = [{"role": "user", "content": "why"}]
KEY = "sk-secret-123"
TEXTS = ("the quick brown fox jumps over a lazy dog while many", "others forget what they have read once in a book")
THREE = "1. many models remember what they read\n2. others forget old books about rivers\n3. a lazy fox jumps over dogs"


class Server:
    """Answers each request by `reply(number, body)`: (status, body) or (status, body, headers); keeps the requests."""

    def __init__(self, reply: Callable[[int, dict], tuple]):
        self.reply, self.requests, self.keys = reply, [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append(body)
                outer.keys.append(self.headers.get("Authorization"))
                status, text, *headers = outer.reply(len(outer.requests), body)
                self.send_response(status)
                for name, value in (headers[0] if headers else {}).items():
                    self.send_header(name, value)
                self.end_headers()
                for part in [text] if isinstance(text, str) else text:
                    self.wfile.write(part.encode())
                    self.wfile.flush()

            def log_message(self, *_) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # a client that has gone away
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    monkeypatch.setenv("NO_PROXY", "*")
    servers = []

    def start(reply: Callable[[int, dict], tuple]) -> Server:
        servers.append(Server(reply))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


def completion(content: str | None) -> str:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]})


@pytest.fixture(scope="module")
def inputs(tiny_tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    tokenizer = loading.load_tokenizer(tiny_tokenizer)
    path = tmp_path_factory.mktemp("canaries") / "canaries.h5"
    with hdf5.create(path) as file:
        hdf5.write(file, "tokens", np.array([encode(tokenizer, text)[:9] for text in TEXTS], dtype="<u4"))
    return {"canaries": path, "target_tokenizer": tiny_tokenizer}


def run(out: Path, inputs: dict[str, Path], **settings) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    fast = {
        "rephrasings": 3,
        "per_answer": 3,
        "attempts": 2,
        "retries": 2,
        "backoff_seconds": 0.0,
        "timeout_seconds": 5,
    }
    paraphrases.run(paraphrases.Config(**{**fast, **settings}), inputs, out)
    return out / "paraphrases.h5"


def asked(server: Server, **settings) -> dict:
    return {"source": "endpoint", "url": server.url, "model_name": "m", **settings}


def test_good_answers(serve, inputs, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server = serve(lambda number, body: (200, completion(THREE)))
    path = run(tmp_path, inputs, **asked(server, key_variable="MY_KEY", temperature=0.5))
    tokenizer, rows = loading.load_tokenizer(inputs["target_tokenizer"]), hdf5.read_ragged(path, "tokens")
    assert [row.tolist() for row in rows] == [encode(tokenizer, text) for text in hdf5.read_texts(path, "text")]
    assert not any(0 in row for row in rows)  # no BOS
    assert hdf5.read(path, "canary").tolist() == [0, 0, 0, 1, 1, 1]
    assert hdf5.read(path, "answers").tolist() == hdf5.read(path, "whole_answers").tolist() == [1, 1]
    attributes = hdf5.attributes(path)
    assert (attributes["success_rate"], attributes["answer_success_rate"]) == (1.0, 1.0)
    assert "2 of 2 canaries have 3 rephrasings; 2 of 2 answers" in capsys.readouterr().out
    assert server.keys == [f"Bearer {KEY}"] * 2
    assert (server.requests[0]["model"], server.requests[0]["temperature"]) == ("m", 0.5)
    assert server.requests[0]["seed"] != server.requests[1]["seed"]


def test_the_task_may_stand_in_a_system_turn(serve, inputs, tmp_path: Path) -> None:
    """As published: the task in a system turn, the text in quotes in the turn of the user."""
    server = serve(lambda number, body: (200, completion(THREE.replace("\n", " --- "))))
    path = run(tmp_path, inputs, **asked(server, turns="system"))
    assert hdf5.read(path, "found").tolist() == [3, 3]
    system, user = server.requests[0]["messages"]
    tokenizer, tokens = loading.load_tokenizer(inputs["target_tokenizer"]), hdf5.read(inputs["canaries"], "tokens")
    assert (system["role"], user["role"]) == ("system", "user")
    assert "3 ways" in system["content"]
    assert "1. to 3." in system["content"]
    assert f"'{decode(tokenizer, tokens[0])}'" in user["content"]


def test_a_template_without_a_system_turn_gets_both_in_one(tiny_causal_lm: Path, caplog) -> None:
    tokenizer = loading.load_tokenizer(tiny_causal_lm)
    refuses = "{% if messages[0].role == 'system' %}{{ raise_exception('roles must alternate') }}{% endif %}"
    tokenizer.chat_template = refuses + "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[a]"
    turns = [{"role": "system", "content": "Rephrase."}, {"role": "user", "content": "'x'"}]
    how = chat_model.Answering(8, Decoding("sample"))
    for _ in range(2):
        assert chat_model.prompt_text(tokenizer, turns, how) == "[user]Rephrase.\n\n'x'[a]"
    assert caplog.text.count("takes no system turn (roles must alternate)") == 1  # in the log of a task
    tokenizer.chat_template = "{{ raise_exception('broken') }}"
    for messages in (turns[1:], turns):
        with pytest.raises(TesseraError, match="chat template of the model cannot be used: broken"):
            chat_model.prompt_text(tokenizer, messages, how)


def test_malformed_answers_are_counted_and_asked_for_again(serve, inputs, tmp_path: Path, capsys) -> None:
    answers = [THREE, "I cannot do that.", THREE.splitlines()[1]]
    server = serve(lambda number, body: (200, completion(answers[number - 1])))
    path = run(tmp_path, inputs, **asked(server))
    assert hdf5.read(path, "found").tolist() == [3, 1]
    assert hdf5.read(path, "answers").tolist() == [1, 2]
    assert hdf5.attributes(path)["success_rate"] == 0.5
    assert hdf5.attributes(path)["answer_success_rate"] == pytest.approx(1 / 3)
    assert "1 of 2 canaries have 3 rephrasings; 1 of 3 answers held what was asked for" in capsys.readouterr().out


def test_a_busy_or_broken_server_is_asked_again(serve, inputs, tmp_path: Path) -> None:
    replies = [(429, "slow down", {"Retry-After": "0"}), (500, "oops"), (200, completion(THREE)), (200, "<html>"),
               (200, '{"choices": []}'), (200, completion(THREE))]  # fmt: skip
    server = serve(lambda number, body: replies[number - 1])
    assert hdf5.read(run(tmp_path, inputs, **asked(server)), "found").tolist() == [3, 3]
    assert len(server.requests) == 6


def test_a_server_that_fails_for_good_loses_no_answer(serve, inputs, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    good = serve(lambda number, body: (200, completion(THREE)) if number != 2 else (500, f"broken, {KEY}"))
    good.reply = lambda number, body: (200, completion(THREE)) if number == 1 else (500, f"broken, {KEY}")
    settings = asked(good, key_variable="MY_KEY")
    with pytest.raises(
        TesseraError, match=r"no answer in 3 tries; the last: 500 .*broken, \*\*\*; run again"
    ) as caught:
        run(tmp_path, inputs, **settings)
    assert KEY not in str(caught.value)
    assert len(good.requests) == 4
    good.reply = lambda number, body: (200, completion(THREE))
    run(tmp_path, inputs, **settings)
    assert len(good.requests) == 5  # the canary that was done is not asked about again
    assert KEY not in capsys.readouterr().out
    assert not any(KEY.encode() in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert (tmp_path / "paraphrases.h5").is_file()


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_a_refusal_is_an_error_at_once(serve, status: int) -> None:
    server = serve(lambda number, body: (status, f"no, not with {KEY}", {"Location": "http://127.0.0.1:1/"}))
    with pytest.raises(TesseraError, match=rf"refused \({status} .*no, not with \*\*\*\); check url, model_name"):
        Endpoint(server.url, "m", KEY).ask(QUESTION, {})
    assert len(server.requests) == 1


def test_an_error_whose_words_never_come_is_tried_again(serve) -> None:
    def hang():
        yield "half a"
        time.sleep(0.5)

    server = serve(lambda number, body: (503, hang(), {"Content-Length": "99"}))
    with pytest.raises(TesseraError, match="no answer in 2 tries; the last: 503"):
        Endpoint(server.url, "m", timeout=0.1, retries=1, backoff=0).ask(QUESTION, {})


@pytest.mark.parametrize("status", [200, 401, 503])
def test_no_part_of_a_key_is_quoted(serve, status: int) -> None:
    server = serve(lambda number, body: (status, "x" * 190 + KEY))
    with pytest.raises(TesseraError) as caught:
        Endpoint(server.url, "m", KEY, retries=0).ask(QUESTION, {})
    assert KEY[:4] not in str(caught.value)


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}\r", f"{KEY}\u2019", f"{KEY} x"])
def test_a_key_that_no_header_can_hold_is_refused_unquoted(inputs, tmp_path: Path, monkeypatch, key: str) -> None:
    monkeypatch.setenv("MY_KEY", key)
    settings = {"source": "endpoint", "url": "http://127.0.0.1:9/v1", "model_name": "m", "key_variable": "MY_KEY"}
    with pytest.raises(UsageError, match="key_variable: the key has white space or non-ASCII characters") as caught:
        run(tmp_path, inputs, **settings)
    assert KEY not in str(caught.value)


def test_waiting_between_tries_is_bounded(serve) -> None:
    waits: list[float] = []
    server = serve(lambda number, body: (503, "", {"Retry-After": "86400"} if number == 2 else {}))
    with pytest.raises(TesseraError, match="no answer in 5 tries"):
        Endpoint(server.url, "m", retries=4, backoff=20, sleep=waits.append).ask(QUESTION, {})
    assert waits == [20, 60, 60, 60]


def test_slow_answers_end(serve) -> None:
    def drip():
        for _ in range(20):
            time.sleep(0.05)
            yield " "

    silent = serve(lambda number, body: (200, (time.sleep(0.5), completion(THREE))[1]))
    with pytest.raises(TesseraError, match="no answer in 1 tries; the last: TimeoutError"):
        Endpoint(silent.url, "m", timeout=0.1, retries=0).ask(QUESTION, {})
    dripping = serve(lambda number, body: (200, drip()))
    with pytest.raises(TesseraError, match="not complete in time"):
        Endpoint(dripping.url, "m", timeout=0.2, retries=0).ask(QUESTION, {})


def test_nobody_listens_and_a_refusal_in_words(serve) -> None:
    with pytest.raises(TesseraError, match="no answer in 2 tries; the last: URLError"):
        Endpoint("http://127.0.0.1:9/v1", "m", retries=1, backoff=0).ask(QUESTION, {})
    server = serve(lambda number, body: (200, completion(None)))
    assert Endpoint(server.url, "m").ask(QUESTION, {}) == ""
    assert KEY not in repr(Endpoint(server.url, "m", KEY))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "endpoint"}, "source endpoint needs url"),
        ({"source": "endpoint", "url": "http://x/v1"}, "source endpoint needs model_name"),
        ({"url": "http://x"}, "source model does not read url"),
        ({"key_variable": "K"}, "source model does not read key_variable"),
        (
            {"source": "endpoint", "url": "http://x", "model_name": "m", "begin": "1."},
            "source endpoint does not read begin",
        ),
        (
            {"source": "endpoint", "url": "http://u:pw@x/v1", "model_name": "m"},
            "url: .*without user, password or query",
        ),
        ({"source": "endpoint", "url": "http://x/v1?key=pw", "model_name": "m"}, "url: .*without .*query"),
        ({"source": "endpoint", "url": "http://x:8o/v1", "model_name": "m"}, "url: must be http"),
        (
            {"source": "endpoint", "url": "http://x", "model_name": "m", "key_variable": "sk-pw"},
            "the name of an environment variable",
        ),
        ({"rephrasings": 0}, "rephrasings is 0"),
        ({"rephrasings": 3}, "per_answer is 9; it must be at most rephrasings .3."),
        ({"timeout_seconds": 0.0}, "timeout_seconds is 0.0; it must be above 0"),
    ],
)
def test_nonsense_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        paraphrases.Config(**settings)
    assert "pw" not in str(caught.value)


def test_urls_and_inputs_that_do_not_fit(inputs, tmp_path: Path, tiny_causal_lm: Path, monkeypatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    for url in ("localhost:8000", "ftp://x/v1", "http://user:pass@x/v1"):
        with pytest.raises(ValueError, match="without user, password or query") as caught:
            Endpoint(url, "m")
        assert "pass@" not in str(caught.value)
    with pytest.raises(UsageError, match="MY_KEY is not set"):
        run(tmp_path, inputs, source="endpoint", url="http://x", model_name="m", key_variable="MY_KEY")
    with pytest.raises(UsageError, match="no chat template"):
        run(tmp_path, {**inputs, "model": tiny_causal_lm}, max_new_tokens=8)


@pytest.fixture(scope="module")
def talker(tiny_causal_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights that says nothing but words: random bytes are no text."""
    import torch

    tokenizer, model = loading.load_tokenizer(tiny_causal_lm), loading.load_causal_lm(tiny_causal_lm)
    words = [index for token, index in tokenizer.get_vocab().items() if token.isascii() and token.isalpha()]
    with torch.no_grad():
        model.get_output_embeddings().weight[words] += 1
        model.base_model.final_layer_norm.bias.fill_(1)
    path = tmp_path_factory.mktemp("talker")
    loading.save(model, tokenizer, path)
    return path


def test_a_local_model(inputs, tmp_path: Path, talker: Path) -> None:
    given = {**inputs, "model": talker}
    settings = {"prompt": "plain", "per_answer": 1, "attempts": 6, "max_new_tokens": 16}
    path = run(tmp_path / "a", given, **settings)
    assert (hdf5.read(path, "found") == 3).all()
    for batch_size in (4, 32):  # of one question, and of both
        again = run(tmp_path / str(batch_size), given, **settings, batch_size=batch_size)
        assert again.read_bytes() == path.read_bytes()
    with pytest.raises(TesseraError, match="none of 4 answers held a single rephrasing"):
        run(tmp_path / "c", given, **{**settings, "min_share": 9.0, "attempts": 2})


def test_a_chat_template_is_used(tiny_causal_lm: Path) -> None:
    tokenizer = loading.load_tokenizer(tiny_causal_lm)
    tokenizer.chat_template = "{% for m in messages %}<|endoftext|>[{{ m.role }}]{{ m.content }}{% endfor %}[a]"
    how = chat_model.Answering(4, Decoding("sample"), begin="1.")
    assert chat_model.prompt_text(tokenizer, WHY, how) == "<|endoftext|>[user]why[a]1."
    model = loading.load_causal_lm(tiny_causal_lm)
    questions = [WHY, QUESTION, WHY, QUESTION, [{"role": "user", "content": "who"}]]
    answers = chat_model.answers(model, tokenizer, questions, np.arange(5), how, batch_size=3)
    assert all(answer.startswith("1.") and "<|endoftext|>" not in answer for answer in answers)
    alone = [chat_model.answers(model, tokenizer, [one], np.array([n]), how)[0] for n, one in enumerate(questions)]
    assert answers == alone


@pytest.fixture
def made(serve, inputs, tmp_path: Path) -> Path:
    answers = [THREE, THREE.splitlines()[1], "nothing"]
    server = serve(lambda number, body: (200, completion(answers[number - 1])))
    return run(tmp_path / "paraphrases", inputs, **asked(server))


def test_duplicates_of_kind_paraphrase(made: Path, inputs, tmp_path: Path, capsys) -> None:
    config = duplicates.Config(kind="paraphrase", variations=3)
    duplicates.run(config, {**inputs, "paraphrases": made}, tmp_path)
    path = tmp_path / "duplicates.h5"
    given, rows = hdf5.read_ragged(made, "tokens"), hdf5.read_ragged(path, "tokens")
    assert [row.tolist() for row in rows] == [given[n].tolist() for n in (0, 1, 2, 3, 3, 3)]
    assert hdf5.read(path, "distinct").tolist() == [3, 1]
    assert hdf5.attributes(path)["repeated"] == 2
    assert "1 of 2 canaries have fewer than 3 paraphrases" in capsys.readouterr().out
    assert hdf5.read(path, "survives_text").all()


def test_paraphrases_of_other_canaries_or_of_none_are_refused(made: Path, serve, inputs, tmp_path: Path) -> None:
    config = duplicates.Config(kind="paraphrase", variations=3)
    with hdf5.create(tmp_path / "canaries.h5") as file:
        hdf5.write(file, "tokens", hdf5.read(inputs["canaries"], "tokens")[::-1])
    with pytest.raises(TesseraError, match="made for other canaries"):
        duplicates.run(config, {**inputs, "canaries": tmp_path / "canaries.h5", "paraphrases": made}, tmp_path)
    answers = [THREE, "nothing", "nothing"]
    server = serve(lambda number, body: (200, completion(answers[number - 1])))
    path = run(tmp_path / "none", inputs, **asked(server))
    with pytest.raises(TesseraError, match=r"no paraphrase of canaries \[1\]; raise attempts"):
        duplicates.run(config, {**inputs, "paraphrases": path}, tmp_path)


def test_by_hand(serve, inputs, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server = serve(lambda number, body: (200, completion(THREE)))
    file = tmp_path / "p.yaml"
    file.write_text(
        f"inputs: {{canaries: {inputs['canaries']}, target_tokenizer: {inputs['target_tokenizer']}}}\n"
        f"source: endpoint\nurl: {server.url}\nmodel_name: m\nkey_variable: MY_KEY\nrephrasings: 3\nper_answer: 3\n"
    )
    out = tmp_path / "out"
    assert main("paraphrases", ["--config", str(file), "--out", str(out)]) == 0
    assert canaries_file.read_ids(inputs["canaries"], 400).shape == (2, 9)
    assert not any(KEY.encode() in found.read_bytes() for found in out.rglob("*") if found.is_file())
