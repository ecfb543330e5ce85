"""Masks of regions as napari layers, which stream with the annotation."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from superqt.utils import qthrottled

from napari_stria.errors import StriaError
from napari_stria.io.streamed_mask import StreamedMask
from napari_stria.session.citation import atlas_citation
from napari_stria.session.region_mask import RegionMask, region_mask
from napari_stria.viewer.layers import placement, pyramid_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_stria.core.atlas import Atlas
    from napari_stria.core.groups import RegionGroup
    from napari_stria.core.selection import Regions
    from napari_stria.session.atlas_session import AtlasSession

_REFRESH_MS = 100
_OPACITY = 0.7


def mask_of(layer: Layer) -> StreamedMask | None:
    """Return the mask that a napari layer shows (of several levels the finest), None for others."""
    data = layer.data
    first = data[0] if getattr(layer, "multiscale", False) and len(data) else data
    return first if isinstance(first, StreamedMask) else None


class MaskLayers:
    """Shows masks of regions of a session's atlas as napari layers, 1 in the regions and 0 outside.

    A mask reads the annotation's chunks, so that it costs no download where the annotation has
    been seen. The layers belong to the user: they may be renamed, restyled, duplicated or deleted.
    They go with the atlas.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layers are shown.
    session : AtlasSession
        Whose atlas.
    """

    def __init__(self, viewer: napari.Viewer, session: AtlasSession) -> None:
        self._viewer = viewer
        self._session = session
        self._colors = np.zeros((0, 3), dtype=np.float32)  # those that layers were given last
        self._refresh = qthrottled(self._refresh_now, timeout=_REFRESH_MS)
        session.closed.connect(self._remove_layers)
        session.chunks_changed.connect(self._refresh)
        session.palette_changed.connect(self._recolor)
        session.parcellation_changed.connect(self._recolor)
        viewer.layers.events.inserted.connect(self._on_inserted)
        # After the annotation's layers, which end downloads that nothing of theirs needs.
        viewer.layers.events.removed.connect(self._on_removed, position="last")

    def forget(self) -> None:
        """Do nothing more for a viewer whose window is gone."""
        self._refresh.cancel()

    def close(self) -> None:
        """Stop following the session and the viewer."""
        for signal, slot in (
            (self._session.closed, self._remove_layers),
            (self._session.chunks_changed, self._refresh),
            (self._session.palette_changed, self._recolor),
            (self._session.parcellation_changed, self._recolor),
        ):
            signal.disconnect(slot, missing_ok=True)
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._refresh.cancel()

    def layers(self) -> list[Layer]:
        """Return the layers that show masks, the lowest first."""
        return [layer for layer in self._viewer.layers if mask_of(layer) is not None]

    # -- adding and removing ---------------------------------------------------------------

    def add(self, regions: Regions, *, direct: bool = False) -> Labels:
        """Add a mask of the union of regions above all layers; see `add_mask_layer`."""
        atlas, annotation = self._session.atlas, self._session.annotation
        if atlas is None or annotation is None:
            raise StriaError("no atlas is open; open one, then add a mask of its regions.")
        mask = region_mask(atlas, regions, direct=direct)
        levels = [StreamedMask(level, mask.table) for level in annotation.levels]
        before = set(self._viewer.layers.selection)
        self._colors = self._session.region_colors()
        layer: Labels = self._viewer.add_labels(
            levels if len(levels) > 1 else levels[0],
            name=mask.name,
            opacity=_OPACITY,
            # Invisible at first: adding a visible layer reads a plane that nobody looks at.
            visible=False,
            metadata={"stria": _metadata(atlas, mask)},
            colormap=self._colormap(mask.positions[0], mask.group),
            **placement(annotation),
        )
        if before:
            # The regions stay active: what is clicked and hovered is theirs.
            self._viewer.layers.selection = before
        layer.visible = True
        return layer

    def _remove_layers(self) -> None:
        ours = self.layers()
        # napari tidies its scene, which takes longer than all else, once a batch.
        with self._viewer.layers.batched_update() if ours else nullcontext():
            for layer in ours:
                self._viewer.layers.remove(layer)

    def _on_inserted(self, event: Any) -> None:
        if mask_of(event.value) is not None:
            event.value.editable = False

    def _on_removed(self, event: Any) -> None:
        """End downloads that no layer needs any more; go on with those that masks need."""
        annotation = self._session.annotation
        gone = mask_of(event.value)
        streams_it = pyramid_of(event.value) is annotation or (
            gone is not None and gone.level is not None and gone.level.pyramid is annotation
        )
        if annotation is None or not streams_it:
            return
        if self.layers():
            self._refresh()
        elif all(pyramid_of(layer) is not annotation for layer in self._viewer.layers):
            annotation.rest()

    # -- colours and refreshing ---------------------------------------------------------------

    def _colormap(self, position: int, group: RegionGroup | None) -> DirectLabelColormap:
        """Return a colour map with a group's colour, or that of the region at a position."""
        if group is not None:
            rgb = [value / 255 for value in group.rgb_triplet]
        else:
            rgb = [float(value) for value in self._colors[position]]
        colors = {None: (0.0,) * 4, 0: (0.0,) * 4, 1: (*rgb, 1.0)}
        return DirectLabelColormap(color_dict=colors, name="mask colour")

    def _recolor(self, _news: object) -> None:
        """Give layers their regions' colours anew, but for those that the user coloured."""
        atlas, ours = self._session.atlas, {}
        if atlas is None:
            return
        for layer in self.layers():
            about = layer.metadata.get("stria", {})
            # One that the user converted to an image has no table of label colours.
            if isinstance(layer, Labels) and about.get("mask") and not about.get("group"):
                position = atlas.ontology.position(int(about["mask"][0]))
                if _same_colors(layer.colormap, self._colormap(position, None)):
                    ours[layer] = position
        self._colors = self._session.region_colors()
        for layer, position in ours.items():
            layer.colormap = self._colormap(position, None)

    def _refresh_now(self) -> None:
        for layer in self.layers():
            if layer.visible:
                layer.refresh(extent=False, highlight=False)


