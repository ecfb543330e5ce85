"""Annotations that are one zarr array without any word of where its voxels lie."""

from __future__ import annotations

from napari_stria.core.pyramid import Multiscale, single_level
from napari_stria.core.space import Triple
from napari_stria.errors import FormatError, VoxelSizeMissingError
from napari_stria.io.ome_zarr import OmeZarr, read_ome_zarr
from napari_stria.io.store import Store
from napari_stria.io.zarr_array import read_array, read_json


def read_annotation(store: Store, path: str, scale_um: Triple | None) -> OmeZarr:
    """Open an OME-Zarr, or one bare zarr array whose voxel size is given.

    Parameters
    ----------
    store : Store
    path : str
        Key of the group or array; empty for the store itself.
    scale_um : tuple of float or None
        Voxel size (AP, DV, ML) of a bare array; an OME-Zarr states its own.

    Raises
    ------
    StoreNotFoundError
        If there is neither.
    FormatError
        If it is a bare array and `scale_um` is None, or has not three axes.
    """
    try:
        return read_ome_zarr(store, path)
    except FormatError as error:
        pyramid = _bare(store, path, scale_um, error)
        return OmeZarr(pyramid, None)


def _bare(store: Store, path: str, scale_um: Triple | None, otherwise: FormatError) -> Multiscale:
    where = f"{store.uri}/{path}".rstrip("/")
    try:
        array = read_array(store, path)
    except FormatError as error:
        # Of an array that cannot be read it would mislead to say that it is no image.
        found = read_json(store, f"{path}/zarr.json".lstrip("/")) or {}
        raise error if found.get("node_type") == "array" else otherwise from None
    if len(array.shape) != 3:
        raise FormatError(f"{where} has {len(array.shape)} axes, not three.")
    if scale_um is None:
        raise VoxelSizeMissingError(
            f"{where} does not say its voxel size; give resolution_um, e.g. 25."
        )
    return single_level(array, scale_um)
