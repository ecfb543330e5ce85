"""Every error that napari-stria raises on purpose.

Each is a `StriaError`, so that a caller can catch them all, and also the builtin that Python
programmers expect for that kind of fault. The message is one sentence that says what to do.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\[(?:Errno|WinError) -?\d+\] ")


def plain_text(error: BaseException) -> str:
    """Return what an error says, without the system's number of it (``[Errno 2]``)."""
    return _NUMBER.sub("", str(error))


class StriaError(Exception):
    """Base of all errors of this package."""


class AtlasNotFoundError(StriaError, LookupError):
    """No atlas, version or store of that name exists under the root that was asked."""


class RegionNotFoundError(StriaError, KeyError):
    """The ontology has no region of that id, acronym or name."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument, which would put the sentence in quotes.
        return str(self.args[0]) if self.args else ""


class AmbiguousRegionError(RegionNotFoundError):
    """Several regions share the acronym or name that was asked; the message lists their ids."""


class FormatError(StriaError, ValueError):
    """A file or store does not hold what its format promises."""


class VoxelSizeMissingError(FormatError):
    """A volume does not say how large its voxels are, and neither did the caller."""


class StoreNotFoundError(AtlasNotFoundError, FormatError):
    """There is no OME-Zarr image at the address that was given."""


class OntologyError(FormatError):
    """The rows of an ontology contradict each other (repeated ids, a cycle, a shared label)."""


class CoordinateError(StriaError, ValueError):
    """Coordinates, resolutions or axes that cannot be used as given."""


class DegenerateLandmarksError(CoordinateError):
    """Pairs of landmarks that determine no map: too few, on one line, or one place twice."""


class NetworkError(StriaError, OSError):
    """A server could not be reached or answered with an error after all retries."""


class ServerStatusError(NetworkError):
    """A server answered one address with an error status, while it may answer others."""


class ServerBusyError(ServerStatusError):
    """A server answered with an error that may pass (429, 5xx), after all attempts."""


class ServerStalledError(NetworkError, TimeoutError):
    """A server accepted the request and then sent nothing, or too little, for too long."""


class NotKeptError(NetworkError):
    """The server cannot be reached, and what is asked for was not kept on this machine."""


class CorruptDataError(StriaError, OSError):
    """Bytes arrived but are not the chunk, image or file that they should be."""


class UnsupportedSourceError(StriaError, ValueError):
    """A kind of address or file that this version cannot open."""


class CredentialsError(UnsupportedSourceError, NetworkError):
    """No credentials were found for a bucket; machines with a role get theirs by network."""


class StreamingArrayError(StriaError, TypeError):
    """A streamed layer was asked for a whole volume, which it never loads."""


class TaskCancelled(StriaError, RuntimeError):  # noqa: N818  (it is an answer, not a fault)
    """The user cancelled a long task; nothing was kept of it."""


class DatasetNotFoundError(StriaError, LookupError):
    """The server knows no section dataset or image of that id."""


class DatasetNotAlignedError(StriaError, ValueError):
    """A dataset lacks the alignment that says where its sections lie."""


class MeshNotFoundError(StriaError, LookupError):
    """An atlas has no surface for a region."""


class ReferenceSpaceError(StriaError, ValueError):
    """Sections lie in another reference space than the atlas."""


class SectionPlaneError(StriaError, ValueError):
    """A dataset's sections are neither coronal nor sagittal."""


class ServerAnswerError(StriaError, OSError):
    """A server understood the request and refused it; the message is the server's."""


class ImageTooLargeError(StriaError, ValueError):
    """An image claims more pixels than is plausible or than was allowed."""


class ElastixMissingError(StriaError, ImportError):
    """Automatic registration was asked for, and elastix is not installed."""


class RegistrationFailedError(StriaError, RuntimeError):
    """An automatic registration ended without a result."""


class OutputExistsError(StriaError, FileExistsError):
    """What would be written is there already, and is something else."""


class OutputError(StriaError, OSError):
    """A file or folder cannot be written."""


class OutputBusyError(OutputError):
    """Another program writes to the same place now."""


class ResolutionWarning(UserWarning):
    """The pyramid lacks the resolution asked; the nearest level was taken."""


class AnchoringWarning(UserWarning):
    """A section of a series has an anchoring that is no plane; it counts as not anchored."""


class SectionSkippedWarning(UserWarning):
    """A section's image could not be read; the others go on."""
