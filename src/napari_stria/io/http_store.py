"""A server as a store: keys below one URL."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

from napari_stria.io.http_options import HttpOptions
from napari_stria.io.http_requests import HttpRequests
from napari_stria.io.http_transfer import Answer
from napari_stria.io.store_base import Traffic, checked_key

__all__ = ["HttpOptions", "HttpStore"]


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
        self._requests = HttpRequests(self.options)

    def __reduce__(self) -> tuple[Any, ...]:
        return HttpStore, (self.url, self.options)

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

    def version_of(self, key: str) -> str:
        """Return the entity tag and date that the server gives for a key, and its digest.

        A GET and not a HEAD request, which not every server answers; ask for small files only.
        """
        found = self._requests.fetch(self._url_of(key), _tag)
        return "missing" if found is None else found

    def _url_of(self, key: str) -> str:
        return f"{self.url}/{quote(checked_key(key))}"


def _tag(answer: Answer) -> str:
    headers = "|".join(answer.headers.get(n, "") for n in ("ETag", "Last-Modified"))
    return f"{headers}|{hashlib.sha256(answer.body).hexdigest()}"
