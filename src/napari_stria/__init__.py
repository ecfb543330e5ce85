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
    "AnchoringWarning": "errors",
    "Atlas": "core.atlas",
    "AtlasNotFoundError": "errors",
    "CoordinateError": "errors",
    "CorruptDataError": "errors",
    "DatasetNotAlignedError": "errors",
    "DatasetNotFoundError": "errors",
    "DegenerateLandmarksError": "errors",
    "DisplacementField": "core.displacement",
    "ElastixMissingError": "errors",
    "FormatError": "errors",
    "ImageTooLargeError": "errors",
    "LandmarkFit": "registration.landmarks",
    "MeshNotFoundError": "errors",
    "NetworkError": "errors",
    "NotKeptError": "errors",
    "Ontology": "core.ontology",
    "OntologyError": "errors",
    "Parcellation": "core.parcellation",
    "PiecewiseAffine": "core.piecewise",
    "PointSet": "core.point_set",
    "ReferenceSpaceError": "errors",
    "RegionGroup": "core.groups",
    "RegionMesh": "core.mesh",
    "RegionNotFoundError": "errors",
    "RegistrationFailedError": "errors",
    "ResolutionWarning": "errors",
    "Section": "core.section",
    "SectionDataset": "core.section",
    "SectionPlacement": "core.section_plane",
    "SectionPlaneError": "errors",
    "SectionSeries": "core.series",
    "SectionSkippedWarning": "errors",
    "Sequence": "core.transforms",
    "SeriesSlice": "core.series",
    "ServerAnswerError": "errors",
    "StriaError": "errors",
    "Structure": "core.structures",
    "ThinPlateSpline": "core.spline",
    "UnsupportedSourceError": "errors",
    "add_atlas": "viewer.controller",
    "add_mask_layer": "viewer.mask_layers",
    "aligned_stack": "session.aligned",
    "annotation_plane": "core.atlas_plane",
    "atlas_from_array": "core.atlas",
    "atlas_map": "registration.section_maps",
    "check_coverage": "core.coverage",
    "clean_structures": "io.clean_structures",
    "count_points": "core.point_counts",
    "downsample_annotation": "core.resampling",
    "drop_kept": "io.offline",
    "expression_table": "session.expression_table",
    "fetch_annotation": "io.allen_downloads",
    "fetch_atlas_list": "io.atlas_catalog",
    "fetch_ontology": "io.allen_ontology",
    "fit_landmarks": "registration.landmarks",
    "group_table": "core.group_table",
    "keep_offline": "io.offline",
    "kept_atlases": "io.offline",
    "measure_image": "core.image_measures",
    "measure_labels": "core.label_measures",
    "measure_polygons": "core.polygons",
    "neuroglancer_link": "viewer.web_link",
    "object_regions": "core.label_measures",
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
    "point_regions": "core.point_regions",
    "polygon_regions": "core.polygons",
    "read_mesh": "core.surfaces",
    "read_ontology": "io.ontology_files",
    "read_points": "io.point_files",
    "read_region_groups": "io.group_files",
    "read_series": "io.series",
    "read_terminology": "io.terminology_table",
    "read_transform": "io.transform_files",
    "region_at": "core.points",
    "region_table": "core.regions",
    "region_volume": "core.regions",
    "regions_on_section": "registration.section_warp",
    "register_plane": "registration.automatic",
    "save_view": "viewer.view_files",
    "search_plane": "registration.plane_search",
    "section_to_atlas": "registration.chain",
    "slice_image": "core.slices",
    "slice_labels": "core.slices",
    "stream_sections": "session.section_stream",
    "structure_mask": "core.masks",
    "structure_masks": "core.masks",
    "template_plane": "core.atlas_plane",
    "validate_regions": "core.coverage",
    "warp_section": "registration.section_warp",
    "write_itksnap": "io.itksnap",
    "write_masks": "io.mask_files",
    "write_ontology": "io.ontology_files",
    "write_region_groups": "io.group_files",
    "write_series": "io.series",
    "write_transform": "io.transform_files",
    "xy_to_pir": "core.allen_alignment",
}

