"""What ``napari.yaml`` points to for registration: the dock."""

from __future__ import annotations

from pathlib import Path

import napari
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_stria.core.section import Section
from napari_stria.io.cache import cache_folder
from napari_stria.session.atlas_session import sentence_of
from napari_stria.viewer.contributions import open_practice_brain
from napari_stria.viewer.controller import controller_of
from napari_stria.viewer.docks import show_dock
from napari_stria.viewer.practice import PRACTICE_ATLAS
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets.registration_panel import RegistrationPanel


class RegistrationDock(QWidget):
    """The *Registration* dock: place sections of one's own in the atlas.

    Closing it shows the atlas again as it was; opening it again goes on with the sections.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        controller = controller_of(napari_viewer)
        self.control = control = controller.registration
        self._sections = sections = controller.sections
        self._dataset = dataset = control.dataset_of(sections.session)
        self.panel = panel = RegistrationPanel(control.session)
        panel.layer_asked.connect(control.use_layer)
        panel.atlas_toggled.connect(control.show_atlas)
        panel.move_toggled.connect(self._set_moving)
        panel.adding_toggled.connect(self._set_adding)
        panel.dragging_toggled.connect(self._set_dragging)
        panel.opacity_edited.connect(control.set_opacity)
        panel.pairs_chosen.connect(control.points.choose)
        panel.sections.set_opacity(control.opacity)
        panel.sections.allen_asked.connect(self._use_allen)
        panel.results.apply_asked.connect(dataset.apply)
        panel.results.take_off_asked.connect(dataset.take_off)
        self._links = SessionLinks(self)
        self._links.connect(control.shown_changed, self._on_shown)
        self._links.connect(control.mouse.mode_changed, self._on_mode)
        self._links.connect(control.mouse.hint_changed, self._on_hint)
        self._links.connect(control.points.chosen_changed, self._on_chosen)
        self._links.connect(control.layers_changed, self._on_layers)
        self._links.connect(sections.current_changed, self._on_allen)
        self._links.connect(dataset.changed, self._on_dataset)
        self._links.connect(dataset.begun, self._on_begun)
        control.show_atlas(False)
        if not control.session.sections:
            control.session.look_for_unsaved()
        self._on_layers()
        self._on_allen(sections.current)
        self._on_dataset()
        self._on_shown(control.is_shown)
        self._on_mode(control.mouse.mode)
        # Without this napari pushes a dock's content to its top.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(panel)

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Show the atlas again when the dock is closed: napari takes its content out then."""
        super().changeEvent(event)
        is_moved = event is not None and event.type() == QEvent.Type.ParentChange
        if is_moved and self.parent() is None:
            self.control.dock_closed()

    def _set_moving(self, on: bool) -> None:
        self.control.mouse.set_mode("move" if on else "look")

    def _set_adding(self, on: bool) -> None:
        self.control.mouse.set_mode("add" if on else "look")

    def _set_dragging(self, on: bool) -> None:
        self.control.mouse.set_mode("points" if on else "look")

    def _on_mode(self, mode: str) -> None:
        self.panel.set_mode(mode)

    def _on_hint(self, hint: str) -> None:
        self.panel.set_hint(hint)

    def _on_chosen(self, pairs: tuple[int, ...]) -> None:
        self.panel.set_chosen(pairs)

    def _on_shown(self, shown: bool) -> None:
        self.panel.set_plane_shown(shown)

    def _on_layers(self) -> None:
        self.panel.set_layers(self.control.image_layers())

    def _on_allen(self, section: Section | None) -> None:
        self.panel.sections.set_allen(self._dataset.name_of(section))

    def _use_allen(self) -> None:
        section = self._sections.current
        if section is not None:
            self._dataset.register(section)

    def _on_begun(self) -> None:
        self.panel.tell("")

    def _on_dataset(self) -> None:
        dataset = self._dataset
        self.panel.results.set_dataset(
            can_apply=dataset.can_apply, is_applied=dataset.is_applied, text=dataset.text
        )


def register_section(viewer: napari.Viewer, section: Section) -> None:
    """Open the Registration dock with a section of the dataset that is shown."""
    controller = controller_of(viewer)
    show_dock(viewer, "Registration")
    control = controller.registration
    control.show_atlas(False)
    control.dataset_of(controller.sections.session).register(section)


def open_practice_histology(viewer: napari.Viewer) -> None:
    """Open the practice brain and a series of sections to register, with the dock."""
    # Loaded on use: what paints tissue.
    from napari_stria.demo.histology_files import write_practice_histology

    controller = controller_of(viewer)
    atlases, made = controller.session, list[Path]()

    def go_on(_news: object = None) -> None:
        """Open the series when both it and its atlas are there."""
        if made and atlases.atlas is not None and atlases.atlas.name == PRACTICE_ATLAS:
            atlases.opened.disconnect(go_on, missing_ok=True)
            controller.registration.session.open_series(made[0])

    def written(file: Path) -> None:
        made.append(file)
        go_on()

    def failed(error: Exception) -> None:
        atlases.opened.disconnect(go_on, missing_ok=True)
        show_error(sentence_of(error))

    if atlases.atlas is None or atlases.atlas.name != PRACTICE_ATLAS:
        open_practice_brain(viewer)
    show_dock(viewer, "Registration")
    atlases.opened.connect(go_on)
    show_info("Making practice sections; they are shown in some seconds.")
    folder = cache_folder("practice_histology")
    controller.tasks.run(lambda: write_practice_histology(folder), written, failed)
