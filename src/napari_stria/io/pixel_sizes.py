"""How large a pixel is, by what image files say of it; None where that is no size in the tissue."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

XY = tuple[float, float]

_UM_OF = {
    "nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0,
    "micrometer": 1.0, "micrometre": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25_400.0,
    "in": 25_400.0, "pm": 1e-6, "å": 1e-4,
}  # fmt: skip
# What cameras, scanners' drivers and drawing programs write without having measured anything.
_PRINTING_DPI = (72, 96, 100, 120, 144, 150, 180, 200, 240, 300, 350, 360, 400, 600)
# No microscope's pixel is outside of this, nor that of a slide scanner's overview.
_SMALLEST_UM, _LARGEST_UM = 0.01, 100.0
_UM_PER_INCH = 25_400.0


def um_of_unit(unit: str | None) -> float | None:
    """Return how many um a unit of length has, None if it is none that is known."""
    text = (unit or "").strip().replace("\\u00B5", "µ").lower()
    return _UM_OF.get(text)


def plausible(x_um: float, y_um: float) -> XY | None:
    """Return a size if it can be one of a pixel in tissue."""
    good = all(math.isfinite(v) and _SMALLEST_UM <= v <= _LARGEST_UM for v in (x_um, y_um))
    return (float(x_um), float(y_um)) if good else None


def of_resolution(x_per_unit: float, y_per_unit: float, unit_um: float) -> XY | None:
    """Return the size by pixels per unit; None for the dots per inch of prints and screens."""
    if not (x_per_unit > 0 and y_per_unit > 0):
        return None
    dpi = x_per_unit * _UM_PER_INCH / unit_um
    if any(abs(dpi - known) < 0.6 for known in _PRINTING_DPI):
        return None
    return plausible(unit_um / x_per_unit, unit_um / y_per_unit)


def of_ome(pixels: Mapping[str, str]) -> XY | None:
    """Return the size by the attributes of an OME ``Pixels`` element (2016-06; um by default)."""
    sizes = []
    for axis in "XY":
        unit = um_of_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        try:
            sizes.append(float(pixels.get(f"PhysicalSize{axis}", "nan")) * (unit or math.nan))
        except ValueError:
            return None
    return plausible(*sizes)


def of_aperio(description: str) -> XY | None:
    """Return the size by the ``MPP`` in the description of an Aperio file."""
    found = re.search(r"\bMPP\s*=\s*([0-9.]+)", description)
    try:
        return plausible(float(found[1]), float(found[1])) if found else None
    except ValueError:
        return None


def of_imagej(metadata: Mapping[str, Any], x_per_unit: float, y_per_unit: float) -> XY | None:
    """Return the size by ImageJ's unit and the pixels per unit of the file."""
    unit = um_of_unit(str(metadata.get("unit", "")))
    if unit is None or not (x_per_unit > 0 and y_per_unit > 0):
        return None
    return plausible(unit / x_per_unit, unit / y_per_unit)
