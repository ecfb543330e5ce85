"""Ways to an oblique plane, each in a process of its own; see `benchmarks.planes`."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial.transform import Rotation

from benchmarks.answers import digest
from benchmarks.data import REAL
from benchmarks.memory import forget_peak, peak_mb, resident_mb
from benchmarks.worker import serve
from napari_stria.core.oblique import ReadBlock, sample_plane
from napari_stria.core.transforms import Affine
from napari_stria.io.opening import open_atlas

Answer = dict[str, Any]


class Ways:
    """The jobs; each makes the coronal plane in the atlas's middle, turned about two axes."""

    def load(self) -> Answer:
        """Open the atlas, which reads no voxel."""
        self._level = open_atlas("allen_mouse_25um", root=REAL).annotation.levels[0]
        self._blocks: dict[Any, Any] = {}
        self._opened_mb = resident_mb()
        return {}

    def crossed(self, pitch_deg: float, yaw_deg: float) -> Answer:
        """Read what the plane crosses."""
        return self._sampled(pitch_deg, yaw_deg, None)

    def decoded(self, pitch_deg: float, yaw_deg: float) -> Answer:
        """Take what the plane crosses from memory."""

        def kept(index: tuple[int, ...]) -> npt.NDArray[Any] | None:
            if index not in self._blocks:
                self._blocks[index] = self._level.reader.read_block(index)
            block: npt.NDArray[Any] | None = self._blocks[index]
            return block

        self._sampled(pitch_deg, yaw_deg, kept)
        return self._sampled(pitch_deg, yaw_deg, kept)

    def _sampled(self, pitch_deg: float, yaw_deg: float, read_block: ReadBlock | None) -> Answer:
        forget_peak()
        began = perf_counter()
        turn, offset = self._turn(pitch_deg, yaw_deg)
        shape, scale = self._level.shape, np.asarray(self._level.scale_um)
        middle = turn @ [shape[0] // 2, (shape[1] - 1) / 2, (shape[2] - 1) / 2] + offset
        plane = Affine(np.column_stack([turn[:, 2], turn[:, 1], (middle + 0.5) * scale]))
        pixel_um = float(scale[0])
        picture = sample_plane(
            self._level, plane, shape[1:], pixel_um=pixel_um, read_block=read_block
        )
        return self._answer(picture, began)

    def rotated(self, pitch_deg: float, yaw_deg: float) -> Answer:
        """Rotate the whole volume; the clock does not run while it is loaded."""
        forget_peak()
        volume = self._level.data.compute()
        began = perf_counter()
        turn, offset = self._turn(pitch_deg, yaw_deg)
        rotated = ndimage.affine_transform(volume, turn, offset, order=0)
        return self._answer(rotated[volume.shape[0] // 2], began)

    def _turn(
        self, pitch_deg: float, yaw_deg: float
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return a rotation about the volume's middle, of voxel indices."""
        turn = Rotation.from_euler("zy", [pitch_deg, yaw_deg], degrees=True).as_matrix()
        middle = (np.asarray(self._level.shape) - 1) / 2
        return turn, middle - turn @ middle

    def _answer(self, picture: npt.NDArray[Any], began: float) -> Answer:
        seconds, above_mb = perf_counter() - began, peak_mb() - self._opened_mb
        return {"seconds": seconds, "peak_mb": above_mb, "picture": digest(picture)}


if __name__ == "__main__":
    ways = Ways()
    serve(
        {
            "load": ways.load,
            "crossed": ways.crossed,
            "decoded": ways.decoded,
            "rotated": ways.rotated,
        }
    )