__all__ = [
    "Affine",
    "AllenApi",
    "AmbiguousRegionError",
    "AnchoringWarning",
    "Atlas",
    "AtlasNotFoundError",
    "CoordinateError",
    "CorruptDataError",
    "DatasetNotAlignedError",
    "DatasetNotFoundError",
    "DegenerateLandmarksError",
    "DisplacementField",
    "ElastixMissingError",
    "FormatError",
    "ImageTooLargeError",
    "LandmarkFit",
    "MeshNotFoundError",
    "NetworkError",
    "NotKeptError",
    "Ontology",
    "OntologyError",
    "Parcellation",
    "PiecewiseAffine",
    "PointSet",
    "ReferenceSpaceError",
    "RegionGroup",
    "RegionMesh",
    "RegionNotFoundError",
    "RegistrationFailedError",
    "ResolutionWarning",
    "Section",
    "SectionDataset",
    "SectionPlacement",
    "SectionPlaneError",
    "SectionSeries",
    "SectionSkippedWarning",
    "Sequence",
    "SeriesSlice",
    "ServerAnswerError",
    "StriaError",
    "Structure",
    "ThinPlateSpline",
    "UnsupportedSourceError",
    "add_atlas",
    "add_mask_layer",
    "aligned_stack",
    "annotation_plane",
    "atlas_from_array",
    "atlas_map",
    "check_coverage",
    "clean_structures",
    "count_points",
    "downsample_annotation",
    "drop_kept",
    "expression_table",
    "fetch_annotation",
    "fetch_atlas_list",
    "fetch_ontology",
    "fit_landmarks",
    "group_table",
    "keep_offline",
    "kept_atlases",
    "measure_image",
    "measure_labels",
    "measure_polygons",
    "neuroglancer_link",
    "object_regions",
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
    "point_regions",
    "polygon_regions",
    "read_mesh",
    "read_ontology",
    "read_points",
    "read_region_groups",
    "read_series",
    "read_terminology",
    "read_transform",
    "region_at",
    "region_table",
    "region_volume",
    "regions_on_section",
    "register_plane",
    "save_view",
    "search_plane",
    "section_to_atlas",
    "slice_image",
    "slice_labels",
    "stream_sections",
    "structure_mask",
    "structure_masks",
    "template_plane",
    "validate_regions",
    "warp_section",
    "write_itksnap",
    "write_masks",
    "write_ontology",
    "write_region_groups",
    "write_series",
    "write_transform",
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
    from napari_stria.core.atlas_plane import (
        annotation_plane,
        template_plane,
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
    from napari_stria.core.image_measures import (
        measure_image,
    )
    from napari_stria.core.label_measures import (
        measure_labels,
        object_regions,
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
    from napari_stria.core.piecewise import (
        PiecewiseAffine,
    )
    from napari_stria.core.point_counts import (
        count_points,
    )
    from napari_stria.core.point_regions import (
        point_regions,
    )
    from napari_stria.core.point_set import (
        PointSet,
    )
    from napari_stria.core.points import (
        region_at,
    )
    from napari_stria.core.polygons import (
        measure_polygons,
        polygon_regions,
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
    from napari_stria.core.section_plane import (
        SectionPlacement,
    )
    from napari_stria.core.series import (
        SectionSeries,
        SeriesSlice,
    )
    from napari_stria.core.slices import (
        slice_image,
        slice_labels,
    )
    from napari_stria.core.spline import (
        ThinPlateSpline,
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
        AnchoringWarning,
        AtlasNotFoundError,
        CoordinateError,
        CorruptDataError,
        DatasetNotAlignedError,
        DatasetNotFoundError,
        DegenerateLandmarksError,
        ElastixMissingError,
        FormatError,
        ImageTooLargeError,
        MeshNotFoundError,
        NetworkError,
        NotKeptError,
        OntologyError,
        ReferenceSpaceError,
        RegionNotFoundError,
        RegistrationFailedError,
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
    from napari_stria.io.point_files import (
        read_points,
    )
    from napari_stria.io.series import (
        read_series,
        write_series,
    )
    from napari_stria.io.structure_graph import (
        ontology_from_structures,
    )
    from napari_stria.io.terminology_table import (
        read_terminology,
    )
    from napari_stria.io.transform_files import (
        read_transform,
        write_transform,
    )
    from napari_stria.registration.automatic import (
        register_plane,
    )
    from napari_stria.registration.chain import (
        pir_to_atlas,
        section_to_atlas,
    )
    from napari_stria.registration.landmarks import (
        LandmarkFit,
        fit_landmarks,
    )
    from napari_stria.registration.plane_search import (
        search_plane,
    )
    from napari_stria.registration.section_maps import (
        atlas_map,
    )
    from napari_stria.registration.section_warp import (
        regions_on_section,
        warp_section,
    )
    from napari_stria.session.aligned import (
        aligned_stack,
    )
    from napari_stria.session.expression_table import (
        expression_table,
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
