"""A window with what is to be cited, to be copied."""

from __future__ import annotations

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QPlainTextEdit, QVBoxLayout, QWidget

from napari_stria.widgets._region_menu import copy_text


class CitationDialog(QDialog):
    """Shows a citation; *Copy* puts it on the clipboard.

    Parameters
    ----------
    text : str
        What is to be cited.
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Cite what is shown")
        self.text = QPlainTextEdit(text, self)
        self.text.setReadOnly(True)
        buttons = QDialogButtonBox(self)
        self.copy = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
        self.close_button = buttons.addButton(QDialogButtonBox.StandardButton.Close)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(buttons)
        assert self.copy is not None
        self.copy.clicked.connect(self._copy)
        buttons.rejected.connect(self.reject)
        self.resize(560, 320)

    def _copy(self) -> None:
        copy_text(self.text.toPlainText())
