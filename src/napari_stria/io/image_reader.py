"""Section images from disk or from the server; only whole ones are given out or kept."""

from __future__ import annotations

from collections.abc import Callable

from napari_stria.errors import CorruptDataError, DatasetNotFoundError
from napari_stria.io.http_requests import Cancelled, HttpRequests, raise_if_cancelled
from napari_stria.io.http_transfer import Answer
from napari_stria.io.image_cache import ImageCache
from napari_stria.io.jpeg import Rgb
from napari_stria.io.section_images import ImageRequest

# A JPEG gains nothing by a second compression, which would only hide how long it is.
_AS_IT_IS = {"Accept-Encoding": "identity"}


class ImageReader:
    """Reads section images below one address.

    Parameters
    ----------
    base_url : str
        Where ``/section_image_download`` is.
    requests : HttpRequests
        What asks the server.
    cache : ImageCache or None
        What keeps the bodies of answers.
    max_pixels : int
        Larger images are refused.
    """

    def __init__(
        self, base_url: str, requests: HttpRequests, cache: ImageCache | None, max_pixels: int
    ) -> None:
        self._base_url = base_url
        self._requests = requests
        self._cache = cache
        self._max_pixels = max_pixels

    def read(
        self,
        request: ImageRequest,
        cancelled: Cancelled | None = None,
        before_request: Callable[[], None] | None = None,
    ) -> Rgb:
        """Return the (H, W, 3) pixels of a request.

        Parameters
        ----------
        request : ImageRequest
            See `napari_stria.io.section_images.image_request`.
        cancelled : callable, optional
            Ends the request when it returns True.
        before_request : callable, optional
            Called before the server is asked, and not for an image on disk.

        Raises
        ------
        DatasetNotFoundError
            If the server knows no such image.
        NetworkError, ServerStalledError, CorruptDataError
            If no attempt brought the whole image.
        ImageTooLargeError
            If it claims more pixels than are allowed or plausible.
        TaskCancelled
            If `cancelled` says so.
        """
        raise_if_cancelled(cancelled)
        kept = self._from_disk(request)
        if kept is not None:
            return kept
        if before_request is not None:
            before_request()

        def decoded(answer: Answer) -> tuple[Rgb, bytes]:
            return request.decode(answer.body, self._max_pixels), answer.body

        found = self._requests.fetch(
            self._base_url + request.path,
            decoded,
            cancelled,
            max_bytes=request.most_bytes(self._max_pixels),
            headers=_AS_IT_IS,
        )
        if found is None:
            raise image_not_found(request.image_id)
        image, body = found
        if self._cache is not None:
            self._cache.put(self._key(request), body)
        return image

    def is_on_disk(self, request: ImageRequest) -> bool:
        """Whether an image can be had without the server."""
        return self._cache is not None and self._key(request) in self._cache

    def _from_disk(self, request: ImageRequest) -> Rgb | None:
        if self._cache is None:
            return None
        body = self._cache.get(self._key(request))
        if body is None:
            return None
        try:
            return request.decode(body, self._max_pixels)
        except CorruptDataError:
            # Whole as written, yet not what is asked for now: the record changed.
            self._cache.remove(self._key(request))
            return None

    def _key(self, request: ImageRequest) -> str:
        return f"{self._base_url}|{request.path}"


def image_not_found(image_id: int) -> DatasetNotFoundError:
    """Return the error for an image that the server does not know."""
    return DatasetNotFoundError(f"the server knows no section image {image_id}; check the number.")
