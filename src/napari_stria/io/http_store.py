"""A server as a store: keys below one URL."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

from napari_stria.errors import ServerStatusError, UnsupportedSourceError
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.http_requests import Cancelled, HttpRequests
from napari_stria.io.http_transfer import Answer
from napari_stria.io.sinks import Saved, Sink
from napari_stria.io.store_base import Fetched, StoreBase, Traffic, checked_key

__all__ = ["HttpOptions", "HttpStore"]

# The length of a compressed answer is not that of what it holds.
_AS_IT_IS = {"Accept-Encoding": "identity"}


class HttpStore(StoreBase):
    """An HTTP or HTTPS server, below one URL.

    Parameters
    ----------
    url : str
        What keys are appended to.
    options : HttpOptions, optional
        Timeouts, retries, headers.

    Raises
    ------
    UnsupportedSourceError
        If the URL holds a user name or password.
    """

    def __init__(self, url: str, options: HttpOptions | None = None) -> None:
        if "@" in url.partition("://")[2].partition("/")[0]:
            # The address is written down with what is kept; it is not shown.
            raise UnsupportedSourceError(
                "an address with a user name or password is not opened; leave them out and give "
                "headers in storage_options instead, e.g. {'headers': {'Authorization': ...}}."
            )
        self.url = url.rstrip("/")
        self.options = options or HttpOptions()
        self._requests = HttpRequests(self.options)

    def __reduce__(self) -> tuple[Any, ...]:
        return HttpStore, (self.url, self.options)

    def __repr__(self) -> str:
        return f"HttpStore({self.url!r})"

    @property
    def uri(self) -> str:
        """The URL."""
        return self.url

    @property
    def traffic(self) -> Traffic:
        """What was read so far."""
        return self._requests.traffic

    def get(self, key: str) -> bytes | None:
        """Return the body of a key, None where the server answers 404.

        Raises
        ------
        NetworkError, ServerStalledError
            After all attempts, or at once for an answer that will not change (403, a redirect to
            another host). A `ServerStatusError` if the server answers with an error status.
        """
        return self._requests.fetch(self._url_of(key), lambda answer: answer.body)

    def fetch(self, key: str) -> Fetched | None:
        """Return the body of a key with its entity tag, date and digest as its version.

        Not every server answers HEAD requests, so that a version alone needs the body too.
        """
        return self._requests.fetch(self._url_of(key), _with_version)

    def size_of(self, key: str) -> int | None:
        """Return the length that the server states for a key, None where it answers 404.

        Raises
        ------
        ServerStatusError
            If it does not say, or refuses to be asked without sending the body (HEAD).
        NetworkError, ServerStalledError
            As `get`.
        """
        found = self._requests.fetch(
            self._url_of(key), _stated_length, headers=_AS_IT_IS, with_body=False
        )
        if found is not None and found < 0:
            raise ServerStatusError(f"{self._url_of(key)} does not say how long it is.")
        return found

    def save(self, key: str, sink: Sink, cancelled: Cancelled, known_tag: str = "") -> Saved | None:
        """Pass the body of a key to a sink; None where the server answers 404.

        Parameters
        ----------
        cancelled : callable
            Looked at all the time.
        known_tag : str
            Nothing is sent if the file still has this entity tag.
        """
        return self._requests.fetch(
            self._url_of(key),
            lambda answer: Saved(answer.headers.get("ETag", ""), answer.unchanged),
            cancelled,
            headers={"If-None-Match": known_tag} if known_tag else {},
            sink=sink,
        )

    def _url_of(self, key: str) -> str:
        return f"{self.url}/{quote(checked_key(key))}"


def _stated_length(answer: Answer) -> int:
    """Return the length of the body when decoded, -1 where the headers do not say."""
    text = answer.headers.get("Content-Length", "")
    encoding = answer.headers.get("Content-Encoding", "identity")
    return int(text) if text.isdecimal() and encoding == "identity" else -1


def _with_version(answer: Answer) -> Fetched:
    headers = "|".join(answer.headers.get(n, "") for n in ("ETag", "Last-Modified"))
    return Fetched(answer.body, f"{headers}|{hashlib.sha256(answer.body).hexdigest()}")
