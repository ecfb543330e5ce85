"""Exports of numbers: the table of regions, masks, the annotation, and ITK-SNAP's pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.group_table import group_table
from napari_stria.core.groups import RegionGroup, repeated_names
from napari_stria.core.parcellated import parcellated_table
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.regions import region_table
from napari_stria.core.selection import RegionLike, selected_positions
from napari_stria.errors import OntologyError, RegionNotFoundError
from napari_stria.io.annotation_files import is_store, terminology_beside, write_labels
from napari_stria.io.cache import write_atomically
from napari_stria.io.itksnap import write_itksnap
from napari_stria.io.mask_targets import mask_targets
from napari_stria.io.staging import check_free, staged
from napari_stria.io.table_files import with_region_columns, write_table
from napari_stria.io.terminology_writer import terminology_csv
from napari_stria.session.atlas_export import AtlasExport
from napari_stria.session.export_source import UNIONS
from napari_stria.session.exporting import ExportSize, Job, check_suffix

# -- the table -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class TableExport(AtlasExport):
    """Size, sides, centroid and box of regions as one CSV file.

    A group is the union of its regions (see `group_table`), as in masks. Parcels of a depth or set
    have each voxel once (see `parcellated_table`).

    Attributes
    ----------
    regions : tuple or None
        The rows, regions or groups; None for all regions, or for all parcels.
    """

    regions: tuple[RegionLike, ...] | None = None

    def check(self) -> None:
        """See `Export.check`."""
        super().check()
        check_suffix(self.destination, ".csv", "a table")
        repeated = repeated_names(self._groups)
        if repeated:
            raise OntologyError(f"there are several groups called {repeated[0]!r}; rename one.")
        if self.regions is not None:
            _chosen_ids(self.atlas, self.regions)
            if 0 < len(self._groups) < len(self.regions):
                raise OntologyError(
                    "a table is of regions or of groups; export one after the other."
                )

    @cached_property
    def _groups(self) -> tuple[RegionGroup, ...]:
        if self.parcellation is not None:
            return self.parcellation.groups
        return tuple(r for r in self.regions or () if isinstance(r, RegionGroup))

    def size(self) -> ExportSize:
        """Return the number of rows."""
        if self._groups:
            return ExportSize((len(self._groups),))
        parcels = self.parcellation
        rows = len(self.atlas.ontology) if parcels is None else len(parcels)
        if self.regions is not None and parcels is None:
            rows = len(_chosen_ids(self.atlas, self.regions))
        return ExportSize((rows,))

    def write(self, job: Job) -> Iterator[Path]:
        """Count and write."""
        table = self._counted(job)
        facts = self.source.facts()
        if self._groups:
            facts["regions_are"] = UNIONS
        job.doing("Writing the table")
        with staged(self.outputs, overwrite=self.overwrite) as (place,):
            write_table(place, table, facts)
            job.check()
        yield from self.outputs

    def _counted(self, job: Job) -> pd.DataFrame:
        atlas, parcels = self.source.counted_atlas(), self.parcellation
        progress = job.doing("Counting voxels")
        if self._groups:
            return group_table(atlas, self._groups, progress=progress, cancel=job.cancel)
        if parcels is None:
            table = region_table(atlas, progress=progress, cancel=job.cancel)
            table = with_region_columns(table, atlas.ontology)
            if self.regions is not None:
                table = table.loc[_chosen_ids(atlas, self.regions)]
            return table
        table = parcellated_table(atlas, parcels, progress=progress, cancel=job.cancel)
        return with_region_columns(table, self.source.ontology)


# -- masks ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskExport(AtlasExport):
    """One mask a region in a folder; see `write_masks`: what is there of the same request is kept.

    A mask has the voxels that the row of a table counts: a group's is the union of its regions, a
    parcel's has the parcel's own voxels alone.

    Attributes
    ----------
    regions : tuple or None
        Whose masks; None for all regions.
    format : {"nrrd", "ome-zarr"}
    direct : bool
        Only the regions' own voxels, without those of the regions in them; not of parcels.
    """

    regions: tuple[RegionLike, ...] | None = None
    format: str = "nrrd"
    direct: bool = False

    @cached_property
    def outputs(self) -> tuple[Path, ...]:
        """One file or store a mask."""
        # Loaded when it is first used, as below: what writes stores takes a second.
        from napari_stria.io.mask_formats import mask_format

        ending = mask_format(self.format).ending
        targets = mask_targets(self.atlas.ontology, self._selection(), direct=self.direct)
        return tuple(self.destination / f"{target.stem}{ending}" for target in targets)

    def check(self) -> None:
        """See `Export.check`."""
        super().check()
        if not self.outputs:
            raise RegionNotFoundError("no region is chosen; select or name at least one.")

    def check_places(self) -> None:
        """Refuse a file where the folder shall be; of the masks `write_masks` refuses others."""
        if not self.destination.is_dir():
            check_free(self.destination)

    def size(self) -> ExportSize:
        """Return the size of all masks, one byte a voxel."""
        return self.volume_size(1, len(self.outputs))

    def _selection(self) -> tuple[RegionLike, ...] | Parcellation:
        if self.parcellation is not None:
            return self.parcellation
        if self.regions is None:
            return tuple(int(i) for i in self.atlas.ontology.ids)
        return self.regions

    def write(self, job: Job) -> Iterator[Path]:
        """Write the masks; each is there once it is yielded."""
        from napari_stria.io.mask_files import write_masks

        yield from write_masks(
            self.atlas,
            self._selection(),
            self.destination,
            format=self.format,
            resolution_um=self.resolution_um,
            rule=self.rule,
            direct=self.direct,
            overwrite=self.overwrite,
            progress=job.doing("Writing masks"),
            cancel=job.cancel,
        )


# -- volumes of labels ---------------------------------------------------------------------


@dataclass(frozen=True, eq=False, kw_only=True)
class AnnotationExport(AtlasExport):
    """The annotation, with the list of its regions beside it.

    An ``.ome.zarr`` has the resolution that is asked for and coarser ones, and can be opened again
    with the ``.terminology.csv``; an ``.nrrd`` has the one.
    """

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The volume and its terminology."""
        return self.destination, terminology_beside(self.destination)

    def check(self) -> None:
        """See `Export.check`."""
        super().check()
        is_store(self.destination)

    def size(self) -> ExportSize:
        """Return the voxels of the finest level."""
        return self.volume_size(self.source.dtype.itemsize)

    def write(self, job: Job) -> Iterator[Path]:
        """Write the levels block by block, and the regions."""
        source = self.source
        facts = source.facts()
        if is_store(self.destination):
            pyramid, rules = source.pyramid()
            facts["level_rules"] = list(rules)
        else:
            pyramid = source.finest()
        with staged(self.outputs, overwrite=self.overwrite) as (volume, terminology):
            write_labels(
                volume,
                pyramid,
                name=source.name(),
                space=source.atlas.space,
                notes=facts,
                progress=job.doing("Writing the annotation"),
                cancel=job.cancel,
            )
            write_atomically(terminology, terminology_csv(source.ontology))
            job.check()
        yield from self.outputs


