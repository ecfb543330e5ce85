"""Where the sections of a dataset are shown in the atlas, and which of them is next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_stria.core.section import Section
from napari_stria.core.transforms import Affine
from napari_stria.registration.chain import Placement, section_to_atlas
from napari_stria.registration.stack import SectionStack


@dataclass(frozen=True)
class SectionPlaces:
    """The sections of a stack as they are shown.

    Attributes
    ----------
    stack : SectionStack
    placement : {"exact", "parallel"}
        See `aligned_stack`.
    space : str
        Where the axes of the atlas start.
    mirrored : bool
        Whether left and right are exchanged.
    """

    stack: SectionStack
    placement: Placement
    space: str
    mirrored: bool

    def section_to_atlas(self, section: Section) -> Affine:
        """Return the map from a section's full-resolution pixels to atlas um."""
        return section_to_atlas(section, self.space, mirrored=self.mirrored)

    def point_of(self, section: Section) -> npt.NDArray[np.float64]:
        """Return where the middle of a section is shown, (AP, DV, ML) in atlas um."""
        to_atlas = self.section_to_atlas(section)
        point = to_atlas((section.width / 2, section.height / 2))
        if self.placement == "parallel":
            # The whole section is shown where its first pixel lies.
            point[self.stack.axis] = to_atlas((0.0, 0.0))[self.stack.axis]
        return point

    def nearest_to(self, point_um: Sequence[float]) -> Section:
        """Return the section nearest to an atlas point, however far it is and also if hidden."""
        position = float(self.stack.atlas_to_position(point_um)[0])
        return self.stack.sections[int(np.argmin(np.abs(self.stack.positions_um - position)))]

    def neighbor(self, section: Section, step: int) -> Section | None:
        """Return the section so many places on along the atlas's axis, None at the end."""
        # Along the atlas's axis, which may run against the positions along the stack.
        forward = self.stack.atlas_to_position.linear[0, self.stack.axis] >= 0
        number = self.stack.index_of(section.image_id) + (step if forward else -step)
        return self.stack.sections[number] if 0 <= number < len(self.stack.sections) else None
