"""A section's image on its plane: streamed as it is, or as its refinement bends it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from napari.utils.colormaps import Colormap
from superqt.utils import qthrottled

from napari_stria.core.transforms import Affine, CoordinateTransform
from napari_stria.io.streamed_plane import StreamedPlane
from napari_stria.io.streamed_rgba import StreamedRgba
from napari_stria.session.section_pixels import SectionPixels
from napari_stria.session.warp_sight import Sight, answers, warp_request
from napari_stria.session.warped_section import WarpedPicture, WarpedSection, WarpRequest
from napari_stria.viewer.registration_scene import UNITS, PlaneWorld, put_layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_stria.io.cache import ChunkCache
    from napari_stria.io.chunk_pool import ChunkPool
    from napari_stria.io.section_files import Channel, SectionImage
    from napari_stria.widgets._tasks import QtTasks

_REFRESH_MS = 100
_OPACITY = 0.7
# Channels without a colour of their own, in their order.
_COLORS = ((255, 0, 255), (0, 255, 0), (0, 160, 255), (255, 160, 0), (255, 255, 0), (255, 60, 60))


@dataclass(frozen=True)
class SectionPose:
    """Where the section is seen.

    Attributes
    ----------
    pixels_to_plane : Affine
        Refined section pixels (x, y) to um of the plane.
    refining : CoordinateTransform or None
        Section pixels to refined ones.
    world : PlaneWorld
    shape_hw : tuple of int
        Rows and columns of the section, whose pixels are meant; its image may have others.
    """

    pixels_to_plane: Affine
    refining: CoordinateTransform | None
    world: PlaneWorld
    shape_hw: tuple[int, int]

    def stretch_xy(self, image: SectionImage) -> tuple[float, float]:
        """Return how many section pixels a pixel of an image covers along x and y."""
        (height, width), (rows, columns) = self.shape_hw, image.shape_hw
        return width / columns, height / rows


class SectionImageLayers:
    """Layers of one section's image: one a channel, or one of colours.

    Parameters
    ----------
    tasks, cache, pool
        Read its pixels in other threads.
    sight : callable
        Returns the part of the plane that is on the canvas; see `Sight`.
    changed : callable
        Called with the layers that go and those that come.
    failed : callable
        Told what could not be read.
    """

    def __init__(
        self,
        tasks: QtTasks,
        cache: ChunkCache,
        pool: ChunkPool,
        *,
        sight: Callable[[], Sight],
        changed: Callable[[list[Layer], list[Layer]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._tasks, self._cache, self._pool = tasks, cache, pool
        self._sight, self._changed, self._failed = sight, changed, failed
        self._pixels: SectionPixels | None = None
        self._pose: SectionPose | None = None
        self._streamed: list[Image] = []
        self._bent: list[Image] = []
        self._bent_pose: SectionPose | None = None  # as the bent picture was asked for
        self._put_away: dict[Image, bool] = {}  # streamed layers while the bent ones are shown
        self._asked: tuple[WarpRequest, SectionPose] | None = None
        self._picture: WarpedPicture | None = None
        self.opacity = _OPACITY
        self._refresh = qthrottled(self._refresh_now, timeout=_REFRESH_MS)
        self._warped = WarpedSection(tasks)
        self._warped.ready.connect(self._on_warped)
        self._warped.failed.connect(failed)

    @property
    def all(self) -> list[Layer]:
        """The layers."""
        return [*self._streamed, *self._bent]

    @property
    def front(self) -> Layer | None:
        """The layer that shows the section now."""
        return next(iter([*self._bent, *self._streamed]), None)

    @property
    def image(self) -> SectionImage | None:
        """Whose pixels are shown."""
        return None if self._pixels is None else self._pixels.image

    # -- what is shown --------------------------------------------------------------------------

    def show(self, image: SectionImage | None, pose: SectionPose | None) -> None:
        """Show an image in a place."""
        if image is not self.image:
            self._take(image)
        self._pose = pose
        if image is None or pose is None:
            return
        x, y = pose.stretch_xy(image)
        stretched = pose.pixels_to_plane @ Affine([[x, 0, 0], [0, y, 0]])
        affine = pose.world.layer_affine(stretched)
        for layer in self._streamed:
            put_layer(layer, affine=affine)
        if pose.refining is None:
            self._straighten()
        else:
            self.look()
        self._place_bent()
        self._choose()

    def _straighten(self) -> None:
        """Let go of the bent picture."""
        self._warped.cancel()
        self._asked = self._picture = self._bent_pose = None
        gone, self._bent = self._bent, []
        if gone:
            self._choose()
            self._changed(list(gone), [])

    def set_opacity(self, opacity: float) -> None:
        """Set how opaque the section is, 0 to 1."""
        self.opacity = opacity
        for layer in (*self._streamed, *self._bent):
            layer.opacity = opacity

    def _take(self, image: SectionImage | None) -> None:
        gone = self.all
        self._warped.cancel()
        if self._pixels is not None:
            self._pixels.close()
        self._refresh.cancel()
        self._pixels, self._streamed, self._bent = None, [], []
        self._asked = self._picture = self._bent_pose = None
        self._put_away.clear()
        if image is not None:
            self._pixels = pixels = SectionPixels(image, self._tasks, self._cache, self._pool)
            pixels.arrived.connect(self._refresh)
            pixels.failed.connect(self._failed)
            pixels.contrast_found.connect(self._on_contrast)
            self._streamed = [self._streamed_layer(n) for n in range(len(pixels.pyramids))]
            pixels.find_contrast()
        self._changed(gone, self.all)
        self._asked = None

    def _streamed_layer(self, number: int) -> Image:
        assert self._pixels is not None
        pyramid, is_rgb = self._pixels.pyramids[number], self._pixels.image.is_rgb
        data = [StreamedPlane(StreamedRgba(lv) if is_rgb else lv) for lv in pyramid.levels]
        many = len(data) > 1
        return Image(data if many else data[0], multiscale=many, **self._look(number, ""))

    def _bent_layer(self, number: int, data: Any) -> Image:
        look = self._look(number, " (bent)")
        if not look["rgb"]:
            look["contrast_limits"] = self._streamed[number].contrast_limits
            look["colormap"] = self._streamed[number].colormap
        return Image(data, **look)

    def _look(self, number: int, mark: str) -> dict[str, Any]:
        assert self._pixels is not None
        image = self._pixels.image
        look: dict[str, Any] = {
            "units": UNITS,
            "opacity": self.opacity,
            "rgb": image.is_rgb,
            "name": f"{image.name}{mark}",
            "projection_mode": "none",
            "metadata": {"stria": {"registration": "section", "bent": bool(mark)}},
        }
        if not image.is_rgb:
            many = len(image.channels) > 1
            channel = image.channels[number]
            look["colormap"] = _colormap(channel, number, many=many)
            look["blending"] = "additive" if many else "translucent"
            look["contrast_limits"] = _widest(image.dtype)
            if many:
                look["name"] = f"{image.name} {channel.name}{mark}"
        return look

    def _choose(self) -> None:
        """Show the streamed layers, or the bent ones in their place."""
        bent = bool(self._bent)
        for layer in self._streamed:
            if bent == (layer not in self._put_away):
                # What the user hid stays hidden.
                if bent:
                    self._put_away[layer] = layer.visible
                    layer.visible = False
                else:
                    layer.visible = self._put_away.pop(layer)

    # -- bending --------------------------------------------------------------------------------

    def look(self) -> None:
        """Ask for a picture of what is on the canvas now, unless it is there."""
        pose, image = self._pose, self.image
        if pose is None or image is None or pose.refining is None:
            return
        request = warp_request(
            image, pose.refining, pose.pixels_to_plane, pose.shape_hw, self._sight()
        )
        asked = self._asked
        if asked is not None and answers(asked[0], request):
            self._asked = (asked[0], pose)
            return
        self._asked = (request, pose)
        self._warped.show(request)

    def _on_warped(self, picture: WarpedPicture) -> None:
        if picture.request.image is not self.image or self._pose is None:
            return
        self._picture = picture
        asked = self._asked
        same = asked is not None and asked[0] is picture.request
        self._bent_pose = asked[1] if same and asked is not None else self._pose
        if self._bent:
            for layer, data in zip(self._bent, picture.channels, strict=True):
                layer.data = data
            self._place_bent()
            return
        self._bent = [self._bent_layer(n, data) for n, data in enumerate(picture.channels)]
        self._place_bent()
        self._changed([], list(self._bent))
        self._choose()

    def _place_bent(self) -> None:
        """Put the bent picture where it belongs."""
        pose, picture = self._pose, self._picture
        if pose is None or picture is None:
            return
        if picture.request.refining is not pose.refining and self._bent_pose is not None:
            # Of a fit that is being changed: its picture belongs to its own linear part.
            pose = replace(self._bent_pose, world=pose.world)
        (x0, y0), _ = picture.request.box_xy
        step = picture.request.pixel
        affine = pose.world.layer_affine(
            pose.pixels_to_plane @ Affine([[step, 0, x0], [0, step, y0]])
        )
        for layer in self._bent:
            put_layer(layer, affine=affine)

    # -- news -----------------------------------------------------------------------------------

    def _on_contrast(self, channel: int, low: float, high: float) -> None:
        for layer in (*self._streamed[channel : channel + 1], *self._bent[channel : channel + 1]):
            layer.contrast_limits = (low, high)

    def _refresh_now(self) -> None:
        for layer in self._streamed:
            if layer.visible:
                layer.refresh(extent=False, highlight=False)

    def close(self) -> None:
        """End the reading."""
        self._warped.cancel()
        self._refresh.cancel()
        if self._pixels is not None:
            self._pixels.close()


def _colormap(channel: Channel, number: int, *, many: bool) -> Any:
    if channel.rgb is None and not many:
        return "gray"
    rgb = channel.rgb or _COLORS[number % len(_COLORS)]
    color = np.array([*rgb, 255]) / 255
    return Colormap([[0, 0, 0, 1], color], name=channel.name)


def _widest(dtype: np.dtype[Any]) -> tuple[float, float]:
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return float(info.min), float(info.max)
    return 0.0, 1.0
