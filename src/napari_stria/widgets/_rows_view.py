"""A view of a short table, in a window with other things."""

from __future__ import annotations

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QHeaderView, QTreeView, QWidget

from napari_stria.widgets._shades import shade


class RowsView(QTreeView):
    """Rows in two shades, with room for some of them.

    Parameters
    ----------
    n_rows : int
        It asks for the height of so many.
    name : str
        What the table is about, for who cannot see it.
    parent : QWidget
        Owner.
    """

    def __init__(self, n_rows: int, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._n_rows = n_rows
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setAllColumnsShowFocus(True)
        self.setAccessibleName(name)
        shade(self)

    def stretch(self, column: int) -> QHeaderView:
        """Give a column the room that the others, as wide as their texts, leave; return the header.

        To be called when the view has its model.
        """
        header = self.header()
        assert header is not None
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        return header

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for room for some rows."""
        hint = super().sizeHint()
        hint.setHeight((self._n_rows + 2) * (self.fontMetrics().height() + 6))
        return hint
