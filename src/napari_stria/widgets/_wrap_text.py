"""A text that wraps anywhere, so that a long address does not widen its dock."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QResizeEvent, QTextOption
from qtpy.QtWidgets import QFrame, QPlainTextEdit, QSizePolicy, QWidget

_MAX_LINES = 8


class WrapText(QPlainTextEdit):
    """A read-only text as high as its lines; it can be selected, and scrolls when it is long.

    A label breaks lines between words alone, and asks for the width of its longest word.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setTabChangesFocus(True)
        self.setMinimumWidth(60)
        document, viewport = self.document(), self.viewport()
        if document is not None and viewport is not None:
            document.setDocumentMargin(0)
            viewport.setAutoFillBackground(False)  # looks like a label

    def text(self) -> str:
        """Return the text."""
        return self.toPlainText()

    def setText(self, text: str) -> None:  # noqa: N802
        """Show a text."""
        if text != self.text():
            self.setPlainText(text)
            self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802
        """Become as high as the lines need."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        document, viewport = self.document(), self.viewport()
        if document is None or viewport is None:
            return
        lines = max(1, min(int(document.size().height()), _MAX_LINES))  # a plain text counts lines
        margin = self.height() - viewport.height()  # what a theme adds
        self.setFixedHeight(lines * self.fontMetrics().lineSpacing() + margin + 2)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for no width of its own."""
        return QSize(self.minimumWidth(), self.height())