def _same_colors(colormap: object, other: DirectLabelColormap) -> bool:
    """Tell whether a colour map has the colours of another; a layer's copy has one of its own."""
    if not isinstance(colormap, DirectLabelColormap):
        return False
    mine, others = colormap.color_dict, other.color_dict
    return all(np.allclose(mine[label], others[label], atol=1e-6) for label in (None, 0, 1))


def _metadata(atlas: Atlas, mask: RegionMask) -> dict[str, Any]:
    regions = [atlas.ontology.at(p) for p in mask.positions]
    return {
        "atlas": atlas.name,
        "mask": [region.id for region in regions],
        "regions": [region.acronym for region in regions],
        "group": "" if mask.group is None else mask.group.name,
        "descendants": not mask.direct,
        **dict(atlas.metadata),
        "citation": atlas_citation(atlas),
    }


def add_mask_layer(viewer: napari.Viewer, regions: Regions, *, direct: bool = False) -> Labels:
    """Add a mask of regions of the atlas that a viewer shows, as a layer that streams.

    Parameters
    ----------
    viewer : napari.Viewer
        Shows an atlas; see `add_atlas`.
    regions : id, acronym, name, Structure, RegionGroup, ``set:ID``, or several of them
        The mask is their union.
    direct : bool
        Only voxels that are labelled with the regions themselves; by default their descendants
        belong to them.

    Returns
    -------
    napari.layers.Labels
        In um; uint8, 1 in the regions and 0 outside. It goes when the atlas is closed or another
        one is opened. Its voxels in one array are `structure_mask`'s.

    Raises
    ------
    RegionNotFoundError
        For a region that the atlas lacks.
    StriaError
        If no atlas is open.
    """
    from napari_stria.viewer.controller import controller_of

    return controller_of(viewer).masks.add(regions, direct=direct)
