"""The practice brain's annotation as files, where and as the Allen Institute offers its own."""

from __future__ import annotations

import gzip
import hashlib
import re
import threading
from email.message import Message
from email.utils import formatdate

from napari_stria.core.phantom import practice_annotation
from napari_stria.demo.replies import Reply, bytes_reply

ARCHIVE_PREFIX = "/informatics-archive/current-release/mouse_ccf"
ANNOTATION_UM = (50, 100)

_PATH = re.compile(rf"{ARCHIVE_PREFIX}/annotation/ccf_2017/annotation_(\d+)\.nrrd")
# The practice brain has no date of its own.
_MODIFIED = formatdate(1_500_000_000, usegmt=True)


class AnnotationFiles:
    """Answers for ``annotation_50.nrrd`` and ``annotation_100.nrrd`` of version ccf_2017.

    They are made when they are first asked for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[int, bytes] = {}

    def reply(self, path: str, command: str, asked: Message) -> Reply | None:
        """Return the answer to a request, None if the path is none of these files."""
        match = _PATH.fullmatch(path)
        if match is None or int(match[1]) not in ANNOTATION_UM:
            return None
        content = self._content(int(match[1]))
        headers = {
            "Content-Type": "application/octet-stream",
            "ETag": f'"{hashlib.sha256(content).hexdigest()[:16]}"',
            "Last-Modified": _MODIFIED,
        }
        return bytes_reply(content, headers, command, asked)

    def _content(self, resolution_um: int) -> bytes:
        with self._lock:
            if resolution_um not in self._made:
                self._made[resolution_um] = annotation_nrrd(resolution_um)
            return self._made[resolution_um]


def annotation_nrrd(resolution_um: int) -> bytes:
    """Return the practice brain's annotation as an NRRD in Allen's axes.

    Allen's ML axis starts at the left and the practice brain's at the right, so it is turned. The
    same bytes come each time, so that a download can be gone on with.
    """
    labels = practice_annotation(resolution_um)[..., ::-1].astype("<u4")
    step = resolution_um
    header = (
        "NRRD0004",
        "# The practice brain of napari-stria: invented, not for science",
        "type: unsigned int",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(n) for n in labels.shape)}",
        f"space directions: ({step},0,0) (0,{step},0) (0,0,{step})",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        "space origin: (0,0,0)",
    )
    # The first axis is the fastest.
    body = gzip.compress(labels.tobytes(order="F"), mtime=0)
    return "\n".join((*header, "", "")).encode() + body
