"""Gene expression in sections: which pixels express, how strongly, and what follows for regions.

The definitions are those of the Allen Mouse Brain Atlas ("Informatics Data Processing" of its
documentation; Lein et al. 2007, doi:10.1038/nature05453; Ng et al. 2009, doi:10.1038/nn.2281). In
any part of the brain

- expression density = expressing pixels / all pixels,
- expression intensity = sum of the intensity of expressing pixels / expressing pixels,
- expression energy = density * intensity = sum of that intensity / all pixels.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.section import SectionDataset
from napari_stria.errors import CoordinateError

IntensityKind = Literal["dark", "bright"]
IntensityChoice = Literal["auto", "dark", "bright"]
Rgb = npt.NDArray[np.uint8]

PIXELS, EXPRESSING, STRENGTH = "pixels", "expressing_pixels", "expressing_intensity"

DEFAULT_THRESHOLD = 64
"""The brightest channel of an expressing pixel is above a quarter of full brightness.

Where the faintest colour of a mask is half as bright as its brightest one, as in scales from dark
blue to red, this is where a faint cell covers half of a pixel. JPEG leaves values up to 12 around
black in grey masks, and up to about 50 beside coloured cells, whose colour it keeps at half the
resolution.
"""
# Of a mask's values, 0 to 255.
_BRIGHTEST = 255
# How the institute's records name stains that glow.
_FLUORESCENT = ("fish", "fluor")


@dataclass(frozen=True)
class ExpressionRule:
    """How pixels are read.

    Attributes
    ----------
    threshold : float
        A pixel expresses if the brightest channel of the expression view is above it, 0 to 255.
    intensity : {"dark", "bright"}
        What is strong in the primary image, see `stain_intensity`.

    Raises
    ------
    CoordinateError
        For a threshold or an intensity that cannot be.
    """

    threshold: float = DEFAULT_THRESHOLD
    intensity: IntensityKind = "dark"

    def __post_init__(self) -> None:
        is_number = isinstance(self.threshold, numbers.Real) and not isinstance(
            self.threshold, (bool, np.bool_)
        )
        if not (is_number and 0 <= self.threshold < _BRIGHTEST):
            raise CoordinateError(
                f"the threshold of the expression view is a number of 0 to 254, not "
                f"{self.threshold!r}."
            )
        object.__setattr__(self, "threshold", float(self.threshold))
        if self.intensity not in get_args(IntensityKind):
            raise CoordinateError(f"intensity is 'dark' or 'bright', not {self.intensity!r}.")


def expressing_pixels(mask_rgb: Rgb, threshold: float = DEFAULT_THRESHOLD) -> npt.NDArray[np.bool_]:
    """Return which pixels express.

    Parameters
    ----------
    mask_rgb : (H, W, 3) uint8 ndarray
        The expression view: black, with colours where the institute's segmentation found signal.
    threshold : float
        See `DEFAULT_THRESHOLD`.

    Returns
    -------
    (H, W) bool ndarray
    """
    red, green, blue = (mask_rgb[..., channel] for channel in range(3))
    brightest = np.maximum(red, green)
    np.maximum(brightest, blue, out=brightest)
    return np.asarray(brightest > threshold)


def stain_intensity(image_rgb: Rgb, intensity: IntensityKind = "dark") -> npt.NDArray[np.uint8]:
    """Return how strong the signal is in each pixel of a primary image.

    Parameters
    ----------
    image_rgb : (H, W, 3) uint8 ndarray
        As the institute serves it.
    intensity : {"dark", "bright"}
        *dark*: 255 - grey, for bright-field images, in which a strong stain is dark. *bright*:
        grey, for fluorescent ones. Grey is 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601).

    Returns
    -------
    (H, W) uint8 ndarray
        0 to 255.
    """
    grey: npt.NDArray[np.uint8] = np.asarray(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY))
    return np.asarray(_BRIGHTEST - grey, dtype=np.uint8) if intensity == "dark" else grey


def intensity_of(dataset: SectionDataset, intensity: str = "auto") -> IntensityKind:
    """Return what is strong in a dataset's images.

    Parameters
    ----------
    dataset : SectionDataset
        Whose treatments and products are looked at.
    intensity : {"auto", "dark", "bright"}
        *auto*: *bright* if the records speak of fluorescence (a treatment such as FISH), else
        *dark*, as in all colorimetric in situ hybridization.

    Raises
    ------
    CoordinateError
        For another word.
    """
    if intensity not in get_args(IntensityChoice):
        raise CoordinateError(f"intensity is 'auto', 'dark' or 'bright', not {intensity!r}.")
    if intensity != "auto":
        return "dark" if intensity == "dark" else "bright"
    treatments = " ".join(_texts(dataset.metadata.get("treatments"))).lower()
    return "bright" if any(word in treatments for word in _FLUORESCENT) else "dark"


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(each) for each in value]


def with_expression(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of sums with expression density, intensity and energy beside them.

    Parameters
    ----------
    frame : DataFrame
        With ``pixels``, ``expressing_pixels`` and ``expressing_intensity``, each also with
        ``_left``, ``_right`` and, where there are any, ``_unsided``.

    Returns
    -------
    DataFrame
        With ``expression_density``, ``expression_intensity`` and ``expression_energy`` of the same
        sides, float64. NaN where there is no pixel; intensity also where none expresses.
    """
    table = frame.copy()
    table.attrs = dict(frame.attrs)
    sides = [side for side in ("", "_left", "_right", "_unsided") if f"{PIXELS}{side}" in frame]
    ratios = {
        "expression_density": (EXPRESSING, PIXELS),
        "expression_intensity": (STRENGTH, EXPRESSING),
        "expression_energy": (STRENGTH, PIXELS),
    }
    for name, (above, below) in ratios.items():
        for side in sides:
            total = frame[f"{below}{side}"].to_numpy(dtype=np.float64)
            part = frame[f"{above}{side}"].to_numpy(dtype=np.float64)
            ratio = np.full(len(frame), np.nan)
            table[f"{name}{side}"] = np.divide(part, total, out=ratio, where=total > 0)
    return table
