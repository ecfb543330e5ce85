"""What all exports of an atlas's annotation have in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from napari_stria.core.atlas import Atlas
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.resampling import Rule
from napari_stria.core.space import Triple
from napari_stria.session.export_source import Source
from napari_stria.session.exporting import Export, ExportSize


@dataclass(frozen=True, eq=False, kw_only=True)
class AtlasExport(Export):
    """An export of an atlas's annotation.

    Attributes
    ----------
    atlas : Atlas
        Whose.
    resolution_um : float, 3 floats or None
        None for the resolution in the atlas's name.
    rule : {"centre", "majority", "allensdk"} or None
        How voxels of another size are made; None takes the stored level where there is one, else
        ``centre``.
    parcellation : Parcellation or None
        The parcels that stand for the regions.
    """

    atlas: Atlas
    resolution_um: float | Triple | None = None
    rule: Rule | None = None
    parcellation: Parcellation | None = None

    @cached_property
    def source(self) -> Source:
        """The annotation as it is asked for."""
        return Source(self.atlas, self.resolution_um, self.rule, self.parcellation)

    def check(self) -> None:
        """See `Export.check`."""
        self.source.check()

    def volume_size(self, itemsize: int, files: int = 1) -> ExportSize:
        """Return the size of volumes of so many bytes a voxel."""
        shape = self.source.level.shape
        return ExportSize(shape, files, int(np.prod(shape)) * itemsize * files)
