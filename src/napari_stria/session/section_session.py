"""The state of one section dataset in a viewer: found, loaded, streamed, looked through."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.core.section import Section, SectionDataset, View
from napari_stria.core.transforms import CoordinateTransform
from napari_stria.errors import StriaError
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.registration.chain import Refinements, check_atlas
from napari_stria.registration.stack import SectionStack
from napari_stria.session.errand import Errand
from napari_stria.session.section_options import SectionOptions
from napari_stria.session.section_pictures import SectionPicture, fetch_picture
from napari_stria.session.section_places import SectionPlaces
from napari_stria.session.section_streaming import SectionStreaming, StreamStatus
from napari_stria.session.tasks import Tasks

# BrainGlobe's; used until an atlas says otherwise.
DEFAULT_SPACE = "asr"
Connect = Callable[[], AllenApi]


class SectionSession:
    """One section dataset and what the user does with it; changed through its methods alone.

    Parameters
    ----------
    tasks : Tasks
        Runs long work elsewhere.
    cache : ChunkCache
        Keeps decoded tiles and chunks.
    pool : ChunkPool
        Fetches them.

    Attributes
    ----------
    dataset : SectionDataset or None
    api : AllenApi or None
        Where the dataset came from.
    options : SectionOptions
    stack : SectionStack or None
        Where its sections lie in the atlas.
    hidden : frozenset of int
        Image ids that are not shown.
    refinements : mapping of int to CoordinateTransform
        By image id, of the sections that are shown otherwise than their own alignment has them;
        see `aligned_stack`.
    loading : str or None
        What is being loaded, in words.
    loading_changed, loading_failed, opened, shown, closed, sections_changed, status_changed, \
