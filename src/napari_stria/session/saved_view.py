"""What a view is made of, as plain values: to be kept in a file, and to be shown again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_stria.core.groups import RegionGroup
from napari_stria.core.space import Triple
from napari_stria.registration.chain import Placement

Words = tuple[str, str, str]
_SAME_SIZE = 0.02


@dataclass(frozen=True)
class SavedCamera:
    """A napari camera.

    Attributes
    ----------
    center : tuple of float
        In atlas um, of the displayed axes.
    zoom : float
        Canvas pixels for each um.
    angles : tuple of float
        In degrees, as napari gives them.
    perspective : float
        In degrees.
    orientation : tuple of str
        Where depth, vertical and horizontal axes point.
    canvas_px : tuple of int or None
        Height and width of the canvas that it was drawn on.
    """

    center: Triple
    zoom: float
    angles: Triple = (0.0, 0.0, 0.0)
    perspective: float = 0.0
    orientation: Words = ("towards", "down", "right")
    canvas_px: tuple[int, int] | None = None

    def zoom_on(self, canvas_px: tuple[int, int]) -> float:
        """Return the zoom at which a canvas of another size shows all that this one showed.

        About the same size gives just the same zoom, and so does one that is not known: a canvas
        gains and loses some pixels by sliders that come and go.
        """
        if self.canvas_px is None:
            return self.zoom
        ratios = (now / then for now, then in zip(canvas_px, self.canvas_px, strict=True))
        ratio = min(ratios)
        return self.zoom if abs(ratio - 1) <= _SAME_SIZE else self.zoom * ratio


@dataclass(frozen=True)
class SavedPlane:
    """Where the sliders stand.

    Attributes
    ----------
    point_um : tuple of float
        (AP, DV, ML) in atlas um.
    order : tuple of int
        Axes 0 (AP), 1 (DV), 2 (ML); the last `ndisplay` are displayed.
    ndisplay : int
        2 or 3.
    level_um : tuple of float or None
        Voxel size of the level that was on screen; for the reader alone.
    """

    point_um: Triple
    order: tuple[int, int, int] = (0, 1, 2)
    ndisplay: int = 2
    level_um: Triple | None = None


@dataclass(frozen=True)
class SavedParcellation:
    """What the regions were shown as: one of a depth, a structure set, and groups.

    Attributes
    ----------
    depth : int or None
    set_id : int or None
    region_ids : tuple of int
        The regions that the set lists, so that it need not be fetched again.
    groups : tuple of RegionGroup
    title : str
        What the set or the groups are called.
    selected : int or None
        Id of the parcel that was clicked.
    """

    depth: int | None = None
    set_id: int | None = None
    region_ids: tuple[int, ...] = ()
    groups: tuple[RegionGroup, ...] = ()
    title: str = ""
    selected: int | None = None


@dataclass(frozen=True)
class SavedRegions:
    """What was done with the regions, by structure id.

    Attributes
    ----------
    selected : tuple of int
    hidden : tuple of int
        Regions whose own voxels are not shown.
    only : tuple of int or None
        The regions whose own voxels are shown, if that is the shorter list; all others are hidden.
    surfaces : tuple of int
        Regions whose surfaces are shown.
    palette : str
        Where colours come from.
    parcellation : SavedParcellation or None
        What the regions were shown as; None for the regions themselves.
    """

    selected: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()
    only: tuple[int, ...] | None = None
    surfaces: tuple[int, ...] = ()
    palette: str = "atlas"
    parcellation: SavedParcellation | None = None


@dataclass(frozen=True)
class SavedLook:
    """How a layer of ours looks.

    Attributes
    ----------
    role : str
        ``regions``, ``template NAME``, ``sections image`` or ``sections expression``.
    visible : bool
    opacity : float
    blending : str
    contour : int or None
        Width of outlines in pixels; 0 is filled. Regions only.
    contrast_limits : tuple of float or None
        Templates only.
    """

    role: str
    visible: bool = True
    opacity: float = 1.0
    blending: str = "translucent"
    contour: int | None = None
    contrast_limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class SavedSections:
    """Which dataset of sections is shown, and how.

    Attributes
    ----------
    dataset_id : int
    api : str
        Base URL of the Allen API, or the practice word.
    resolution_um : float
    placement : {"exact", "parallel"}
    mirrored, expression : bool
    hidden : tuple of int
        Image ids.
    genes : tuple of str
        For the reader alone.
    """

    dataset_id: int
    api: str
    resolution_um: float = 25.0
    placement: Placement = "exact"
    mirrored: bool = False
    expression: bool = False
    hidden: tuple[int, ...] = ()
    genes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SavedView:
    """All that a view is made of.

    Attributes
    ----------
    name : str
        The atlas.
    opened_with : mapping
        Arguments of `napari_stria.open_atlas`, without secrets; paths are absolute.
    plane : SavedPlane
    camera : SavedCamera
    regions : SavedRegions
    looks : tuple of SavedLook
        The layers that there are; empty leaves them as they come.
    sections : SavedSections or None
    source : str
        What the source is called in the dock; for the reader alone.
    """

    name: str
    opened_with: Mapping[str, Any]
    plane: SavedPlane
    camera: SavedCamera
    regions: SavedRegions = field(default_factory=SavedRegions)
    looks: tuple[SavedLook, ...] = ()
    sections: SavedSections | None = None
    source: str = ""
