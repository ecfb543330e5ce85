"""What of the options of one atlas holds in the next."""

from __future__ import annotations

from dataclasses import replace

from napari_stria.core.atlas import Atlas
from napari_stria.core.pyramid import matches_resolution
from napari_stria.errors import StriaError
from napari_stria.session.quantify_values import QuantifyOptions


def carried_options(options: QuantifyOptions, atlas: Atlas) -> tuple[QuantifyOptions, str]:
    """Return options that can be used in an atlas, and what was given up, as a sentence.

    The level is made anew. The voxel size stays if the annotation has it in a level besides the one
    in the atlas's name; else it is None, which is that one.

    Parameters
    ----------
    options : QuantifyOptions
        Made in another atlas.
    atlas : Atlas
        In which it is measured from now on.
    """
    message = ""
    if options.resolution_um is not None and not _is_a_choice(options.resolution_um, atlas):
        options = replace(options, resolution_um=None)
    level = options.level
    if level is not None:
        try:
            options = replace(options, level=level.remade(atlas.ontology))
        except StriaError as error:
            message = f"All regions are measured, and not {level.title}: {error}"
            options = replace(options, level=None)
    return options, message


def _is_a_choice(resolution_um: float, atlas: Atlas) -> bool:
    """Tell whether a level other than the usual has a voxel size."""
    level = atlas.annotation.level_for_resolution(resolution_um)
    usual = atlas.annotation.level_for_resolution(atlas.resolution_um)
    return level is not usual and matches_resolution(level, resolution_um)
