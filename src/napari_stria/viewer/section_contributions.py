"""What ``napari.yaml`` points to for sections: the dock and its command."""

from __future__ import annotations

import threading

import napari
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_stria.core.section import Section
from napari_stria.demo.practice_sections import PRACTICE_CORONAL
from napari_stria.io.allen_api import DEFAULT_URL, AllenApi
from napari_stria.session.section_options import SectionOptions
from napari_stria.viewer.contributions import open_practice_brain
from napari_stria.viewer.controller import controller_of
from napari_stria.viewer.docks import show_dock
from napari_stria.viewer.practice import PRACTICE_ROOT, practice_api_url
from napari_stria.viewer.settings import StriaSettings, on_settings_changed, stria_settings
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets.section_loader import SectionPanel


def section_sources() -> list[tuple[str, str]]:
    """Return the dock's sources: what they are called and their base URL."""
    chosen = stria_settings().allen_url
    mine = [(chosen, chosen)] if chosen and chosen != DEFAULT_URL else []
    return [
        *mine,
        ("Allen Brain Atlas (public)", DEFAULT_URL),
        ("Practice sections", PRACTICE_ROOT),
    ]


def connect(source: str) -> AllenApi:
    """Return the API of a source in the dock's list; may start the practice server."""
    return _api(practice_api_url() if source == PRACTICE_ROOT else source)


# One for each address: it limits the requests at a time and keeps what datasets are.
_apis: dict[str, AllenApi] = {}
_making = threading.Lock()


def _api(base_url: str) -> AllenApi:
    with _making:
        if not _apis:
            # What the user sets in Preferences holds for the next dataset that is loaded.
            on_settings_changed(_apis.clear)
        if base_url not in _apis:
            chosen = stria_settings().images_mb
            default = StriaSettings().images_mb
            _apis[base_url] = AllenApi(base_url, cache_mb=None if chosen == default else chosen)
        return _apis[base_url]


class SectionsDock(QWidget):
    """The *Sections* dock: find a dataset of sections and see it where it lies in the atlas.

    Closing it leaves the layers; opening it again shows what is loaded.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self._controller = controller_of(napari_viewer)
        self.control = control = self._controller.sections
        self.panel = panel = SectionPanel(
            control.session,
            control.search,
            sources=section_sources(),
            connect=connect,
            example=(PRACTICE_ROOT, str(PRACTICE_CORONAL)),
        )
        panel.go_to.connect(control.go_to)
        panel.show_in_3d.connect(control.show_in_3d)
        panel.show_original.connect(control.show_original)
        panel.sections.register_asked.connect(self._register)
        panel.outlines_toggled.connect(control.set_outlines)
        panel.opacity_changed.connect(control.set_opacity)
        panel.blending_changed.connect(control.set_blending)
        self._links = SessionLinks(self)
        self._links.connect(control.current_changed, self._on_current)
        self._links.connect(control.outlines_changed, self._on_outlines)
        self._links.connect(control.looks_changed, self._on_looks)
        self._on_current(control.current)
        panel.set_outlines(control.outlines)
        control.tell_looks()
        # Without this napari pushes a dock's content to its top.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(panel)

    def _register(self, section: Section) -> None:
        # Loaded on use: few need it.
        from napari_stria.viewer.registration_contributions import register_section

        register_section(self._controller.viewer, section)

    def _on_current(self, section: Section | None) -> None:
        self.panel.set_current(section)

    def _on_looks(self, opacity: float, blending: str) -> None:
        self.panel.set_opacity(opacity)
        self.panel.set_blending(blending)

    def _on_outlines(self, on: bool) -> None:
        self.panel.set_outlines(on)


def open_practice_sections(viewer: napari.Viewer) -> None:
    """Open the practice brain and its coronal sections in the background, with both docks."""
    controller = controller_of(viewer)
    if controller.session.atlas is None:
        open_practice_brain(viewer)
    show_dock(viewer, "Sections")
    controller.sections.session.load(
        lambda: connect(PRACTICE_ROOT), PRACTICE_CORONAL, SectionOptions()
    )
