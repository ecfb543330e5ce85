"""Opening sections, series and files of registrations."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from napari_stria.core.atlas import Atlas
from napari_stria.core.section_plane import atlas_frame
from napari_stria.errors import StriaError
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.json_fields import is_whole_text
from napari_stria.io.registration_files import RegistrationDocument, SeriesHead
from napari_stria.io.section_arrays import array_section_image
from napari_stria.io.section_files import SectionImage
from napari_stria.io.tiff_array import FileStamp
from napari_stria.session.registration_editing import RegistrationEditing
from napari_stria.session.registration_fit import has_size_of, moved_to_frame
from napari_stria.session.registration_images import RegistrationImages
from napari_stria.session.registration_keeping import RegistrationKeeping
from napari_stria.session.registration_opening import (
    AllenImages,
    OpenedSection,
    free_name,
    open_allen_section,
    open_document,
    open_section,
    open_series_sections,
)
from napari_stria.session.registration_state import Record, SectionEntry, checked_pixel_size
from napari_stria.session.registration_user_file import stamp_of
from napari_stria.session.registration_work import OpeningQueue, RegistrationWork
from napari_stria.session.tasks import Tasks

T = TypeVar("T")
XY = tuple[float, float]
Paths = str | PathLike[str]


class RegistrationFiling(RegistrationEditing):
    """Reads images and files elsewhere; each change is told to who keeps it.

    Parameters
    ----------
    tasks : Tasks
        Runs what takes long elsewhere.
    autosave : Path, optional
        Where a registration without a file is kept; by default in the cache folder.
    api : AllenApi, optional
        Where sections of the Allen Institute are read; by default its public server.
    """

    def __init__(self, tasks: Tasks, autosave: Path | None, api: AllenApi | None) -> None:
        super().__init__()
        self._tasks = tasks
        self._work: RegistrationWork[Any] = RegistrationWork(tasks, self.changed.emit)
        self._opening = OpeningQueue(tasks, self.changed.emit)
        self._allen = AllenImages(api)
        self._images = RegistrationImages(tasks, self._allen.open, self._arrived, self._unread)
        self._keeping = RegistrationKeeping(
            tasks, self._document, self.failed.emit, self.changed.emit, autosave
        )
        self._series: SeriesHead | None = None
        self._atlas_said: tuple[str, dict[str, Any]] = ("", {})  # by the file, without an atlas

    # -- pixels ---------------------------------------------------------------------------------

    @property
    def image(self) -> SectionImage | None:
        """The pixels of the section that is shown, as soon as they are open.

        Its levels may have another size than `SectionEntry.shape_hw`, of which all points are:
        stretch them.
        """
        return self._images.get(self.entry)

    def _arrived(self, entry: SectionEntry, image: SectionImage) -> None:
        del image
        self._mark_missing(entry, False)
        self.changed.emit()

    def _unread(self, entry: SectionEntry, error: Exception) -> None:
        self._mark_missing(entry, True)
        # A file that is still gone was told of; the network may fail in another way.
        if not entry.is_missing or entry.allen is not None:
            self._fail(error)
        self.changed.emit()

    def _mark_missing(self, entry: SectionEntry, missing: bool) -> None:
        self._board.revise(
            lambda r: r.with_entry(is_missing=missing) if r.entry.key == entry.key else r
        )

    def _tell(self) -> None:
        if self.atlas is not None:
            # From now on this is the atlas of what is kept.
            self._atlas_said = _identity(self.atlas)
        self._images.want(self.entry)
        self._keeping.touch()
        self.changed.emit()

    def _tell_shown(self) -> None:
        self._images.want(self.entry)
        # Only to look at sections in another atlas does not move a file into that.
        if self.atlas is None or self._atlas_said in (("", {}), _identity(self.atlas)):
            self._keeping.touch()
        self.changed.emit()

    def remove_section(self, index: int) -> None:
        """Take a section out of the registration; its file stays. This cannot be undone."""
        super().remove_section(index)
        self._images.retain(self.sections)

    # -- opening --------------------------------------------------------------------------------

    def open_image(self, path: Paths, pixel_size_um: XY | None = None) -> None:
        """Open an image file as another section, and show it."""
        try:
            given = None if pixel_size_um is None else checked_pixel_size(*pixel_size_um)
        except StriaError as error:
            self._fail(error)
            return
        file = Path(path).expanduser().absolute()
        if not is_whole_text(str(file)):
            self.failed.emit(f"{str(file)!a} holds letters that are no text; rename it.")
            return
        self._open(f"Opening {file.name}", lambda _: open_section(file, given), self._add)

    def add_array(
        self,
        pixels: Any,
        name: str,
        pixel_size_um: XY | None = None,
        *,
        rgb: bool | None = None,
    ) -> None:
        """Add an array in memory as another section (a napari layer), and show it.

        Its pixels are not kept in the file of the registration; see
        `napari_stria.io.section_arrays.array_section_image`.
        """
        try:
            image = array_section_image(pixels, pixel_size_um, name=name, rgb=rgb)
        except StriaError as error:
            self._fail(error)
            return
        free = free_name(name, self.sections)
        entry = SectionEntry(free, 0.0, image.shape_hw, pixel_size_um)
        self._add(OpenedSection(Record(entry), image))

    def open_allen(
        self, api: AllenApi, dataset: Any, image_id: int, *, mirrored: bool = False
    ) -> None:
        """Open a section of the Allen Institute where its own alignment puts it.

        Parameters
        ----------
        api : AllenApi
        dataset : SectionDataset or int
        image_id : int
        mirrored : bool
            On the other side of the brain, as `aligned_stack` mirrors; of space 10 only.
        """
        atlas = self.atlas
        self._allen.api = api
        self._open(
            f"Opening image {image_id}",
            lambda _: open_allen_section(self._allen, dataset, image_id, atlas, mirrored=mirrored),
            self._add,
        )

    def _add(self, opened: OpenedSection) -> None:
        record, frame = opened.record, self._board.frame
        if opened.frame is not None and frame is not None:
            try:  # another atlas may have been opened meanwhile
                record = moved_to_frame(record, opened.frame, frame)
            except StriaError as error:
                self._fail(error)
                return
        if not record.entry.nr:
            last = max((entry.nr for entry in self.sections), default=0.0)
            record = record.with_entry(nr=float(int(last) + 1))
        self._images.keep(record.entry, opened.image)
        self._do(lambda: self._board.add(record))

    def open_series(self, path: Paths, images: Paths | None = None, nonlinear: bool = True) -> None:
        """Open a series of QuickNII, VisuAlign or DeepSlice, in place of all sections.

        Parameters
        ----------
        path : path-like
        images : path-like, optional
            The folder of the images; by default the file's.
        nonlinear : bool
            Use VisuAlign's markers.
        """
        file, atlas = Path(path).expanduser().absolute(), self.atlas
        folder = file.parent if images is None else Path(images).expanduser().absolute()
        self._open(
            f"Opening {file.name}",
            lambda _: open_series_sections(file, folder, atlas, nonlinear=nonlinear),
            self._show_series,
        )

    def _show_series(self, opened: tuple[RegistrationDocument, str]) -> None:
        document, message = opened
        self._keeping.take(None)
        self._show_document(document)
        self._keeping.touch()
        missing = sum(entry.is_missing for entry in self.sections)
        if missing:
            self.failed.emit(
                f"{missing} of {len(self.sections)} images were not found beside the series; name "
                "the folder in which they are."
            )
        if message:
            self.failed.emit(message)

    def open_file(self, path: Paths) -> None:
        """Open the file of a registration, in place of all sections."""
        file = Path(path).expanduser().absolute()

        def opened(found: tuple[FileStamp | None, RegistrationDocument]) -> None:
            self._keeping.take(file, found[0])
            self._show_document(found[1])

        # The stamp first: what somebody writes meanwhile counts as newer.
        read = lambda _: (stamp_of(file), open_document(file))  # noqa: E731
        self._open(f"Opening {file.name}", read, opened)

    def _open(self, what: str, work: Callable[[Event], T], done: Callable[[T], None]) -> None:
        self._opening.add(what, work, done, self._fail)

    def cancel(self) -> None:
        """End what is being done in the background."""
        self._opening.cancel()
        self._work.cancel()

    @property
    def busy(self) -> str:
        """What is being done in the background; empty if nothing."""
        return self._work.busy or self._opening.busy

    @property
    def progress(self) -> float | None:
        """How far that is, 0 to 1; None where it is not known."""
        return self._work.progress if self._work.busy else self._opening.progress

    def _show_document(self, document: RegistrationDocument) -> None:
        self._images.forget()
        self._series = document.series
        self._atlas_said = (document.atlas_name, dict(document.opened_with))
        self._board.frame = document.frame
        self._board.replace_all(document.records, document.index)
        if self.atlas is not None:
            frame = atlas_frame(self.atlas)
            try:
                self._board.set_frame(frame)
            except StriaError as error:
                self._fail(error)
            if document.frame is not None and not has_size_of(frame, document.frame):
                self.failed.emit(
                    f"This was registered to {document.atlas_name or 'another atlas'}, which has "
                    f"another size than {self.atlas.name}; open that atlas."
                )
        for note in document.notes:
            self.failed.emit(note)
        self._images.want(self.entry)
        self.changed.emit()

    @property
    def series_name(self) -> str:
        """What to call files of all sections: as the series or the file; empty for neither."""
        said, path = "" if self._series is None else self._series.name, self._keeping.path
        # Series are called by paths of the machine that they were made on, of either kind.
        name = Path(said.replace("\\", "/")).name.removesuffix(".json").removesuffix(".csv")
        return name or ("" if path is None else path.name.partition(".")[0])

    def _document(self) -> RegistrationDocument:
        name, opened_with = self._atlas_said
        if self.atlas is not None:
            name, opened_with = _identity(self.atlas)
        board = self._board
        return RegistrationDocument(
            board.records, board.index, board.frame, name, opened_with, self._series
        )


def _identity(atlas: Atlas) -> tuple[str, dict[str, Any]]:
    return atlas.name, dict(atlas.opened_with)
