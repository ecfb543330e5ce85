"""Pictures of a registered section: warped onto the atlas, and the atlas's regions on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from napari_stria.errors import CoordinateError, OutputError
from napari_stria.io.image_files import encode_image
from napari_stria.io.pictures import write_picture
from napari_stria.io.section_files import SectionImage
from napari_stria.io.staging import staged
from napari_stria.io.table_files import with_region_columns, write_table
from napari_stria.session.exporting import ExportSize, Job
from napari_stria.session.registration_export import SectionExport

# Labels of sections are looked up to this size; a larger section gets one of its coarser sizes.
_MOST_PIXELS = 1 << 28
_EDGE_RGB = (255, 255, 0)
_PICTURE_SIDE = 2048


@dataclass(frozen=True, eq=False, kw_only=True)
class PictureExport(SectionExport):
    """A picture that takes the section's pixels or its size.

    Attributes
    ----------
    image : SectionImage or None
    resolution_um : float
    """

    image: SectionImage | None = None
    resolution_um: float = 25.0

    def pixels(self) -> SectionImage:
        """Return the section's pixels; a `CoordinateError` if they are not there."""
        if self.image is None:
            raise CoordinateError("The section's image is not there; find its file first.")
        return self.image


@dataclass(frozen=True, eq=False, kw_only=True)
class WarpedExport(PictureExport):
    """The section's image on the atlas's grid: all channels in a TIFF, or a PNG."""

    suffixes: ClassVar[tuple[str, ...]] = (".tif", ".tiff", ".png")

    def write(self, job: Job) -> Iterator[Path]:
        """Write the picture."""
        from napari_stria.registration.section_warp import warp_section

        image = self.pixels()
        fit = self.fit
        size_um = float(np.linalg.norm(fit.pixels_to_plane.linear, axis=0).max())
        # Twice as fine as the grid, so that nothing is lost by the warp.
        level = image.level_for(max(1.0, self.resolution_um / 2 / size_um))
        progress = job.doing("Warping the section")
        planes = []
        for channel in range(len(image.channels)):
            job.check()
            warped = warp_section(
                image.read(level, channel=channel),
                fit.section_to_atlas,
                self.atlas,
                self.resolution_um,
                size_px=self.size_px,
            )
            planes.append(np.asarray(warped))
            progress(channel + 1, len(image.channels))
        with staged([self.destination], overwrite=self.overwrite) as (place,):
            _write(place, planes, self.resolution_um, [c.name for c in image.channels])
        yield self.destination


@dataclass(frozen=True, eq=False, kw_only=True)
class RegionsExport(PictureExport):
    """The atlas's labels in the section's pixels as a TIFF, with a table of what they are."""

    suffixes: ClassVar[tuple[str, ...]] = (".tif", ".tiff")

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The labels and their table."""
        return self.destination, self.destination.with_suffix(".csv")

    def size(self) -> ExportSize:
        """Return the labels' size."""
        height, width = self.record.entry.shape_hw
        return ExportSize((height, width), 2, 4 * height * width)

    def write(self, job: Job) -> Iterator[Path]:
        """Write labels and table."""
        labels = _labels(self, job, self.record.entry.shape_hw)
        import pandas as pd
        import tifffile

        found, counts = np.unique(labels[labels != 0], return_counts=True)
        of_value = {region.annotation_value: region for region in self.atlas.ontology}
        regions = [of_value.get(int(value)) for value in found]
        table = pd.DataFrame(
            {
                "acronym": ["" if r is None else r.acronym for r in regions],
                "name": ["" if r is None else r.name for r in regions],
                "label": found.astype(np.int64),
                "pixels": counts,
            },
            # Labels that the ontology lacks keep their own number.
            index=pd.Index(
                [int(v) if r is None else r.id for v, r in zip(found, regions, strict=True)],
                name="id",
            ),
        )
        with staged(list(self.outputs), overwrite=self.overwrite) as (picture, csv):
            tifffile.imwrite(picture, labels, compression="zlib", metadata=None)
            write_table(csv, with_region_columns(table, self.atlas.ontology), {})
        yield from self.outputs


