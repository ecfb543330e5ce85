"""The practice template as a plain array file, ready to be mapped into memory."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_stria.core.phantom_template import practice_templates

TEMPLATE_FILE = Path("practice-sections") / "template_50um.npy"

U16 = npt.NDArray[np.uint16]


def write_template_file(root: Path, template: U16) -> None:
    """Write the 50 um template into a practice root.

    Parameters
    ----------
    root : Path
        The root's folder.
    template : (AP, DV, ML) uint16 ndarray
        Space ``asr``.
    """
    file = root / TEMPLATE_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, template)


def load_template(root: Path) -> U16:
    """Return the 50 um template of a folder, or compute it (some seconds) if it has none."""
    file = root / TEMPLATE_FILE
    if not file.is_file():
        return computed_template()
    return np.asarray(np.load(file, mmap_mode="r"))


@cache
def computed_template() -> U16:
    """Return the 50 um template, computed once a process (some seconds)."""
    return practice_templates()[0]
