"""OME-Zarr pyramids (0.4 and 0.5) in any `Store`, as BrainGlobe and the Allen Institute write them.

ngff-zarr reads the same metadata, but fills in a zero translation where a store has none, which
would put a coarse level half a coarse voxel off; BrainGlobe's older stores have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_stria.core.pyramid import Level, Multiscale
from napari_stria.core.space import Triple, space_from_directions
from napari_stria.errors import FormatError, StoreNotFoundError
from napari_stria.io.statistics_files import StatisticsFiles
from napari_stria.io.store import Store
from napari_stria.io.zarr_array import ZarrArray, read_array, read_json

_FARTHEST_UM = 1e9
_UM_PER = {
    "angstrom": 1e-4, "nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3,
    "centimeter": 1e4, "meter": 1e6,
}  # fmt: skip


@dataclass(frozen=True)
class OmeZarr:
    """A pyramid and what its metadata says of the axes' directions."""

    pyramid: Multiscale
    space: str | None


def read_ome_zarr(store: Store, path: str) -> OmeZarr:
    """Open a pyramid; metadata are read, voxels are not.

    Parameters
    ----------
    store : Store
        Where it lies.
    path : str
        Key of the pyramid's group; empty for the store itself.

    Raises
    ------
    FormatError
        If it is not an OME-Zarr image with three space axes.
    """
    where = f"{store.uri}/{path}".rstrip("/")
    multiscale = _first_multiscale(store, path, where)
    try:
        axes = multiscale["axes"]
        if [a.get("type") for a in axes] != ["space"] * 3:
            names = [a.get("name") for a in axes]
            raise FormatError(
                f"{where} has the axes {names}, not three of space; for BrainGlobe's annotation "
                "open annotations_compressed.ome.zarr, not the masks in annotations.ome.zarr."
            )
        units = tuple(_um_per_unit(a, where) for a in axes)
        space = space_from_directions([_direction(a) for a in axes])
        pyramid = _read_levels(store, path, multiscale, units)
    except FormatError:
        raise
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError) as error:
        raise FormatError(f"{where} has incomplete OME-Zarr metadata: {error!r}.") from error
    return OmeZarr(pyramid, space)


def _first_multiscale(store: Store, path: str, where: str) -> dict[str, Any]:
    prefix = f"{path}/" if path else ""
    group = read_json(store, f"{prefix}zarr.json")
    if group is not None:
        attributes = group.get("attributes") or {}
        ome = attributes.get("ome") or attributes
    else:
        ome = read_json(store, f"{prefix}.zattrs")
        if ome is None:
            raise StoreNotFoundError(f"{where} has no OME-Zarr image; check the address.")
    multiscales = ome.get("multiscales") if isinstance(ome, dict) else None
    if not isinstance(multiscales, list) or not multiscales:
        raise FormatError(
            f"{where} is not an OME-Zarr image (no multiscales metadata); check the address."
        )
    first = multiscales[0]
    if not isinstance(first, dict):
        raise FormatError(f"{where} has multiscales metadata that cannot be read.")
    return first


def _um_per_unit(axis: dict[str, Any], where: str) -> float:
    unit = axis.get("unit")
    if unit not in _UM_PER:
        raise FormatError(
            f"{where} gives the axis {axis.get('name')!r} the unit {unit!r}; "
            f"a length is needed ({', '.join(_UM_PER)})."
        )
    return _UM_PER[unit]


def _direction(axis: dict[str, Any]) -> str | None:
    orientation = axis.get("orientation") or {}
    return orientation.get("value") or orientation.get("direction")


def _read_levels(
    store: Store, path: str, multiscale: dict[str, Any], units: tuple[float, ...]
) -> Multiscale:
    found = []
    for dataset in multiscale["datasets"]:
        prefix = f"{path}/" if path else ""
        array = read_array(store, f"{prefix}{dataset['path']}".strip("/"))
        if len(array.shape) != 3:
            raise FormatError(f"{store.uri}/{array.path} has {len(array.shape)} axes, not three.")
        transforms = [
            *(dataset.get("coordinateTransformations") or []),
            *(multiscale.get("coordinateTransformations") or []),
        ]
        found.append((array, *_scale_and_translation(transforms, units, array.path)))
    if not found:
        raise FormatError(f"{store.uri}/{path} lists no resolution level.")
    found.sort(key=lambda level: level[1])
    finest = found[0][1]
    levels = []
    for array, scale, translation in found:
        if translation is None:
            translation = _triple((s - f) / 2 for s, f in zip(scale, finest, strict=True))
        origin = _triple(
            t + (f - s) / 2 for t, f, s in zip(translation, finest, scale, strict=True)
        )
        levels.append(Level(array, scale, translation, origin))
    return Multiscale(tuple(levels))


def _scale_and_translation(
    transforms: list[dict[str, Any]], units: tuple[float, ...], path: str
) -> tuple[Triple, Triple | None]:
    """Return a level's voxel size and translation in um; None where no translation is written."""
    scale: list[float] | None = None
    translation: list[float] | None = None
    for transform in transforms:
        kind = transform["type"]
        if kind == "identity":
            continue
        if kind not in ("scale", "translation"):
            raise FormatError(f"the level {path} has a {kind!r} transformation, which is not read.")
        values = [float(v) * u for v, u in zip(transform[kind], units, strict=True)]
        if kind == "translation":
            translation = [a + b for a, b in zip(translation or [0.0] * 3, values, strict=True)]
        elif scale is None:
            scale = values
        else:
            factors = [float(v) for v in transform["scale"]]
            scale = [a * b for a, b in zip(scale, factors, strict=True)]
            if translation is not None:
                translation = [a * b for a, b in zip(translation, factors, strict=True)]
    if scale is None or not all(0 < s < _FARTHEST_UM for s in scale):
        raise FormatError(f"the level {path} has no usable scale ({scale}).")
    if translation is not None and not all(abs(t) < _FARTHEST_UM for t in translation):
        raise FormatError(f"the level {path} has no usable translation ({translation}).")
    return _triple(scale), None if translation is None else _triple(translation)


def _triple(values: Any) -> Triple:
    # Rounded so that 0.1 mm gives 100 um and not 100.00000000000001.
    a, d, m = (round(float(v), 9) for v in values)
    return a, d, m


def statistics_files(
    store: Store, path: str, opened: Multiscale, rules: str, hemispheres: Multiscale | None = None
) -> StatisticsFiles:
    """Return where the counts of a stored pyramid are kept.

    Parameters
    ----------
    path : str
        Key of the pyramid in the store.
    opened : Multiscale
        The pyramid.
    rules : str
        What the counts depend on besides voxels: the space and how sides are found.
    hemispheres : Multiscale, optional
        A volume that tells the sides; it may change on its own.
    """

    def version_of(level: Level) -> str:
        array = level.reader
        assert isinstance(array, ZarrArray)
        metadata = f"{array.path}/{array.metadata_name}".lstrip("/")
        return store.version_of_array(array.path, metadata)

    def version(number: int) -> str:
        halves = () if hemispheres is None else hemispheres.levels
        return "|".join(version_of(level) for level in (opened.levels[number], *halves))

    return StatisticsFiles(f"{store.place}/{path}|{rules}", version)
