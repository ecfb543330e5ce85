"""How the numbers of a readout are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_stria.session.readout import Readout, Volumes

_SIDES = {
    "left": "left side",
    "right": "right side",
    "unsided": "neither side",
    "outside": "outside the atlas",
}
_STARTS = {"r": "right", "l": "left"}


def has_region(readout: Readout) -> bool:
    """Return whether a readout is about regions, and not about a point without one."""
    return bool(readout.path) or readout.point_um is None


def volume_text(mm3: float) -> str:
    """Write a volume: three decimals, below 1 four significant digits, never an exponent."""
    if mm3 >= 1:
        return f"{mm3:.3f}"
    return np.format_float_positional(mm3, precision=4, fractional=False, trim="-")


def share_text(volumes: Volumes) -> str:
    """Write the share of the parent; nothing for a root or several regions."""
    if volumes.share_of_parent is None:
        return ""
    return f"{100 * volumes.share_of_parent:.1f} % of {volumes.parent_acronym}"


def level_text(readout: Readout) -> str:
    """Write what the region has to do with its parcel; nothing where regions are themselves."""
    note = readout.parcel
    if note is None:
        return ""
    if not note.whole:
        if not note.acronym:
            return f"in no parcel of {note.parcellation}"
        same = note.acronym == readout.title
        return "" if same else f"part of {note.acronym} ({note.parcellation})"
    text = f"{note.parcellation}, without the parcels inside it"
    text = text if note.without_inner else note.parcellation
    return f"{text} · at the point: {note.region}" if note.region else text


def point_text(readout: Readout) -> str:
    """Write the clicked point and its side; nothing without a point."""
    if readout.point_um is None:
        return ""
    ap, dv, ml = readout.point_um
    side = "" if readout.side is None else f" · {_SIDES[readout.side]}"
    return f"AP {ap:.1f}  DV {dv:.1f}  ML {ml:.1f} µm{side}"


def axes_text(readout: Readout) -> str:
    """Write at which voxel size volumes are counted, and where the axes start."""
    axes = f"axes {readout.space} (ML starts {_STARTS[readout.space[-1]]})"
    if not has_region(readout):
        return axes
    lacking = readout.unlisted_voxels
    note = f" · {lacking:,} voxels have labels that the ontology lacks" if lacking else ""
    return f"counted at {size_text(readout.counted_um)} · {axes}{note}"


def size_text(scale_um: Sequence[float]) -> str:
    """Write a voxel size; one number where the voxel is a cube."""
    sizes = [f"{s:g}" for s in scale_um]
    return f"{sizes[0] if len(set(sizes)) == 1 else ' × '.join(sizes)} µm"


def copied_text(readout: Readout) -> str:
    """Write a readout as a table of two tab-separated lines, numbers in full."""
    fields = {"region": readout.title, "name": readout.subtitle, "path": "/".join(readout.path)}
    if readout.parcel is not None:
        fields["level"] = level_text(readout)
    if readout.volumes is not None:
        fields |= volume_fields(readout.volumes)
    if readout.point_um is not None:
        names = ("ap_um", "dv_um", "ml_um")
        fields |= {name: repr(float(v)) for name, v in zip(names, readout.point_um)}
        fields["side"] = readout.side or ""
    fields["counted_um"] = " ".join(f"{s:g}" for s in readout.counted_um)
    fields["space"] = readout.space
    return table_text([fields])


def volume_fields(volumes: Volumes) -> dict[str, str]:
    """Return volumes by column name, in full."""
    share = volumes.share_of_parent
    return {
        "left_mm3": repr(volumes.left_mm3),
        "right_mm3": repr(volumes.right_mm3),
        "total_mm3": repr(volumes.total_mm3),
        "unsided_mm3": repr(volumes.unsided_mm3),
        "share_of_parent": "" if share is None else repr(share),
        "parent": volumes.parent_acronym or "",
    }


def table_text(rows: Sequence[dict[str, str]]) -> str:
    """Write rows with the same keys as tab-separated lines below a line of their names."""
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join("\t".join(" ".join(cell.split()) for cell in line) for line in lines)
