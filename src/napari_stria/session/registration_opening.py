"""What is read when sections are opened: images, series, files; each of it in another thread."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from threading import Lock

from napari_stria.core.atlas import Atlas
from napari_stria.core.section import Section, SectionDataset
from napari_stria.core.section_plane import AtlasFrame, atlas_frame, placement_of
from napari_stria.errors import ReferenceSpaceError
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.cache import ChunkCache
from napari_stria.io.registration_files import RegistrationDocument, read_registration
from napari_stria.io.section_arrays import allen_section_image
from napari_stria.io.section_files import SectionImage, open_section_image
from napari_stria.io.series import read_series
from napari_stria.io.series_images import FoundImages, find_images
from napari_stria.io.tiles import SectionTiles
from napari_stria.registration.chain import check_atlas, check_mirrored, section_to_atlas
from napari_stria.session.registration_series import (
    records_of_series,
    series_frame,
    series_head,
)
from napari_stria.session.registration_state import (
    AllenSource,
    Record,
    SectionEntry,
    SectionState,
)

_TILE_BYTES = 128 << 20
# QUINT's tools number sections by the last _sNNN in the name of their image.
_NUMBER = re.compile(r"_s(\d+)(?!.*_s\d)")


@dataclass(frozen=True, eq=False)
class OpenedSection:
    """A section that was opened, with its pixels.

    `frame` is the box of the atlas in which it is placed; None if it is not placed yet.
    """

    record: Record
    image: SectionImage
    frame: AtlasFrame | None = None


def open_section(path: Path, pixel_size_um: tuple[float, float] | None) -> OpenedSection:
    """Open an image file as a section; its number is that of ``_sNNN`` in its name.

    Raises
    ------
    FormatError, UnsupportedSourceError
        See `napari_stria.io.section_files.open_section_image`.
    """
    image = open_section_image(path)
    number = _NUMBER.search(path.stem)
    entry = SectionEntry(
        path.name,
        float(number[1]) if number else 0.0,
        image.shape_hw,
        pixel_size_um or image.pixel_size_um,
        path,
    )
    return OpenedSection(Record(entry), image)


class AllenImages:
    """Opens section images of the Allen Institute, all through one memory for tiles."""

    def __init__(self, api: AllenApi | None) -> None:
        self.api = api
        self._memory = ChunkCache(_TILE_BYTES)
        self._lock = Lock()

    def dataset(self, dataset: SectionDataset | int) -> SectionDataset:
        """Return a dataset by its id."""
        if isinstance(dataset, SectionDataset):
            return dataset
        return self._server().section_dataset(dataset)

    def open(self, source: AllenSource) -> SectionImage:
        """Open an image."""
        return self.image(self.dataset(source.dataset_id).section(source.image_id))

    def image(self, section: Section) -> SectionImage:
        """Return the pixels of a section."""
        return allen_section_image(SectionTiles(self._server(), memory=self._memory), section)

    def _server(self) -> AllenApi:
        with self._lock:
            if self.api is None:
                self.api = AllenApi()
            return self.api


def open_allen_section(
    images: AllenImages,
    dataset: SectionDataset | int,
    image_id: int,
    atlas: Atlas | None,
    *,
    mirrored: bool = False,
) -> OpenedSection:
    """Open a section of the Allen Institute where its own alignment puts it.

    `mirrored`: on the other side of the brain, see `napari_stria.registration.chain.pir_to_atlas`.

    Raises
    ------
    DatasetNotFoundError, CoordinateError
        If there is no such dataset or section.
    ReferenceSpaceError
        Without an atlas, or one of another space.
    """
    if atlas is None:
        raise ReferenceSpaceError("Open an atlas first: the section is placed in it.")
    check_atlas(atlas)
    found = images.dataset(dataset)
    check_mirrored(found, mirrored)
    section = found.section(image_id)
    image = images.image(section)
    shape, size = (section.height, section.width), image.pixel_size_um or (1.0, 1.0)
    linear = section_to_atlas(section, atlas.space, mirrored=mirrored)
    entry = SectionEntry(
        f"{found.id} section {section.section_number}",
        float(section.section_number),
        shape,
        size,
        allen=AllenSource(found.id, image_id),
    )
    frame = atlas_frame(atlas)
    placement = placement_of(linear, frame, shape, size)
    return OpenedSection(Record(entry, SectionState(placement, is_placed=True)), image, frame)


def open_series_sections(
    path: Path, folder: Path, atlas: Atlas | None, *, nonlinear: bool
) -> tuple[RegistrationDocument, str]:
    """Read a series and find its images; no image is decoded.

    And which images may be more than one file, in a sentence.

    Raises
    ------
    FormatError
        If it is no series.
    ReferenceSpaceError
        If it belongs to another atlas, or to one that is not known and none is open.
    """
    series = read_series(path, nonlinear, atlas=atlas)
    frame = atlas_frame(atlas) if atlas is not None else series_frame(series)
    if frame is None:
        raise ReferenceSpaceError(
            f"{path.name} is anchored in {series.target.name or 'an atlas without a name'}, which "
            "is not known here; open that atlas first."
        )
    filenames = [slice_.filename for slice_ in series.slices]
    found = _find(filenames, folder)
    paths = dict(zip(filenames, found.paths, strict=True))
    records = records_of_series(
        series,
        frame,
        lambda slice_: paths[slice_.filename],
        lambda image: open_section_image(image).shape_hw,
        nonlinear=nonlinear,
    )
    name, opened_with = ("", {}) if atlas is None else (atlas.name, dict(atlas.opened_with))
    head = series_head(series)
    # Where there is something to be seen.
    first = next((n for n, record in enumerate(records) if not record.entry.is_missing), 0)
    document = RegistrationDocument(records, first, frame, name, opened_with, head)
    return document, _ambiguity(found)


def open_document(path: Path) -> RegistrationDocument:
    """Read the file of a registration; see `napari_stria.io.registration_files`."""
    return read_registration(path)


def found_images(entries: Sequence[SectionEntry], folder: Path) -> tuple[dict[int, Path], str]:
    """Return which missing images lie in a folder, by the sections' places in the list.

    And which may be more than one file, in a sentence.
    """
    missing = {number: entry for number, entry in enumerate(entries) if entry.is_missing}
    names = [
        entry.filename if entry.path is None else str(entry.path) for entry in missing.values()
    ]
    found = _find(names, folder)
    paths = zip(missing, found.paths, strict=True)
    return {number: path for number, path in paths if path is not None}, _ambiguity(found)


def _find(filenames: Sequence[str], folder: Path) -> FoundImages:
    if not folder.is_dir():
        return FoundImages((None,) * len(filenames))
    return find_images(filenames, folder, below=True)


def _ambiguity(found: FoundImages) -> str:
    """Return which images were left out, in a sentence; else nothing."""
    names = found.ambiguous
    if not names:
        return ""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (
        f"More than one file may be {names[0]}{more}, so that none was taken; give the files the "
        "very names of the series, or look for them in another folder."
    )


def free_name(name: str, entries: Sequence[SectionEntry]) -> str:
    """Return a name that no section has: this one, or with a number behind it."""
    taken = {entry.name for entry in entries}
    numbered = (f"{name} {number}" for number in count(2))
    return next(n for n in chain([name], numbered) if n not in taken)