@dataclass(frozen=True, eq=False, kw_only=True)
class ItksnapExport(AtlasExport):
    """A label volume for ITK-SNAP, its label descriptions, and what their numbers mean.

    Attributes
    ----------
    labels : Path
        The label descriptions.
    """

    labels: Path

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The volume, the descriptions and the mapping; see `write_itksnap`."""
        mapping = self.labels.with_name(f"{self.labels.stem}.mapping.csv")
        return self.destination, self.labels, mapping

    def check(self) -> None:
        """See `Export.check`."""
        super().check()
        check_suffix(self.destination, ".nrrd", "a volume for ITK-SNAP")

    def size(self) -> ExportSize:
        """Return the voxels of the volume, two bytes each."""
        return self.volume_size(2)

    def write(self, job: Job) -> Iterator[Path]:
        """Write the files; they appear together."""
        given = (self.atlas, self.resolution_um, self.rule)
        if self.parcellation is not None:
            given = (self.source.shown_atlas(), None, None)
        atlas, resolution_um, rule = given
        yield from write_itksnap(
            atlas,
            self.destination,
            self.labels,
            resolution_um=resolution_um,
            rule=rule,
            overwrite=self.overwrite,
            progress=job.doing("Writing the labels"),
            cancel=job.cancel,
        )


def labels_beside(volume: Path) -> Path:
    """Return where ITK-SNAP's label descriptions are written: ``NAME.labels.txt``."""
    return volume.with_name(f"{volume.stem}.labels.txt")


# -- which regions -------------------------------------------------------------------------


def _chosen_ids(atlas: Atlas, regions: tuple[RegionLike, ...]) -> list[int]:
    """Return the ids of the regions that are named, each once."""
    positions = selected_positions(atlas.ontology, regions)
    if not positions:
        raise RegionNotFoundError("no region is chosen; select or name at least one.")
    return [int(atlas.ontology.ids[p]) for p in positions]
