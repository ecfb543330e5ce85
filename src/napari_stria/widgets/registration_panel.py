"""The dock of registration: open a section, place it, mark landmarks, fit, take the result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_stria.core.section_plane import atlas_frame
from napari_stria.session.registration_fit import LEAST_PAIRS
from napari_stria.session.registration_session import RegistrationSession
from napari_stria.widgets._fold_box import FoldBox
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets._qt import QShortcut, Signal
from napari_stria.widgets._registration_automatic import AutomaticPart
from napari_stria.widgets._registration_files import FileWishes
from napari_stria.widgets._registration_landmarks import LandmarksPart
from napari_stria.widgets._registration_place import PlacePart
from napari_stria.widgets._registration_results import ResultsPart
from napari_stria.widgets._registration_sections import SectionsPart
from napari_stria.widgets._registration_top import TopPart
from napari_stria.widgets._tall_scroll import TallScroll
from napari_stria.widgets.registration_export_dialog import RegistrationExportDialog


class RegistrationPanel(QWidget):
    """The widgets of one registration session, wired to it.

    The session may live longer than the panel, and may have sections already.

    Parameters
    ----------
    session : RegistrationSession
        What is shown and changed.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    layer_asked : Signal(str)
        The image layer of this name is wanted as a section.
    atlas_toggled, move_toggled : Signal(bool)
        The canvas shall show the atlas; the mouse shall move the section.
    adding_toggled, dragging_toggled : Signal(bool)
        Clicks shall make pairs; points shall be dragged.
    opacity_edited : Signal(float)
        How opaque the section is, 0 to 1.
    pairs_chosen : Signal(tuple)
        Pairs were chosen in the table.
    """

    layer_asked = Signal(str)
    atlas_toggled = Signal(bool)
    move_toggled = Signal(bool)
    adding_toggled = Signal(bool)
    dragging_toggled = Signal(bool)
    opacity_edited = Signal(float)
    pairs_chosen = Signal(tuple)

    def __init__(self, session: RegistrationSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._is_plane_shown = False
        self.files = FileWishes(session, self)
        self._links = SessionLinks(self)
        self._build()
        self._connect_parts()
        self._links.connect(session.changed, self._on_changed)
        self._links.connect(session.failed, self._on_failed)
        self._refresh()

    # -- building -------------------------------------------------------------------------------

    def _build(self) -> None:
        self.top, self.sections, self.place = TopPart(), SectionsPart(), PlacePart()
        self.landmarks, self.automatic = LandmarksPart(), AutomaticPart()
        self.results = ResultsPart()
        self.boxes = {
            "section": FoldBox("Section", self.sections),
            "place": FoldBox("Place in the atlas", self.place),
            "landmarks": FoldBox("Landmarks", self.landmarks),
            "automatic": FoldBox("Automatic", self.automatic, unfolded=False),
            "results": FoldBox("Results", self.results, unfolded=False),
        }
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(4, 6, 4, 6)
        layout.setSpacing(6)
        layout.addWidget(self.top)
        for box in self.boxes.values():
            layout.addWidget(box)
        layout.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(TallScroll(content, self))

    def _connect_parts(self) -> None:
        session, sections, marks = self._session, self.sections, self.landmarks
        files = self.files
        files.begun.connect(lambda: self.top.tell(""))
        self.top.undo_asked.connect(session.undo)
        self.top.redo_asked.connect(session.redo)
        self.top.cancel_asked.connect(files.cancel)
        self.top.recover_asked.connect(files.recover)
        self.top.atlas_toggled.connect(self.atlas_toggled)
        sections.image_asked.connect(files.open_images)
        sections.series_asked.connect(files.open_series)
        sections.file_asked.connect(files.open_file)
        sections.save_asked.connect(files.save)
        sections.images_asked.connect(files.find_images)
        sections.layer_asked.connect(lambda _name: self.top.tell(""))
        sections.layer_asked.connect(self.layer_asked)
        sections.section_asked.connect(session.go_to)
        sections.remove_asked.connect(files.remove)
        sections.size_edited.connect(session.set_pixel_size)
        sections.opacity_edited.connect(self.opacity_edited)
        self.place.edited.connect(self._place)
        self.place.settled.connect(session.settle)
        self.place.move_toggled.connect(self.move_toggled)
        marks.adding_toggled.connect(self.adding_toggled)
        marks.dragging_toggled.connect(self.dragging_toggled)
        marks.chosen.connect(self.pairs_chosen)
        marks.remove_asked.connect(session.remove_pairs)
        marks.enabled_edited.connect(session.enable_pair)
        marks.kind_edited.connect(session.set_fit_kind)
        marks.apply_asked.connect(session.apply_fit)
        marks.clear_asked.connect(session.clear_refinement)
        self.automatic.search_asked.connect(session.suggest_plane)
        self.automatic.fit_asked.connect(session.register_automatically)
        self.automatic.candidate_asked.connect(session.take_candidate)
        self.results.export_asked.connect(self.show_export)
        for keys, action in (
            (QKeySequence.StandardKey.Undo, session.undo),
            (QKeySequence.StandardKey.Redo, session.redo),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(action)

    # -- what the session tells -----------------------------------------------------------------

    def _on_changed(self) -> None:
        self._refresh()
        self.files.open_next()

    def _on_failed(self, sentence: str) -> None:
        self.top.tell(sentence)

    def _refresh(self) -> None:
        """Show the session as it is."""
        session = self._session
        state, entry = session.state, session.entry
        self.top.steps.set_steps(session.checklist)
        self.top.set_history(session.undo_text, session.redo_text)
        marks = ["(between its neighbours)" if follows else "" for follows in session.follows]
        self.sections.set_sections(session.sections, session.index, marks)
        self.sections.set_file(
            has_sections=bool(session.sections),
            has_path=session.path is not None,
            is_saved=session.is_saved,
        )
        frame = None if session.atlas is None else atlas_frame(session.atlas)
        self.place.set_placement(
            None if entry is None or frame is None else session.placement, frame
        )
        self.place.set_sides(session.side if any(session.side) else None)
        self.place.set_warnings(session.warnings)
        self._refresh_landmarks()
        self._refresh_automatic()
        self._show_canvas()
        self.boxes["section"].note.setText(_file_text(session))
        self.boxes["landmarks"].note.setText(_count_text(len(state.landmarks)))
        unsaved = session.recoverable if not session.sections else ()
        self.top.set_recoverable(unsaved[0].text if unsaved else "")
        self.results.export.setEnabled(session.section_to_atlas is not None)

    def _refresh_landmarks(self) -> None:
        session, state = self._session, self._session.state
        self.landmarks.set_landmarks(state.landmarks, session.residuals_um)
        self.landmarks.set_fit(
            state.fit_kind,
            session.rms_um,
            session.fit_message,
            has_refinement=state.refinement is not None,
            left_out_um=_left_out(session),
        )

    def _refresh_usable(self) -> None:
        session = self._session
        is_ready = session.entry is not None and session.atlas is not None
        self.landmarks.set_usable(
            is_ready, on_canvas=self._is_plane_shown, has_pairs=len(session.state.landmarks) > 0
        )

    def _refresh_automatic(self) -> None:
        session = self._session
        is_ready = session.entry is not None and session.atlas is not None
        self.automatic.set_usable(is_ready and not session.busy)
        self.top.set_busy(session.busy, session.progress)
        self.automatic.set_candidates(session.candidates)

    # -- what the viewer tells ------------------------------------------------------------------

    def set_layers(self, names: Sequence[str]) -> None:
        """Offer image layers of the viewer as sections."""
        self.sections.set_layers(names)

    def set_chosen(self, pairs: Iterable[int]) -> None:
        """Show which pairs are chosen on the canvas. Emits nothing."""
        self.landmarks.set_chosen(pairs)

    def set_mode(self, mode: str) -> None:
        """Show what the mouse does on the canvas: look, move, add or points. Emits nothing."""
        self.place.set_moving(mode == "move")
        self.landmarks.set_mode(mode)

    def set_hint(self, hint: str) -> None:
        """Show where to click next."""
        self.landmarks.set_hint(hint)

    def set_plane_shown(self, shown: bool) -> None:
        """Show whether the section's plane is on the canvas, or the atlas. Emits nothing."""
        self._is_plane_shown = shown
        self._show_canvas()

    def _show_canvas(self) -> None:
        has_section = self._session.entry is not None
        shown = self._is_plane_shown
        can_switch = has_section and self._session.atlas is not None
        self.top.set_atlas_shown(shown=has_section and not shown, possible=can_switch)
        self.place.set_mouse_usable(shown)
        self._refresh_usable()

    def tell(self, text: str) -> None:
        """Say what went wrong; empty for nothing."""
        self.top.tell(text)

    # -- what the user asks for -----------------------------------------------------------------

    def show_export(self) -> RegistrationExportDialog:
        """Open the dialog of exports; it goes with the panel."""
        dialog = RegistrationExportDialog(self._session, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.show()
        return dialog

    def _place(self, changes: dict[str, Any], is_drag: bool) -> None:
        self.top.tell("")
        self._session.place(merge=is_drag, **changes)


def _file_text(session: RegistrationSession) -> str:
    if session.path is not None:
        return session.path.name if session.is_saved else f"{session.path.name} (changed)"
    return "not saved" if session.sections else ""


def _count_text(count: int) -> str:
    return "" if not count else "1 pair" if count == 1 else f"{count} pairs"


def _left_out(session: RegistrationSession) -> float | None:
    """Return the RMS of how far each pair is off in a fit without it; None without a fit."""
    fit = None if session.fit is None else session.fit.landmark_fit
    if fit is None or len(fit.moving) <= LEAST_PAIRS:
        return None
    off = np.asarray(fit.left_out_residuals_um)
    return float(np.sqrt(np.mean(off[np.isfinite(off)] ** 2))) if np.isfinite(off).any() else None
