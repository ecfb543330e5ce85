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
    "MeshNotFoundError": "errors",
    "NetworkError": "errors",
    "NotKeptError": "errors",
    "Ontology": "core.ontology",
    "OntologyError": "errors",
    "ReferenceSpaceError": "errors",
    "RegionMesh": "core.mesh",
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
    "drop_kept": "io.offline",
    "fetch_atlas_list": "io.atlas_catalog",
    "neuroglancer_link": "viewer.web_link",
    "keep_offline": "io.offline",
    "kept_atlases": "io.offline",
    "offline_sizes": "io.offline",
    "open_allen_ccf": "io.allen_ccf",
    "open_atlas": "io.opening",
    "open_view": "viewer.view_files",
    "parallel_displacement": "core.allen_alignment",
    "pir_to_atlas": "registration.chain",
    "pir_to_xy": "core.allen_alignment",
    "read_mesh": "core.surfaces",
    "read_terminology": "io.terminology_table",
    "region_at": "core.points",
    "region_table": "core.regions",
    "region_volume": "core.regions",
    "save_view": "viewer.view_files",
    "section_to_atlas": "registration.chain",
    "slice_image": "core.slices",
    "slice_labels": "core.slices",
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
    "MeshNotFoundError",
    "NetworkError",
    "NotKeptError",
    "Ontology",
    "OntologyError",
    "ReferenceSpaceError",
    "RegionMesh",
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
    "drop_kept",
    "fetch_atlas_list",
    "keep_offline",
    "kept_atlases",
    "neuroglancer_link",
    "offline_sizes",
    "open_allen_ccf",
    "open_atlas",
    "open_view",
    "parallel_displacement",
    "pir_to_atlas",
    "pir_to_xy",
    "read_mesh",
    "read_terminology",
    "region_at",
    "region_table",
    "region_volume",
    "save_view",
    "section_to_atlas",
    "slice_image",
    "slice_labels",
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
    from napari_stria.core.mesh import (
        RegionMesh,
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
    from napari_stria.core.slices import (
        slice_image,
        slice_labels,
    )
    from napari_stria.core.structures import (
        Structure,
    )
    from napari_stria.core.surfaces import (
        read_mesh,
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
        MeshNotFoundError,
        NetworkError,
        NotKeptError,
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
    from napari_stria.io.offline import (
        drop_kept,
        keep_offline,
        kept_atlases,
        offline_sizes,
    )
    from napari_stria.io.opening import (
        open_atlas,
    )
    from napari_stria.io.terminology_table import (
        read_terminology,
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
    from napari_stria.viewer.view_files import (
        open_view,
        save_view,
    )
    from napari_stria.viewer.web_link import (
        neuroglancer_link,
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
