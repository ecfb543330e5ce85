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
    "Parcellation": "core.parcellation",
    "ReferenceSpaceError": "errors",
    "RegionGroup": "core.groups",
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
    "add_mask_layer": "viewer.mask_layers",
    "aligned_stack": "session.aligned",
    "atlas_from_array": "core.atlas",
    "check_coverage": "core.coverage",
    "clean_structures": "io.clean_structures",
    "downsample_annotation": "core.resampling",
    "drop_kept": "io.offline",
    "fetch_annotation": "io.allen_downloads",
    "fetch_atlas_list": "io.atlas_catalog",
    "fetch_ontology": "io.allen_ontology",
    "group_table": "core.group_table",
    "keep_offline": "io.offline",
    "kept_atlases": "io.offline",
    "neuroglancer_link": "viewer.web_link",
    "offline_sizes": "io.offline",
    "ontology_from_structures": "io.structure_graph",
    "open_allen_ccf": "io.allen_ccf",
    "open_atlas": "io.opening",
    "open_view": "viewer.view_files",
    "parallel_displacement": "core.allen_alignment",
    "parcellated_table": "core.parcellated",
    "parcellation_at_depth": "core.parcellation",
    "parcellation_of_groups": "core.parcellation",
    "parcellation_of_set": "core.parcellation",
    "pir_to_atlas": "registration.chain",
    "pir_to_xy": "core.allen_alignment",
    "read_mesh": "core.surfaces",
    "read_ontology": "io.ontology_files",
    "read_region_groups": "io.group_files",
    "read_terminology": "io.terminology_table",
    "region_at": "core.points",
    "region_table": "core.regions",
    "region_volume": "core.regions",
    "save_view": "viewer.view_files",
    "section_to_atlas": "registration.chain",
    "slice_image": "core.slices",
    "slice_labels": "core.slices",
    "stream_sections": "session.section_stream",
    "structure_mask": "core.masks",
    "structure_masks": "core.masks",
    "validate_regions": "core.coverage",
    "write_itksnap": "io.itksnap",
    "write_masks": "io.mask_files",
    "write_ontology": "io.ontology_files",
    "write_region_groups": "io.group_files",
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
    "Parcellation",
    "ReferenceSpaceError",
    "RegionGroup",
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
    "add_mask_layer",
    "aligned_stack",
    "atlas_from_array",
    "check_coverage",
    "clean_structures",
    "downsample_annotation",
    "drop_kept",
    "fetch_annotation",
    "fetch_atlas_list",
    "fetch_ontology",
    "group_table",
    "keep_offline",
    "kept_atlases",
    "neuroglancer_link",
    "offline_sizes",
    "ontology_from_structures",
    "open_allen_ccf",
    "open_atlas",
    "open_view",
    "parallel_displacement",
    "parcellated_table",
    "parcellation_at_depth",
    "parcellation_of_groups",
    "parcellation_of_set",
    "pir_to_atlas",
    "pir_to_xy",
    "read_mesh",
    "read_ontology",
    "read_region_groups",
    "read_terminology",
    "region_at",
    "region_table",
    "region_volume",
    "save_view",
    "section_to_atlas",
    "slice_image",
    "slice_labels",
    "stream_sections",
    "structure_mask",
    "structure_masks",
    "validate_regions",
    "write_itksnap",
    "write_masks",
    "write_ontology",
    "write_region_groups",
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
    from napari_stria.core.coverage import (
        check_coverage,
        validate_regions,
    )
    from napari_stria.core.displacement import (
        DisplacementField,
    )
    from napari_stria.core.group_table import (
        group_table,
    )
    from napari_stria.core.groups import (
        RegionGroup,
    )
    from napari_stria.core.masks import (
        structure_mask,
        structure_masks,
    )
    from napari_stria.core.mesh import (
        RegionMesh,
    )
    from napari_stria.core.ontology import (
        Ontology,
    )
    from napari_stria.core.parcellated import (
        parcellated_table,
    )
    from napari_stria.core.parcellation import (
        Parcellation,
        parcellation_at_depth,
        parcellation_of_groups,
        parcellation_of_set,
    )
    from napari_stria.core.points import (
        region_at,
    )
    from napari_stria.core.regions import (
        region_table,
        region_volume,
    )
    from napari_stria.core.resampling import (
        downsample_annotation,
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
    from napari_stria.io.allen_downloads import (
        fetch_annotation,
    )
    from napari_stria.io.allen_ontology import (
        fetch_ontology,
    )
    from napari_stria.io.atlas_catalog import (
        fetch_atlas_list,
    )
    from napari_stria.io.clean_structures import (
        clean_structures,
    )
    from napari_stria.io.group_files import (
        read_region_groups,
        write_region_groups,
    )
    from napari_stria.io.itksnap import (
        write_itksnap,
    )
    from napari_stria.io.mask_files import (
        write_masks,
    )
    from napari_stria.io.offline import (
        drop_kept,
        keep_offline,
        kept_atlases,
        offline_sizes,
    )
    from napari_stria.io.ontology_files import (
        read_ontology,
        write_ontology,
    )
    from napari_stria.io.opening import (
        open_atlas,
    )
    from napari_stria.io.structure_graph import (
        ontology_from_structures,
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
    from napari_stria.viewer.mask_layers import (
        add_mask_layer,
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
