"""One viewer's registration of sections to its atlas: opened, placed, fitted, kept."""

from __future__ import annotations

from collections.abc import Hashable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_stria.core.atlas import Atlas
from napari_stria.core.section_plane import atlas_frame
from napari_stria.errors import CoordinateError, StriaError
from napari_stria.io.allen_api import AllenApi
from napari_stria.io.cache import ChunkCache
from napari_stria.io.chunk_pool import ChunkPool
from napari_stria.io.section_files import SectionImage
from napari_stria.session.export_session import ExportSession
from napari_stria.session.plane_stream import PlaneStream
from napari_stria.session.registration_automatic import (
    AutomaticKind,
    automatic_work,
    is_as_it_was,
    plane_work,
    registered,
)
from napari_stria.session.registration_export import (
    RegistrationExportKind,
    SectionExport,
    SeriesExport,
    section_export,
)
from napari_stria.session.registration_fit import has_size_of
from napari_stria.session.registration_saving import RegistrationSaving
from napari_stria.session.registration_state import Record
from napari_stria.session.tasks import Tasks

if TYPE_CHECKING:
    from napari_stria.registration.automatic import AutomaticFit
    from napari_stria.registration.plane_search import PlaneCandidate


class RegistrationSession(RegistrationSaving):
    """One viewer's registration; no Qt, no napari. Values out are frozen.

    Every change is one step of undo; changes that cannot be are said by `failed` and change
    nothing. To be used in one thread; all that reads files runs elsewhere.

    Parameters
    ----------
    tasks : Tasks
        Runs what takes long elsewhere.
    autosave : Path, optional
        Where a registration without a file is kept; by default in the cache folder.
    cache, pool : optional
        Of the viewer's streams; by default of its own.
    api : AllenApi, optional
        Where sections of the Allen Institute are read; by default its public server.

    Attributes
    ----------
    changed : Signal
        Anything is other than it was; views read anew.
    plane_changed : Signal
        There is a new picture of the plane.
    failed : Signal(str)
        One sentence on what could not be done.
    plane : PlaneStream
        The atlas's plane; ask it for `plane_request`.
    exports : ExportSession
        Runs what `napari_stria.session.registration_export` makes of this session.
    """

    plane_changed = Signal()

    def __init__(
        self,
        tasks: Tasks,
        *,
        autosave: Path | None = None,
        cache: ChunkCache | None = None,
        pool: ChunkPool | None = None,
        api: AllenApi | None = None,
    ) -> None:
        super().__init__(tasks, autosave, api)
        self.plane = PlaneStream(tasks, cache, pool)
        self.plane.changed.connect(self._on_plane)
        self.plane.failed.connect(self._on_plane_failed)
        self.exports = ExportSession(tasks)
        self._suggested: tuple[Hashable, tuple[PlaneCandidate, ...]] | None = None

    # -- the atlas ------------------------------------------------------------------------------

    def set_atlas(self, atlas: Atlas | None) -> None:
        """Take another atlas, or none; sections stay where they are, by anatomy."""
        if atlas is self.atlas:
            return
        # What is being opened arrives in either atlas; what was computed is of the last one.
        self._work.cancel()
        self.atlas, self._suggested = atlas, None
        old, frame = self._board.frame, None if atlas is None else atlas_frame(atlas)
        if old and frame and not has_size_of(frame, old) and any(s.is_placed for s in self.states):
            self.failed.emit(
                "The sections were placed in an atlas of another size; look at each of them again."
            )
        try:
            self._board.set_frame(frame)
        except StriaError as error:
            self._fail(error)
        self.plane.set_atlas(atlas)
        self.changed.emit()

    def _on_plane(self) -> None:
        self.plane_changed.emit()

    def _on_plane_failed(self, text: str) -> None:
        self.failed.emit(text)

    # -- automatic ------------------------------------------------------------------------------

    @property
    def candidates(self) -> tuple[PlaneCandidate, ...]:
        """What `suggest_plane` found last, the best first; empty for all other sections."""
        record, suggested = self._board.record, self._suggested
        if record is None or suggested is None or suggested[0] != _scale_of(record):
            return ()
        return suggested[1]

    def suggest_plane(self) -> None:
        """Look for planes of the atlas that look like the section; see `candidates`."""
        try:
            record, image, atlas = self._ready()
            work = plane_work(record, image, atlas)
        except StriaError as error:
            self._fail(error)
            return

        def found(candidates: tuple[PlaneCandidate, ...]) -> None:
            self._suggested = _scale_of(record), candidates
            self.changed.emit()

        self._work.start("Looking for the plane", work, found, self._fail)

    def take_candidate(self, index: int) -> None:
        """Put the section into a plane that `suggest_plane` found."""
        if not 0 <= index < len(self.candidates):
            return
        self._do(lambda: self._board.take_plane(self.candidates[index].placement))

    def register_automatically(self, kind: AutomaticKind = "affine") -> None:
        """Register the section in its plane by elastix, from where it is now.

        Parameters
        ----------
        kind : {"affine", "bspline"}
            The latter bends the section as well.
        """
        try:
            record, image, atlas = self._ready()
            work = automatic_work(record, image, atlas, kind)
        except StriaError as error:
            self._fail(error)
            return
        frame = atlas_frame(atlas)

        def done(fit: AutomaticFit) -> None:
            index, now = self._board.find(record.entry)
            if now is None or not is_as_it_was(record, now):
                self.failed.emit(
                    f"{record.entry.name} was removed, or its pixel size or plane was changed, "
                    "while it was registered, so the result was dropped; register it again."
                )
                return
            after = registered(record, fit, frame, now)
            self._do(lambda: self._board.edit("register automatically", after, at=index))
            if fit.folds:
                self.failed.emit(
                    "The bending would fold the section over itself and was left out; start "
                    "from a better place, or add landmarks."
                )

        self._work.start("Registering", work, done, self._fail)

    def _ready(self) -> tuple[Record, SectionImage, Atlas]:
        record, image = self._board.record, self.image
        if self.atlas is None:
            raise CoordinateError("Open an atlas first.")
        if record is None or record.state.placement is None:
            raise CoordinateError("Open a section first.")
        if image is None:
            raise CoordinateError("The section's image is not there yet; wait, or find its file.")
        return record, image, self.atlas

    # -- results --------------------------------------------------------------------------------

    def export_request(
        self,
        kind: RegistrationExportKind,
        destination: str | PathLike[str],
        *,
        resolution_um: float = 25.0,
        overwrite: bool = False,
    ) -> SeriesExport | SectionExport:
        """Return the request for a file, for `exports` or `napari_stria.session.exporting`.

        Parameters
        ----------
        kind : str
            "quicknii", "visualign" and "deepslice-csv" hold all sections; "chain", "field",
            "warped", "regions" and "outlines" are of the section that is shown.
        destination : path-like
            The file; see `napari_stria.session.registration_export.EXPORT_SUFFIXES`.
        resolution_um : float
            Of the atlas's grid or level.
        overwrite : bool
            Replace what is there.

        Raises
        ------
        CoordinateError
            Without an atlas or a section.
        """
        record, atlas, board = self._board.record, self.atlas, self._board
        path = Path(destination).expanduser().absolute()
        if record is None or atlas is None or board.frame is None:
            raise CoordinateError("Open an atlas and a section first.")
        if kind in ("quicknii", "visualign", "deepslice-csv"):
            return SeriesExport(
                destination=path,
                overwrite=overwrite,
                records=board.records,
                frame=board.frame,
                head=self._series,
                atlas_name=atlas.name,
                format=kind,
            )
        return section_export(
            kind,
            path,
            record,
            atlas,
            board.frame,
            self.image,
            resolution_um=resolution_um,
            overwrite=overwrite,
        )

    def export(
        self,
        kind: RegistrationExportKind,
        destination: str | PathLike[str],
        *,
        resolution_um: float = 25.0,
        overwrite: bool = False,
    ) -> None:
        """Write a file in the background; `exports` tells how far it is. See `export_request`."""
        try:
            request = self.export_request(
                kind, destination, resolution_um=resolution_um, overwrite=overwrite
            )
        except StriaError as error:
            self._fail(error)
            return
        self.exports.start(lambda: request)

    # -- ending ---------------------------------------------------------------------------------

    def close(self) -> None:
        """End what is under way, write the last change, let go of everything and tell nobody."""
        # First, so that ending the work tells nobody either.
        for signal in (self.changed, self.plane_changed, self.failed):
            signal.block()
        self.cancel()
        self.exports.close()
        self.plane.changed.disconnect(self._on_plane, missing_ok=True)
        self.plane.failed.disconnect(self._on_plane_failed, missing_ok=True)
        self.plane.close()
        self._keeping.close()
        self._images.forget()
        self.atlas = None


def _scale_of(record: Record) -> Hashable:
    """Return what a suggestion is for: placements scale by the pixel size."""
    return record.entry.key, record.entry.assumed_pixel_size_um
