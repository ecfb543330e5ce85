"""What a user can ask for about groups of regions."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_stria.widgets._qt import Signal


class GroupWishes(QWidget):
    """A widget that tells what the user wants; groups are named, several as a tuple of names.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    new_asked : Signal
        A group of the selected regions is wanted.
    open_asked, save_asked, undo_asked, redo_asked : Signal
        The user pressed the button or key of that name.
    chosen : Signal
        The user chose groups; their regions are to be selected.
    visibility_edited : Signal
        Groups, and whether they are to be shown.
    renamed : Signal
        A group's name, and what it is to be called.
    recolored : Signal
        A group's name, and its colour: three values of 0 to 255.
    add_asked, remove_asked : Signal
        The selected regions belong into this group, or do not.
    isolate, delete_asked, copy_volumes : Signal
        Asked for in the context menu.
    add_mask : Signal
        A layer that masks a group is wanted, for each of these.
    export_masks : Signal
        Files with a mask of each of these groups are wanted.
    """

    new_asked = Signal()
    open_asked = Signal()
    save_asked = Signal()
    undo_asked = Signal()
    redo_asked = Signal()
    chosen = Signal(tuple)
    visibility_edited = Signal(tuple, bool)
    renamed = Signal(str, str)
    recolored = Signal(str, tuple)
    add_asked = Signal(str)
    remove_asked = Signal(str)
    isolate = Signal(tuple)
    delete_asked = Signal(tuple)
    copy_volumes = Signal(tuple)
    add_mask = Signal(tuple)
    export_masks = Signal(tuple)