@dataclass(frozen=True, eq=False, kw_only=True)
class OutlinesExport(PictureExport):
    """The section with the outlines of the atlas's regions: PNG, or as lines in an SVG."""

    suffixes: ClassVar[tuple[str, ...]] = (".png", ".svg")

    def write(self, job: Job) -> Iterator[Path]:
        """Write the picture."""
        height, width = self.record.entry.shape_hw
        scale = min(1.0, _PICTURE_SIDE / max(height, width))
        shape = (max(1, round(height * scale)), max(1, round(width * scale)))
        labels = _labels(self, job, shape)
        with staged([self.destination], overwrite=self.overwrite) as (place,):
            if self.destination.suffix.lower() == ".svg":
                place.write_text(_svg(labels, (width, height)), encoding="utf-8")
            else:
                from napari_stria.registration.section_warp import region_outlines

                picture = _background(self.image, shape)
                picture[region_outlines(labels)] = _EDGE_RGB
                write_picture(place, picture)
        yield self.destination


def _labels(export: PictureExport, job: Job, shape: tuple[int, int]) -> npt.NDArray[np.uint32]:
    from napari_stria.registration.section_warp import regions_on_section

    if shape[0] * shape[1] > _MOST_PIXELS:
        raise OutputError(
            f"labels of {shape[1]} x {shape[0]} pixels are more than this package writes; export "
            "the warped section and count there."
        )
    job.doing("Looking up regions")
    labels = regions_on_section(
        export.atlas,
        export.section_to_atlas,
        shape,
        size_px=export.size_px,
        resolution_um=export.resolution_um,
        cancel=job.cancel,
    )
    return np.asarray(labels).astype(np.uint32)


def _background(image: SectionImage | None, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return the section in grey or colour as a picture of this size; black without its image."""
    if image is None:
        return np.zeros((*shape, 3), np.uint8)
    grey = image.thumbnail(max(shape))
    if not (image.is_rgb and grey.dtype == np.uint8):
        pixels = grey.astype(np.float32)
        low, high = _range(pixels, (0.5, 99.5))
        grey = _stretched(pixels, low, high)
    rgb = grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=2)
    sized = cv2.resize(rgb, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(sized, dtype=np.uint8)


def _svg(labels: npt.NDArray[np.uint32], size_px: tuple[int, int]) -> str:
    """Return the regions' outlines as closed lines in section pixels, one path a region."""
    width, height = size_px
    rows, columns = labels.shape
    paths = []
    for label in np.unique(labels[labels != 0]):
        mask = np.pad((labels == label).astype(np.uint8), 1)
        # Twice as large: lines through middles of pixels lie a quarter of one inside the edge.
        large = cv2.resize(mask, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        lines, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        parts = []
        for line in lines:
            xy = (line[:, 0, :].astype(np.float64) + 0.5) / 2 - 1
            xy *= [width / columns, height / rows]
            parts.append("M" + " ".join(f"{x:g},{y:g}" for x, y in xy) + "Z")
        paths.append(f'<path id="region-{label}" d="{" ".join(parts)}"/>')
    body = "\n".join(paths)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">\n'
        f'<g fill="none" stroke="#ffcc00" stroke-width="{max(width, height) / 1000:g}">\n'
        f"{body}\n</g>\n</svg>\n"
    )


def _write(place: Path, planes: list[Any], resolution_um: float, names: list[str]) -> None:
    if place.suffix.lower() == ".png":
        write_picture(place, _rgb(planes))
        return
    is_rgb = planes[0].ndim == 3
    pixels = planes[0] if is_rgb or len(planes) == 1 else np.stack(planes, axis=-1)
    place.write_bytes(encode_image(place, pixels, resolution_um, is_rgb=is_rgb, channels=names))


def _rgb(planes: list[Any]) -> npt.NDArray[np.uint8]:
    """Return a picture to look at: colours as they are, else the first channel, stretched."""
    first = np.asarray(planes[0])
    if first.ndim == 3 and first.dtype == np.uint8:
        return np.ascontiguousarray(first)
    grey = first.astype(np.float32)
    (high,) = _range(grey, (99.5,))
    shown = _stretched(grey, 0.0, high or 1.0)
    return shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, axis=2)


def _range(pixels: npt.NDArray[np.float32], percents: tuple[float, ...]) -> list[float]:
    """Return percentiles of the values that are numbers."""
    known = pixels[np.isfinite(pixels)]
    if not known.size:
        return [0.0] * len(percents)
    return [float(value) for value in np.percentile(known, percents)]


def _stretched(pixels: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Return values as brightness; what is no number is black."""
    with np.errstate(invalid="ignore", over="ignore"):
        shown = (pixels - low) / max(high - low, 1e-9) * 255
    return np.asarray(np.clip(np.nan_to_num(shown, nan=0.0), 0, 255), dtype=np.uint8)
