"""What a user can ask for about regions of a tree."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_stria.widgets._qt import Signal


class RegionWishes(QWidget):
    """A widget that tells what the user wants; regions are pre-order positions.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    selected : Signal
        The user chose regions; a tuple of positions.
    visibility_edited : Signal
        The user asked for regions to be shown or hidden.
    go_to, isolate, show_all, copy_volumes : Signal
        Asked for in the context menu; Enter asks for `go_to` as well.
    surfaces_edited : Signal
        The user asked for surfaces of regions to be shown or hidden.
    hide_surfaces : Signal
        No surface is wanted any more.
    new_group : Signal
        A group of these regions is wanted.
    add_to_group : Signal
        These regions belong into a group; its name.
    add_mask : Signal
        A layer that masks the union of these regions is wanted; whether just of the voxels that
        are labelled with the regions themselves.
    export_masks : Signal
        Files with a mask of each of these regions are wanted.
    """

    selected = Signal(tuple)
    visibility_edited = Signal(tuple, bool)
    go_to = Signal(int)
    isolate = Signal(tuple)
    show_all = Signal()
    copy_volumes = Signal(tuple)
    surfaces_edited = Signal(tuple, bool)
    hide_surfaces = Signal()
    new_group = Signal(tuple)
    add_to_group = Signal(tuple, str)
    add_mask = Signal(tuple, bool)
    export_masks = Signal(tuple)
