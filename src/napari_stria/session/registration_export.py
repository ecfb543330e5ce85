"""What a registration can be exported as: series, chains, fields, warped sections, regions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

from napari_stria.core.atlas import Atlas
from napari_stria.core.section_plane import AtlasFrame
from napari_stria.core.transforms import Sequence
from napari_stria.errors import CoordinateError, OutputError
from napari_stria.io.registration_files import SeriesHead
from napari_stria.io.section_files import SectionImage
from napari_stria.io.series import SERIES_FORMATS, write_series
from napari_stria.io.staging import staged
from napari_stria.session.exporting import Export, ExportSize, Job, check_suffix
from napari_stria.session.registration_fit import SectionFit, resolve_fit
from napari_stria.session.registration_series import inexact, series_of_records
from napari_stria.session.registration_state import Record

RegistrationExportKind = Literal[
    "quicknii", "visualign", "deepslice-csv", "chain", "field", "warped", "regions", "outlines"
]
REGISTRATION_EXPORTS: tuple[RegistrationExportKind, ...] = get_args(RegistrationExportKind)
EXPORT_SUFFIXES: dict[RegistrationExportKind, str] = {
    "quicknii": ".json",
    "visualign": ".json",
    "deepslice-csv": ".csv",
    "chain": ".json",
    "field": ".npy",
    "warped": ".tif",
    "regions": ".tif",
    "outlines": ".png",
}

# Series without what bends their sections.
_PLANES_ALONE = {
    "quicknii": "QuickNII knows planes alone",
    "deepslice-csv": "A CSV holds the planes alone",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class SeriesExport(Export):
    """All sections as a file of QuickNII, VisuAlign or DeepSlice.

    Attributes
    ----------
    records : tuple of Record
    frame : AtlasFrame
    head : SeriesHead or None
        Of the series that they came from.
    atlas_name : str
    format : {"quicknii", "visualign", "deepslice-json", "deepslice-csv"}
    """

    records: tuple[Record, ...]
    frame: AtlasFrame
    head: SeriesHead | None = None
    atlas_name: str = ""
    format: str = "visualign"

    def check(self) -> None:
        """Refuse an unknown format, a wrong name and an empty registration."""
        if self.format not in SERIES_FORMATS:
            raise OutputError(f"a series is written as {', '.join(SERIES_FORMATS)}.")
        if not self.records:
            raise CoordinateError("Open a section first.")
        check_suffix(self.destination, ".csv" if "csv" in self.format else ".json", "a series")

    @property
    def notes(self) -> tuple[str, ...]:
        """What the file cannot hold exactly, in sentences."""
        if self.format in _PLANES_ALONE:
            bent = any(
                (fit := resolve_fit(r, self.frame)) is not None and fit.refinement is not None
                for r in self.records
            )
            return (f"{_PLANES_ALONE[self.format]}; refinements are left out.",) if bent else ()
        names = inexact(self.records, self.frame)
        if not names:
            return ()
        what = (
            f"{len(names)} sections are bent by a spline or a field ({names[0]}, ...), which "
            "becomes markers; between them VisuAlign goes straight."
        )
        return (what,)

    def size(self) -> ExportSize:
        """Return one table."""
        return ExportSize()

    def write(self, job: Job) -> Iterator[Path]:
        """Write the file."""
        job.doing("Writing the series")
        series = series_of_records(self.records, self.frame, self.head, self.atlas_name)
        if self.format in _PLANES_ALONE:
            # `notes` says so.
            slices = [s.with_markers([]) for s in series.slices]
            for number, slice_ in enumerate(slices):
                series = series.with_slice(number, slice_)
        yield write_series(series, self.destination, self.format, overwrite=self.overwrite)


@dataclass(frozen=True, eq=False, kw_only=True)
class SectionExport(Export):
    """Something of one section in its atlas.

    Attributes
    ----------
    record : Record
    atlas : Atlas
    frame : AtlasFrame
    """

    record: Record
    atlas: Atlas
    frame: AtlasFrame

    suffixes: ClassVar[tuple[str, ...]] = (".json",)

    def check(self) -> None:
        """Refuse a section without a place and a wrong name."""
        if resolve_fit(self.record, self.frame) is None:
            raise CoordinateError("The section has no place yet; open an atlas first.")
        if self.destination.suffix.lower() not in self.suffixes:
            raise OutputError(
                f"{self.destination} cannot be written: the name ends with "
                f"{' or '.join(self.suffixes)}."
            )

    @property
    def fit(self) -> SectionFit:
        """How the section is mapped."""
        fit = resolve_fit(self.record, self.frame)
        if fit is None:
            raise CoordinateError("The section has no place yet; open an atlas first.")
        return fit

    @property
    def section_to_atlas(self) -> Sequence:
        """Its pixels to atlas um."""
        return self.fit.section_to_atlas

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height in the pixels that the map takes."""
        height, width = self.record.entry.shape_hw
        return width, height

    def size(self) -> ExportSize:
        """Return one file."""
        return ExportSize()

    @abstractmethod
    def write(self, job: Job) -> Iterator[Path]:
        """Write it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ChainExport(SectionExport):
    """The chain from section pixels to atlas um as NGFF RFC-5 JSON."""

    def write(self, job: Job) -> Iterator[Path]:
        """Write the chain."""
        # Loaded on use: zarr, for a bending's displacements.
        from napari_stria.io.transform_files import write_transform

        job.doing("Writing the chain")
        yield write_transform(
            self.destination,
            self.section_to_atlas,
            overwrite=self.overwrite,
            size_px=self.size_px,
            space=self.frame.space,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FieldExport(SectionExport):
    """Where the pixels of the atlas's plane lie in the section's image (atldld's ``.npy``).

    Attributes
    ----------
    resolution_um : float
    """

    resolution_um: float = 25.0
    suffixes: ClassVar[tuple[str, ...]] = (".npy",)

    def write(self, job: Job) -> Iterator[Path]:
        """Write the field."""
        from napari_stria.registration.section_warp import displacement_field

        job.doing("Computing the field")
        field = displacement_field(
            self.section_to_atlas,
            self.atlas,
            self.resolution_um,
            image_shape=self.record.entry.shape_hw,
            size_px=self.size_px,
        )
        with staged([self.destination], overwrite=self.overwrite) as (place,):
            field.save(place)
        yield self.destination


def section_export(
    kind: RegistrationExportKind,
    destination: Path,
    record: Record,
    atlas: Atlas,
    frame: AtlasFrame,
    image: SectionImage | None = None,
    *,
    resolution_um: float = 25.0,
    overwrite: bool = False,
) -> SectionExport:
    """Return the request for something of one section.

    Parameters
    ----------
    kind : {"chain", "field", "warped", "regions", "outlines"}
    destination : Path
        The file; see `EXPORT_SUFFIXES`.
    image : SectionImage, optional
        The pixels, for "warped" and "outlines".
    resolution_um : float
        Of the atlas's grid, for "field" and "warped"; of the annotation's level for the others.
    overwrite : bool
        Replace what is there.

    Raises
    ------
    OutputError
        For a kind that is none of these.
    """
    # Loaded on use: they import this module.
    from napari_stria.session.registration_pictures import (
        OutlinesExport,
        RegionsExport,
        WarpedExport,
    )

    if kind == "chain":
        return ChainExport(
            destination=destination, overwrite=overwrite, record=record, atlas=atlas, frame=frame
        )
    kinds: dict[str, type[FieldExport | WarpedExport | RegionsExport | OutlinesExport]] = {
        "field": FieldExport,
        "warped": WarpedExport,
        "regions": RegionsExport,
        "outlines": OutlinesExport,
    }
    if kind not in kinds:
        raise OutputError(f"one section is exported as chain, {', '.join(kinds)}, not as {kind}.")
    options = {} if kind == "field" else {"image": image}
    return kinds[kind](
        destination=destination,
        overwrite=overwrite,
        record=record,
        atlas=atlas,
        frame=frame,
        resolution_um=resolution_um,
        **options,
    )
