"""The page of `trace --serve`: it escapes what it shows, answers its own pages alone, and refuses the rest."""

import http.client
import threading
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest

from lib.base.errors import TesseraError
from lib.studies.trace import answers, server
from lib.studies.trace.answers import Settings
from lib.studies.trace.indexed import Indexed
from lib.studies.trace.server import Server


@pytest.fixture(scope="module")
def serving(corpus: Indexed) -> Iterator[Server]:
    with Server(lambda text: answers.of_text(corpus, text, Settings(min_run=4)), "two <chunks>", 0) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(
    serving: Server, method: str = "GET", path: str = "/", body: str | None = None, **headers: str
) -> tuple[int, str]:
    connection = http.client.HTTPConnection(*serving.server_address[:2], timeout=20)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, given)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_a_text_is_answered_and_everything_in_it_escaped(serving: Server) -> None:
    status, page = ask(serving)
    assert (status, "two &lt;chunks&gt;" in page, "<h2>Found" in page) == (200, True, False)
    text = "models remember <b>text</b> that was </textarea><script>alert(1)</script>"
    status, page = ask(serving, "POST", body=urlencode({"text": text}))
    assert status == 200
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert "<mark>" in page
    assert "&lt;b&gt;text&lt;/b&gt;" in page  # of the corpus, and of the text
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "form-action 'self'" in page.replace("&#39;", "'")


def test_line_ends_and_any_characters_arrive(serving: Server) -> None:
    _, page = ask(serving, "POST", body="text=" + quote("a lazy\r\ndog ö 𝄞"))
    assert "a lazy\ndog ö 𝄞</textarea>" in page


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "give a text of 1 to 20,000 characters"),
        ("text=", "give a text"),
        ("text=" + "a" * (server.MOST + 1), "give a text"),
        ("text=" + "a" * server.MOST_BYTES, "give a text"),
        ("other=1", "give a text"),
    ],
)
def test_what_is_no_text_is_said_on_the_page(serving: Server, body: str, message: str) -> None:
    status, page = ask(serving, "POST", body=body)
    assert status == 400
    assert message in page


def test_other_sites_and_other_pages_get_nothing(serving: Server) -> None:
    assert ask(serving, path="/elsewhere")[0] == 404
    assert ask(serving, Host="evil.example:80")[0] == 403
    body, port = urlencode({"text": "a lazy dog"}), serving.server_address[1]
    status, page = ask(serving, "POST", body=body, Origin="http://evil.example")
    assert (status, "lazy" in page) == (403, False)
    assert ask(serving, "POST", body=body, Origin=f"http://127.0.0.1:{port}")[0] == 200
    assert ask(serving, "PUT", body=body)[0] == 501


def test_it_listens_to_this_machine_alone_and_says_when_a_port_is_taken(serving: Server) -> None:
    assert serving.server_address[0] == "127.0.0.1"
    assert serving.url == f"http://127.0.0.1:{serving.server_address[1]}/"
    port = serving.server_address[1]
    for wrong, message in ((port, f"127.0.0.1:{port}: Address already in use"), (1 << 17, "port is 131072; it must")):
        with pytest.raises(TesseraError, match=message):
            Server(lambda text: [], "", wrong)
