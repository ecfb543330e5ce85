"""Files for ITK-SNAP: a volume of labels, their description, and which regions they are."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from napari_stria.core.atlas import Atlas
from napari_stria.core.block_pass import Progress, raise_if_cancelled
from napari_stria.core.itksnap import description_text, itksnap_labels
from napari_stria.core.pyramid import Level
from napari_stria.core.resampling import Rule, level_at, used_rule
from napari_stria.core.space import Triple
from napari_stria.errors import OutputError
from napari_stria.io.nrrd_writer import write_nrrd
from napari_stria.io.staging import staged

_VOLUME = ".nrrd"
_MAPPING = ".mapping.csv"


def write_itksnap(
    atlas: Atlas,
    volume_path: str | Path,
    labels_path: str | Path,
    *,
    resolution_um: float | Triple | None = None,
    rule: Rule | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> tuple[Path, Path, Path]:
    """Write an annotation for ITK-SNAP: the volume, the label descriptions and what they mean.

    The three files appear together once all are complete, or none does.

    Parameters
    ----------
    atlas : Atlas
        Any atlas.
    volume_path : str or Path
        The volume, ``….nrrd``: uint16, gzip, with voxel size and anatomical space. Its labels are
        those of `napari_stria.core.itksnap.itksnap_labels`: 1 to N, by acronym, where the atlas has
        values above 65,535.
    labels_path : str or Path
        The label description file (``….txt`` or ``….label``), one row a region: label, red, green,
        blue, opacity, two flags of visibility, and the acronym in quotes. The same text as
        AllenSDK's. Beside it, as ``<its stem>.mapping.csv``, stand the columns ``code``, ``id``,
        ``acronym`` and ``name``, in UTF-8.
    resolution_um : float or 3 floats, optional
        Voxel size; default is the resolution in the atlas's name.
    rule : {"centre", "majority", "allensdk"}, optional
        How voxels are made; see `napari_stria.core.resampling.level_at`.
    overwrite : bool
        Replace files that exist.
    progress : callable, optional
        Called with how much is done and the total.
    cancel : threading.Event, optional
        Ends the work when it is set; nothing is written.

    Returns
    -------
    tuple of Path
        The volume, the descriptions and the mapping.

    Raises
    ------
    OutputExistsError
        If one of the files exists and `overwrite` is not set.
    OutputError
        If the volume's name does not end with ``.nrrd``, two of the files are the same, there are
        more than 65,535 labels, or a file cannot be written.
    CoordinateError
        If the resolution or rule cannot be.
    TaskCancelled
        If `cancel` was set.
    """
    paths = _paths(Path(volume_path).expanduser(), Path(labels_path).expanduser())
    level = level_at(atlas, resolution_um, rule)
    steps = _Halves(progress)
    with staged(paths, overwrite=overwrite) as (volume, descriptions, mapping):
        found = itksnap_labels(atlas, level, progress=steps.first, cancel=cancel)
        write_nrrd(
            volume,
            found.codes.reader,
            scale_um=level.scale_um,
            space=atlas.space,
            origin_um=level.origin_um,
            notes=_notes(atlas, level, rule, paths[1].name),
            progress=steps.second,
            cancel=cancel,
        )
        text = description_text(found.descriptions)
        descriptions.write_text(text, encoding="utf-8", newline="\n")
        text = found.mapping.to_csv(index=False, lineterminator="\n")
        mapping.write_text(text, encoding="utf-8", newline="\n")
        raise_if_cancelled(cancel)
    return paths


def _paths(volume: Path, labels: Path) -> tuple[Path, Path, Path]:
    if volume.suffix.lower() != _VOLUME:
        raise OutputError(f"{volume} cannot be written: give a name that ends with {_VOLUME}.")
    mapping = labels.with_name(f"{labels.stem}{_MAPPING}")
    paths = (volume, labels, mapping)
    if len({path.absolute() for path in paths}) < len(paths):
        raise OutputError(
            f"{labels} cannot be written: the volume, its descriptions and their mapping need "
            "names of their own."
        )
    return paths


def _notes(atlas: Atlas, level: Level, rule: Rule | None, labels: str) -> dict[str, str]:
    return {"atlas": atlas.name, "rule": used_rule(atlas, level, rule), "labels": labels}


class _Halves:
    """Joins the progress of two passes to one."""

    def __init__(self, progress: Progress | None) -> None:
        self._tell = progress or (lambda _done, _total: None)
        self._total = 1

    def first(self, done: int, total: int) -> None:
        """Tell how far the first pass is."""
        self._total = total
        self._tell(done, 2 * total)

    def second(self, done: int, total: int) -> None:
        """Tell how far the second pass is, in the units of the first."""
        self._tell(self._total + self._total * done // max(total, 1), 2 * self._total)
