"""The context menu of groups of regions."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtWidgets import QMenu

from napari_stria.widgets._group_wishes import GroupWishes
from napari_stria.widgets._qt import Signal


class GroupMenu(QMenu):
    """The menu of groups; what is chosen, the owner tells.

    Parameters
    ----------
    wishes : GroupWishes
        Owner.
    names : tuple of str
        The groups that it is about; not empty.
    selected_regions : int
        How many regions are selected, that can be added or removed.

    Attributes
    ----------
    rename_asked, color_asked : Signal
        The user wants to rename or recolour a group; its name.
    """

    rename_asked = Signal(str)
    color_asked = Signal(str)

    def __init__(self, wishes: GroupWishes, names: tuple[str, ...], selected_regions: int) -> None:
        super().__init__(wishes)
        self.setToolTipsVisible(True)
        first, one = names[0], len(names) == 1
        count = f" ({selected_regions})" if selected_regions else ""
        can_take = one and selected_regions > 0
        self._add("Rename", lambda: self.rename_asked.emit(first), possible=one)
        self._add("Colour…", lambda: self.color_asked.emit(first), possible=one)
        self.addSeparator()
        self._add(
            f"Add selected regions{count}", lambda: wishes.add_asked.emit(first), possible=can_take
        )
        self._add(
            f"Remove selected regions{count}",
            lambda: wishes.remove_asked.emit(first),
            possible=can_take,
        )
        self.addSeparator()
        self._add("Isolate", lambda: wishes.isolate.emit(names))
        self._add("Add mask layer", lambda: wishes.add_mask.emit(names))
        self._add("Export masks…", lambda: wishes.export_masks.emit(names))
        self._add("Copy volume", lambda: wishes.copy_volumes.emit(names))
        self.addSeparator()
        self._add("Delete", lambda: wishes.delete_asked.emit(names))

    def _add(self, text: str, call: Callable[[], None], *, possible: bool = True) -> None:
        action = self.addAction(text)
        assert action is not None
        action.setEnabled(possible)
        action.triggered.connect(lambda _checked=False: call())
