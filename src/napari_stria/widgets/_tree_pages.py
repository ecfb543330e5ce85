"""A tree, or a sentence that says why it is empty."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QStackedLayout, QWidget

from napari_stria.widgets._region_filter import RegionFilter


class TreePages(QWidget):
    """Shows a view, or a note in its place; tells the counts of its regions.

    Parameters
    ----------
    view : QWidget
        What is shown while there is something in it.
    regions : RegionFilter
        What is in it.
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, view: QWidget, regions: RegionFilter, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._view, self._regions = view, regions
        self.note = QLabel(self)
        self.note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.note.setWordWrap(True)
        self.note.setMargin(12)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self.note)
        self._pages.addWidget(view)

    def show_page(self, *, opened: bool) -> None:
        """Show the view, or why it is empty: no atlas is open, or no region was found."""
        text, found = self._regions.text, self._regions.found
        if not opened:
            self.note.setText("No atlas is open. Choose one above and its regions appear here.")
        elif text and not found:
            self.note.setText(f"No region matches “{text}”.")
        empty = not opened or bool(text and not found)
        self._pages.setCurrentWidget(self.note if empty else self._view)

    def count_text(self) -> str:
        """Return how many regions there are, and how many of them were found."""
        total = f"{self._regions.kept_count} regions"
        return f"{len(self._regions.found)} of {total}" if self._regions.text else total
