"""The window in which an export is chosen, run and watched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_stria.session.export_choices import ExportScene, choices_from, request_of
from napari_stria.session.export_session import ExportSession
from napari_stria.session.remembered import Remembered
from napari_stria.widgets._export_form import ExportForm, remembered_choices
from napari_stria.widgets._export_progress import ExportProgress
from napari_stria.widgets._export_text import exists_text, need_text
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._tall_scroll import TallScroll
from napari_stria.widgets._wrap_text import WrapText

_PAUSE_MS = 150


class ExportDialog(QDialog):
    """What to export, how large it is, what is there already; a bar, and the result.

    It holds up nothing else, and what it started goes on when it is closed: another dialog over
    the same session shows how far it is.

    Parameters
    ----------
    session : ExportSession
        Runs the exports.
    scene : callable
        Returns what there is to be exported now.
    remembered : Remembered, optional
        Keeps the last choices.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    picture_requested : Signal
        A screenshot shall be taken and exported, of the `ExportChoices` that it carries.
    """

    picture_requested = Signal(object)

    def __init__(
        self,
        session: ExportSession,
        scene: Callable[[], ExportScene],
        *,
        remembered: Remembered | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._scene, self._remembered = session, scene, remembered
        self._is_edited = False  # by the user
        self._masks_of = ""  # what it was opened for
        self._agreed: tuple[Path, ...] = ()  # what may be replaced, as the user saw it
        self._is_after = False  # the form shows what was just exported
        self.setModal(False)
        self.setWindowTitle("Export")
        self._build()
        # A request is looked at when the typing rests.
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._look)
        self._connect()
        if remembered is not None:
            remembered.load(self._links.guarded(self._restore))
        self._take_scene()
        self._show_status()
        self._is_after = False  # it may begin with another choice than the last export's

    # -- building -------------------------------------------------------------------------------

    def _build(self) -> None:
        self.form = ExportForm(self)
        self.need = WrapText(self)
        self.need.setAccessibleName("How large it is, and the room on the disk")
        self.problem = MessageRow(self)
        self.problem.retry.hide()
        self.exists = MessageRow(self)
        self.exists.retry.hide()
        self.overwrite = QCheckBox("R&eplace what is there", self)
        self.progress = ExportProgress(self)
        content = QWidget(self)
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 6, 0)
        column.addWidget(self.form)
        for part in (self.need, self.problem, self.exists, self.overwrite):
            column.addWidget(part)
        column.addStretch(1)
        line = QFrame(self)
        line.setFrameShape(QFrame.Shape.HLine)
        self.start = QPushButton("E&xport", self)
        self.cancel, self.close_it = QPushButton("Ca&ncel", self), QPushButton("C&lose", self)
        self.start.setDefault(True)
        self.cancel.setToolTip("Stop the export; nothing half is left")
        row = QHBoxLayout()
        row.addStretch(1)
        for button in (self.start, self.cancel, self.close_it):
            button.setAutoDefault(False)
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(TallScroll(content, self), 1)
        layout.addWidget(line)
        layout.addWidget(self.progress)
        layout.addLayout(row)
        self.resize(520, 500)

    def _connect(self) -> None:
        self._links = SessionLinks(self)
        self._links.connect(self._session.changed, self._show_status)
        self._links.connect(self._session.previewed, self._show_preview)
        self.form.edited.connect(self._on_edited)
        self.form.plane_requested.connect(self._show_plane)
        # Whoever changes it: what may be replaced was said about another place.
        self.form.place.path.textChanged.connect(lambda _text: self.overwrite.setChecked(False))
        self.overwrite.toggled.connect(lambda _on: self._on_overwrite())
        self.start.clicked.connect(lambda: self._start())
        self.cancel.clicked.connect(lambda: self._session.cancel())
        self.close_it.clicked.connect(lambda: self.close())

    # -- what is shown --------------------------------------------------------------------------

    @property
    def is_gone(self) -> bool:
        """Whether it was destroyed, as it is with the window that it belongs to."""
        return not self._links.alive

    def refresh(self) -> None:
        """Look anew at what there is to be exported: it has changed.

        How the last export ended stays until the form is edited.
        """
        self._is_after = False
        self._take_scene()

    def _take_scene(self) -> None:
        self.form.set_scene(self._scene())
        self._look_soon()

    def offer_masks(self, typed: str) -> None:
        """Choose masks of regions and groups, written as they would be typed.

        Not while an export runs.
        """
        if self._session.status.state == "running":
            return
        self._masks_of = typed
        choices = self.form.choices()
        self.form.set_choices(replace(choices, kind="masks", which="typed", typed=typed))
        self._session.forget()
        self._look_soon()

    def _restore(self, values: Mapping[str, Any]) -> None:
        """Show what was remembered, which comes a moment after the dialog."""
        if not values or self._is_edited:
            return
        self.form.set_choices(choices_from(values))
        self._look_soon()
        if self._masks_of:
            self.offer_masks(self._masks_of)

    def _show_plane(self) -> None:
        self.form.show_plane(self._scene().place)
        self._on_edited()

    def _on_edited(self) -> None:
        self._is_edited = True
        self._is_after = False
        self._session.forget()
        self.overwrite.setChecked(False)  # it was said about another place
        self._look_soon()

    def _on_overwrite(self) -> None:
        preview = self._session.preview
        self._agreed = () if preview is None else preview.existing
        self._update_start()

    def _look_soon(self) -> None:
        self._is_known = False  # whether the preview is of what the form shows
        self._update_start()
        self._pause.start()

    def _look(self) -> None:
        self._session.look(partial(request_of, self.form.choices(), self._scene()))

    def _show_preview(self) -> None:
        self._is_known = not self._pause.isActive()
        preview, problem = self._session.preview, self._session.problem
        kind = self.form.kind.value()
        if preview is not None and preview.existing != self._agreed:
            self.overwrite.setChecked(False)  # it was said about other files
        # What was just written is said below.
        is_over = self._is_over()
        self.need.setText("" if preview is None else need_text(preview, kind))
        self.need.setVisible(preview is not None)
        if preview is not None and preview.problem:
            problem = preview.problem
        self.problem.show_text(problem, error=True)
        self.problem.retry.hide()
        text = "" if preview is None or is_over else exists_text(preview, kind)
        self.exists.show_text(text, error=True)
        self.exists.retry.hide()
        self.overwrite.setVisible(bool(text) and not problem)
        self._update_start()

    def _show_status(self) -> None:
        status = self._session.status
        is_running = status.state == "running"
        self.progress.show_status(status)
        for part in (self.form, self.overwrite):
            part.setEnabled(not is_running)
        self.cancel.setEnabled(is_running and not status.ending)
        self._is_after = status.state == "done"
        if status.state in ("done", "cancelled", "failed"):
            self._look_soon()  # what exists, and what is free, is not what it was
        if status.state in ("running", "done"):
            self.exists.hide()
            self.overwrite.hide()
        self._update_start()

    def _update_start(self) -> None:
        preview = self._session.preview
        is_known = self._is_known and preview is not None and not preview.problem
        must_ask = (
            preview is not None and bool(preview.existing) and self.form.kind.value() != "masks"
        )
        free = not must_ask or self.overwrite.isChecked()
        self.start.setEnabled(is_known and free and not self._is_over())

    def _is_over(self) -> bool:
        """Tell whether the form shows what is being exported, or just was."""
        return self._session.status.state == "running" or self._is_after

    # -- what the user asks for -----------------------------------------------------------------

    def _start(self) -> None:
        choices = replace(self.form.choices(), overwrite=self.overwrite.isChecked())
        if self._remembered is not None:
            self._remembered.save(remembered_choices(choices).remembered())
        if choices.kind == "screenshot":
            self.picture_requested.emit(choices)
        else:
            self._session.start(partial(request_of, choices, self._scene()))
