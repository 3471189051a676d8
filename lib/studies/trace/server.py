"""A page with a search box, for this machine alone: what a corpus has of a text, as `trace --text` prints it.

It listens on 127.0.0.1, needs no network, and answers only pages of its own: a page of another site in the same
browser can neither read an answer nor ask (its Host or Origin is another). A text is posted, so that it stands in no
history and no log.
"""

import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from lib.base.errors import TesseraError, UsageError, cause
from lib.reporting import page
from lib.reporting.excerpts import Excerpt

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
PORTS = 1 << 16
TEMPLATE = "trace.html.j2"
MOST = 20_000  # characters of a text
MOST_BYTES = 12 * MOST + 100  # of a form: a character of four bytes has twelve when it is posted

Ask = Callable[[str], Sequence[Excerpt]]


def render(searched: str, text: str = "", excerpts: Sequence[Excerpt] = (), error: str = "") -> bytes:
    """The page as UTF-8. searched: what is searched, in a sentence."""
    template = page.environment(Path(__file__).parent).get_template(TEMPLATE)
    return template.render(searched=searched, text=text, excerpts=excerpts, error=error, most=MOST).encode()


class Server(ThreadingHTTPServer):
    """The server, which listens from the start; port 0 takes a free one.

    ask: the excerpts of a text; it may raise TesseraError, which the page shows. One text at a time is asked for.
    searched: what is searched, in a sentence. Raises TesseraError for a port that is taken, UsageError for none.
    """

    daemon_threads = True

    def __init__(self, ask: Ask, searched: str, port: int) -> None:
        if not 0 <= port < PORTS:
            raise UsageError(f"port is {port}; it must be 0 to {PORTS - 1}")
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise TesseraError(f"{HOST}:{port}: {cause(error)}; name another port with --port") from error
        self.searched, self._ask, self._lock = searched, ask, threading.Lock()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def answer(self, text: str) -> tuple[bytes, HTTPStatus]:
        """The page for a text, and its status."""
        try:
            if not text:
                raise TesseraError(f"give a text of 1 to {MOST:,} characters")
            with self._lock:
                return render(self.searched, text, self._ask(text)), HTTPStatus.OK
        except TesseraError as refused:
            return render(self.searched, text, error=str(refused)), HTTPStatus.BAD_REQUEST


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 30  # seconds without a byte: browsers open connections that they do not use

    def do_GET(self) -> None:
        if self._is_ours():
            status = HTTPStatus.OK if self.path == "/" else HTTPStatus.NOT_FOUND
            self._send(render(self.server.searched), status)

    def do_POST(self) -> None:
        if self._is_ours():
            self._send(*self.server.answer(self._posted()))

    def _posted(self) -> str:
        """The text of the form; empty if there is none, or it is too long."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.close_connection = True
            return ""
        fields = parse_qs(self.rfile.read(int(length)).decode("ascii", "replace"), errors="replace", max_num_fields=9)
        text = fields.get("text", [""])[0].replace("\r\n", "\n")  # a form posts line ends in this way
        return text if len(text) <= MOST else ""

    def _is_ours(self) -> bool:
        """Whether the request names this server, and comes from a page of it; else it is refused."""
        ours = [f"{name}:{self.server.server_address[1]}" for name in NAMES]
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in ours and origin in (None, *(f"http://{one}" for one in ours)):
            return True
        self.send_error(HTTPStatus.FORBIDDEN, "only for pages of this server")
        return False

    def _send(self, body: bytes, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Texts of users belong in no log."""