chunks_changed, picture_ready, message : Signal
        Emitted in the session's thread. `opened`: another dataset; `shown`: its pyramids are new;
        `closed`: they are gone; `sections_changed`: others are hidden or refined.
    """

    loading_changed = Signal(object)
    loading_failed = Signal(Exception)
    opened = Signal(object)
    shown = Signal()
    closed = Signal()
    sections_changed = Signal()
    status_changed = Signal(StreamStatus)
    chunks_changed = Signal()
    picture_ready = Signal(SectionPicture)
    message = Signal(str)

    def __init__(self, tasks: Tasks, cache: ChunkCache, pool: ChunkPool) -> None:
        self._errand = Errand(tasks)
        self._picture_errand = Errand(tasks)
        self._streaming = SectionStreaming(tasks, cache, pool)
        self._streaming.status_changed.connect(self.status_changed.emit)
        self._streaming.chunks_changed.connect(self.chunks_changed.emit)
        self._atlas: Atlas | None = None
        self.loading: str | None = None
        self.options = SectionOptions()
        self._reset()

    def _reset(self) -> None:
        self.dataset: SectionDataset | None = None
        self.api: AllenApi | None = None
        self.stack: SectionStack | None = None
        self.hidden: frozenset[int] = frozenset()
        self.refinements: Refinements = MappingProxyType({})

    @property
    def pyramids(self) -> dict[View, ProgressivePyramid]:
        """Packed RGBA by view: "image", and "expression" if asked."""
        return self._streaming.pyramids

    @property
    def status(self) -> StreamStatus:
        """What the streaming does now."""
        return self._streaming.status

    @property
    def idle(self) -> bool:
        """Whether nothing is being fetched and no arrival waits to be told."""
        return self._streaming.idle

    @property
    def space(self) -> str:
        """Where the axes of the atlas start."""
        return DEFAULT_SPACE if self._atlas is None else self._atlas.space

    @property
    def mirrored(self) -> bool:
        """Whether the sections are shown mirrored."""
        return self.dataset is not None and self.options.mirrors(self.dataset)

    @property
    def places(self) -> SectionPlaces | None:
        """Where the sections are shown; None without a dataset."""
        if self.stack is None:
            return None
        return SectionPlaces(self.stack, self.options.placement, self.space, self.mirrored)

    # -- loading ---------------------------------------------------------------

    def load(self, connect: Connect, dataset_id: int, options: SectionOptions) -> None:
        """Fetch a dataset's metadata in the background and show it; the images stream.

        A later call, or `cancel`, drops it.
        """

        def work(cancelled: Callable[[], bool]) -> tuple[AllenApi, SectionDataset]:
            api = connect()
            return api, api.section_dataset(dataset_id, cancelled=cancelled)

        def done(found: tuple[AllenApi, SectionDataset]) -> None:
            try:
                self.show(*found, options)
            except StriaError as error:
                self.loading_failed.emit(error)
            finally:
                self._set_loading(None)

        self._set_loading(f"dataset {dataset_id}")
        self._errand.start(work, done, self._loading_failed)

    def _loading_failed(self, error: Exception) -> None:
        self._set_loading(None)
        self.loading_failed.emit(error)

    def _set_loading(self, what: str | None) -> None:
        self.loading = what
        self.loading_changed.emit(what)

    def show(self, api: AllenApi, dataset: SectionDataset, options: SectionOptions) -> None:
        """Take a dataset, in place of the one before.

        Raises
        ------
        StriaError
            If it cannot be placed in the atlas; then the one before stays.
        """
        self._check(dataset, options)
        self.close()
        self.api, self.dataset, self.options = api, dataset, options
        self.opened.emit(dataset)
        self._build()

    def set_options(self, options: SectionOptions) -> None:
        """Show the dataset in another way; what is decoded of its images stays."""
        if self.dataset is None or options == self.options:
            self.options = options
            return
        self._check(self.dataset, options)
        self.options = options
        self._build()

    def set_atlas(self, atlas: Atlas | None) -> None:
        """Place the sections in another atlas; where they cannot be, say so and let go of them."""
        before = self.space
        self._atlas = atlas
        if self.dataset is None:
            return
        try:
            self._check(self.dataset, self.options)
        except StriaError as error:
            self.message.emit(str(error))
            self.close()
            return
        if self.space != before:
            self._build()

    def _check(self, dataset: SectionDataset, options: SectionOptions) -> None:
        if self._atlas is not None:
            check_atlas(self._atlas)
        options.stack_of(dataset, self.space)

    def _build(self) -> None:
        """Make the pyramids anew."""
        assert self.dataset is not None
        assert self.api is not None
        views: list[View] = ["image", "expression"] if self.options.expression else ["image"]
        stack = self.options.stack_of(self.dataset, self.space, self.refinements)
        self.stack = stack.hiding(self.hidden)
        self._streaming.show(self.api, self.dataset, self.stack, views, self.options.resolution_um)
        self.shown.emit()

    def close(self) -> None:
        """Let go of the dataset: its layers and downloads end."""
        if self.dataset is None:
            return
        self._streaming.close()
        self._reset()
        self.closed.emit()

    def forget(self) -> None:
        """Let go of everything and tell nobody."""
        self._errand.cancel()
        self._picture_errand.cancel()
        self._streaming.close()
        self._reset()

    def cancel(self) -> None:
        """Stop: drop what is being loaded; what streams is paused and what is there stays."""
        self._errand.cancel()
        self._picture_errand.cancel()
        if self.loading is not None:
            self._set_loading(None)
        self._streaming.pause()

    def resume(self) -> None:
        """Fetch again, also what failed."""
        self._streaming.resume()

    # -- sections ---------------------------------------------------------------

    def hide(self, image_id: int, hidden: bool = True) -> None:
        """Hide a bad section, or show it again."""
        others = self.hidden - {image_id}
        self._set_hidden(others | {image_id} if hidden else others)

    def show_all(self) -> None:
        """Show every section."""
        self._set_hidden(frozenset())

    def _set_hidden(self, hidden: frozenset[int]) -> None:
        if self.stack is None or hidden == self.hidden:
            return
        self.hidden = hidden
        self.stack = self.stack.hiding(hidden)
        self._streaming.replace_stack(self.stack)
        self.sections_changed.emit()

    def refine(self, image_id: int, pixels_to_pixels: CoordinateTransform | None) -> None:
        """Show a section by a refinement of its alignment, or (None) by that alone again.

        It is kept until the dataset is closed. `CoordinateError` for a map that is none of pixels.
        """
        if self.dataset is None:
            return
        refinements = {i: t for i, t in self.refinements.items() if i != image_id}
        if pixels_to_pixels is not None:
            refinements[image_id] = pixels_to_pixels
        stack = self.options.stack_of(self.dataset, self.space, refinements)
        self.stack, self.refinements = stack.hiding(self.hidden), MappingProxyType(refinements)
        self._streaming.replace_stack(self.stack)
        self.sections_changed.emit()

    def fetch_picture(self, section: Section, view: View = "image") -> None:
        """Fetch one section as a picture of its own, for 3D; `picture_ready` brings it."""
        places = self.places
        if self.api is None or places is None:
            return
        api, dataset, to_atlas = self.api, self.dataset, places.section_to_atlas(section)
        told = f"section {section.section_number}"

        def ended() -> None:
            if self.loading == told:  # and not a dataset, which may be loaded meanwhile
                self._set_loading(None)

        def done(picture: SectionPicture) -> None:
            ended()
            if self.dataset is dataset:
                self.picture_ready.emit(picture)

        def failed(error: Exception) -> None:
            ended()
            self.loading_failed.emit(error)

        if self.loading is None:
            self._set_loading(told)
        self._picture_errand.start(
            lambda cancelled: fetch_picture(api, section, to_atlas, view, cancelled=cancelled),
            done,
            failed,
        )
