"""The dock of sections: find a dataset, load it, and go through its sections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_stria.core.section import Section, SectionDataset
from napari_stria.errors import StriaError
from napari_stria.io.allen_api import AllenApi
from napari_stria.session.atlas_session import sentence_of
from napari_stria.session.section_search import SearchResult, SectionSearch
from napari_stria.session.section_session import SectionSession
from napari_stria.session.section_streaming import StreamStatus
from napari_stria.widgets._dataset_header import DatasetHeader
from napari_stria.widgets._links import SessionLinks
from napari_stria.widgets._notices import MessageRow
from napari_stria.widgets._qt import Signal
from napari_stria.widgets._section_chooser import SectionChooser
from napari_stria.widgets._section_display import SectionDisplay
from napari_stria.widgets._section_options import SectionOptionsForm
from napari_stria.widgets._section_row import SectionRow, in_order
from napari_stria.widgets._stream_rows import StreamRows
from napari_stria.widgets._tall_scroll import TallScroll


class SectionPanel(QWidget):
    """The widgets of one section session and its search, wired to them.

    Both may live longer than the panel, and a dataset may be shown already.

    Parameters
    ----------
    session : SectionSession
        What is shown and changed.
    search : SectionSearch
        Finds datasets.
    sources : sequence of (str, str)
        Label and address of each place that offers datasets.
    connect : callable
        Returns the API of an address; called in another thread.
    example : (str, str), optional
        Source and id of a dataset to try.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    go_to, show_in_3d, show_original : Signal
        The user wants to see a `Section`: in the stack, in 3D, or as it was scanned.
    outlines_toggled, opacity_changed, blending_changed : Signal
        The user changed how the layers are drawn; bool, float of 0 to 1, and str.
    """

    go_to = Signal(object)
    show_in_3d = Signal(object)
    show_original = Signal(object)
    outlines_toggled = Signal(bool)
    opacity_changed = Signal(float)
    blending_changed = Signal(str)

    def __init__(
        self,
        session: SectionSession,
        search: SectionSearch,
        *,
        sources: Sequence[tuple[str, str]],
        connect: Callable[[str], AllenApi],
        example: tuple[str, str] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._search, self._connect_to = session, search, connect
        self._asked: Callable[[], None] | None = None  # what is just being asked of the session
        self._retry: Callable[[], None] | None = None  # asks for what the session loads or loaded
        self._options_due = False  # they were edited while a dataset was on its way
        self._links = SessionLinks(self)
        self._build(sources, example)
        self._connect_widgets()
        self._connect_session()
        self._show_session()

    # -- building --------------------------------------------------------------------------------

    def _build(self, sources: Sequence[tuple[str, str]], example: tuple[str, str] | None) -> None:
        self.header, self.chooser = DatasetHeader(), SectionChooser(sources, example)
        self.options, self.stream = SectionOptionsForm(), StreamRows()
        self.notice = MessageRow()
        self.shown, self.sections, self.display = QWidget(), SectionRow(), SectionDisplay()
        inner = QVBoxLayout(self.shown)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(14)
        inner.addWidget(self.sections)
        inner.addWidget(self.display)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(4, 6, 4, 6)
        layout.addWidget(self.header)
        layout.addWidget(self.chooser, 1)
        for part in (self.options, self.stream, self.notice, self.shown):
            layout.addWidget(part)
        layout.addStretch(0)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        self._scroll = TallScroll(content, self)
        outer.addWidget(self._scroll)
        self.notice.retry.setToolTip("Try again what failed")
        self.notice.show_text("", error=False)

    def _connect_widgets(self) -> None:
        session = self._session
        self.chooser.search_requested.connect(self._find)
        self.chooser.cancel_requested.connect(self._search.cancel)
        self.chooser.load_requested.connect(self._load)
        self.chooser.changed.connect(self._update_load)
        self.header.change.toggled.connect(self._fold)
        self.options.edited.connect(self._apply_options)
        self.stream.load_requested.connect(self.chooser.load)
        self.stream.cancel_requested.connect(session.cancel)
        self.stream.cancel_requested.connect(self._search.cancel)
        self.stream.resume_requested.connect(session.resume)
        self.stream.check_requested.connect(self._check_idle)
        self.notice.retry.clicked.connect(self._try_again)
        self.sections.step_requested.connect(self._step)
        self.sections.section_requested.connect(self._go)
        self.sections.hide_requested.connect(session.hide)
        self.sections.show_all_requested.connect(session.show_all)
        self.sections.show_in_3d.connect(self._show_in_3d)
        self.sections.show_original.connect(self.show_original)
        self.display.outlines_toggled.connect(self.outlines_toggled)
        self.display.opacity_changed.connect(self.opacity_changed)
        self.display.blending_changed.connect(self.blending_changed)

    def _connect_session(self) -> None:
        session, links = self._session, self._links
        links.connect(self._search.changed, self._on_search)
        links.connect(session.opened, self._on_opened)
        links.connect(session.shown, self._on_shown)
        links.connect(session.closed, self._on_closed)
        links.connect(session.loading_changed, self._on_loading)
        links.connect(session.loading_failed, self._on_loading_failed)
        links.connect(session.sections_changed, self._on_sections)
        links.connect(session.status_changed, self._on_status)
        links.connect(session.message, self._on_message)

    def _show_session(self) -> None:
        """Show a dataset that the session had before."""
        session = self._session
        self._show_options()
        self._on_search(self._search.result)
        self._on_closed()
        if session.dataset is not None:
            self._on_opened(session.dataset)
            self._on_shown()
        self.stream.set_loading(session.loading)
        self._update_load()

    # -- what the session tells -----------------------------------------------------------------

    def _on_search(self, result: SearchResult) -> None:
        self.chooser.set_result(result)

    def _on_opened(self, dataset: SectionDataset) -> None:
        self._tell("")
        self.header.set_dataset(dataset)
        self._fold()

    def _on_shown(self) -> None:
        session, dataset = self._session, self._session.dataset
        if dataset is None:
            return
        if not self._options_due:
            self._show_options()
        self.options.set_can_mirror(dataset.reference_space_id == 10)
        self.header.set_mirrored(dataset, session.mirrored)
        self.sections.set_sections(in_order(session))
        self._on_sections()
        self.stream.set_status(session.status)

    def _on_closed(self) -> None:
        self.options.set_can_mirror(False)
        self.sections.set_sections(())
        self.stream.set_status(None)
        self.header.change.setChecked(False)
        self._fold()

    def _on_loading(self, what: str | None) -> None:
        self.stream.set_loading(what)
        if what is not None:
            self._retry = self._asked
            self._tell("")
        elif self._options_due:
            self._options_due = False
            self._apply_options()

    def _on_loading_failed(self, error: Exception) -> None:
        self._tell(sentence_of(error), self._retry)

    def _on_sections(self) -> None:
        self.sections.set_hidden(self._session.hidden)

    def _on_status(self, status: StreamStatus) -> None:
        self.stream.set_status(None if self._session.dataset is None else status)

    def _on_message(self, text: str) -> None:
        self._tell(text)

    # -- what is shown ----------------------------------------------------------------------------

    def _tell(self, text: str, retry: Callable[[], None] | None = None) -> None:
        """Show what went wrong; nothing takes it away."""
        self.notice.show_text(text, error=True)
        self.notice.retry.setVisible(bool(text) and retry is not None)

    def _fold(self) -> None:
        """While a dataset is shown, the chooser is there only if it is asked for."""
        is_shown = self._session.dataset is not None
        choosing = not is_shown or self.header.change.isChecked()
        self.header.setVisible(is_shown)
        self.shown.setVisible(is_shown)
        self.chooser.setVisible(choosing)
        self.stream.load.setVisible(choosing)
        vertical = QSizePolicy.Policy.Expanding if choosing else QSizePolicy.Policy.Maximum
        self.chooser.setSizePolicy(QSizePolicy.Policy.Preferred, vertical)

    def _show_options(self) -> None:
        options = self._session.options
        self.options.set_options(replace(options, mirrored=self._session.mirrored))

    def _update_load(self) -> None:
        self.stream.set_can_load(self.chooser.can_load)

    def _check_idle(self) -> None:
        if self._session.idle:
            self.stream.set_idle()

    # -- what the viewer tells --------------------------------------------------------------------

    def set_current(self, section: Section | None) -> None:
        """Show the section that the viewer shows; None if it shows none. Emits nothing."""
        self.sections.set_current(section)

    def set_opacity(self, opacity: float) -> None:
        """Show the layers' opacity, 0 to 1. Emits nothing."""
        self.display.set_opacity(opacity)

    def set_blending(self, blending: str) -> None:
        """Show how the layers are blended. Emits nothing."""
        self.display.set_blending(blending)

    def set_outlines(self, shown: bool) -> None:
        """Show whether the outlines of regions are drawn. Emits nothing."""
        self.display.set_outlines(shown)

    # -- what the user asks for -------------------------------------------------------------------

    def _find(self, source: str, gene: str, plane: str | None) -> None:
        self._search.find(partial(self._connect_to, source), gene, plane)

    def _load(self, source: str, dataset_id: int) -> None:
        self._asked = self._links.guarded(self._load, source, dataset_id)
        connect = partial(self._connect_to, source)
        self._session.load(connect, dataset_id, self.options.options())
        self._asked = None

    def _try_again(self) -> None:
        retry = self._retry
        self._tell("")
        if retry is not None:
            retry()

    def _apply_options(self) -> None:
        session = self._session
        self._options_due = session.loading is not None
        try:
            session.set_options(self.options.options())
        except StriaError as error:
            self._tell(str(error))
            self._show_options()
        else:
            self._tell("")

    def _step(self, step: int) -> None:
        current, places = self.sections.current, self._session.places
        section = None if current is None or places is None else places.neighbor(current, step)
        if section is not None:
            self._go(section)

    def _go(self, section: Section) -> None:
        # At once, so that a step that follows starts here; the viewer will say where it went.
        self.set_current(section)
        self.go_to.emit(section)

    def _show_in_3d(self, section: Section) -> None:
        self._asked = self._links.guarded(self._show_in_3d, section)
        self.show_in_3d.emit(section)
        self._asked = None
