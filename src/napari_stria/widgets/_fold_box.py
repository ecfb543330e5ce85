"""A titled part of a dock that folds away, so that a tall dock fits a low screen."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_stria.widgets._qt import Signal


class FoldBox(QWidget):
    """A title that folds and unfolds what stands below it.

    Parameters
    ----------
    title : str
        What the part is about.
    content : QWidget
        What folds away.
    unfolded : bool
        Whether it is seen at first.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    folded : Signal
        The content was shown (True) or put away.
    note : QLabel
        A short text right of the title, seen also while the part is folded.
    """

    folded = Signal(bool)

    def __init__(
        self, title: str, content: QWidget, *, unfolded: bool = True, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._title = title
        self.content = content
        self.button = QToolButton(self)
        self.button.setAutoRaise(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        font = self.button.font()
        font.setBold(True)
        self.button.setFont(font)
        self.note = QLabel(self)
        self.note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.note.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        line = QHBoxLayout()
        line.addWidget(self.button)
        line.addWidget(self.note, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addWidget(content)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.button.clicked.connect(lambda _checked=False: self.set_unfolded(not self.is_unfolded))
        self.set_unfolded(unfolded)

    @property
    def is_unfolded(self) -> bool:
        """Whether the content is seen."""
        return not self.content.isHidden()

    def set_unfolded(self, unfolded: bool) -> None:
        """Show the content, or the title alone."""
        self.content.setVisible(unfolded)
        self.button.setText(f"{'▾' if unfolded else '▸'} {self._title}")
        self.button.setToolTip(f"{'Fold' if unfolded else 'Unfold'}: {self._title}")
        self.button.setAccessibleName(f"{'Fold' if unfolded else 'Unfold'} {self._title}")
        self.folded.emit(unfolded)
