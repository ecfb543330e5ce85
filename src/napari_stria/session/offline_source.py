"""Whether an atlas is shown from what was kept, because its server cannot be reached."""

from __future__ import annotations

from napari_stria.core.atlas import Atlas


def is_offline(atlas: Atlas) -> bool:
    """Return whether the store of an atlas could not be reached when it was asked last."""
    store = getattr(atlas.annotation.levels[0].reader, "store", None)
    return bool(getattr(store, "offline", False))
