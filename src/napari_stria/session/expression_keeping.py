"""Sums of sections in a folder, so that a table that was broken off goes on where it was.

One small JSON file a section. Its name has a digest of all that the sums follow from, so that
files of another request are passed over; each holds a digest of its own sums, so that a damaged
one counts as none. Programs that share a folder do each other no harm: they write the same file.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_stria.core.atlas import Atlas
from napari_stria.core.expression import EXPRESSING, PIXELS, STRENGTH
from napari_stria.core.region_locator import RegionLocator
from napari_stria.core.region_tally import RegionTally
from napari_stria.core.transforms import CoordinateTransform
from napari_stria.errors import CoordinateError
from napari_stria.io.cache import write_atomically
from napari_stria.io.mask_targets import identity
from napari_stria.io.output_folder import output_errors
from napari_stria.io.statistics_files import StatisticsFiles
from napari_stria.session.expression_section import SectionJob

RULE_VERSION = 1
"""Goes up when the same images give other sums."""

_FORMAT = "napari-stria expression of a section"
_NAMES = (PIXELS, EXPRESSING, STRENGTH)
_DIGITS = 20


class ExpressionFiles:
    """The sums of a dataset's sections in a folder.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    dataset_id : int
        Whose sections.
    source : str
        Where the images come from.
    atlas : Atlas
        In whose regions they are added up.
    locator : RegionLocator
        By which of its levels.

    Raises
    ------
    OutputError
        If the folder cannot be made.
    """

    def __init__(
        self, folder: Path, dataset_id: int, source: str, atlas: Atlas, locator: RegionLocator
    ) -> None:
        self.folder = folder
        with output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._common = {
            "rule": RULE_VERSION,
            "dataset": dataset_id,
            "source": source,
            "atlas": _atlas_parts(atlas, locator),
        }

    def path(self, job: SectionJob) -> Path:
        """Return where a section's sums are kept."""
        digest = self._digest(job)[:_DIGITS]
        return self.folder / f"expression_{job.section.image_id}_{digest}.json"

    def get(self, job: SectionJob) -> RegionTally | None:
        """Return what is kept of a section; None if there is nothing, or nothing whole."""
        try:
            found = json.loads(self.path(job).read_bytes())
            sums = found["sums"]
            fits = found["format"] == _FORMAT and found["request"] == self._digest(job)
            if not (fits and found["sha256"] == _sha256(sums)):
                return None
            return _tally_of(sums)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def put(self, job: SectionJob, tally: RegionTally) -> None:
        """Keep a section's sums.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        sums = _plain(tally)
        content = {
            "format": _FORMAT,
            "image": job.section.image_id,
            "request": self._digest(job),
            "sums": sums,
            "sha256": _sha256(sums),
        }
        path = self.path(job)
        with output_errors(path):
            write_atomically(path, json.dumps(content).encode(), durable=False)

    def _digest(self, job: SectionJob) -> str:
        section = job.section
        parts = {
            **self._common,
            "image": section.image_id,
            "box": [section.width, section.height, section.tier_count],
            "tier": job.tier,
            "threshold": job.rule.threshold,
            "intensity": job.rule.intensity,
            "alignment": job.to_atlas.matrix.tobytes().hex(),
            "refinement": _map_digest(job),
        }
        return _sha256(parts)


def _sha256(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _plain(tally: RegionTally) -> dict[str, Any]:
    return {
        "labels": tally.labels.tolist(),
        "sides": {name: tally.sums[name].tolist() for name in _NAMES},
        "outside": {name: int(tally.outside[name]) for name in _NAMES},
    }


def _tally_of(sums: Mapping[str, Any]) -> RegionTally:
    """Return sums as they were kept; a ValueError, KeyError or TypeError if they are none."""
    labels = np.array(sums["labels"], dtype=np.int64)
    sides = {
        name: np.array(sums["sides"][name], dtype=np.int64).reshape(len(labels), 3)
        for name in _NAMES
    }
    return RegionTally(labels, sides, {name: int(sums["outside"][name]) for name in _NAMES})


def _atlas_parts(atlas: Atlas, locator: RegionLocator) -> dict[str, Any]:
    """Return what tells one annotation, and its sides, from another."""
    level, rule = locator.level, locator.rule
    return {
        "name": atlas.name,
        "voxels": _voxels(atlas, locator),
        "space": atlas.space,
        "shape": level.shape,
        "resolution_um": level.scale_um,
        "origin_um": level.origin_um,
        "sides": [rule.near_side, rule.midplane, rule.hemispheres is not None],
    }


def _voxels(atlas: Atlas, locator: RegionLocator) -> Any:
    """Return what changes with the voxels; a version alone may stay when an atlas is rebuilt."""
    stored = atlas.statistics
    if not isinstance(stored, StatisticsFiles):
        return _voxel_digest(locator)
    edition = stored.edition(atlas.annotation.levels.index(locator.level))
    return {"edition": edition, **(identity(atlas) or {})}


def _voxel_digest(locator: RegionLocator) -> str:
    """Return a digest of an annotation that is not stored by itself: all is read once."""
    digest = hashlib.sha256()
    for reader in (locator.level.reader, locator.rule.hemispheres):
        if reader is None:
            continue
        counts = [-(-n // c) for n, c in zip(reader.shape, reader.chunk_shape, strict=True)]
        for index in np.ndindex(*counts):
            block = reader.read_block(index)
            digest.update(repr(index).encode())
            if block is not None:
                digest.update(_bytes(block))
    return digest.hexdigest()


def _bytes(array: npt.NDArray[Any]) -> bytes:
    return f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()


def _map_digest(job: SectionJob) -> str | None:
    if job.refinement is None:
        return None
    digest = hashlib.sha256()
    try:
        _add(digest, job.refinement)
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError) as error:
        raise CoordinateError(
            f"the refinement of image {job.section.image_id} cannot be told from others ({error}), "
            "so that nothing can be kept in a folder; leave the folder out."
        ) from error
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    """Add all numbers of a map to a digest, without what it has computed for later."""
    digest.update(f"<{type(value).__module__}.{type(value).__qualname__}>".encode())
    if isinstance(value, np.ndarray):
        digest.update(_bytes(value))
    elif value is None or isinstance(value, (bool, int, float, str, bytes)):
        digest.update(repr(value).encode())
    elif isinstance(value, (tuple, list)):
        for each in value:
            _add(digest, each)
        digest.update(b"<end>")
    elif isinstance(value, Mapping):
        _add(digest, [(key, value[key]) for key in sorted(value)])
    elif _is_map(value):
        # `vars` alone would also hold splines and triangulations that were made on first use.
        later = {n for n in dir(type(value)) if _is_made_later(type(value), n)}
        _add(digest, {name: each for name, each in vars(value).items() if name not in later})
    else:
        digest.update(pickle.dumps(value, protocol=4))


def _is_map(value: Any) -> bool:
    return isinstance(value, CoordinateTransform) and hasattr(value, "__dict__")


def _is_made_later(kind: type, name: str) -> bool:
    return isinstance(getattr(kind, name, None), cached_property)
