"""The Allen Institute's API: datasets of sections, their images, and searches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from napari_stria.core.section import Section, SectionDataset
from napari_stria.errors import CorruptDataError, DatasetNotFoundError
from napari_stria.io.allen_checks import DEFAULT_URL, checked_id, checked_url, default_url
from napari_stria.io.allen_dataset import dataset_of
from napari_stria.io.allen_fields import BrokenRecord, Record
from napari_stria.io.allen_known import KnownRecords
from napari_stria.io.allen_queries import (
    DatasetSearch,
    Page,
    count_path,
    dataset_path,
    image_path,
    parse_page,
)
from napari_stria.io.allen_records import DatasetSummary, SectionRecord, section_record_of
from napari_stria.io.allen_search import search_rows
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.http_requests import Cancelled, HttpRequests
from napari_stria.io.image_cache import ImageCache, cache_bytes
from napari_stria.io.image_reader import ImageReader, image_not_found
from napari_stria.io.jpeg import MAX_PIXELS, Rgb
from napari_stria.io.section_images import image_request
from napari_stria.io.store_base import Traffic

__all__ = ["DEFAULT_URL", "AllenApi", "DatasetSummary", "SectionRecord"]

# The image service is slow to begin: it cuts and compresses before it sends the first byte.
_OPTIONS = HttpOptions(connect_timeout_s=10.0, read_timeout_s=30.0, attempts=5, backoff_s=0.5)
# Several times the longest answer: a page of search results has some 10 MB.
_RECORDS_BYTES = 64 << 20


class AllenApi:
    """Reads section datasets; safe to use from many threads and to pickle.

    Parameters
    ----------
    base_url : str, optional
        Where ``/data`` and ``/section_image_download`` are; by default ``NAPARI_STRIA_ALLEN_URL``,
        else the institute's.
    options : HttpOptions, optional
        Timeouts and retries; 5 attempts by default.
    max_concurrent : int
        So many requests run at a time, over all threads.
    cache_mb : float, optional
        Bound of the images on disk; ``NAPARI_STRIA_IMAGE_CACHE_MB`` or 2048 by default.
    cached : bool
        Whether images and ontologies are kept on disk.
    max_pixels : int
        Larger images are refused.

    Attributes
    ----------
    images : ImageReader
        Answers single `ImageRequest`s.

    Raises
    ------
    UnsupportedSourceError
        If the URL is no ``http://`` or ``https://`` address, or a number cannot be.

    Notes
    -----
    Every method that asks the server raises `NetworkError`, `ServerStalledError` or
    `CorruptDataError` after all attempts (`ServerStatusError`, a `NetworkError`, for an error
    status), `ServerAnswerError` if the API refuses, and `TaskCancelled` if its `cancelled` says
    so; nothing of a failed request is kept.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        options: HttpOptions | None = None,
        max_concurrent: int = 6,
        cache_mb: float | None = None,
        cached: bool = True,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.base_url = checked_url(default_url() if base_url is None else base_url)
        self.options = options or _OPTIONS
        self.max_concurrent = max_concurrent
        self.cache_mb = cache_mb
        self.cached = cached
        self.max_pixels = max_pixels
        self._requests = HttpRequests(self.options, max_concurrent=max_concurrent)
        cache = ImageCache(cache_bytes(cache_mb)) if cached else None
        self.images = ImageReader(self.base_url, self._requests, cache, max_pixels)
        self._known = KnownRecords()

    def __reduce__(self) -> tuple[Any, ...]:
        options = {
            name: getattr(self, name)
            for name in ("options", "max_concurrent", "cache_mb", "cached", "max_pixels")
        }
        return partial(AllenApi, **options), (self.base_url,)

    def __repr__(self) -> str:
        return f"AllenApi({self.base_url!r})"

    @property
    def traffic(self) -> Traffic:
        """Complete answers that arrived so far, and their bytes."""
        return self._requests.traffic

    def section_dataset(
        self,
        dataset_id: int | str,
        refresh: bool = False,
        *,
        cancelled: Cancelled | None = None,
    ) -> SectionDataset:
        """Return a dataset with all its sections and their alignments: one request, no image.

        Parameters
        ----------
        dataset_id : int
            SectionDataSet id.
        refresh : bool
            Ask again, although the dataset is known.
        cancelled : callable, optional
            Ends the request when it returns True.

        Returns
        -------
        SectionDataset
            Sections that cannot be placed are in its `skipped`, with the reason.

        Raises
        ------
        DatasetNotFoundError
            If the server knows no such dataset.
        DatasetNotAlignedError
            If the dataset has no alignment, or no section has.
        ReferenceSpaceError
            If it was not aligned to the adult mouse brain.
        SectionPlaneError
            If its sections are neither coronal nor sagittal.
        """
        number = checked_id(dataset_id, "section dataset")
        known = None if refresh else self._known.dataset(number)
        if known is not None:
            return known
        record = self._record(dataset_path(number), cancelled)
        if record is None:
            raise DatasetNotFoundError(f"the server knows no section dataset {number}; check it.")
        dataset = dataset_of(record)
        if dataset.id != number:
            raise CorruptDataError(f"the server sent dataset {dataset.id} instead of {number}.")
        self._known.keep_dataset(dataset)
        return dataset

    def section_record(
        self, image_id: int | str, *, cancelled: Cancelled | None = None
    ) -> Section | SectionRecord:
        """Return where the image of a section lies in its slide.

        What is known already, from its dataset or an earlier call, needs no request.

        Raises
        ------
        DatasetNotFoundError
            If the server knows no such image.
        """
        number = checked_id(image_id, "section image")
        box = self._known.box(number)
        if box is not None:
            return box
        record = self._record(image_path(number), cancelled)
        if record is None:
            raise image_not_found(number)
        try:
            found = section_record_of(record)
        except BrokenRecord as error:
            raise CorruptDataError(
                f"section image {number}'s record is broken: {error}."
            ) from error
        if found.image_id != number:
            raise CorruptDataError(f"the server sent image {found.image_id} instead of {number}.")
        self._known.keep_box(found)
        return found

    def section_image(
        self,
        image_id: int | str,
        downsample: int = 0,
        view: str | None = None,
        roi: Sequence[int] | None = None,
        *,
        quality: int | None = None,
        cancelled: Cancelled | None = None,
    ) -> Rgb:
        """Return a section's image or a part of it.

        Parameters
        ----------
        image_id : int
            SectionImage id.
        downsample : int
            How often each side is halved. Beyond the image's coarsest tier, that one is fetched
            and reduced here.
        view : {None, "image", "expression", "projection"}
            None is the plain image.
        roi : (left, top, width, height), optional
            In full-resolution pixels from the section's corner; cut at the section's box.
        quality : int, optional
            Of the JPEG, 0 to 100; the server's best by default.
        cancelled : callable, optional
            Ends the request when it returns True.

        Returns
        -------
        (H, W, 3) uint8 ndarray
            RGB, ``H = ceil(height / 2 ** downsample)`` and W likewise; grey images have three
            equal channels.

        Raises
        ------
        CoordinateError
            If the region is empty, outside of the section, or no four whole numbers.
        UnsupportedSourceError
            If there is no such view or quality.
        DatasetNotFoundError
            If the server knows no such image.
        ImageTooLargeError
            If the image claims more pixels than are allowed or plausible.
        """
        number = checked_id(image_id, "section image")
        request = image_request(number, downsample, view, self._known.box(number), quality=quality)
        if roi is not None:
            box = self.section_record(number, cancelled=cancelled)
            request = image_request(number, downsample, view, box, roi, quality)
        return self.images.read(request, cancelled)

    def search_datasets(
        self,
        gene: str | None = None,
        plane: str | None = None,
        product: str | None = "Mouse",
        *,
        specimen: int | str | None = None,
        include_failed: bool = False,
        cancelled: Cancelled | None = None,
    ) -> list[DatasetSummary]:
        """Return the datasets that fulfil all criteria, by ascending id; metadata only.

        Parameters
        ----------
        gene : str, optional
            Acronym, such as ``Pvalb``; ``*`` stands for any characters. Case does not matter.
        plane : str, optional
            ``coronal``, ``sagittal`` or another of the API's names.
        product : str or None
            Abbreviation: ``Mouse`` (adult brains), ``DevMouse``; None for any.
        specimen : int or str, optional
            Number or name of the specimen.
        include_failed : bool
            Also those that the institute marked as failed.
        cancelled : callable, optional
            Ends the search when it returns True.

        Raises
        ------
        UnsupportedSourceError
            If gene, plane and specimen are all missing, or one of the texts cannot be.
        """
        search = DatasetSearch(gene, plane, product, specimen, include_failed)
        return search_rows(search, lambda path: self.page(path, cancelled))

    def section_count(self, dataset_id: int | str, *, cancelled: Cancelled | None = None) -> int:
        """Return how many images a dataset has, usable or not; 0 for an unknown dataset.

        The server counts: one request, whose answer holds one image's record.
        """
        page = self.page(count_path(checked_id(dataset_id, "section dataset")), cancelled)
        return 0 if page is None else max(page.total_rows or 0, 0)

    def page(self, path: str, cancelled: Cancelled | None = None) -> Page | None:
        """Return the answer to a request of `napari_stria.io.allen_queries`; None if it is 404."""
        return self._requests.fetch(
            self.base_url + path,
            lambda answer: parse_page(answer.body),
            cancelled,
            max_bytes=_RECORDS_BYTES,
        )

    def _record(self, path: str, cancelled: Cancelled | None) -> Record | None:
        page = self.page(path, cancelled)
        return None if page is None or not page.records else page.records[0]
