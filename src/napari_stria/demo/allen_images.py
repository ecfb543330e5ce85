"""Image downloads of the practice API: their parameters, and what has been rendered lately."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from napari_stria.demo.practice_sections import (
    PRACTICE_BROKEN_IMAGE,
    TIER_COUNT,
    SectionPlan,
    practice_images,
)
from napari_stria.demo.replies import Reply, html_reply, plain_reply
from napari_stria.demo.section_rendering import VIEWS, encode_jpeg, render
from napari_stria.demo.section_window import Window
from napari_stria.demo.template_file import load_template
from napari_stria.demo.template_planes import TemplatePlanes

_CACHE_BYTES = 64 * 2**20
_LARGEST_PIXELS = 200_000_000
_LARGEST_EDGE = 65_500  # of a JPEG
_FARTHEST = 1_000_000
_BEST_QUALITY = 100

_Key = tuple[int, Window, int, str | None]


class ImageService:
    """Answers image downloads.

    Parameters
    ----------
    folder : Path
        Where the practice template may lie; without it this takes some seconds.
    """

    def __init__(self, folder: Path) -> None:
        self._images = {section.id: (plan, section) for plan, section in practice_images()}
        self._planes = TemplatePlanes(load_template(folder))
        self._lock = threading.Lock()
        self._encoded: OrderedDict[_Key, bytes] = OrderedDict()
        self._encoded_bytes = 0

    def reply(self, image: int, asked: Mapping[str, str]) -> Reply:
        """Return the JPEG of an image.

        Parameters
        ----------
        image : int
            SectionImage id; 404 if there is none.
        asked : mapping of str to str
            ``left`` and ``top`` in full-resolution pixels of the slide image, ``width`` and
            ``height`` in pixels of the tier ``downsample``, ``quality`` and ``view``; 400 if one
            makes no sense. The defaults are the section's box.
        """
        if image not in self._images:
            return plain_reply(HTTPStatus.NOT_FOUND)
        if image == PRACTICE_BROKEN_IMAGE:
            return html_reply()
        try:
            window = _window(self._images[image][1], asked)
            quality = _whole(asked, "quality", _BEST_QUALITY, 0, _BEST_QUALITY)
            view = asked.get("view")
            if view not in VIEWS:
                raise ValueError(f"view is {' or '.join(filter(None, VIEWS))}, not {view!r}.")
        except ValueError as error:
            return plain_reply(HTTPStatus.BAD_REQUEST, str(error))
        body = self._jpeg((image, window, quality, view))
        return Reply(HTTPStatus.OK, {"Content-Type": "image/jpeg"}, body)

    def _jpeg(self, key: _Key) -> bytes:
        with self._lock:
            if key in self._encoded:
                self._encoded.move_to_end(key)
                return self._encoded[key]
        image, window, quality, view = key
        body = encode_jpeg(render(self._planes, *self._images[image], window, view), quality)
        with self._lock:
            self._keep(key, body)
        return body

    def _keep(self, key: _Key, body: bytes) -> None:
        if len(body) > _CACHE_BYTES or key in self._encoded:
            return
        self._encoded[key] = body
        self._encoded_bytes += len(body)
        while self._encoded_bytes > _CACHE_BYTES:
            self._encoded_bytes -= len(self._encoded.popitem(last=False)[1])


def _window(section: SectionPlan, asked: Mapping[str, str]) -> Window:
    tier = _whole(asked, "downsample", 0, 0, TIER_COUNT - 1)
    width = _whole(asked, "width", -(-section.width // 2**tier), 1, _LARGEST_EDGE)
    height = _whole(asked, "height", -(-section.height // 2**tier), 1, _LARGEST_EDGE)
    if width * height > _LARGEST_PIXELS:
        raise ValueError(f"an image of {width} x {height} pixels is too large.")
    left = _whole(asked, "left", section.x) - section.x
    top = _whole(asked, "top", section.y) - section.y
    return Window(tier, left, top, width, height)


def _whole(
    asked: Mapping[str, str],
    name: str,
    default: int,
    least: int = -_FARTHEST,
    most: int = _FARTHEST,
) -> int:
    text = asked.get(name)
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"{name} is a whole number, not {text!r}.") from None
    if not least <= value <= most:
        raise ValueError(f"{name} is {least} to {most}, not {value}.")
    return value
