"""The window in which something of a registration is exported, run and watched."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_stria.errors import StriaError
from napari_stria.session.exporting import Export
from napari_stria.session.registration_export import EXPORT_SUFFIXES, RegistrationExportKind
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.widgets._choice import Choice
from napari_stria.widgets._export_places import PlaceField
from napari_stria.widgets._export_progress import ExportProgress
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._number_row import NumberField

_PAUSE_MS = 150
_KINDS: dict[RegistrationExportKind, tuple[str, str]] = {
    "chain": (
        "Chain of this section (NGFF JSON)",
        "How pixels of this section become µm of the atlas, with its bending. For scripts.",
    ),
    "warped": (
        "This section on the atlas's grid (TIFF)",
        "The picture as it lies in the atlas, every channel.",
    ),
    "regions": (
        "Regions on this section (TIFF)",
        "The id of the region at each pixel of the section, with a table of the regions.",
    ),
    "outlines": (
        "Outlines on this section (PNG)",
        "The borders of the regions over the picture. For figures.",
    ),
    "field": (
        "Displacement field of this section (NPY)",
        "Where each pixel of the atlas's plane lies in the section, as atldld has it.",
    ),
    "quicknii": ("All sections for QuickNII (JSON)", "The planes alone."),
    "visualign": (
        "All sections for VisuAlign (JSON)",
        "The planes, and markers for what is bent.",
    ),
    "deepslice-csv": ("All sections for DeepSlice (CSV)", "The planes alone."),
}
_OF_ALL = ("quicknii", "visualign", "deepslice-csv")
_ON_A_GRID = ("warped", "regions", "outlines", "field")


class RegistrationExportDialog(QDialog):
    """What to write, where, how fine; a bar, and the result.

    It holds up nothing else, and what it started goes on when it is closed.

    Parameters
    ----------
    session : RegistrationSession
        Whose sections are written.
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, session: RegistrationSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._named = ""  # the place that was proposed, until the user names another
        self.setModal(False)
        self.setWindowTitle("Export registration")
        self._build()
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._look)
        self._links = SessionLinks(self)
        self._connect()
        self._on_kind()
        self._show_status()

    # -- building -------------------------------------------------------------------------------

    def _build(self) -> None:
        self.kind = Choice("What is written", [(k, t) for k, (t, _) in _KINDS.items()], self)
        self.about = QLabel(self)
        self.about.setWordWrap(True)
        self.place = PlaceField(self._ask, self)
        self.resolution = NumberField(self)
        self.resolution.setRange(1.0, 1000.0)
        self.resolution.setDecimals(1)
        self.resolution.setSuffix(" µm")
        self.resolution.setAccessibleName("Size of a pixel")
        self.note, self.problem, self.exists = MessageRow(self), MessageRow(self), MessageRow(self)
        self.overwrite = QCheckBox("R&eplace what is there", self)
        self.progress = ExportProgress(self)
        self.form = QFormLayout()
        self.form.addRow("&What", self.kind)
        self.form.addRow("", self.about)
        self.form.addRow("W&here", self.place)
        self.form.addRow("&Pixel size", self.resolution)
        self.start = QPushButton("E&xport", self)
        self.cancel, self.close_it = QPushButton("Ca&ncel", self), QPushButton("C&lose", self)
        self.start.setDefault(True)
        row = QHBoxLayout()
        row.addStretch(1)
        for button in (self.start, self.cancel, self.close_it):
            button.setAutoDefault(False)
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addLayout(self.form)
        for part in (self.note, self.problem, self.exists, self.overwrite, self.progress):
            layout.addWidget(part)
        layout.addStretch(1)
        layout.addLayout(row)
        self.resize(480, 320)
        self.resolution.setValue(self._finest())

    def _connect(self) -> None:
        exports = self._session.exports
        self._links.connect(exports.changed, self._show_status)
        self._links.connect(exports.previewed, self._show_preview)
        self._links.connect(self._session.changed, self._on_session)
        self.kind.activated.connect(lambda: self._on_kind())
        self.place.edited.connect(self._on_edited)
        self.resolution.valueChanged.connect(lambda _value: self._pause.start())
        self.overwrite.toggled.connect(lambda _on: self._show_preview())
        self.start.clicked.connect(lambda: self._start())
        self.cancel.clicked.connect(lambda: self._session.exports.cancel())
        self.close_it.clicked.connect(lambda: self.close())

    # -- what is chosen -------------------------------------------------------------------------

    def _finest(self) -> float:
        atlas = self._session.atlas
        return 25.0 if atlas is None else float(max(atlas.annotation.levels[0].scale_um))

    def _on_kind(self) -> None:
        kind = self.kind.value()
        self.about.setText(_KINDS[kind][1])
        self.form.setRowVisible(self.resolution, kind in _ON_A_GRID)
        self.note.show_text("", error=False)
        self._propose()
        self._look()

    def _propose(self) -> None:
        """Write a name of our own into the field, unless the user wrote one."""
        typed = self.place.path.text()
        kind, entry = self.kind.value(), self._session.entry
        suffix = EXPORT_SUFFIXES[kind]
        if typed and typed != self._named:
            self.place.path.setText(str(Path(typed).with_suffix(suffix)))
            return
        folder = Path.home() if entry is None or entry.path is None else entry.path.parent
        if kind in _OF_ALL:
            name = self._session.series_name or "sections"
        else:
            name = "section" if entry is None else Path(entry.name).stem
        self._named = str(folder / f"{name}_{kind}{suffix}")
        self.place.path.setText(self._named)

    def _ask(self) -> str | None:
        path, _ = QFileDialog.getSaveFileName(self, "Export", self.place.path.text())
        return path or None

    def _on_edited(self) -> None:
        self.overwrite.setChecked(False)
        self._pause.start()

    def _on_session(self) -> None:
        self._pause.start()

    def _request(self) -> Export:
        return self._session.export_request(
            self.kind.value(),
            Path(self.place.path.text()).expanduser(),
            resolution_um=float(self.resolution.value()),
            overwrite=self.overwrite.isChecked(),
        )

    def _look(self) -> None:
        """Find out what the request would do."""
        try:
            request = self._request()
        except StriaError as error:
            self._say(problem=str(error))
            return
        self._session.exports.look(lambda: request)

    # -- what is shown --------------------------------------------------------------------------

    def _show_preview(self) -> None:
        exports = self._session.exports
        preview = exports.preview
        existing = () if preview is None else preview.existing
        problem = exports.problem or ("" if preview is None else preview.problem)
        # Found out in the background as well: it maps the landmarks of all sections.
        notes = () if preview is None else preview.notes
        self.note.show_text("\n".join(notes), error=False)
        names = " and ".join(path.name for path in existing)
        self._say(problem=problem, exists=f"{names} is there already." if names else "")

    def _say(self, *, problem: str = "", exists: str = "") -> None:
        self.problem.show_text(problem, error=True)
        self.exists.show_text(exists, error=False)
        for row in (self.problem, self.exists):
            row.retry.hide()
        self.overwrite.setVisible(bool(exists))
        may = not problem and (not exists or self.overwrite.isChecked())
        self.start.setEnabled(may and self._session.exports.status.state != "running")

    def _show_status(self) -> None:
        status = self._session.exports.status
        self.progress.show_status(status)
        running = status.state == "running"
        self.cancel.setEnabled(running and not status.ending)
        self.start.setEnabled(not running)
        for part in (self.kind, self.place, self.resolution):
            part.setEnabled(not running)
        if status.state == "done":
            self.overwrite.setChecked(False)
            self.exists.show_text("", error=False)
            self.overwrite.hide()

    # -- what the user does ---------------------------------------------------------------------

    def _start(self) -> None:
        try:
            request = self._request()
        except StriaError as error:
            self._say(problem=str(error))
            return
        self._session.exports.start(lambda: request)
