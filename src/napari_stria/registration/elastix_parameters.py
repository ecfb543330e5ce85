"""What elastix is asked to do, and how its answers read as transforms.

elastix is given mm, its usual order of size; um are what comes in and goes out here. Its
transforms map the fixed image's points to the moving image's. Sources of the formulas: ITK's
classes ``Similarity2DTransform`` and ``MatrixOffsetTransformBase``, and elastix's manual (5.1,
chapter 2.6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_stria.core.field_transform import FieldTransform
from napari_stria.core.transforms import Affine
from napari_stria.errors import RegistrationFailedError

F64 = npt.NDArray[np.float64]
AutomaticKind = Literal["affine", "bspline"]
UM_PER_MM = 1000.0

_COMMON = {
    "FixedInternalImagePixelType": "float",
    "MovingInternalImagePixelType": "float",
    "FixedImageDimension": "2",
    "MovingImageDimension": "2",
    "UseDirectionCosines": "true",
    "Registration": "MultiResolutionRegistration",
    "FixedImagePyramid": "FixedSmoothingImagePyramid",
    "MovingImagePyramid": "MovingSmoothingImagePyramid",
    "Interpolator": "LinearInterpolator",
    "ResampleInterpolator": "FinalLinearInterpolator",
    "Resampler": "DefaultResampler",
    "Optimizer": "AdaptiveStochasticGradientDescent",
    "ASGDParameterEstimationMethod": "DisplacementDistribution",
    "AutomaticScalesEstimation": "true",
    "AutomaticParameterEstimation": "true",
    "AutomaticTransformInitialization": "false",
    "HowToCombineTransforms": "Compose",
    "Metric": "AdvancedMattesMutualInformation",
    "NumberOfHistogramBins": "32",
    "ImageSampler": "RandomCoordinate",
    "NewSamplesEveryIteration": "true",
    "NumberOfSpatialSamples": "3000",
    "ErodeMask": "false",
    "RandomSeed": "20",
    "DefaultPixelValue": "0",
    "WriteResultImage": "false",
}


def stages(kind: AutomaticKind, iterations: int, grid_um: float) -> list[dict[str, list[str]]]:
    """Return elastix's parameters: a similarity, an affine, then a B-spline if it is wanted.

    Parameters
    ----------
    kind : {"affine", "bspline"}
    iterations : int
        Of each resolution.
    grid_um : float
        Distance of the B-spline's nodes.
    """
    wanted = [
        {"Transform": "SimilarityTransform", "NumberOfResolutions": "4"},
        {"Transform": "AffineTransform", "NumberOfResolutions": "3"},
    ]
    if kind == "bspline":
        wanted.append(
            {
                "Transform": "BSplineTransform",
                "NumberOfResolutions": "3",
                "FinalGridSpacingInPhysicalUnits": repr(grid_um / UM_PER_MM),
            }
        )
    maps = [{**_COMMON, **stage, "MaximumNumberOfIterations": str(iterations)} for stage in wanted]
    return [{key: [value] for key, value in one.items()} for one in maps]


def affine_of(parameters: Mapping[str, Sequence[str]]) -> Affine:
    """Return the affine, in um, that a similarity's or an affine's parameters stand for."""
    values = _numbers(parameters, "TransformParameters")
    centre = np.array(_numbers(parameters, "CenterOfRotationPoint"))
    if parameters["Transform"][0] == "SimilarityTransform":
        scale, angle, *shift = values
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        linear = np.array([[cos, -sin], [sin, cos]])
    else:
        linear, shift = np.reshape(values[:4], (2, 2)), values[4:]
    translation = (centre + shift - linear @ centre) * UM_PER_MM
    return Affine(np.column_stack([linear, translation]))


def field_of(parameters: Mapping[str, Sequence[str]]) -> FieldTransform:
    """Return the displacement field, in um, that a B-spline's parameters stand for."""
    columns, rows = (int(n) for n in parameters["GridSize"])
    spacing, origin = _lengths(parameters, "GridSpacing"), _lengths(parameters, "GridOrigin")
    values = _lengths(parameters, "TransformParameters").reshape(2, rows, columns)
    to_lattice = np.column_stack([np.diag(1 / spacing), -origin / spacing])
    return FieldTransform.from_coefficients(np.moveaxis(values, 0, -1), Affine(to_lattice))


def _lengths(parameters: Mapping[str, Sequence[str]], key: str) -> F64:
    return np.array(_numbers(parameters, key)) * UM_PER_MM


def _numbers(parameters: Mapping[str, Sequence[str]], key: str) -> list[float]:
    try:
        numbers = [float(value) for value in parameters[key]]
    except (KeyError, ValueError) as error:
        raise RegistrationFailedError(
            f"elastix's answer lacks {key}; another version of itk-elastix may help."
        ) from error
    if not np.isfinite(numbers).all():
        raise RegistrationFailedError(
            "elastix lost its way (its answer holds numbers that are not finite); start nearer to "
            "the right place."
        )
    return numbers
