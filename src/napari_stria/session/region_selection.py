"""Which regions of an atlas are selected, and the colour table that shows it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from napari_stria.core.ontology import Ontology
from napari_stria.session.colors import resolve_color_table
from napari_stria.session.region_look import RegionLook


class RegionSelection(RegionLook):
    """What is selected: regions, or the parcel at a clicked point.

    Attributes
    ----------
    selected : tuple of int
        Pre-order positions.
    parcel : int or None
        The parcel that was clicked: what is selected are its roots, without parcels inside it.
    selection_changed : Signal(tuple of int)
    colors_changed : Signal(object)
        Carries the colour table of the display indices.
    """

    selection_changed = Signal(tuple)
    colors_changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.visibility_changed.connect(self._emit_colors)
        self.palette_changed.connect(self._emit_colors)
        self.values_changed.connect(self._emit_colors)
        self.parcellation_changed.connect(self._on_parcellation)

    def _take_regions(self, ontology: Ontology | None) -> None:
        self.selected: tuple[int, ...] = ()
        self.parcel: int | None = None
        self._clicked: int | None = None  # the display index at the point, if one was clicked
        super()._take_regions(ontology)

    def _selection_set(self, *, by_user: bool) -> None:
        """Say what is selected now; `by_user` is False if it follows the parcellation."""
        raise NotImplementedError

    def select(self, positions: Iterable[int]) -> None:
        """Select regions by pre-order position; none clears the selection."""
        self._clicked = None
        self._set_selected(tuple(dict.fromkeys(int(p) for p in positions)))

    def select_parcel(self, parcel: int) -> None:
        """Select a parcel by its number in the parcellation, as a click does."""
        assert self.parcellation is not None
        self._clicked = None
        self._set_selected(self.parcellation.roots[parcel], parcel)

    def _select_clicked(self, index: int, *, by_user: bool = True) -> None:
        """Select what a display index stands for: its parcel, else its region, else nothing."""
        self._clicked = index
        position, parcellation = index - 1, self.parcellation
        if not 0 <= position < len(self._regions or ()):
            self._set_selected((), by_user=by_user)
            return
        parcel = None if parcellation is None else parcellation.parcel_of(position)
        if parcellation is None or parcel is None:
            self._set_selected((position,), by_user=by_user)
        else:
            self._set_selected(parcellation.roots[parcel], parcel, by_user=by_user)

    def _set_selected(
        self, positions: tuple[int, ...], parcel: int | None = None, *, by_user: bool = True
    ) -> None:
        moved, other_parcel = positions != self.selected, parcel != self.parcel
        self.selected, self.parcel = positions, parcel
        if moved:
            self.selection_changed.emit(positions)
        if moved or other_parcel or not by_user:
            self._emit_colors()
        self._selection_set(by_user=by_user)

    def _on_parcellation(self) -> None:
        if self._clicked is None:
            self._set_selected(self.selected, by_user=False)
        else:
            self._select_clicked(self._clicked, by_user=False)

    # -- colours ---------------------------------------------------------------

    def color_table(self) -> npt.NDArray[np.float32]:
        """Return the present colours of the display indices, (N + 2, 4)."""
        assert self._regions is not None
        return resolve_color_table(
            self._regions,
            self.selected,
            self.hidden,
            self.palette,
            parcellation=self.parcellation,
            parcel=self.parcel,
            value_rgba=self.value_rgba,
        )

    def _emit_colors(self) -> None:
        if self._regions is not None:
            self.colors_changed.emit(self.color_table())
