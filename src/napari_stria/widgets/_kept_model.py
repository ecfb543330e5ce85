"""The atlases that are kept on this machine, as a Qt table."""

from __future__ import annotations

from collections.abc import Sequence

from napari_stria.io.offline import KeptAtlas
from napari_stria.session.amounts import bytes_text
from napari_stria.widgets._offline_text import levels_text
from napari_stria.widgets._rows_model import RowsModel

NAME, VERSION, LEVELS, SIZE = range(4)


class KeptModel(RowsModel):
    """One kept atlas a row: name, version, what is kept of it, and what that takes."""

    titles = ("Atlas", "Version", "What", "Size")
    right = right_titles = (SIZE,)

    def set_kept(self, kept: Sequence[KeptAtlas]) -> None:
        """Show other atlases; the same ones stay as they are, with what is selected."""
        self.take(kept)

    def kept(self, row: int) -> KeptAtlas:
        """Return the atlas of a row."""
        found: KeptAtlas = self._rows[row]
        return found

    def text(self, row: KeptAtlas, column: int) -> str:
        """Return what a cell shows."""
        if column == NAME:
            return row.name
        if column == VERSION:
            return row.version
        if column == SIZE:
            return bytes_text(row.bytes)
        return levels_text(row) if row.complete else f"not complete: {levels_text(row)}"

    def tip(self, row: KeptAtlas, column: int) -> str:  # noqa: ARG002
        """Return where a kept atlas came from."""
        return f"{row.name} {row.version} from {row.root}: {self.text(row, LEVELS)}"
