"""The window in which Allen's annotation is downloaded as a file, and opened."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_stria.io.allen_annotations import RESOLUTIONS_UM, VERSIONS
from napari_stria.session.amounts import bytes_text, transfer_text
from napari_stria.session.annotation_download import (
    Annotation,
    AnnotationDownload,
    DownloadStatus,
    ServerSize,
)
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._wrap_text import WrapText

# A progress bar counts in 32 bits, which bytes exceed.
_STEPS = 1000
_NRRD = "NRRD volumes (*.nrrd)"


class AnnotationDialog(QDialog):
    """Which volume and where to, how large it is, how far it is; and a button that opens it.

    It holds up nothing else, and what it started goes on when it is closed: another dialog over the
    same session shows how far it is.

    Parameters
    ----------
    session : AnnotationDownload
        What is shown and changed.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    open_requested : Signal
        The file, a `Path`, shall be opened as an atlas.
    """

    open_requested = Signal(object)

    def __init__(self, session: AnnotationDownload, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.setModal(False)
        self.setWindowTitle("Download Allen's annotation")
        self._build_form()
        self._build()
        self._show_wanted()
        self._connect()
        self._show()
        session.want(session.wanted)

    # -- building -------------------------------------------------------------------------------

    def _build_form(self) -> None:
        self.version, self.resolution = QComboBox(self), QComboBox(self)
        for name in reversed(VERSIONS):
            self.version.addItem(f"CCFv3, {name.removeprefix('ccf_')}", name)
        for resolution in RESOLUTIONS_UM:
            self.resolution.addItem(f"{resolution} µm", resolution)
        self.path = QLineEdit(self)
        self.path.setPlaceholderText("in the folder of the cache")
        self.path.setToolTip("A file or an existing folder; empty for the folder of the cache")
        self.choose = QPushButton("C&hoose…", self)
        self.choose.setAutoDefault(False)
        place = QHBoxLayout()
        place.addWidget(self.path, 1)
        place.addWidget(self.choose)
        self.amount = WrapText(self)
        self.amount.setAccessibleName("Size")
        self.ask_again = QPushButton("&Ask again", self)
        self.ask_again.setAutoDefault(False)
        said = QHBoxLayout()
        said.addWidget(self.amount, 1)
        said.addWidget(self.ask_again, 0, Qt.AlignmentFlag.AlignTop)
        self.form = QWidget(self)
        rows = QFormLayout(self.form)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        rows.addRow("&Version", self.version)
        rows.addRow("&Resolution", self.resolution)
        file = QLabel("&File", self)
        file.setBuddy(self.path)
        rows.addRow(file, place)
        rows.addRow("Size", said)

    def _build(self) -> None:
        about = WrapText(self)
        about.setText(
            "The annotation volume as one NRRD file. A download that is interrupted goes on where "
            "it ended."
        )
        self.message = MessageRow(self)
        self.replace = QCheckBox("R&eplace what is there", self)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.bar.setAccessibleName("Progress of the download")
        self.progress = WrapText(self)
        self.progress.setAccessibleName("How far it is")
        line = QFrame(self)
        line.setFrameShape(QFrame.Shape.HLine)
        self.start, self.cancel = QPushButton(self), QPushButton("Ca&ncel", self)
        self.open_it, self.close_it = QPushButton("&Open", self), QPushButton("C&lose", self)
        self.cancel.setToolTip("Stop; what has arrived stays for the next time")
        self.open_it.setToolTip("Show it as an atlas, with the regions from the Allen API")
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for button in (self.start, self.cancel, self.open_it, self.close_it):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        for part in (about, self.form, self.message, self.replace, self.bar, self.progress):
            layout.addWidget(part)
        layout.addStretch(1)
        layout.addWidget(line)
        layout.addLayout(buttons)
        self.resize(520, 330)

    def _connect(self) -> None:
        self._links = SessionLinks(self)
        self._links.connect(self._session.changed, self._show)
        for box in (self.version, self.resolution):
            box.currentIndexChanged.connect(lambda _index: self._want())
        self.path.editingFinished.connect(self._want)
        self.choose.clicked.connect(lambda: self._choose())
        self.ask_again.clicked.connect(lambda: self._session.ask_size())
        self.message.retry.clicked.connect(lambda: self._start())
        self.replace.toggled.connect(lambda _on: self._show())
        self.start.clicked.connect(lambda: self._start())
        self.cancel.clicked.connect(lambda: self._session.cancel())
        self.open_it.clicked.connect(lambda: self._open())
        self.close_it.clicked.connect(lambda: self.close())

    @property
    def is_gone(self) -> bool:
        """Whether it was destroyed, as it is with the window that it belongs to."""
        return not self._links.alive

    # -- what is chosen ---------------------------------------------------------------------------

    def _show_wanted(self) -> None:
        wanted = self._session.wanted
        self.version.setCurrentIndex(self.version.findData(wanted.version))
        self.resolution.setCurrentIndex(self.resolution.findData(int(wanted.resolution_um)))
        self.path.setText("" if wanted.path is None else str(wanted.path))

    def _want(self) -> None:
        text = self.path.text().strip()
        wanted = Annotation(
            self.resolution.currentData(),
            self.version.currentData(),
            Path(text).expanduser().absolute() if text else None,
        )
        if wanted != self._session.wanted:
            self.replace.setChecked(False)  # it was said about another place
            self._session.want(wanted)

    def _choose(self) -> None:
        name = self.path.text().strip() or f"annotation_{self.resolution.currentData()}.nrrd"
        # What is there may be the very file; whether it is replaced is asked below.
        path, _ = QFileDialog.getSaveFileName(
            self, "Where to", name, _NRRD, options=QFileDialog.Option.DontConfirmOverwrite
        )
        if path:
            self.path.setText(path)
            self._want()

    def _start(self) -> None:
        self._want()
        self._session.start(overwrite=self.replace.isChecked())

    def _open(self) -> None:
        path = self._session.status.path
        if path is not None:
            self.open_requested.emit(path)

    # -- what is shown ----------------------------------------------------------------------------

    def _show(self) -> None:
        status, size = self._session.status, self._session.size
        is_fetching, is_there = status.state == "fetching", status.state == "exists"
        self.form.setEnabled(not is_fetching)
        self.amount.setText(_size_text(size, self._session.server))
        self.ask_again.setVisible(bool(size.problem))
        self.message.show_text(status.message, error=status.state in ("failed", "exists"))
        self.message.retry.setVisible(status.state == "failed")
        self.replace.setVisible(is_there)
        self.bar.setVisible(is_fetching)
        self.bar.setRange(0, _STEPS if status.total else 0)
        self.bar.setValue(_STEPS * status.done // status.total if status.total else 0)
        self.progress.setText(_progress_text(status))
        self.progress.setVisible(bool(self.progress.text()))
        self.start.setText("Res&ume" if status.state == "cancelled" else "&Download")
        may_start = not is_there or self.replace.isChecked()
        self.start.setEnabled(not is_fetching and status.state != "done" and may_start)
        self.cancel.setEnabled(is_fetching and not status.ending)
        self.open_it.setEnabled(status.path is not None)


def _size_text(size: ServerSize, server: str) -> str:
    host = urlsplit(server).hostname or server
    if size.asking:
        return f"asking {host}…"
    if size.problem:
        return f"not known: {size.problem}"
    return f"{host} does not say" if size.bytes is None else f"{bytes_text(size.bytes)} from {host}"


def _progress_text(status: DownloadStatus) -> str:
    if status.state == "done":
        return f"It is whole, and lies in {status.path}"
    if status.state == "cancelled":
        came = f" after {bytes_text(status.done)} of {bytes_text(status.total)}"
        return f"Stopped{came if status.total else ''}. What has arrived stays; Resume goes on."
    if status.state != "fetching":
        return ""
    if status.ending:
        return "Stopping; what has arrived stays…"
    if not status.total:
        return "Waiting for the server…"
    if status.done == status.total:
        return "All of it is here; it is read once to see that it is whole…"
    far = transfer_text(status.done, status.total, status.bytes_per_s)
    return f"{far}\nYou may close this window; the download goes on."
