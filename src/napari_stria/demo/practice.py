"""The practice brain as a complete BrainGlobe version 3 root on disk."""

from __future__ import annotations

import configparser
import csv
import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core import (
    phantom,
    phantom_grid,
    phantom_regions,
    phantom_shapes,
    phantom_template,
)
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.phantom_grid import EXTENT_UM, LEVELS_UM
from napari_stria.core.phantom_regions import PRACTICE_REGIONS
from napari_stria.core.phantom_template import practice_templates
from napari_stria.demo import practice_meshes, template_file
from napari_stria.demo.practice_meshes import write_practice_meshes
from napari_stria.demo.template_file import write_template_file
from napari_stria.io import ome_zarr_writer
from napari_stria.io.ome_zarr_writer import write_ome_zarr

NAME = "practice_mouse"
VERSION = "1.0"
SPACE = "asr"
_LEFT, _RIGHT = 1, 2
_CITATION = (
    "Synthetic practice data of napari-stria: an invented, left-right asymmetric brain for trying "
    "the software and testing it. It is not measured from any animal; do not use it for science."
)
_COLUMNS = (
    "identifier",
    "parent_identifier",
    "annotation_value",
    "name",
    "abbreviation",
    "color_hex_triplet",
    "root_identifier_path",
)


def practice_root(cache_dir: Path) -> Path:
    """Return the practice brain's root under a cache folder; build it the first time.

    Parameters
    ----------
    cache_dir : Path
        The folder to build it in; created if it is missing.

    Returns
    -------
    Path
        ``cache_dir/practice-<fingerprint>``, complete. The fingerprint follows the code that
        makes it, so that a changed practice brain is not taken from an old cache.

    Notes
    -----
    Any number of processes may call this at once: each builds its own copy aside, the first to
    finish gives it the name, the others drop theirs.
    """
    final = Path(cache_dir) / f"practice-{_fingerprint()}"
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    try:
        built = aside / "root"
        write_practice_root(built)
        _publish(built, final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return final


def _publish(built: Path, final: Path) -> None:
    try:
        built.rename(final)
    except OSError:
        # Another process was faster; its copy is as good as ours.
        if not final.is_dir():
            raise


def _fingerprint() -> str:
    digest = hashlib.sha256(VERSION.encode())
    made_by = (
        phantom,
        phantom_grid,
        phantom_regions,
        phantom_shapes,
        phantom_template,
        ome_zarr_writer,
        practice_meshes,
        template_file,
    )
    for source in (*(str(module.__file__) for module in made_by), __file__):
        digest.update(Path(source).read_bytes())
    return digest.hexdigest()[:12]


def write_practice_root(folder: Path) -> None:
    """Write the practice brain as BrainGlobe's version 3 tree.

    Parameters
    ----------
    folder : Path
        The root to write; created if it is missing. Its atlases are ``practice_mouse_50um``,
        ``practice_mouse_100um`` and ``practice_mouse_200um``.

    Raises
    ------
    FileExistsError
        If the folder holds a practice brain already.
    """
    root = Path(folder)
    _write_volumes(root)
    write_practice_meshes(_place(root, "annotation") / "annotations.precomputed")
    _write_terminology(_place(root, "terminology") / "terminology.csv")
    _write_json(_place(root, "space") / "manifest.json", _part("space", template=_part("template")))
    for resolution in LEVELS_UM:
        location = _atlas_location(resolution)
        _write_json(root / location[1:] / "manifest.json", _manifest(resolution))
    # Last, because readers look for this file first: without it there is no root.
    _write_last_versions(root / "atlases" / "last_versions.conf")


def _write_volumes(root: Path) -> None:
    scales = [(level, level, level) for level in LEVELS_UM]
    write_ome_zarr(
        _place(root, "annotation") / "annotations_compressed.ome.zarr",
        [practice_annotation(level) for level in LEVELS_UM],
        scales,
        space=SPACE,
        name=f"{NAME}-annotation",
    )
    # BrainGlobe writes it always; readers of a symmetric atlas go by the middle plane instead.
    write_ome_zarr(
        _place(root, "annotation") / "hemispheres.ome.zarr",
        [_hemispheres(level) for level in LEVELS_UM],
        scales,
        space=SPACE,
        name=f"{NAME}-hemispheres",
    )
    templates = practice_templates()
    write_ome_zarr(
        _place(root, "template") / "template.ome.zarr",
        templates,
        scales,
        space=SPACE,
        name=f"{NAME}-template",
    )
    # Not BrainGlobe's: the demo server renders the practice sections from it.
    write_template_file(root, templates[0])


def _hemispheres(resolution_um: float) -> npt.NDArray[np.uint8]:
    """Return 2 where the axis starts, on the right, and 1 from the middle plane on."""
    shape = [round(edge / resolution_um) for edge in EXTENT_UM]
    sides = np.full(shape, _RIGHT, dtype=np.uint8)
    sides[..., round(shape[-1] / 2) :] = _LEFT
    return sides


_FOLDERS = {
    "annotation": "annotation-sets",
    "template": "templates",
    "terminology": "terminologies",
    "space": "coordinate-spaces",
}


def _part(kind: str, **more: Any) -> dict[str, Any]:
    """Return how a manifest refers to a component; locations start with a slash."""
    name = f"{NAME}-{kind}"
    location = f"/{_FOLDERS[kind]}/{name}/{_version_folder()}"
    return {"name": name, "version": VERSION, "location": location, **more}


def _version_folder() -> str:
    return VERSION.replace(".", "_")


def _place(root: Path, kind: str) -> Path:
    return root / str(_part(kind)["location"])[1:]


def _atlas_name(resolution_um: float) -> str:
    return f"{NAME}_{resolution_um:g}um"


def _atlas_location(resolution_um: float) -> str:
    return f"/atlases/{_atlas_name(resolution_um)}/{_version_folder()}"


def _manifest(resolution_um: float) -> dict[str, Any]:
    template, terminology = _part("template"), _part("terminology")
    return {
        "name": NAME,
        "location": _atlas_location(resolution_um),
        "citation": _CITATION,
        "atlas_link": "",
        "species": "Mus musculus",
        # Says how sides are told apart, by the middle plane; the brain itself is asymmetric.
        "symmetric": True,
        "resolution": [resolution_um] * 3,
        "orientation": SPACE,
        "version": VERSION,
        "shape": [round(edge / resolution_um) for edge in EXTENT_UM],
        "additional_references": [],
        "atlas_packager": "napari-stria",
        "coordinate_space": _part("space", template=template),
        "terminology": terminology,
        "annotation_set": _part("annotation", template=template, terminology=terminology),
        "template": template,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")


def _write_last_versions(path: Path) -> None:
    config = configparser.ConfigParser()
    config["atlases"] = {_atlas_name(resolution): VERSION for resolution in LEVELS_UM}
    with path.open("w", encoding="utf-8") as file:
        config.write(file)


def _write_terminology(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    paths: dict[int, list[int]] = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for region in PRACTICE_REGIONS:
            ancestors = [] if region.parent_id is None else paths[region.parent_id]
            paths[region.id] = [*ancestors, region.id]
            writer.writerow(
                (
                    region.id,
                    "" if region.parent_id is None else region.parent_id,
                    region.id,
                    region.name,
                    region.acronym,
                    "#{:02X}{:02X}{:02X}".format(*region.rgb_triplet),
                    json.dumps(paths[region.id]),
                )
            )
