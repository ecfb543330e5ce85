"""What became of surfaces that were asked for at once, and how that is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from napari_stria.core.atlas import Atlas
from napari_stria.session.atlas_session import sentence_of

_NAMES = 6


@dataclass(eq=False)
class SurfaceRequest:
    """Surfaces that were asked for at once, by pre-order position; its end is said once.

    Attributes
    ----------
    awaited : set of int
        Those that are on their way.
    missing : list of int
        Those that the atlas does not have.
    failed : list of int
        Those that could not be read.
    """

    awaited: set[int] = field(default_factory=set)
    missing: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)

    def sentences(self, atlas: Atlas, errors: Mapping[int, Exception]) -> str:
        """Return what the request did not bring, in words; empty if it brought everything.

        Parameters
        ----------
        atlas : Atlas
            Whose surfaces were asked for.
        errors : mapping of int to Exception
            Why surfaces could not be read.
        """
        said = []
        if self.failed:
            error = errors.get(self.failed[0])
            why = "" if error is None else f": {sentence_of(error)}"
            said.append(f"No surface of {_named(atlas, self.failed)} could be read{why}")
        if self.missing and atlas.meshes is None:
            said.append("This atlas has no meshes.")
        elif self.missing:
            have = "has" if len(self.missing) == 1 else "have"
            said.append(f"{_named(atlas, self.missing)} {have} no mesh in this atlas.")
        return " ".join(said)


def _named(atlas: Atlas, positions: Sequence[int]) -> str:
    names = [atlas.ontology.at(p).acronym for p in positions]
    if len(names) > _NAMES:
        names = [*names[: _NAMES - 1], f"{len(names) - _NAMES + 1} others"]
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])
