"""What is known of the chosen atlas, below the list."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_stria.session.atlas_row_texts import details_text, details_tip, update_text
from napari_stria.session.atlas_rows import AtlasRow
from napari_stria.session.chosen_atlas import Chosen
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._wrap_text import WrapText


class AtlasDetailsView(QWidget):
    """Two lines about an atlas (what it is, who made it), and a newer version if there is one.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    update_requested : Signal
        The user wants the newer version.
    """

    update_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._url = ""
        self.facts, self.citation = WrapText(self), self._line()
        self.facts.setAccessibleName("About this atlas")
        self.link = QToolButton(self)
        self.link.setText("Page")
        self.link.setAccessibleName("Open the atlas's page")
        self.link.clicked.connect(lambda: QDesktopServices.openUrl(QUrl(self._url)))
        second = QHBoxLayout()
        second.addWidget(self.citation, 1)
        second.addWidget(self.link)
        self.news = QWidget(self)
        self.news_text = WrapText(self.news)
        self.update_button = QPushButton(self.news)
        self.update_button.clicked.connect(lambda: self.update_requested.emit())
        row = QHBoxLayout(self.news)
        row.setContentsMargins(4, 0, 0, 0)
        row.addWidget(self.news_text, 1)
        row.addWidget(self.update_button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.facts)
        layout.addLayout(second)
        layout.addWidget(self.news)
        self.show_atlas(None, Chosen(""))

    def _line(self) -> QElidingLabel:
        label = QElidingLabel("", self)
        # What a manifest says is shown as it is, not as a page.
        label.setTextFormat(Qt.TextFormat.PlainText)
        # An eliding label forgets the padding of a theme.
        label.setMinimumHeight(label.fontMetrics().height() + 4)
        return label

    def show_atlas(self, row: AtlasRow | None, chosen: Chosen) -> None:
        """Show what is known of an atlas; None of none."""
        details = chosen.details
        facts = "" if row is None else details_text(row, details) or row.name
        self.facts.setText(facts or "Choose an atlas to read about it.")
        self.facts.setToolTip("" if details is None else _tip(details_tip(details)))
        self.citation.setText(_second_line(chosen))
        self.citation.setToolTip(_tip(self.citation.text()) if self.citation.text() else "")
        self._url = _web_address(None if details is None else details.atlas_link)
        self.link.setToolTip(_tip(self._url))
        self.link.setVisible(bool(self._url))
        self._show_update(row)

    def _show_update(self, row: AtlasRow | None) -> None:
        text = "" if row is None else update_text(row)
        self.news.setVisible(bool(text))
        self.news_text.setText(text)
        if row is not None and row.update is not None:
            self.update_button.setText(f"Open {row.update[1]}")


def _second_line(chosen: Chosen) -> str:
    if chosen.problem is not None:
        return f"Its description could not be read: {chosen.problem}"
    if chosen.details is None:
        return "Reading its description…" if chosen.reading else ""
    return chosen.details.citation or "No citation is given."


def _tip(text: str) -> str:
    """Return a tool tip that wraps and takes no word of the text for HTML."""
    return "<p>" + escape(text).replace("\n", "<br>") + "</p>" if text else ""


def _web_address(text: str | None) -> str:
    """Return an address that a browser may open, else nothing."""
    url = QUrl((text or "").strip(), QUrl.ParsingMode.StrictMode)
    usable = url.isValid() and url.scheme().lower() in ("http", "https") and bool(url.host())
    return url.toString() if usable else ""
