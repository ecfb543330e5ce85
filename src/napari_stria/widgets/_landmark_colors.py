"""The colour of a pair of landmarks: the same in the table and on the canvas."""

from __future__ import annotations

# Okabe and Ito's, which the colour-blind tell apart; without black, which dark canvases hide.
_COLORS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (150, 130, 255),
    (255, 255, 255),
)


def pair_rgb(pair: int) -> tuple[int, int, int]:
    """Return the colour of the pair at a place, 0 to 255."""
    return _COLORS[pair % len(_COLORS)]
