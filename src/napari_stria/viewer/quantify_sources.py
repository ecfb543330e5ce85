"""From what a napari viewer shows to what can be measured in the atlas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Shapes

from napari_stria.core.transforms import Affine
from napari_stria.errors import StriaError
from napari_stria.session.quantify_running import BRIGHTNESS
from napari_stria.session.quantify_values import QuantifySource, SourceData, SourceKind
from napari_stria.viewer.quantify_places import (
    PlaneInWorld,
    array_to_atlas,
    index_to_atlas,
    obstacle,
)
from napari_stria.viewer.quantify_shapes import count_closed, polygons_of

if TYPE_CHECKING:
    import napari

RGB_CHANNELS = (BRIGHTNESS, "red", "green", "blue")


def layer_key(layer: Layer) -> str:
    """Return the key of a layer's source: the same for as long as the layer lives."""
    return f"layer {layer.unique_id}"


def is_measured(layer: Layer) -> bool:
    """Tell whether a layer is offered: the user's own points, labels, images and shapes.

    What this plugin adds (templates, regions, masks, sections, landmarks) says so in its metadata.
    """
    kinds = (Points, Labels, Image, Shapes)
    return isinstance(layer, kinds) and "stria" not in layer.metadata


@dataclass(frozen=True)
class Offer:
    """Something that can be measured, and what its numbers depend on beside its data.

    Attributes
    ----------
    source : QuantifySource
    place : object
        Where it lies: another one, if two of one source are not equal.
    """

    source: QuantifySource
    place: object

    def is_like(self, other: Offer | None) -> bool:
        """Tell whether another offer is the same in all but its data."""
        return other is not None and self._all == other._all

    @property
    def _all(self) -> tuple[object, ...]:
        source = self.source
        return source.key, source.name, source.kind, source.note, source.channels, self.place


def layer_offers(viewer: napari.Viewer, plane: PlaneInWorld) -> list[Offer]:
    """Return what the user's layers offer, the topmost first.

    Parameters
    ----------
    viewer : napari.Viewer
    plane : PlaneInWorld
        On which layers with two axes lie.
    """
    return [layer_offer(layer, plane) for layer in reversed(viewer.layers) if is_measured(layer)]


def layer_offer(layer: Layer, plane: PlaneInWorld) -> Offer:
    """Return what one layer offers; it holds no reference that keeps the layer.

    Where the layer lies is taken now, its data when they are loaded.
    """
    kind = kind_of(layer)
    note = obstacle(layer, plane)
    place = None if note else index_to_atlas(layer, plane)
    note = note or _nothing_in(layer)
    colors = isinstance(layer, Image) and layer.rgb
    source = QuantifySource(
        key=layer_key(layer),
        name=_name(layer, plane),
        kind=kind,
        note=note,
        load=_refusal(note) if note else _loader(layer, kind, plane),
        channels=RGB_CHANNELS if colors else (),
    )
    return Offer(source, place)


def kind_of(layer: Layer) -> SourceKind:
    """Return what a layer holds; it must be one that `is_measured`."""
    for cls, kind in _KINDS:
        if isinstance(layer, cls):
            return kind
    raise StriaError(f"layers like {layer.name} are not measured; choose points, labels or images.")


def _name(layer: Layer, plane: PlaneInWorld) -> str:
    """Return the layer's name, and what else one must know of its numbers."""
    more = []
    if layer.ndim == 2 and plane.world_to_atlas is not None:
        more.append(plane.text)
    if isinstance(layer, Shapes):
        closed, open_ones = count_closed(layer)
        if closed and open_ones:
            more.append(f"without {open_ones} line{'s' if open_ones > 1 else ''}")
    return f"{layer.name} ({', '.join(more)})" if more else str(layer.name)


def _nothing_in(layer: Layer) -> str:
    """Return why there is nothing to measure, as a sentence; empty if there is something."""
    if isinstance(layer, Points) and not len(layer.data):
        return "It has no points yet."
    if isinstance(layer, Shapes) and not count_closed(layer)[0]:
        return "It has no polygons, rectangles or ellipses; lines and paths have no area."
    return ""


def _refusal(note: str) -> Callable[[], SourceData]:
    def load() -> SourceData:
        raise StriaError(note)

    return load


def _loader(layer: Layer, kind: SourceKind, plane: PlaneInWorld) -> Callable[[], SourceData]:
    """Return what reads a layer's data, in another thread."""
    known, read = ref(layer), _READERS[kind]
    has_pixels = kind in ("labels", "image")
    to_atlas = (array_to_atlas if has_pixels else index_to_atlas)(layer, plane)

    def load() -> SourceData:
        layer = known()
        if layer is None:
            raise StriaError("This layer was deleted; choose another one.")
        return read(layer, to_atlas)

    return load


def _read_points(layer: Any, to_atlas: Affine) -> SourceData:
    # A copy: the user may go on moving points.
    points_um = to_atlas(np.array(layer.data, dtype=np.float64))
    hidden = int(np.count_nonzero(~layer.shown))
    # All are counted: hiding is for looking, and napari tells nobody when it changes.
    remark = f"{hidden:,} of them {'is' if hidden == 1 else 'are'} hidden, and counted, too"
    return SourceData(points_um, remark=remark if hidden else "")


def _read_shapes(layer: Any, to_atlas: Affine) -> SourceData:
    return SourceData(polygons_of(layer, to_atlas), None)


def _read_pixels(layer: Any, to_atlas: Affine) -> SourceData:
    finest = layer.data[0] if layer.multiscale else layer.data
    return SourceData(_lazy_or_whole(finest), to_atlas)


def _lazy_or_whole(data: Any) -> Any:
    """Return a numpy or a dask array, whatever a layer was made from."""
    import dask.array as da

    if isinstance(data, np.ndarray | da.Array):
        return data
    if isinstance(inner := getattr(data, "data", None), np.ndarray | da.Array):  # xarray's
        return inner
    # zarr's arrays and others that are read box by box.
    return da.from_array(data) if hasattr(data, "chunks") else np.asarray(data)


_KINDS: tuple[tuple[type[Layer], SourceKind], ...] = (
    (Points, "points"),
    (Labels, "labels"),
    (Image, "image"),
    (Shapes, "shapes"),
)
_READERS: dict[SourceKind, Callable[[Any, Affine], SourceData]] = {
    "points": _read_points,
    "shapes": _read_shapes,
    "labels": _read_pixels,
    "image": _read_pixels,
}
