"""napari-stria: explore brain atlases and place histology sections in them."""

from __future__ import annotations

import importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

__version__ = _version("napari-stria")

# Loaded when they are first used: importing the package imports neither Qt, napari, requests
# nor zarr.
_HOMES = {
    "Affine": "core.transforms",
    "AllenApi": "io.allen_api",
    "AmbiguousRegionError": "errors",
    "Atlas": "core.atlas",
    "AtlasNotFoundError": "errors",
    "CoordinateError": "errors",
    "CorruptDataError": "errors",
    "DatasetNotAlignedError": "errors",
    "DatasetNotFoundError": "errors",
    "DisplacementField": "core.displacement",
    "FormatError": "errors",
    "ImageTooLargeError": "errors",
    "NetworkError": "errors",
    "Ontology": "core.ontology",
    "OntologyError": "errors",
    "ReferenceSpaceError": "errors",
    "RegionNotFoundError": "errors",
    "ResolutionWarning": "errors",
    "Section": "core.section",
    "SectionDataset": "core.section",
    "SectionPlaneError": "errors",
    "SectionSkippedWarning": "errors",
    "Sequence": "core.transforms",
    "ServerAnswerError": "errors",
    "StriaError": "errors",
    "Structure": "core.structures",
    "UnsupportedSourceError": "errors",
    "add_atlas": "viewer.controller",
    "aligned_stack": "session.aligned",
    "atlas_from_array": "core.atlas",
    "fetch_atlas_list": "io.atlas_catalog",
    "open_allen_ccf": "io.allen_ccf",
    "open_atlas": "io.brainglobe",
    "parallel_displacement": "core.allen_alignment",
    "pir_to_atlas": "registration.chain",
    "pir_to_xy": "core.allen_alignment",
    "region_at": "core.points",
    "region_table": "core.regions",
    "region_volume": "core.regions",
    "section_to_atlas": "registration.chain",
    "stream_sections": "session.section_stream",
    "xy_to_pir": "core.allen_alignment",
}

__all__ = [
    "Affine",
    "AllenApi",
    "AmbiguousRegionError",
    "Atlas",
    "AtlasNotFoundError",
    "CoordinateError",
    "CorruptDataError",
    "DatasetNotAlignedError",
    "DatasetNotFoundError",
    "DisplacementField",
    "FormatError",
    "ImageTooLargeError",
    "NetworkError",
    "Ontology",
    "OntologyError",
    "ReferenceSpaceError",
    "RegionNotFoundError",
    "ResolutionWarning",
    "Section",
    "SectionDataset",
    "SectionPlaneError",
    "SectionSkippedWarning",
    "Sequence",
    "ServerAnswerError",
    "StriaError",
    "Structure",
    "UnsupportedSourceError",
    "add_atlas",
    "aligned_stack",
    "atlas_from_array",
    "fetch_atlas_list",
    "open_allen_ccf",
    "open_atlas",
    "parallel_displacement",
    "pir_to_atlas",
    "pir_to_xy",
    "region_at",
    "region_table",
    "region_volume",
    "section_to_atlas",
    "stream_sections",
    "xy_to_pir",
]

if TYPE_CHECKING:
    from napari_stria.core.allen_alignment import (
        parallel_displacement,
        pir_to_xy,
        xy_to_pir,
    )
    from napari_stria.core.atlas import (
        Atlas,
        atlas_from_array,
    )
    from napari_stria.core.displacement import (
        DisplacementField,
    )
    from napari_stria.core.ontology import (
        Ontology,
    )
    from napari_stria.core.points import (
        region_at,
    )
    from napari_stria.core.regions import (
        region_table,
        region_volume,
    )
    from napari_stria.core.section import (
        Section,
        SectionDataset,
    )
    from napari_stria.core.structures import (
        Structure,
    )
    from napari_stria.core.transforms import (
        Affine,
        Sequence,
    )
    from napari_stria.errors import (
        AmbiguousRegionError,
        AtlasNotFoundError,
        CoordinateError,
        CorruptDataError,
        DatasetNotAlignedError,
        DatasetNotFoundError,
        FormatError,
        ImageTooLargeError,
        NetworkError,
        OntologyError,
        ReferenceSpaceError,
        RegionNotFoundError,
        ResolutionWarning,
        SectionPlaneError,
        SectionSkippedWarning,
        ServerAnswerError,
        StriaError,
        UnsupportedSourceError,
    )
    from napari_stria.io.allen_api import (
        AllenApi,
    )
    from napari_stria.io.allen_ccf import (
        open_allen_ccf,
    )
    from napari_stria.io.atlas_catalog import (
        fetch_atlas_list,
    )
    from napari_stria.io.brainglobe import (
        open_atlas,
    )
    from napari_stria.registration.chain import (
        pir_to_atlas,
        section_to_atlas,
    )
    from napari_stria.session.aligned import (
        aligned_stack,
    )
    from napari_stria.session.section_stream import (
        stream_sections,
    )
    from napari_stria.viewer.controller import (
        add_atlas,
    )


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
