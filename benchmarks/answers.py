"""What contenders must agree on, short enough to be told: digests of arrays, counts and texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np


def digest(array: Any) -> str:
    """Return the sha256 of an array's bytes; truth values count as 0 and 1 of one byte."""
    values = np.ascontiguousarray(array)
    return f"{values.shape} {hashlib.sha256(values.data).hexdigest()}"


def digest_of_voxels(voxels: Mapping[Any, Any]) -> str:
    """Return the sha256 of the voxels of each region."""
    text = json.dumps(sorted((int(i), int(n)) for i, n in voxels.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_labels(rows: str) -> str:
    """Return the sha256 of a label description, one row a line."""
    return hashlib.sha256(rows.encode()).hexdigest()
