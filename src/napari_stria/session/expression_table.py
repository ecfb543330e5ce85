"""Expression density, intensity and energy by region, from the sections of an Allen dataset."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pandas as pd

from napari_stria.core.atlas import Atlas
from napari_stria.core.block_pass import Progress
from napari_stria.core.expression import (
    DEFAULT_THRESHOLD,
    ExpressionRule,
    IntensityChoice,
    intensity_of,
    with_expression,
)
from napari_stria.core.parcellated import check_fits
from napari_stria.core.parcellation import Parcellation
from napari_stria.core.region_locator import RegionLocator
from napari_stria.core.region_tally import tally_frame
from napari_stria.core.section import Section, SectionDataset
from napari_stria.core.space import Triple
from napari_stria.errors import (
    CoordinateError,
    UnsupportedSourceError,
)
from napari_stria.io.allen_api import AllenApi
from napari_stria.registration.chain import (
    Refinements,
    check_atlas,
    check_mirrored,
    check_refinements,
    section_to_atlas,
)
from napari_stria.session.expression_adding import SectionSums
from napari_stria.session.expression_keeping import ExpressionFiles
from napari_stria.session.expression_running import SectionRun
from napari_stria.session.expression_section import SectionJob

PIXEL_UM = 4.0
"""By default the images are reduced until their pixels are just not larger than this.

