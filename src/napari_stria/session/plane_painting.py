"""What a plane stream paints from, and one plane that is being painted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.io.streaming import ProgressivePyramid
from napari_stria.session.atlas_streams import AtlasStreams
from napari_stria.session.plane_canvas import PlaneCanvas
from napari_stria.session.plane_picture import PlanePicture, PlaneRequest

Limits = tuple[float, float]

# The part of a template's values that its contrast spans, as the atlas's layers have it.
_PERCENTILES = (1, 99.8)
_VIEW = "plane"


class PlaneSource:
    """The streamed volumes of an atlas of which planes are painted.

    Parameters
    ----------
    atlas : Atlas
        Whose they are.
    annotation : ProgressivePyramid
        Display indices.
    templates : dict of str to ProgressivePyramid
        Reference images.
    template : str, optional
        The one to paint; default is the first, if there is any.
    own : AtlasStreams, optional
        What the pyramids belong to, if they end with this source; else they are another view's too.
    """

    def __init__(
        self,
        atlas: Atlas,
        annotation: ProgressivePyramid,
        templates: dict[str, ProgressivePyramid],
        template: str | None = None,
        own: AtlasStreams | None = None,
    ) -> None:
        name = next(iter(templates), None) if template is None else template
        self.atlas = atlas
        self.template_name = template
        self.annotation = annotation
        self.template = None if name is None else templates[name]
        self._own = own

    @property
    def is_borrowed(self) -> bool:
        """Whether the pyramids are another view's too."""
        return self._own is None

    @property
    def pyramids(self) -> list[ProgressivePyramid]:
        """All of them."""
        return [self.annotation, *([] if self.template is None else [self.template])]

    def forget_blocks(self) -> None:
        """Take back what is queued, and let go of what is kept for the plane."""
        for pyramid in self.pyramids:
            pyramid.fetch_blocks(_VIEW, [])

    def close(self) -> None:
        """Forget the blocks; end the downloads too if the pyramids are this source's own."""
        self.forget_blocks()
        if self._own is not None:
            self._own.close()


class PlanePainting:
    """One request that is being painted; used in one thread at a time.

    Parameters
    ----------
    source : PlaneSource
        What is painted.
    request : PlaneRequest
        Where.

    Attributes
    ----------
    awaits : bool
        Whether blocks may still come.
    has_failed : bool
        Whether blocks could not be read.
    """

    def __init__(self, source: PlaneSource, request: PlaneRequest) -> None:
        self.source = source
        self.request = request
        self._labels = PlaneCanvas(source.annotation, request, "nearest")
        self._template = None
        if source.template is not None:
            self._template = PlaneCanvas(source.template, request, "linear")
        self.awaits, self.has_failed = True, False

    @property
    def _canvases(self) -> list[PlaneCanvas]:
        return [self._labels, *([] if self._template is None else [self._template])]

    def ask(self) -> None:
        """Ask for the blocks, in place of those of the plane before."""
        for pyramid, canvas in zip(self.source.pyramids, self._canvases, strict=True):
            pyramid.fetch_blocks(_VIEW, canvas.wanted())

    def take_arrived(self) -> bool:
        """Paint what came since the last call; tell whether there was anything."""
        changed = [canvas.take_arrived() for canvas in self._canvases]
        self.awaits = any(canvas.is_awaiting for canvas in self._canvases)
        self.has_failed = any(canvas.has_failed for canvas in self._canvases)
        return any(changed)

    @property
    def has_picture(self) -> bool:
        """Whether there is anything to be shown."""
        return any(canvas.has_picture for canvas in self._canvases)

    def picture(self) -> PlanePicture:
        """Return the plane as it is known now."""
        return PlanePicture(
            request=self.request,
            labels=self._labels.picture(),
            template=None if self._template is None else self._template.picture(),
            is_final=all(canvas.is_final for canvas in self._canvases),
            resolution_um=self._labels.resolution_um,
        )


def contrast_limits(source: PlaneSource, picture: PlanePicture) -> Limits | None:
    """Return a template's contrast, None while nothing is known of its values.

    It is taken from the chunks of the coarsest level that are there anyway, else from the picture.
    """
    if source.template is None or picture.template is None:
        return None
    chunks = [chunk[::2, ::2, ::2].reshape(-1) for chunk in source.template.cached_coarsest()]
    values: npt.NDArray[np.float64] = np.concatenate(chunks or [picture.template.reshape(-1)])
    values = values[values > 0]
    if not values.size:
        return None
    low, high = (float(v) for v in np.percentile(values, _PERCENTILES))
    return min(low, high * 0.9), high
