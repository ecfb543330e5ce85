"""One section registered to an atlas without a window: the plane search, then elastix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Literal

from napari_stria.core.atlas import Atlas
from napari_stria.core.section_plane import atlas_frame
from napari_stria.core.section_state import Record
from napari_stria.core.transforms import Sequence
from napari_stria.io.section_files import SectionImage
from napari_stria.session.registration_automatic import automatic_work, plane_work, registered
from napari_stria.session.registration_fit import resolve_fit

if TYPE_CHECKING:
    from napari_stria.registration.automatic import AutomaticFit
    from napari_stria.registration.plane_search import PlaneCandidate

Progress = Callable[[str, int, int], None]
RegisteringKind = Literal["none", "affine", "bspline"]


@dataclass(frozen=True, eq=False)
class RegisteredSection:
    """Where a section lies in an atlas, and how that was found.

    Attributes
    ----------
    record : Record
        With the placement, and the refinement of a B-spline unless it folded the section.
    section_to_atlas : Sequence
        Pixels (x, y), counted from the image's corner, to atlas um (AP, DV, ML).
    candidates : tuple of PlaneCandidate
        What the search suggested, the best first; empty if there was none.
    fit : AutomaticFit or None
        What elastix found.
    """

    record: Record
    section_to_atlas: Sequence
    candidates: tuple[PlaneCandidate, ...] = ()
    fit: AutomaticFit | None = None


def register_section(
    record: Record,
    image: SectionImage,
    atlas: Atlas,
    *,
    search: bool = True,
    kind: RegisteringKind = "affine",
    channel: int | None = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> RegisteredSection:
    """Find where a section lies in an atlas.

    Parameters
    ----------
    record : Record
        The section, with its pixel size and a placement to begin with.
    image : SectionImage
        Its pixels; only coarse levels are read.
    atlas : Atlas
        With a template, unless `kind` is *none*.
    search : bool
        Search the plane first; landmarks and refinements that there are do not count then.
    kind : {"none", "affine", "bspline"}
        What elastix fits in the plane.
    channel : int, optional
        The channel that is compared with the atlas; by default the mean of all.
    progress : callable, optional
        Called with what is being done, the steps done and their total.
    cancel : Event, optional
        Ends the work with `TaskCancelled` when it is set.

    Raises
    ------
    ElastixMissingError, RegistrationFailedError
        See `register_plane` and `search_plane`; also if the atlas has no template.
    """

    def telling(what: str) -> Callable[[int, int], None]:
        return lambda done, total: None if progress is None else progress(what, done, total)

    stop, frame = cancel or Event(), atlas_frame(atlas)
    # Refused before a search that would be in vain.
    if kind != "none":
        automatic_work(record, image, atlas, kind, channel=channel)
    candidates: tuple[PlaneCandidate, ...] = ()
    if search:
        look = plane_work(record, image, atlas, channel=channel)
        candidates = look(telling("searching the plane"), stop)
        record = record.with_state(
            placement=candidates[0].placement, refinement=None, fit_kind="none", is_placed=True
        )
    fit = None
    if kind != "none":
        work = automatic_work(record, image, atlas, kind, channel=channel)
        fit = work(telling("registering"), stop)
        record = registered(record, fit, frame)
    found = resolve_fit(record, frame)
    # It had a placement from the beginning.
    assert found is not None
    return RegisteredSection(record, found.section_to_atlas, candidates, fit)
