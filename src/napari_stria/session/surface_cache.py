"""Surfaces that were decoded, the least recently used dropped first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from napari_stria.core.atlas import Atlas
from napari_stria.core.mesh import RegionMesh
from napari_stria.core.triangle_blocks import TriangleBlocks


@dataclass(frozen=True, eq=False)
class Surface:
    """A region's surface, ready to be shown and pointed at.

    Attributes
    ----------
    position : int
        Pre-order position of the region.
    mesh : RegionMesh
    blocks : TriangleBlocks
        The same triangles, for pointing at them and for cutting them.
    """

    position: int
    mesh: RegionMesh
    blocks: TriangleBlocks

    @property
    def nbytes(self) -> int:
        """Memory it takes."""
        return self.mesh.vertices_um.nbytes + self.mesh.faces.nbytes + self.blocks.nbytes


def read_surface(atlas: Atlas, position: int) -> Surface | None:
    """Read the surface of a region and make it ready; None if the atlas has none."""
    mesh = None if atlas.meshes is None else atlas.meshes.read(atlas.ontology.at(position).id)
    return None if mesh is None else Surface(position, mesh, TriangleBlocks(mesh))


class SurfaceCache:
    """Surfaces of one atlas, bounded by their bytes; used in the session's thread alone.

    Parameters
    ----------
    max_bytes : int
        The bound. A surface that is larger alone is not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._kept: OrderedDict[int, Surface] = OrderedDict()

    def get(self, position: int) -> Surface | None:
        """Return a region's surface, None if it is not kept."""
        surface = self._kept.get(position)
        if surface is not None:
            self._kept.move_to_end(position)
        return surface

    def put(self, surface: Surface) -> None:
        """Keep a surface."""
        self.drop(surface.position)
        self._kept[surface.position] = surface
        self.bytes += surface.nbytes
        while self.bytes > self.max_bytes:
            self.drop(next(iter(self._kept)))

    def drop(self, position: int) -> None:
        """Forget a region's surface, if it is kept."""
        old = self._kept.pop(position, None)
        self.bytes -= 0 if old is None else old.nbytes

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()
        self.bytes = 0
