"""What the export dialog says."""

from __future__ import annotations

from napari_stria.core.parcellation import Parcellation
from napari_stria.session.amounts import bytes_text
from napari_stria.session.export_choices import Format, Kind
from napari_stria.session.export_session import ExportStatus
from napari_stria.session.exporting import ExportPreview

KINDS: dict[Kind, tuple[str, str]] = {
    "table": (
        "Table of regions (CSV)",
        (
            "Size, sides, centroid and box of every region, one row each. For Excel, R, pandas and "
            "statistics."
        ),
    ),
    "masks": (
        "Masks of regions",
        (
            "A volume of 0 and 1 for each region, one file each. For Fiji, ITK-SNAP, 3D Slicer and "
            "scripts."
        ),
    ),
    "annotation": (
        "Annotation",
        (
            "The volume of labels, with the list of regions beside it. For 3D Slicer and scripts; "
            "an OME-Zarr can be opened here again."
        ),
    ),
    "itksnap": (
        "ITK-SNAP labels",
        (
            "A label volume and its label descriptions, with names and colours. For ITK-SNAP, and "
            "programs that read its files."
        ),
    ),
    "slice": (
        "Picture of a plane (PNG)",
        "One plane in the regions' colours, a pixel a voxel. For figures and slides.",
    ),
    "screenshot": (
        "Screenshot (PNG)",
        "What the viewer shows now. For figures and slides.",
    ),
}
FORMATS: dict[Format, str] = {"nrrd": "NRRD", "ome-zarr": "OME-Zarr"}
RULES: dict[str, tuple[str, str]] = {
    "": (
        "Stored, else centre",
        "The level that the atlas has of this size; if it has none, as with centre.",
    ),
    "centre": (
        "Centre",
        "A new voxel takes the label at its centre. No label comes up that was not there.",
    ),
    "majority": (
        "Majority",
        "A new voxel takes the label that fills most of it. Thin regions may vanish.",
    ),
    "allensdk": (
        "AllenSDK's",
        "Bit for bit what AllenSDK's downsample makes. Its voxels are up to half a voxel off.",
    ),
}
RUNNING_TEXT = "You may close this window; the export goes on."


def parcels_text(parcels: Parcellation, kind: Kind) -> str:
    """Write which voxels the regions or groups that are shown instead of the regions have."""
    if not parcels.groups:
        return "Each voxel counts for one region: a region has no voxels of others that are listed."
    if kind in ("table", "masks"):
        return "A group is the union of its regions: a voxel of two groups is in both."
    return (
        "A voxel has one label: of two groups that hold it, the one that lists the nearest region "
        "above it, else the first."
    )


def need_text(preview: ExportPreview, kind: Kind) -> str:
    """Write how much will be written and whether there is room for it."""
    size = preview.size
    if kind == "table":
        text = f"{size.shape[0]} rows" if size.shape[0] != 1 else "1 row"
    else:
        # Volumes along AP, DV, ML; of pictures the width comes first.
        is_picture = len(size.shape) == 2
        edges = size.shape[::-1] if is_picture else size.shape
        text = f"{' × '.join(map(str, edges))} {'pixels' if is_picture else 'voxels'}"
        if size.files > 1:
            text = f"{size.files} files of {text}"
        if size.bytes is not None:
            text += f", {bytes_text(size.bytes)} before compression"
    if preview.free_bytes is not None:
        text += f" · free on the disk: {bytes_text(preview.free_bytes)}"
    return text


def exists_text(preview: ExportPreview, kind: Kind) -> str:
    """Write what is there already; empty if nothing is."""
    existing = preview.existing
    if not existing:
        return ""
    if kind == "masks":
        return (
            f"{len(existing)} of the {len(preview.outputs)} masks are there already. Those of the "
            "same request are kept."
        )
    names = " and ".join(path.name for path in existing)
    return f"{names} {'exist' if len(existing) > 1 else 'exists'} already."


def progress_text(status: ExportStatus) -> str:
    """Write what is being done and how far it is."""
    if status.ending:
        return "Stopping; nothing half is left…"
    if not status.total:
        return f"{status.what}…"
    return f"{status.what}: {100 * status.done // status.total} %"


def result_text(status: ExportStatus) -> str:
    """Write what was made; of many files, how many and where."""
    paths = status.paths
    if not paths:
        return ""
    folders = {path.parent for path in paths}
    if len(paths) > 3 and len(folders) == 1:
        return f"{len(paths)} files were written to\n{folders.pop()}"
    return "Written:\n" + "\n".join(str(path) for path in paths)
