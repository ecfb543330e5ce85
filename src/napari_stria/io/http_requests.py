"""GET requests that survive bad servers: time-outs, retries, and no redirect to another host."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from napari_stria.errors import (
    CorruptDataError,
    NetworkError,
    ServerStalledError,
    StriaError,
    TaskCancelled,
    UnsupportedSourceError,
)
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.store_base import Traffic

T = TypeVar("T")
Cancelled = Callable[[], bool]

_READ_BYTES = 1 << 16
_MAX_BYTES = 4 << 30
# How long a thread that waits goes without looking whether it was cancelled.
LOOK_S = 0.05


@dataclass(frozen=True)
class Answer:
    """A complete body that came with status 200, and its headers."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def raise_if_cancelled(cancelled: Cancelled | None) -> None:
    """Raise `TaskCancelled` if the caller wants no more."""
    if cancelled is not None and cancelled():
        raise TaskCancelled("the download was cancelled.")


class HttpRequests:
    """Asks servers; safe to use from many threads.

    Parameters
    ----------
    options : HttpOptions
        Timeouts, retries, headers.
    max_concurrent : int, optional
        So many requests run at a time, over all threads.

    Raises
    ------
    UnsupportedSourceError
        If no request may run at all.

    Attributes
    ----------
    traffic : Traffic
        Bodies that arrived.
    """

    def __init__(
        self,
        options: HttpOptions,
        *,
        max_concurrent: int | None = None,
    ) -> None:
        if max_concurrent is not None and max_concurrent < 1:
            raise UnsupportedSourceError(
                f"max_concurrent is a number of requests > 0, not {max_concurrent!r}."
            )
        self.options = options
        self.traffic = Traffic()
        self._local = threading.local()
        self._permits = threading.Semaphore(max_concurrent) if max_concurrent else None

    def fetch(
        self, url: str, accept: Callable[[Answer], T], cancelled: Cancelled | None = None
    ) -> T | None:
        """Return what `accept` makes of the answer, None where the server answers 404.

        Parameters
        ----------
        url : str
            Address; errors name it without its query.
        accept : callable
            Gets the answer; the `CorruptDataError` that it raises is a reason to ask again.
        cancelled : callable, optional
            Looked at before and between attempts, while waiting for others and between the pieces
            of a body.

        Raises
        ------
        NetworkError, ServerStalledError, CorruptDataError
            After all attempts, or at once for an answer that will not change (403, a redirect to
            another host).
        TaskCancelled
            If `cancelled` says so.
        """
        failure: _Temporary | None = None
        for attempt in range(self.options.attempts):
            if failure is not None:
                self._pause(self._pause_s(attempt, failure.retry_after_s), cancelled)
            raise_if_cancelled(cancelled)
            try:
                answer = self._answer(url, cancelled)
                return None if answer is None else accept(answer)
            except _Temporary as temporary:
                failure = temporary
            except CorruptDataError as error:
                failure = _Temporary(CorruptDataError(f"{_without_query(url)}: {error}"))
                failure.__cause__ = error
        assert failure is not None
        raise failure.error from failure.__cause__

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def _pause_s(self, attempt: int, asked_s: float) -> float:
        usual = self.options.backoff_s * 2.0 ** (attempt - 1) * (0.75 + random.random() / 2)
        return min(max(usual, asked_s), self.options.longest_pause_s)

    def _pause(self, seconds: float, cancelled: Cancelled | None) -> None:
        if cancelled is None:
            self._sleep(seconds)
            return
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            raise_if_cancelled(cancelled)
            self._sleep(min(rest, LOOK_S))

    @contextmanager
    def _permit(self, cancelled: Cancelled | None) -> Iterator[None]:
        if self._permits is None:
            yield
            return
        while not self._permits.acquire(timeout=None if cancelled is None else LOOK_S):
            raise_if_cancelled(cancelled)
        try:
            raise_if_cancelled(cancelled)
            yield
        finally:
            self._permits.release()

    def _answer(self, url: str, cancelled: Cancelled | None) -> Answer | None:
        shown = _without_query(url)
        with self._permit(cancelled), self._response(url) as response:
            if response.status_code == 404:
                return None
            if _may_pass(response.status_code):
                raise _Temporary(
                    NetworkError(f"{shown} answered {response.status_code}; try again later."),
                    _retry_after_s(response.headers.get("Retry-After", "")),
                )
            if response.status_code != 200:
                raise NetworkError(
                    f"{shown} answered {response.status_code} {response.reason}; "
                    "check the address and whether it may be read without a login."
                )
            try:
                body = self._body(response, cancelled)
            except (urllib3.exceptions.ReadTimeoutError, TimeoutError) as error:
                raise _Temporary(_stalled(url)) from error
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if isinstance(error, StriaError):
                    raise
                raise _Temporary(
                    NetworkError(f"{shown} broke off before its end; try again later.")
                ) from error
            self.traffic.add(len(body))
            return Answer(url, response.headers, body)

    def _session(self) -> requests.Session:
        # One session a thread: requests does not promise that a session may be shared.
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = _SameHostSession()
            session.headers.update(self.options.headers)
        return session

    def _response(self, url: str) -> requests.Response:
        timeouts = (self.options.connect_timeout_s, self.options.read_timeout_s)
        try:
            return self._session().get(url, timeout=timeouts, stream=True)
        except requests.Timeout as error:
            raise _Temporary(_stalled(url)) from error
        except (requests.RequestException, ValueError) as error:
            # requests passes on a ValueError of urllib for some addresses that are none.
            raise _Temporary(
                NetworkError(
                    f"{_without_query(url)} cannot be reached; check the network and the address."
                )
            ) from error

    def _body(self, response: requests.Response, cancelled: Cancelled | None) -> bytes:
        began = time.monotonic()
        data = bytearray()
        # read1 returns what has arrived; a read that waits for a full buffer would hide a server
        # that sends a byte now and then.
        while piece := response.raw.read1(_READ_BYTES, decode_content=True):
            raise_if_cancelled(cancelled)
            data += piece
            seconds = time.monotonic() - began
            too_slow = len(data) < self.options.slowest_bytes_per_s * seconds
            if seconds > self.options.read_timeout_s and too_slow:
                raise _Temporary(_stalled(response.url))
            if len(data) > _MAX_BYTES:
                shown = _without_query(response.url)
                raise NetworkError(f"{shown} sends more than 4 GiB for one file.")
        return bytes(data)


class _SameHostSession(requests.Session):
    """A session that follows redirects within one host only."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        host = urlsplit(target).netloc
        if host and host != urlsplit(resp.url).netloc:
            resp.close()
            raise NetworkError(
                f"{_without_query(resp.url)} redirects to another host, {host}; "
                "give that address as the root if you trust it."
            )
        return target


class _Temporary(Exception):  # noqa: N818  (never leaves this module)
    """Carries an error that another attempt may mend, and how long the server asks to wait."""

    def __init__(self, error: StriaError, retry_after_s: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry_after_s = retry_after_s


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


def _without_query(url: str) -> str:
    return url.partition("?")[0]


def _stalled(url: str) -> ServerStalledError:
    return ServerStalledError(
        f"{_without_query(url)} stopped sending; the server is stalled, try again later."
    )
