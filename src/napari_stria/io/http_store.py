"""A server as a store: time-outs, retries, and no redirect to another host."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import urllib3

from napari_stria.errors import NetworkError, ServerStalledError, UnsupportedSourceError
from napari_stria.io.store_base import Traffic, checked_key

_RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_READ_BYTES = 1 << 16
_MAX_BYTES = 4 << 30


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
                f"{resp.url} redirects to another host, {host}; "
                "give that address as the root if you trust it."
            )
        return target


@dataclass(frozen=True)
class HttpOptions:
    """How a server is spoken to.

    Attributes
    ----------
    connect_timeout_s, read_timeout_s : float
        How long to wait for the connection, and for the next bytes.
    attempts : int
        How often a request is tried in all.
    backoff_s : float
        Pause before the second attempt; doubled for each further one.
    headers : mapping
        Sent with every request (for example a token).
    slowest_bytes_per_s : float
        A transfer slower than this for longer than `read_timeout_s` counts as stalled.
    """

    connect_timeout_s: float = 5.0
    read_timeout_s: float = 15.0
    attempts: int = 4
    backoff_s: float = 0.25
    headers: Mapping[str, str] = field(default_factory=dict)
    slowest_bytes_per_s: float = 256.0

    def __post_init__(self) -> None:
        positive = (self.connect_timeout_s, self.read_timeout_s, self.attempts)
        if min(positive) <= 0 or self.backoff_s < 0 or self.slowest_bytes_per_s < 0:
            raise UnsupportedSourceError(
                f"storage_options need positive time-outs and attempts; got {self}."
            )


class HttpStore:
    """An HTTP or HTTPS server, below one URL.

    Parameters
    ----------
    url : str
        What keys are appended to.
    options : HttpOptions, optional
        Timeouts, retries, headers.
    """

    def __init__(self, url: str, options: HttpOptions | None = None) -> None:
        self.url = url.rstrip("/")
        self.options = options or HttpOptions()
        self.traffic = Traffic()
        self._local = threading.local()

    def __reduce__(self) -> tuple[Any, ...]:
        return HttpStore, (self.url, self.options)

    @property
    def uri(self) -> str:
        """The URL."""
        return self.url

    def _session(self) -> requests.Session:
        # One session a thread: requests does not promise that a session may be shared.
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = _SameHostSession()
            session.headers.update(self.options.headers)
        return session

    def get(self, key: str) -> bytes | None:
        """Return the body of a key, None where the server answers 404.

        Raises
        ------
        NetworkError, ServerStalledError
            After all attempts, or at once for an answer that will not change (403, a redirect to
            another host).
        """
        return self._retried(key, self._body)

    def version_of(self, key: str) -> str:
        """Return the entity tag and date that the server gives for a key, and its digest.

        A GET and not a HEAD request, which not every server answers; ask for small files only.
        """

        def tag(response: requests.Response) -> bytes:
            names = ("ETag", "Last-Modified")
            headers = "|".join(response.headers.get(n, "") for n in names)
            return f"{headers}|{hashlib.sha256(self._body(response)).hexdigest()}".encode()

        found = self._retried(key, tag)
        return "missing" if found is None else found.decode()

    def _retried(self, key: str, read: Callable[[requests.Response], bytes]) -> bytes | None:
        url = f"{self.url}/{quote(checked_key(key))}"
        error: NetworkError | None = None
        for attempt in range(self.options.attempts):
            if attempt:
                pause = self.options.backoff_s * 2 ** (attempt - 1)
                time.sleep(pause * (0.75 + random.random() / 2))
            try:
                return self._once(url, read)
            except _Temporary as temporary:
                error = temporary.error
        assert error is not None
        raise error

    def _once(self, url: str, read: Callable[[requests.Response], bytes]) -> bytes | None:
        with self._response(url) as response:
            if response.status_code == 404:
                return None
            if response.status_code in _RETRIED_STATUS:
                raise _Temporary(
                    NetworkError(f"{url} answered {response.status_code}; try again later.")
                )
            if response.status_code != 200:
                raise NetworkError(
                    f"{url} answered {response.status_code} {response.reason}; "
                    "check the address and whether it may be read without a login."
                )
            try:
                body = read(response)
            except (urllib3.exceptions.ReadTimeoutError, TimeoutError) as error:
                raise _Temporary(_stalled(url)) from error
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if isinstance(error, NetworkError):
                    raise
                raise _Temporary(
                    NetworkError(f"{url} broke off before its end; try again later.")
                ) from error
        self.traffic.add(len(body))
        return body

    def _response(self, url: str) -> requests.Response:
        timeouts = (self.options.connect_timeout_s, self.options.read_timeout_s)
        try:
            return self._session().get(url, timeout=timeouts, stream=True)
        except requests.Timeout as error:
            raise _Temporary(_stalled(url)) from error
        except (requests.RequestException, ValueError) as error:
            # requests passes on a ValueError of urllib for some addresses that are none.
            raise _Temporary(
                NetworkError(f"{url} cannot be reached; check the network and the root.")
            ) from error

    def _body(self, response: requests.Response) -> bytes:
        began = time.monotonic()
        data = bytearray()
        # read1 returns what has arrived; a read that waits for a full buffer would hide a server
        # that sends a byte now and then.
        while piece := response.raw.read1(_READ_BYTES, decode_content=True):
            data += piece
            seconds = time.monotonic() - began
            too_slow = len(data) < self.options.slowest_bytes_per_s * seconds
            if seconds > self.options.read_timeout_s and too_slow:
                raise _Temporary(_stalled(response.url))
            if len(data) > _MAX_BYTES:
                raise NetworkError(f"{response.url} sends more than 4 GiB for one file.")
        return bytes(data)


class _Temporary(Exception):  # noqa: N818  (never leaves this module)
    """Carries an error that another attempt may mend."""

    def __init__(self, error: NetworkError) -> None:
        super().__init__(str(error))
        self.error = error


def _stalled(url: str) -> ServerStalledError:
    return ServerStalledError(f"{url} stopped sending; the server is stalled, try again later.")
