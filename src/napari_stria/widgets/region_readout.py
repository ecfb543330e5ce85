"""What is known of the selected regions and the clicked point."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_stria.session.amounts import bytes_text
from napari_stria.session.atlas_session import TableProgress
from napari_stria.session.readout import PATH_SEPARATOR, Readout
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._readout_text import (
    axes_text,
    copied_text,
    has_region,
    level_text,
    point_text,
    share_text,
    volume_text,
)
from napari_stria.widgets._region_menu import copy_text
from napari_stria.widgets._wrap_text import WrapText

EMPTY_TEXT = "Click in the picture or pick a region in the tree."
_LINES = 19  # what a region needs in a narrow dock
_COLUMNS = ("Left", "Right", "Total", "Unsided")


class RegionReadout(QWidget):
    """Shows a `Readout`, and how far the counting of the volumes is.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    cancel_requested, count_requested : Signal
        The user wants the counting to stop, or to start.
    """

    cancel_requested = Signal()
    count_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._readout: Readout | None = None
        self._progress = TableProgress()
        self._cancelling = False
        # Long names wrap; whatever is lower than the dock leaves room for is reached by scrolling.
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        content = QWidget(scroll)
        self._build(QVBoxLayout(content))
        scroll.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.set_readout(None)

    # -- building -------------------------------------------------------------------------------

    def _build(self, layout: QVBoxLayout) -> None:
        layout.setContentsMargins(0, 2, 0, 2)
        layout.setSpacing(4)
        self.empty = _label(EMPTY_TEXT)
        self.title = _label(bold=True, larger=3)
        self.copy_button = QPushButton("Copy", self)
        self.copy_button.setToolTip("Copy what is shown as a tab-separated table")
        self.copy_button.clicked.connect(self._copy)
        self._head = QWidget(self)
        head = QHBoxLayout(self._head)
        head.setContentsMargins(0, 0, 0, 0)
        head.addWidget(self.title, 1)
        head.addWidget(self.copy_button, 0, Qt.AlignmentFlag.AlignTop)
        self.subtitle, self.level, self.path = _label(), _label(), _label()
        self.share, self.point, self.footer = _label(), _label(), _label(larger=-1)
        layout.addWidget(self.empty)
        layout.addWidget(self._head)
        for part in (self.subtitle, self.level, self.path, self._build_volumes(), self.share):
            layout.addWidget(part)
        for part in (self._build_progress(), self.point, self.footer):
            layout.addWidget(part)
        layout.addStretch(1)

    def _build_volumes(self) -> QWidget:
        self.volumes = QWidget(self)
        grid = QGridLayout(self.volumes)
        grid.setContentsMargins(0, 2, 0, 2)
        grid.setVerticalSpacing(0)
        self._names = [_label(f"{name} mm³", wrap=False) for name in _COLUMNS]
        self.values = {name: _label(wrap=False) for name in _COLUMNS}
        for i, name in enumerate(_COLUMNS):  # the last one below: a dock is narrow
            row, column = 2 * (i // 3), i % 3
            grid.addWidget(self._names[i], row, column)
            grid.addWidget(self.values[name], row + 1, column)
        _enlarge(self.values["Total"], bold=True)
        return self.volumes

    def _build_progress(self) -> QWidget:
        self.progress = QWidget(self)
        self.status = WrapText(self)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.action = QPushButton(self)
        self.action.clicked.connect(self._act)
        grid = QGridLayout(self.progress)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.status, 0, 0)
        grid.addWidget(self.bar, 1, 0)
        grid.addWidget(self.action, 0, 1, 2, 1, Qt.AlignmentFlag.AlignVCenter)
        grid.setColumnStretch(0, 1)
        return self.progress

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for the room that a region needs, before there is one."""
        return QSize(300, _LINES * self.fontMetrics().lineSpacing())

    # -- what is shown ----------------------------------------------------------------------------

    def set_readout(self, readout: Readout | None) -> None:
        """Show a readout; None says how to get one."""
        self._readout = readout
        self.empty.setVisible(readout is None)
        for part in (self._head, self.subtitle, self.footer):
            part.setVisible(readout is not None)
        self._show_text()
        self._show_volumes()
        self._show_progress()

    def set_progress(self, progress: TableProgress) -> None:
        """Show how far the counting is, or how it ended."""
        self._progress = progress
        self._cancelling = self._cancelling and progress.state == "computing"
        self._show_progress()

    def _show_text(self) -> None:
        readout = self._readout
        title, subtitle = ("", "") if readout is None else (readout.title, readout.subtitle)
        self.title.setText(title)
        self.subtitle.setText(subtitle)
        _show_if(self.level, "" if readout is None else level_text(readout))
        _show_if(self.path, "" if readout is None else PATH_SEPARATOR.join(readout.path))
        _show_if(self.point, "" if readout is None else point_text(readout))
        _show_if(self.footer, "" if readout is None else axes_text(readout))

    def _show_volumes(self) -> None:
        readout = self._readout
        self.volumes.setVisible(readout is not None and has_region(readout))
        volumes = None if readout is None else readout.volumes
        if readout is None or volumes is None:
            counting = readout is not None and readout.table_state == "computing"
            for label in self.values.values():
                label.setText("…" if counting else "–")
                label.setToolTip("")
            self._show_unsided(False)
            self.share.setVisible(False)
            return
        amounts = (volumes.left_mm3, volumes.right_mm3, volumes.total_mm3, volumes.unsided_mm3)
        for name, mm3 in zip(_COLUMNS, amounts, strict=True):
            self.values[name].setText(volume_text(mm3))
            self.values[name].setToolTip(f"{mm3!r} mm³")
        self._show_unsided(volumes.unsided_mm3 > 0)
        _show_if(self.share, share_text(volumes))

    def _show_unsided(self, shown: bool) -> None:
        self._names[-1].setVisible(shown)
        self.values["Unsided"].setVisible(shown)

    def _show_progress(self) -> None:
        progress = self._progress
        # Counting is told even when nothing is selected: it costs time and bytes.
        needed = self._readout is not None and has_region(self._readout)
        stopped = progress.state in ("cancelled", "failed")
        self.progress.setVisible(progress.state == "computing" or (stopped and needed))
        self.bar.setVisible(progress.state == "computing")
        self.bar.setRange(0, progress.total)  # 0 to 0 shows that the end is not known
        self.bar.setValue(progress.done)
        status, action = _status(progress)
        self.status.setText("cancelling…" if self._cancelling else status)
        self.action.setText(action)
        self.action.setEnabled(not self._cancelling)

    # -- what the user does -----------------------------------------------------------------------

    def _act(self) -> None:
        if self._progress.state == "computing":
            self._cancelling = True  # until the work has noticed
            self._show_progress()
            self.cancel_requested.emit()
        else:
            self.count_requested.emit()

    def _copy(self) -> None:
        if self._readout is not None:
            copy_text(copied_text(self._readout))


def _status(progress: TableProgress) -> tuple[str, str]:
    """Return what is said of the counting, and what its button offers."""
    if progress.state == "computing":
        return f"Counting all regions: {bytes_text(progress.bytes_read)} read", "Cancel"
    if progress.state == "cancelled":
        return "cancelled – select a region to count again", "Count now"
    return progress.message or "The counting failed.", "Try again"


def _label(text: str = "", *, bold: bool = False, larger: int = 0, wrap: bool = True) -> QLabel:
    """Return a label that can be selected."""
    label = QLabel(text)
    label.setWordWrap(wrap)
    label.setTextFormat(Qt.TextFormat.PlainText)  # names come from files
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    _enlarge(label, bold=bold, larger=larger)
    return label


def _enlarge(label: QLabel, *, bold: bool = False, larger: int = 0) -> None:
    font = label.font()
    font.setBold(bold)
    if larger and font.pointSize() > 0:
        font.setPointSize(font.pointSize() + larger)
    label.setFont(font)


def _show_if(label: QLabel, text: str) -> None:
    label.setText(text)
    label.setVisible(bool(text))
