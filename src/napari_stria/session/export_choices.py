"""What a user chose in a form, as plain values that can be remembered; and the request it makes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.groups import RegionGroup
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.resampling import Rule
from napari_stria.core.selection import RegionLike
from napari_stria.core.space import AXIS_LABELS
from napari_stria.errors import CoordinateError, RegionNotFoundError, StriaError
from napari_stria.session.export_kinds import (
    AnnotationExport,
    ItksnapExport,
    MaskExport,
    TableExport,
    labels_beside,
)
from napari_stria.session.export_pictures import ScreenshotExport, SliceExport
from napari_stria.session.export_source import Source
from napari_stria.session.exporting import Export
from napari_stria.session.typed_values import resolution_of, typed_regions

Kind = Literal["table", "masks", "annotation", "itksnap", "slice", "screenshot"]
Which = Literal["all", "selected", "typed", "parcels"]
Format = Literal["nrrd", "ome-zarr"]
_FORGOTTEN = frozenset({"overwrite", "position_um"})


@dataclass(frozen=True)
class ExportChoices:
    """What is chosen in the form; texts are as they were typed.

    Attributes
    ----------
    kind : str
        See `Kind`.
    format : {"nrrd", "ome-zarr"}
        Of masks and annotation.
    which : {"all", "selected", "typed", "parcels"}
        Which regions: all, those selected in the tree, those in `typed`, or the parcels that are
        shown in the regions' place.
    typed : str
        Acronyms, names, ids, patterns, ``set:ID`` or ``group:NAME``, between commas, semicolons or
        lines.
    direct : bool
        Masks of the regions' own voxels alone.
    resolution : str
        Micrometres, one number or three; empty for the atlas's own.
    rule : str
        ``centre``, ``majority``, ``allensdk``, or empty for what is stored, else ``centre``.
    axis : str
    position_um : float
        Of the plane of a picture.
    colors : str
        ``atlas`` or ``tab20``.
    factor : int
        How many times larger than on screen a screenshot is.
    window : bool
        A screenshot of the whole window instead of the canvas.
    destination : str
        File or folder.
    overwrite : bool
        Never remembered.
    """

    kind: Kind = "table"
    format: Format = "nrrd"
    which: Which = "all"
    typed: str = ""
    direct: bool = False
    resolution: str = ""
    rule: str = ""
    axis: str = "AP"
    position_um: float = 0.0
    colors: str = "atlas"
    factor: int = 2
    window: bool = False
    destination: str = ""
    overwrite: bool = False

    def remembered(self) -> dict[str, Any]:
        """Return what the next dialog begins with, as JSON knows it."""
        return {k: v for k, v in asdict(self).items() if k not in _FORGOTTEN}


def choices_from(remembered: Mapping[str, Any]) -> ExportChoices:
    """Return what `ExportChoices.remembered` kept; what is of another kind is left out."""
    allowed: dict[str, tuple[Any, ...]] = {
        "kind": get_args(Kind),
        "format": get_args(Format),
        "which": get_args(Which),
        "rule": ("", *get_args(Rule)),
        "axis": AXIS_LABELS,
        "colors": ("atlas", "tab20"),
        "factor": tuple(range(1, 9)),
    }
    defaults = ExportChoices()
    found = {}
    for field in fields(ExportChoices):
        value = remembered.get(field.name)
        fits = type(value) is type(getattr(defaults, field.name))
        if fits and field.name not in _FORGOTTEN and value in allowed.get(field.name, (value,)):
            found[field.name] = value
    return ExportChoices(**cast("dict[str, Any]", found))


@dataclass(frozen=True, eq=False)
class ExportScene:
    """What there is to be exported in a viewer.

    Attributes
    ----------
    atlas : Atlas or None
    selected : tuple of int
        Pre-order positions of the selected regions.
    parcellation : Parcellation or None
        What is shown in the regions' place.
    place : (str, float) or None
        Axis that the plane on screen is perpendicular to, and its position in um.
    canvas_px, window_px : (int, int)
        Rows and columns of a viewer's canvas and window.
    groups : tuple of RegionGroup
        The user's own, which may be typed as ``group:NAME``.
    """

    atlas: Atlas | None = None
    selected: tuple[int, ...] = ()
    parcellation: Parcellation | None = None
    place: tuple[str, float] | None = None
    canvas_px: tuple[int, int] = (0, 0)
    window_px: tuple[int, int] = (0, 0)
    groups: tuple[RegionGroup, ...] = ()

    def picture_px(self, choices: ExportChoices) -> tuple[int, int]:
        """Return the rows and columns of a screenshot."""
        if choices.window:
            return self.window_px
        rows, columns = self.canvas_px
        return rows * choices.factor, columns * choices.factor

    def has_parcels(self, choices: ExportChoices) -> bool:
        """Tell whether parcels of a depth or set are chosen, which have each voxel once."""
        parcels = self.parcellation
        return choices.which == "parcels" and parcels is not None and not parcels.groups


def request_of(
    choices: ExportChoices, scene: ExportScene, picture: npt.NDArray[Any] | None = None
) -> Export:
    """Return the export that is chosen.

    Parameters
    ----------
    choices : ExportChoices
    scene : ExportScene
    picture : (rows, columns, 3 or 4) uint8 ndarray, optional
        Of a screenshot; without, the request only tells how large it will be.

    Raises
    ------
    StriaError
        One sentence about what is to be chosen otherwise.
    """
    if not choices.destination.strip():
        raise StriaError("choose where it shall be written.")
    destination = Path(choices.destination.strip()).expanduser().absolute()
    if choices.kind == "screenshot":
        if picture is None:
            picture = np.broadcast_to(np.uint8(0), (*scene.picture_px(choices), 3))
        return ScreenshotExport(
            destination=destination,
            overwrite=choices.overwrite,
            picture=picture,
            facts=_shown(scene),
        )
    if scene.atlas is None:
        raise StriaError("open an atlas first.")
    common: dict[str, Any] = {
        "destination": destination,
        "overwrite": choices.overwrite,
        "atlas": scene.atlas,
        "resolution_um": resolution_of(choices.resolution),
        "rule": choices.rule or None,
        "parcellation": scene.parcellation if choices.which == "parcels" else None,
    }
    if choices.kind == "table":
        return TableExport(**common, regions=regions_of(choices, scene))
    if choices.kind == "masks":
        return MaskExport(
            **common,
            regions=regions_of(choices, scene),
            format=choices.format,
            direct=choices.direct and not scene.has_parcels(choices),
        )
    if choices.kind == "annotation":
        return AnnotationExport(**common)
    if choices.kind == "itksnap":
        return ItksnapExport(**common, labels=labels_beside(destination))
    return SliceExport(
        **common, axis=choices.axis, position_um=choices.position_um, colors=choices.colors
    )


def _shown(scene: ExportScene) -> dict[str, Any]:
    """Return what a screenshot shows, in words and numbers."""
    facts: dict[str, Any] = {} if scene.atlas is None else {"atlas": scene.atlas.name}
    if scene.place is not None:
        facts |= {"axis": scene.place[0], "position_um": scene.place[1]}
    return facts


def regions_of(choices: ExportChoices, scene: ExportScene) -> tuple[RegionLike, ...] | None:
    """Return the regions that are chosen; None for all.

    Raises
    ------
    RegionNotFoundError
        If none is chosen, or the atlas lacks one.
    """
    atlas = scene.atlas
    if atlas is None or choices.which in ("all", "parcels"):
        return None
    if choices.which == "selected":
        if not scene.selected:
            raise RegionNotFoundError("no region is selected; select some in the tree.")
        return tuple(int(atlas.ontology.ids[p]) for p in scene.selected)
    return typed_regions(choices.typed, atlas.ontology, scene.groups)


def suggested_name(choices: ExportChoices, scene: ExportScene) -> str:
    """Return what the file or folder may be called; it says resolution and rule."""
    return re.sub(r"[/\\:]", "_", _name(choices, scene))


def _name(choices: ExportChoices, scene: ExportScene) -> str:
    name = "atlas" if scene.atlas is None else scene.atlas.name
    if choices.kind == "screenshot":
        return f"{name}_screenshot.png"
    if scene.atlas is not None:
        # What is no resolution, the form says.
        with suppress(CoordinateError):
            resolution = resolution_of(choices.resolution)
            name = Source(scene.atlas, resolution, cast("Rule | None", choices.rule or None)).name()
    if choices.which == "parcels" and scene.parcellation is not None:
        name += "_" + re.sub(r"\W+", "_", scene.parcellation.title).strip("_").lower()
    if choices.kind == "slice":
        return f"{name}_{choices.axis}_{choices.position_um:g}um.png"
    if choices.kind == "annotation":
        return f"{name}_annotation" + (".nrrd" if choices.format == "nrrd" else ".ome.zarr")
    endings = {"table": "_regions.csv", "masks": "_masks", "itksnap": "_itksnap.nrrd"}
    return name + endings[choices.kind]
