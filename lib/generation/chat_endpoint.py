"""An OpenAI-compatible chat endpoint: POST <url>/chat/completions, with bounded retries and whole-answer time limits.

The key goes into one header and nowhere else: redirects are refused, and it is cut out of whatever an error quotes.
"""

import http.client
import json
import re
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from lib.base.errors import TesseraError, UsageError

BUSY = (408, 409, 425, 429)  # and 5xx: worth another try
LONGEST_WAIT = 60.0  # seconds, whatever a server asks for
MOST_BYTES = 1 << 23  # of an answer
QUOTED = 200  # characters of a server's own words in an error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None  # makes it an error: a redirect would send the key elsewhere


class _TryAgainError(Exception):
    def __init__(self, what: str, wait: float | None = None):
        super().__init__(what)
        self.wait = wait


@dataclass(frozen=True)
class Endpoint:
    """url: up to and without /chat/completions, such as http://localhost:8000/v1; model: its name there; timeout:
    seconds for one whole answer; retries: further tries after the first; backoff: seconds before the first of them,
    doubled each time (a server's Retry-After counts instead, up to LONGEST_WAIT)."""

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = 120.0
    retries: int = 5
    backoff: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        """Raise ValueError or UsageError for a bad url, a key that does not fit a header, or a missing model name."""
        check_url(self.url)
        if self.key and not re.fullmatch("[!-~]+", self.key):  # an error about the header would quote it
            raise UsageError("key_variable: the key has white space or non-ASCII characters; export the key alone")
        if not self.model:
            raise UsageError("model_name is empty; set it to the model's name at the endpoint")

    def ask(self, messages: Sequence[Mapping[str, str]], settings: Mapping[str, Any]) -> str:
        """The answer to messages {role, content}. settings: further fields of the request (temperature, ...).

        Raises TesseraError when the server refuses, or when no try gave an answer.
        """
        body = {"model": self.model, "messages": list(messages), **settings}
        for number in range(self.retries + 1):
            try:
                return self._content(self._post(json.dumps(body).encode()))
            except _TryAgainError as error:
                if number == self.retries:
                    raise TesseraError(
                        f"{self.url}: no answer in {number + 1} tries; the last: {self._hidden(str(error))}; run again "
                        "when it is up (answers so far are kept), or raise retries, backoff_seconds, timeout_seconds"
                    ) from None
                self.sleep(min(LONGEST_WAIT, self.backoff * 2**number if error.wait is None else error.wait))
        raise AssertionError("unreachable")

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(self.url.rstrip("/") + "/chat/completions", body, headers)
        try:
            with urllib.request.build_opener(_NoRedirects).open(request, timeout=self.timeout) as response:
                return _whole(response, time.monotonic() + self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from None
        except (OSError, http.client.HTTPException) as error:  # URLError, timeouts, closed connections
            raise _TryAgainError(f"{type(error).__name__}: {error}") from None

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        what = self._hidden(f"{error.code} {error.reason}: {self._body(error)}")
        if error.code in BUSY or error.code >= 500:
            return _TryAgainError(what, _seconds(error.headers.get("Retry-After")))
        return TesseraError(f"{self.url}: refused ({what}); check url, model_name and the key in key_variable")

    def _body(self, error: urllib.error.HTTPError) -> str:
        """The body of an error, as much of it as arrived."""
        try:
            return self._quoted(_whole(error, time.monotonic() + self.timeout))
        except (OSError, http.client.HTTPException, _TryAgainError) as late:
            return f"(its body did not arrive: {late})"

    def _content(self, body: bytes) -> str:
        try:
            content = json.loads(body)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            raise _TryAgainError(f"not a chat completion ({type(error).__name__}): {self._quoted(body)!r}") from None
        if content is None:  # a refusal in the model's own way
            return ""
        if not isinstance(content, str):
            raise _TryAgainError(f"not a chat completion: content is {type(content).__name__}")
        return content

    def _quoted(self, body: bytes) -> str:
        """The beginning of a body; hidden before it is cut, which would leave a part of the key."""
        return self._hidden(body.decode(errors="replace"))[:QUOTED].strip()

    def _hidden(self, text: str) -> str:
        return text.replace(self.key, "***") if self.key else text


def check_url(url: str) -> None:
    """Raise ValueError for a string that is not an http(s) address or may hold a secret. It does not quote the url."""
    parts = urlsplit(url)
    secret = parts.username or parts.password or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not parts.hostname or secret or not _has_port(parts):
        raise ValueError(
            "url: must be http(s)://host[:port]/path, without user, password or query; put the key in key_variable"
        )


def _has_port(parts: SplitResult) -> bool:
    """Whether the port is a number, or not given."""
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _whole(response: Any, deadline: float) -> bytes:
    """The body, if all of it comes in time: a socket's own limit starts again with each byte."""
    parts, size = [], 0
    while part := response.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if time.monotonic() > deadline:
            raise _TryAgainError(f"the answer was not complete in time ({size} bytes came)")
        if size > MOST_BYTES:
            raise _TryAgainError(f"the answer has more than {MOST_BYTES} bytes")
    return b"".join(parts)


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:  # a date
        return None
