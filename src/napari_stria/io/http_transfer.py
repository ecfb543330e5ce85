"""One attempt at a request: its answer, or an error that says whether to try again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
import urllib3

from napari_stria.errors import (
    CorruptDataError,
    NetworkError,
    ServerBusyError,
    ServerStalledError,
    ServerStatusError,
    StriaError,
)
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.http_ranges import part_of_answer, range_headers
from napari_stria.io.http_session import HttpSession
from napari_stria.io.sinks import Held, ResumingSink, Sink

# For a file of any kind; whoever knows what to expect asks for less.
MOST_BYTES = 4 << 30
_READ_BYTES = 1 << 16
# Older versions of urllib3 decode a piece as a whole, to a thousand times its size.
_READ_ENCODED_BYTES = 1 << 14


@dataclass(frozen=True)
class Asked:
    """What is asked for: an address, further headers, and how long the decoded body may be.

    A sink takes the body instead of the answer; one that resumes is asked what it has, and only
    the rest is asked for. Without a body only headers are sent.
    """

    url: str
    max_bytes: int = MOST_BYTES
    headers: Mapping[str, str] = field(default_factory=dict)
    sink: Sink | None = None
    with_body: bool = True

    @property
    def shown(self) -> str:
        """The address without its query, for messages."""
        return self.url.partition("?")[0]


@dataclass(frozen=True)
class Answer:
    """A complete body that came with status 200 (or 206, the rest of one), and its headers.

    The body is empty where a sink took its bytes, and where it is unchanged (status 304, the
    answer to an ``If-None-Match``).
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    n_bytes: int = 0
    unchanged: bool = False


class TemporaryFault(Exception):  # noqa: N818  (never leaves `HttpRequests`)
    """Carries an error that another attempt may mend, and how long the server asks to wait."""

    def __init__(self, error: StriaError, retry_after_s: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after_s = retry_after_s


def transfer(session: HttpSession, asked: Asked, options: HttpOptions) -> Answer | None:
    """Ask once and wait for the whole answer; None where the server answers 404.

    Raises
    ------
    TemporaryFault
        If another attempt may go better.
    NetworkError, ServerStatusError
        For an answer that will not change.
    CorruptDataError
        If the body is longer than it may be; no more of it is read.
    """
    there = asked.sink.held() if isinstance(asked.sink, ResumingSink) else None
    with _response(session, asked, options, there) as response:
        if response.status_code == 404:
            return None
        if response.status_code == 304 and "If-None-Match" in asked.headers:
            return Answer(asked.url, response.headers, b"", unchanged=True)
        _check_status(response, asked, may_be_part=there is not None)
        if not asked.with_body:
            # Lets the connection be used again.
            response.raw.read(decode_content=False)
            return Answer(asked.url, response.headers, b"")
        memory = _Memory()
        try:
            _begin(response, asked, asked.sink or memory, there)
            n_bytes = _body(response, asked, options, asked.sink or memory)
        except (urllib3.exceptions.ReadTimeoutError, TimeoutError) as error:
            raise _stalled(asked) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(error, StriaError):
                raise
            raise TemporaryFault(
                NetworkError(f"{asked.shown} broke off before its end; try again later.")
            ) from error
        return Answer(asked.url, response.headers, bytes(memory.data), n_bytes)


def _response(
    session: HttpSession, asked: Asked, options: HttpOptions, there: Held | None
) -> requests.Response:
    timeouts = (options.connect_timeout_s, options.read_timeout_s)
    resumes = isinstance(asked.sink, ResumingSink)
    try:
        ask = session.get if asked.with_body else session.head
        return ask(
            asked.url,
            timeout=timeouts,
            stream=True,
            headers={**asked.headers, **(range_headers(there) if resumes else {})},
            allow_redirects=True,
        )
    except requests.Timeout as error:
        raise _stalled(asked) from error
    except (requests.RequestException, ValueError) as error:
        # requests passes on a ValueError of urllib for some addresses that are none.
        raise TemporaryFault(
            NetworkError(f"{asked.shown} cannot be reached; check the network and the address.")
        ) from error


def _check_status(response: requests.Response, asked: Asked, *, may_be_part: bool) -> None:
    status = response.status_code
    if _may_pass(status):
        raise TemporaryFault(
            ServerBusyError(f"{asked.shown} answered {status}; try again later."),
            _retry_after_s(response.headers.get("Retry-After", "")),
        )
    if status != 200 and not (may_be_part and status in (206, 416)):
        raise ServerStatusError(
            f"{asked.shown} answered {status} {response.reason}; "
            "check the address and whether it may be read without a login."
        )


def _begin(response: requests.Response, asked: Asked, sink: Sink, there: Held | None) -> None:
    """Tell a sink what is about to come."""
    if not isinstance(sink, ResumingSink):
        sink.begin(_stated_length(response))
        return
    part = part_of_answer(response.status_code, response.headers, there)
    if part is None:
        sink.forget()
        raise TemporaryFault(CorruptDataError(f"{asked.shown} has changed; fetch it anew."))
    sink.begin_part(part)


class _Memory:
    """Keeps a body in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    def begin(self, total: int | None) -> None:  # noqa: ARG002
        self.data.clear()

    def write(self, piece: bytes) -> None:
        self.data += piece


def _body(response: requests.Response, asked: Asked, options: HttpOptions, sink: Sink) -> int:
    """Pass a body on and return how long it was."""
    began = time.monotonic()
    n_received = 0
    n_bytes = _READ_ENCODED_BYTES if "Content-Encoding" in response.headers else _READ_BYTES
    # read1 returns what has arrived; a read that waits for a full buffer would hide a server
    # that sends a byte now and then.
    while piece := response.raw.read1(n_bytes, decode_content=True):
        n_received += len(piece)
        if n_received > asked.max_bytes:
            most = asked.max_bytes / (1 << 20)
            raise CorruptDataError(f"{asked.shown} sends more than the {most:.3g} MiB it may hold.")
        seconds = time.monotonic() - began
        too_slow = n_received < options.slowest_bytes_per_s * seconds
        if seconds > options.read_timeout_s and too_slow:
            raise _stalled(asked)
        sink.write(piece)
    return n_received


def _stated_length(response: requests.Response) -> int | None:
    """Return how long the body will be when decoded, None where the server does not say."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() and "Content-Encoding" not in response.headers else None


def _may_pass(status: int) -> bool:
    """Whether a status may be another one soon: too busy, or an error of the server's own."""
    return status in (408, 429) or (status >= 500 and status not in (501, 505))


def _retry_after_s(header: str) -> float:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3); 0 if none."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return max((when - datetime.now(UTC)).total_seconds(), 0.0)


def _stalled(asked: Asked) -> TemporaryFault:
    return TemporaryFault(
        ServerStalledError(
            f"{asked.shown} stopped sending; the server is stalled, try again later."
        )
    )
