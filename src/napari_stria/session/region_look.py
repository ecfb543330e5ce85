"""Which regions of an atlas are seen, and in which colours."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_stria.core.ontology import Ontology
from napari_stria.core.parcellated import check_fits
from napari_stria.core.parcellation import Parcellation
from napari_stria.errors import StriaError
from napari_stria.session.colors import PALETTES, Palette, region_rgb


class RegionLook:
    """What is hidden, and what the colours mean; no voxel has a part in it.

    Attributes
    ----------
    hidden : (N,) bool ndarray
        Regions whose own voxels are not shown.
    palette : str
        Where regions have their colours from: ``atlas`` or ``tab20``.
    parcellation : Parcellation or None
        What regions are shown and clicked as; None for the regions themselves. It is kept for the
        next atlas.
    value_rgba : (N, 4) float32 ndarray or None
        Colours from 0 to 1 that the regions have in place of their own, as of a number; hiding and
        selecting work as before. They go with the atlas.
    parcellation_note : str
        Why the present atlas is not shown as the one before was; empty if it is.
    visibility_changed : Signal
    palette_changed : Signal(str)
    parcellation_changed : Signal(object)
    values_changed : Signal()
    """

    visibility_changed = Signal()
    palette_changed = Signal(str)
    parcellation_changed = Signal(object)
    values_changed = Signal()

    def __init__(self) -> None:
        self.palette: Palette = "atlas"
        self.parcellation: Parcellation | None = None
        self._take_regions(None)

    def _take_regions(self, ontology: Ontology | None) -> None:
        """Begin with the regions of another atlas, all of them seen, and tell nobody."""
        self._regions = ontology
        self.hidden: npt.NDArray[np.bool_] = np.zeros(len(ontology or ()), dtype=bool)
        self.value_rgba: npt.NDArray[np.float32] | None = None
        self.parcellation_note = ""
        if ontology is None or self.parcellation is None:
            return
        try:
            self.parcellation = self.parcellation.remade(ontology)
        except StriaError as error:
            title = self.parcellation.title
            self.parcellation_note = f"All regions are shown, and not {title}: {error}"
            self.parcellation = None

    def set_visible(self, positions: Iterable[int], visible: bool) -> None:
        """Show or hide regions with their descendants."""
        if self._regions is None:
            return
        for position in positions:
            self.hidden[position : self._regions.subtree_ends[position]] = not visible
        self.visibility_changed.emit()

    def isolate(self, positions: Iterable[int]) -> None:
        """Show these regions with their descendants and nothing else."""
        self.hidden[:] = True
        self.set_visible(positions, True)

    def show_all(self) -> None:
        """Show every region."""
        self.hidden[:] = False
        self.visibility_changed.emit()

    def set_palette(self, palette: Palette) -> None:
        """Take the regions' colours from another place.

        Raises
        ------
        StriaError
            If there is no such palette.
        """
        if palette not in PALETTES:
            raise StriaError(f"there is no palette {palette!r}; choose one of {PALETTES}.")
        if palette != self.palette:
            self.palette = palette
            self.palette_changed.emit(palette)

    def set_value_colors(self, rgba: npt.NDArray[np.float32] | None) -> None:
        """Show regions in other colours than their own, by the colour table alone; None undoes it.

        Parameters
        ----------
        rgba : (N, 4) float32 ndarray or None
            From 0 to 1, in pre-order.

        Raises
        ------
        StriaError
            If it is not one colour a region.
        """
        if rgba is not None and (self._regions is None or rgba.shape != (len(self._regions), 4)):
            raise StriaError("give one colour for each region of the open atlas, (N, 4).")
        if rgba is not self.value_rgba:
            self.value_rgba = rgba
            self.values_changed.emit()

    def set_parcellation(self, parcellation: Parcellation | None) -> None:
        """Show regions as parcels, by colours alone; None shows the regions themselves.

        What was clicked is selected anew: its parcel in place of its region.

        Raises
        ------
        OntologyError
            If the parcellation belongs to another ontology.
        """
        if parcellation is not None and self._regions is not None:
            check_fits(parcellation, self._regions)
        noted, self.parcellation_note = self.parcellation_note, ""
        if parcellation is not self.parcellation or noted:
            self.parcellation = parcellation
            self.parcellation_changed.emit(parcellation)

    def region_colors(self) -> npt.NDArray[np.float32]:
        """Return the colours of the regions in pre-order, (N, 3), as palette and parcels say."""
        assert self._regions is not None
        return region_rgb(self._regions, self.palette, self.parcellation)