A cell body is about 10 um wide. The coarser the tier, the more pixels at the rims of cells are
half covered, so that density grows: by about 10 % here, by 25 % where a pixel is larger than 4 um.
"""
_MOST_TIERS = 16


def expression_table(
    dataset: SectionDataset,
    api: AllenApi,
    atlas: Atlas,
    *,
    tier: int | None = None,
    resolution_um: float | Triple | None = None,
    threshold: float = DEFAULT_THRESHOLD,
    intensity: IntensityChoice = "auto",
    parcellation: Parcellation | None = None,
    refinements: Refinements | None = None,
    mirrored: bool = False,
    folder: str | PathLike[str] | None = None,
    scheduler: Any = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> pd.DataFrame:
    """Measure the expression of a dataset in every region, section by section.

    Every pixel of a section counts for the region and the side that hold its centre, on the plane
    in which the section really lies. Density, intensity and energy are those of the Allen Mouse
    Brain Atlas, see `napari_stria.core.expression`: density = expressing pixels / all pixels,
    intensity = sum of the intensity of expressing pixels / expressing pixels, energy = density *
    intensity. The definitions leave open which sign and scale intensity has; here it is 255 - grey
    of the primary image for colorimetric stains, so that a strong stain is a large number. Energies
    of the institute's own tables are made at full resolution, by grid voxels of 200 um, and should
    not be expected to be equal.

    Parameters
    ----------
    dataset : SectionDataset
        From `AllenApi.section_dataset`.
    api : AllenApi
        Where the images come from.
    atlas : Atlas
        Of the space of Allen's sections, 13.2 x 8 x 11.4 mm.
    tier : int, optional
        The images are reduced by ``2 ** tier``, the same for all sections. By default until their
        pixels are nearly 4 um large, see Notes.
    resolution_um : float or 3 floats, optional
        Which level of the annotation; default is the resolution in the atlas's name.
    threshold : float
        A pixel expresses if the brightest channel of the expression view is above it, 0 to 254.
    intensity : {"auto", "dark", "bright"}
        What is strong in the primary images: *dark* stains (255 - grey), or *bright* ones (grey);
        *auto* is bright for datasets whose records speak of fluorescence, else dark.
    parcellation : Parcellation, optional
        A row a parcel in place of a row a region.
    refinements : mapping of int to CoordinateTransform, optional
        By image id: what bends a section before it is placed, see `stream_sections`.
    mirrored : bool
        Exchange left and right, for reference space 10 (sagittal sections) only. The sections of
        that space are of the left half as they are stored.
    folder : path, optional
        Where the sums of each section are kept, one small file a section, so that a call that was
        broken off goes on where it was. Files of other requests are left alone.
    scheduler : optional
        Any dask scheduler, one task a section: each fetches its images where it runs. By default
        the client of dask's where there is one, else threads.
    progress : callable, optional
        Called with the sections that are done and their total.
    cancel : threading.Event, optional
        Ends the work when it is set.

    Returns
    -------
    DataFrame
        Indexed by region id, the rows of `region_table` (or of `parcellated_table`): ``acronym``,
        ``name``, ``depth``; whole numbers ``pixels``, ``expressing_pixels`` and
        ``expressing_intensity``, each with descendants, and as ``_direct`` (without), ``_left``,
        ``_right`` and, where the atlas has a hemispheres volume, ``_unsided``;
        ``expression_density``, ``expression_intensity`` and ``expression_energy``, each also as
        ``_left``, ``_right`` (``_unsided``), NaN where there is nothing to divide by. ``attrs``:
        ``dataset``, ``tier``, ``threshold``, ``intensity``, ``mirrored``, ``resolution_um``,
        ``sections`` (how many were added up), ``sections_resumed`` (how many of these came from the
        folder), ``sections_skipped`` (image, number and reason of each that could not be read),
        ``sections_without_expression`` (images), and what lies outside of all regions as
        `napari_stria.core.region_tally.tally_frame` has it, e.g. ``pixels_background``.

    Warns
    -----
    SectionSkippedWarning
        For an image that the server cannot deliver intact; the others go on.

    Raises
    ------
    CoordinateError, ReferenceSpaceError, OntologyError
        For arguments that cannot be; before anything is fetched.
    UnsupportedSourceError
        If no section of the dataset has an expression view.
    NetworkError
        If the server cannot be reached after all retries, or refuses three sections in a row.
    OutputError
        If the folder cannot be written.
    TaskCancelled
        If `cancel` was set; what is in the folder stays.

    Notes
    -----
    A pixel of a tier is the average of the pixels under it, and JPEG blurs colours further. On the
    practice sections density grows by 11 % from pixels of 1.6 um to those of 3.3 um, and from 1 um
    by 8 % at 2.1 um and 25 % at 4.2 um, with the default threshold (with one of 16 by 32 % and by
    24 % and 67 %); still coarser, cells fade below it. On two real sections with pixels of 8.4 um
    the density of the whole brain is 1.5 % with a threshold of 64, 3.7 % with 32 and 6.1 % with 16.
    Compare tables of one threshold and of pixels of one size only.

    Sections of the dataset without an expression view are left out: nothing is known of them.
    """
    check_atlas(atlas)
    check_mirrored(dataset, mirrored)
    check_refinements(dataset, refinements or {})
    if parcellation is not None:
        check_fits(parcellation, atlas.ontology)
    rule = ExpressionRule(threshold, intensity_of(dataset, intensity))
    shown = [section for section in dataset.sections if section.has_expression]
    if not shown:
        raise UnsupportedSourceError(
            f"no section of dataset {dataset.id} has an expression view; choose a dataset of in "
            "situ hybridization that has one."
        )
    tier = _checked_tier(shown, tier)
    jobs = [
        SectionJob(
            section,
            tier,
            section_to_atlas(section, atlas.space, mirrored=mirrored),
            (refinements or {}).get(section.image_id),
            rule,
        )
        for section in reversed(shown)
    ]
    locator = RegionLocator(atlas, resolution_um)
    files = None
    if folder is not None:
        files = ExpressionFiles(Path(folder), dataset.id, api.base_url, atlas, locator)
    sums = SectionSums(SectionRun(api, locator, scheduler, cancel), files, len(jobs), progress)
    table = with_expression(tally_frame(atlas, sums.total(jobs), parcellation))
    table.attrs |= {
        "dataset": dataset.id,
        "tier": tier,
        "threshold": rule.threshold,
        "intensity": rule.intensity,
        "mirrored": mirrored,
        "resolution_um": locator.level.scale_um,
        "sections": sums.measured,
        "sections_resumed": sums.resumed,
        "sections_skipped": sums.skipped,
        "sections_without_expression": [
            s.image_id for s in dataset.sections if not s.has_expression
        ],
    }
    return table


def _checked_tier(sections: Sequence[Section], tier: int | None) -> int:
    """Return one tier for all sections: their pixels are added up and must be of one size."""
    if tier is None:
        return min(section.tier_for(PIXEL_UM) for section in sections)
    is_whole = isinstance(tier, (int, np.integer)) and not isinstance(tier, bool)
    if not (is_whole and 0 <= tier <= _MOST_TIERS):
        raise CoordinateError(f"tier must be a whole number, 0 to {_MOST_TIERS}, not {tier!r}.")
    return int(tier)
