"""How the Quantify dock writes numbers, and what its columns mean."""

from __future__ import annotations

import math

from napari_stria.session.quantify_columns import split_side
from napari_stria.session.quantify_values import ColumnInfo

UNKNOWN = "–"
DIRECT = "_direct"

# By the name of a column without its side and without "direct".
_MEANINGS = {
    "count": "Points that lie in the region or in one below it.",
    "objects": "Objects most of which lies in the region or in one below it; each is counted once.",
    "pixels": "Pixels whose centre lies in the region or in one below it.",
    "density_mm3": "Points per mm³: the count divided by the volume of the region in the atlas.",
    "volume_mm3": "Volume in the atlas.",
    "area_mm2": "Area of the pixels in the atlas's measure, at the plane that they lie on.",
    "region_pixels": "Pixels of the layer that lie in the region, labelled or not.",
    "fraction": "Labelled part of what the layer covers of the region.",
    "sum": "Sum of the pixels' values.",
    "mean": "Mean of the pixels' values.",
    "above": "Pixels whose value is above the threshold.",
    "fraction_above": "Part of the pixels whose value is above the threshold.",
    "expressing_pixels": "Pixels that the Allen Institute's expression view shows as expressing.",
    "expressing_intensity": "Sum of the intensities of the expressing pixels.",
    "expression_density": "Expressing pixels divided by all pixels in the region.",
    "expression_intensity": "Mean intensity of the expressing pixels.",
    "expression_energy": "Intensity of the expressing pixels divided by all pixels in the region.",
}
_SIDES = {
    "direct": "Of the region itself, without those below it.",
    "left": "On the left side of the brain.",
    "right": "On the right side of the brain.",
    "unsided": "Where the atlas names no side.",
}


def column_title(column: ColumnInfo) -> str:
    """Return the title of a column in short lines: the side and the unit have their own."""
    title = column.title.replace(", ", ",\n")
    return f"{title}\n({column.unit})" if column.unit else title


def choice_text(column: ColumnInfo) -> str:
    """Return the title of a column in one line."""
    return f"{column.title} ({column.unit})" if column.unit else column.title


def column_tip(column: ColumnInfo) -> str:
    """Return what a column means, and what a click on its title does."""
    base, side = split_side(column.name)
    direct = "direct" if base.endswith(DIRECT) else ""
    meaning = _MEANINGS.get(base.removesuffix(DIRECT), "")
    lines = [choice_text(column), meaning, _SIDES.get(side or direct, ""), "Click to sort."]
    return "\n".join(line for line in lines if line)


def number_text(value: float, decimals: int) -> str:
    """Write a number with commas between thousands.

    One of which so many decimals would show no digit, or one alone, gets three digits.
    """
    if not math.isfinite(value):
        return UNKNOWN
    rounded = round(value, decimals)
    if decimals and rounded != value and abs(value) < 10.0 ** (1 - decimals):
        return f"{value:.3g}"
    return f"{rounded:,.{decimals}f}"


def exact_text(value: float) -> str:
    """Write a whole number as such, and any other with three decimals or digits."""
    return (
        number_text(value, 0 if value == round(value) else 3) if math.isfinite(value) else UNKNOWN
    )


def tick_text(value: float) -> str:
    """Write the end of a scale, where room is short."""
    if not math.isfinite(value):
        return UNKNOWN
    if value and not 1e-3 <= abs(value) < 1e6:  # longer than a power of ten
        return f"{value:.2e}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def elided(text: str, most: int) -> str:
    """Return a text of at most so many characters, with dots where something is left out."""
    return text if len(text) <= most else text[: max(1, most - 1)].rstrip() + "…"
