"""Automatic registration in the plane: a section's image against the atlas plane that it lies in.

elastix finds the map from the section to the template by mutual information, which does not mind
what is bright and what is dark. It runs in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event
from typing import get_args

import numpy as np
import numpy.typing as npt

from napari_stria.core.field_transform import FieldTransform
from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.errors import CoordinateError
from napari_stria.registration.common_grid import (
    SectionPixels,
    centred_grid,
    common_grid,
    section_on_grid,
    template_on_grid,
    without_empty_edges,
)
from napari_stria.registration.elastix_parameters import (
    UM_PER_MM,
    AutomaticKind,
    affine_of,
    field_of,
    stages,
)
from napari_stria.registration.elastix_process import ElastixJob, Progress, run_elastix
from napari_stria.registration.similarity import mutual_information
from napari_stria.registration.tissue import grey_section

F32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Pair = tuple[float, float]

# Nodes of the B-spline along the longer side of what the template shows.
_NODES = 10
# Places along each side of a section at which folds are looked for.
_FOLD_CHECKS = 60


@dataclass(frozen=True)
class AutomaticFit:
    """Where an automatic registration puts a section.

    Attributes
    ----------
    pixels_to_plane : Affine
        Section pixels (x, y), full resolution and counted from the corner, to um in the plane.
    refinement : FieldTransform or None
        Pixels to pixels, to be applied before `pixels_to_plane`; None for ``kind="affine"``.
    similarity_before, similarity_after : float
        Mutual information of section and template, nats, at the start and at the end.
    iterations : int
        Iterations of elastix.
    folds : bool
        Whether the refinement folds the section somewhere; such a refinement is not to be used.
    """

    pixels_to_plane: Affine
    refinement: FieldTransform | None
    similarity_before: float
    similarity_after: float
    iterations: int
    folds: bool = False

    @property
    def section_to_plane(self) -> Sequence:
        """The whole map from section pixels to um in the plane."""
        parts: list[CoordinateTransform] = [self.pixels_to_plane]
        return Sequence(parts if self.refinement is None else [self.refinement, *parts])


def register_plane(
    section: npt.ArrayLike,
    template: npt.ArrayLike,
    *,
    section_to_plane: Affine,
    template_pixel_um: float,
    template_center_xy_um: Pair = (0.0, 0.0),
    kind: AutomaticKind = "affine",
    section_step: float | Pair = 1.0,
    section_mask: npt.ArrayLike | None = None,
    grid_um: float | None = None,
    iterations: int = 250,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> AutomaticFit:
    """Register a section's image to the template of its atlas plane, in the plane.

    Parameters
    ----------
    section : (H, W) or (H, W, 3) array_like
        The image, or a coarse level of it; colours become luminance.
    template : (h, w) array_like
        The template in the plane, 0 outside the brain; as `core.oblique.sample_plane` gives it.
    section_to_plane : Affine
        The start: full-resolution section pixels (x, y), counted from the image's corner, to um in
        the plane's frame.
    template_pixel_um : float
        Edge of a template pixel.
    template_center_xy_um : tuple of float
        Where the template's middle lies in the plane's frame.
    kind : {"affine", "bspline"}
        A similarity and an affine alone, or followed by a B-spline.
    section_step : float or tuple of float
        Full-resolution pixels along an edge of a pixel of `section` (x, y); not 1 for a coarse
        level.
    section_mask : (H, W) array_like of bool, optional
        Which pixels count; leave damaged tissue out.
    grid_um : float, optional
        Distance of the B-spline's nodes; by default a tenth of the longer side of what
        the template shows.
    iterations : int
        Of each of elastix's resolutions.
    progress : callable, optional
        Called with the iterations done and their total, in the caller's thread.
    cancel : threading.Event, optional
        Ends the work soon after it is set.

    Returns
    -------
    AutomaticFit

    Raises
    ------
    ElastixMissingError
        Without ``pip install "napari-stria[elastix]"``.
    RegistrationFailedError
        If the images show nothing or do not overlap, if elastix gave up or its process ended.
    TaskCancelled
        If `cancel` was set.
    CoordinateError
        For images, sizes or a start that cannot be.
    """
    if kind not in get_args(AutomaticKind):
        raise CoordinateError(f"a registration is 'affine' or 'bspline', not {kind!r}.")
    if section_to_plane.n_in != 2 or section_to_plane.n_out != 2:
        raise CoordinateError("the start is a map from pixels to the plane, 2 to 2 coordinates.")
    pixels = SectionPixels(
        grey_section(section), _pair(section_step), section_to_plane, _mask(section_mask, section)
    )
    whole = grey_section(template)
    atlas, where = without_empty_edges(
        whole, centred_grid(whole.shape, template_pixel_um, template_center_xy_um)
    )
    grid = common_grid(pixels, where)
    fixed, mask = section_on_grid(pixels, grid)
    moving = template_on_grid(atlas, where, grid)
    node_um = grid_um or max(where.shape) * where.pixel_um / _NODES
    x, y = grid.first_centre_um
    job = ElastixJob(
        fixed,
        moving,
        mask,
        grid.pixel_um / UM_PER_MM,
        (x / UM_PER_MM, y / UM_PER_MM),
        stages(kind, iterations, node_um),
    )
    found = run_elastix(job, progress=progress, cancel=cancel)
    linear = affine_of(found[1]) @ affine_of(found[0])
    field = field_of(found[2]) if kind == "bspline" else None
    moved = linear if field is None else Sequence([linear, field])
    after = template_on_grid(atlas, where, grid, moved)
    improved = linear @ section_to_plane
    refinement = None if field is None else _between(improved, field)
    return AutomaticFit(
        improved,
        refinement,
        mutual_information(fixed[mask], moving[mask]),
        mutual_information(fixed[mask], after[mask]),
        job.iterations,
        refinement is not None and _folds(refinement, pixels),
    )


def _between(pixels_to_plane: Affine, field: FieldTransform) -> FieldTransform:
    """Return a field of the plane as one of the pixels, which comes before the affine.

    A @ r = f @ A for every point, so r moves a pixel by the field's displacement, turned back.
    """
    back = np.linalg.inv(pixels_to_plane.linear)
    return FieldTransform(field.displacement @ back.T, field.points_to_lattice @ pixels_to_plane)


def _folds(refinement: FieldTransform, section: SectionPixels) -> bool:
    rows, columns = (np.linspace(0, n, _FOLD_CHECKS) for n in section.grey.shape)
    x, y = section.step_xy
    points = np.stack(np.meshgrid(columns * x, rows * y), axis=-1)
    return bool((refinement.jacobian_determinant(points) <= 0).any())


def _pair(step: float | Pair) -> Pair:
    x, y = np.broadcast_to(np.asarray(step, dtype=np.float64), 2)
    if not (np.isfinite([x, y]).all() and min(x, y) > 0):
        raise CoordinateError(f"section_step is one number above 0, or two (x, y), not {step!r}.")
    return float(x), float(y)


def _mask(mask: npt.ArrayLike | None, section: npt.ArrayLike) -> Mask | None:
    if mask is None:
        return None
    array = np.asarray(mask, dtype=np.bool_)
    if array.shape != np.shape(section)[:2]:
        raise CoordinateError(
            f"the mask is {array.shape} where the section is {np.shape(section)[:2]}."
        )
    return array
