"""Connections to servers: kept for the next request, and ended from any thread."""

from __future__ import annotations

import socket
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from napari_stria.errors import NetworkError

_MOST_IDLE = 32


class HttpSession(requests.Session):
    """A session for one request at a time, which follows redirects within one host only.

    Parameters
    ----------
    headers : mapping
        Sent with every request.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.headers.update(headers)
        # An object of its own: a cycle of references would keep sockets open for a while.
        self._sockets = _Sockets()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(self._sockets))

    def end(self) -> None:
        """Close everything, also what another thread waits for; that thread gets an error.

        To close the response would not do: that waits for whoever is reading from it.
        """
        self._sockets.end()
        self.close()

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where a redirect leads, as requests asks.

        Raises
        ------
        NetworkError
            If that is another host.
        """
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        host = urlsplit(target).netloc
        if host and host != urlsplit(resp.url).netloc:
            resp.close()
            raise NetworkError(
                f"{resp.url.partition('?')[0]} redirects to another host, {host}; "
                "give that address as the root if you trust it."
            )
        return target


class SessionPool:
    """Sessions with their connections, for whoever asks next; safe to use from many threads.

    Parameters
    ----------
    headers : mapping
        Sent with every request.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._lock = threading.Lock()
        self._idle: list[HttpSession] = []

    def take(self) -> HttpSession:
        """Return the session that was used last, or a new one."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return HttpSession(self._headers)

    def give_back(self, session: HttpSession) -> None:
        """Keep a session whose last answer was complete."""
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append(session)
                return
        session.end()


class _Sockets:
    """The sockets of one session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._ended = False

    def add(self, found: Any) -> None:
        with self._lock:
            # A proxy's tunnel may be something else, which cannot be shut down.
            if isinstance(found, socket.socket):
                self._open.add(found)
        self.check()

    def check(self) -> None:
        """Raise ConnectionAbortedError if the session has ended."""
        with self._lock:
            if self._ended:
                raise ConnectionAbortedError("the request was given up.")

    def end(self) -> None:
        with self._lock:
            self._ended = True
            found = list(self._open)
        for one in found:
            # The plain socket's method: an SSLSocket's would take the TLS layer away from the
            # thread that reads through it.
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Tells the sockets that it opens."""

    def __init__(self, sockets: _Sockets) -> None:
        self._sockets = sockets
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if not issubclass(pool.ConnectionCls, _Watched):
            pool.ConnectionCls = _watched(pool.ConnectionCls, self._sockets)
        return pool


class _Watched:
    """Marks connections whose sockets are told."""


def _watched(kind: Any, sockets: _Sockets) -> type[_Watched]:
    """Return a kind of urllib3's connections that tells its sockets."""

    class Connection(_Watched, kind):  # type: ignore[misc]
        def connect(self) -> None:
            sockets.check()
            super().connect()
            # Now, because a connection lets go of its socket before the last body is read.
            sockets.add(self.sock)

    return Connection
