"""A map of region ids as the bytes of a TIFF file."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.errors import OutputError


def encode_label_tiff(labels: npt.NDArray[Any]) -> bytes:
    """Return a map as a compressed TIFF of uint32 ids; readers of TIFF 6.0 know it (Deflate).

    Parameters
    ----------
    labels : (H, W) integer ndarray
        Ids of 0 to 2**32 - 1.

    Raises
    ------
    OutputError
        If an id is out of this range.
    """
    import io

    import tifffile

    if labels.size and (labels.min() < 0 or labels.max() > np.iinfo(np.uint32).max):
        raise OutputError("the map has ids that 32 bits do not hold; use another format.")
    data = io.BytesIO()
    tifffile.imwrite(data, labels.astype(np.uint32), compression="zlib", metadata=None)
    return data.getvalue()
