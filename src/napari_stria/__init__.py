"""napari-stria: explore brain atlases and place histology sections in them."""

from __future__ import annotations

import importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

__version__ = _version("napari-stria")

# Loaded when they are first used: importing the package imports neither Qt, napari, requests
# nor zarr.
_HOMES = {
    "AmbiguousRegionError": "errors",
    "Atlas": "core.atlas",
    "AtlasNotFoundError": "errors",
    "CoordinateError": "errors",
    "CorruptDataError": "errors",
    "FormatError": "errors",
    "NetworkError": "errors",
    "Ontology": "core.ontology",
    "OntologyError": "errors",
    "RegionNotFoundError": "errors",
    "ResolutionWarning": "errors",
    "StriaError": "errors",
    "Structure": "core.structures",
    "UnsupportedSourceError": "errors",
    "add_atlas": "viewer.controller",
    "atlas_from_array": "core.atlas",
    "fetch_atlas_list": "io.atlas_catalog",
    "open_allen_ccf": "io.allen_ccf",
    "open_atlas": "io.brainglobe",
    "region_at": "core.points",
    "region_table": "core.regions",
    "region_volume": "core.regions",
}

__all__ = [
    "AmbiguousRegionError",
    "Atlas",
    "AtlasNotFoundError",
    "CoordinateError",
    "CorruptDataError",
    "FormatError",
    "NetworkError",
    "Ontology",
    "OntologyError",
    "RegionNotFoundError",
    "ResolutionWarning",
    "StriaError",
    "Structure",
    "UnsupportedSourceError",
    "add_atlas",
    "atlas_from_array",
    "fetch_atlas_list",
    "open_allen_ccf",
    "open_atlas",
    "region_at",
    "region_table",
    "region_volume",
]

if TYPE_CHECKING:
    from napari_stria.core.atlas import Atlas, atlas_from_array
    from napari_stria.core.ontology import Ontology
    from napari_stria.core.points import region_at
    from napari_stria.core.regions import region_table, region_volume
    from napari_stria.core.structures import Structure
    from napari_stria.errors import (
        AmbiguousRegionError,
        AtlasNotFoundError,
        CoordinateError,
        CorruptDataError,
        FormatError,
        NetworkError,
        OntologyError,
        RegionNotFoundError,
        ResolutionWarning,
        StriaError,
        UnsupportedSourceError,
    )
    from napari_stria.io.allen_ccf import open_allen_ccf
    from napari_stria.io.atlas_catalog import fetch_atlas_list
    from napari_stria.io.brainglobe import open_atlas
    from napari_stria.viewer.controller import add_atlas


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
