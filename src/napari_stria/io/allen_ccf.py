"""Allen's common coordinate framework as files: ``annotation_25.nrrd`` and the structure graph.

An NRRD is one compressed stream and cannot be read in parts, so it is decoded once into an
OME-Zarr pyramid in our own cache, named by the file's sha256.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import IO, Any

import nrrd
import numpy as np

from napari_stria.core.atlas import Atlas
from napari_stria.core.ontology import Ontology
from napari_stria.core.pyramid import Multiscale, resolution_triple
from napari_stria.core.space import Triple, checked_space
from napari_stria.errors import AtlasNotFoundError, FormatError, VoxelSizeMissingError
from napari_stria.io.addressed import AllenGraph
from napari_stria.io.allen_checks import graph_of_address
from napari_stria.io.cache import cache_folder
from napari_stria.io.decoded_volume import Flat, decode_once
from napari_stria.io.nrrd_space import ALLEN, origin_of, space_of
from napari_stria.io.ome_zarr import read_ome_zarr, statistics_files
from napari_stria.io.ontology_files import parse_ontology
from napari_stria.io.sinks import Progress, raise_if_set
from napari_stria.io.store import open_store

SPACE = ALLEN
_DTYPES = {
    "uint8": "u1", "uchar": "u1", "unsigned char": "u1", "uint8_t": "u1",
    "ushort": "u2", "unsigned short": "u2", "uint16": "u2", "uint16_t": "u2",
    "uint": "u4", "unsigned int": "u4", "uint32": "u4", "uint32_t": "u4",
    "short": "i2", "signed short": "i2", "int16": "i2", "int16_t": "i2",
    "int": "i4", "signed int": "i4", "int32": "i4", "int32_t": "i4",
    "longlong": "i8", "int64": "i8", "int64_t": "i8", "long long": "i8",
    "ulonglong": "u8", "uint64": "u8", "uint64_t": "u8", "unsigned long long": "u8",
}  # fmt: skip
_UM_PER = {
    "um": 1.0, "µm": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0, "micrometers": 1.0,
    "mm": 1e3, "millimeter": 1e3, "millimeters": 1e3, "nm": 1e-3, "nanometer": 1e-3,
    "nanometers": 1e-3, "m": 1e6, "meter": 1e6, "meters": 1e6, "": 1.0,
}  # fmt: skip
_SMALLEST_UM = 0.1
_MAX_VOXELS = 1 << 34
_SLAB_BYTES = 16 << 20


@dataclass(frozen=True)
class NrrdHeader:
    """What is needed of an NRRD header.

    Attributes
    ----------
    shape : tuple of int
        Voxels along the file's axes, the fastest first; Allen's order is (AP, DV, ML).
    dtype : dtype
        Of a voxel as stored.
    spacing_um : tuple of float or None
        Voxel size, where the header gives one.
    compressed : bool
        gzip, else raw.
    space : str
        Where each axis starts.
    origin_um : tuple of float
        Outer corner of voxel (0, 0, 0) in atlas coordinates.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    spacing_um: Triple | None
    compressed: bool
    space: str = SPACE
    origin_um: Triple = (0.0, 0.0, 0.0)


def read_nrrd_header(file: IO[bytes], where: str) -> NrrdHeader:
    """Read the header of an attached NRRD and leave the file at its first byte of data.

    Raises
    ------
    FormatError
        If it is not an NRRD of three axes of whole numbers, raw or gzip.
    """
    try:
        header = nrrd.read_header(file)
        sizes = [int(n) for n in header["sizes"]]
        kind = str(header["type"]).lower()
        encoding = str(header["encoding"]).lower()
        detached = "data file" in header or "datafile" in header
    except (nrrd.NRRDError, KeyError, ValueError, TypeError, StopIteration) as error:
        raise FormatError(f"{where} is not a readable NRRD file: {error}.") from error
    if detached or encoding not in ("gzip", "gz", "raw"):
        raise FormatError(f"{where} keeps its data {encoding}-encoded or in another file; "
                          "save it as one raw or gzip NRRD.")  # fmt: skip
    if kind not in _DTYPES:
        raise FormatError(f"{where} holds {kind}, not labels; is it the template?")
    if len(sizes) != 3 or min(sizes) < 1 or np.prod(sizes, dtype=float) > _MAX_VOXELS:
        raise FormatError(f"{where} has the size {sizes}; an annotation has three axes.")
    order = ">" if str(header.get("endian", "little")).lower() == "big" else "<"
    space, spacing = space_of(header, where), _spacing(header)
    return NrrdHeader(
        shape=(sizes[0], sizes[1], sizes[2]),
        dtype=np.dtype(order + _DTYPES[kind]),
        spacing_um=spacing,
        compressed=encoding != "raw",
        space=space,
        origin_um=(0.0, 0.0, 0.0) if spacing is None else origin_of(header, spacing),
    )


def _spacing(header: dict[str, Any]) -> Triple | None:
    vectors = header.get("space directions")
    if vectors is not None:
        values = np.linalg.norm(np.asarray(vectors, dtype=np.float64), axis=-1)
    elif "spacings" in header:
        values = np.asarray(header["spacings"], dtype=np.float64)
    else:
        return None
    if values.shape != (3,) or not np.all(np.isfinite(values) & (values > 0)):
        return None
    units = [str(u).strip('" ').lower() for u in header.get("space units", ["um"] * 3)]
    if len(units) != 3 or any(u not in _UM_PER for u in units):
        return None
    a, d, m = (round(float(v) * _UM_PER[u], 9) for v, u in zip(values, units, strict=True))
    # Without a unit Allen's files mean um; below this it can only be another one.
    return (a, d, m) if min(a, d, m) >= _SMALLEST_UM else None


def open_allen_ccf(
    annotation: str | Path,
    structure_graph: str | Path | Ontology,
    *,
    resolution_um: float | Sequence[float] | None = None,
    space: str | None = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Atlas:
    """Open Allen's annotation volume with its ontology.

    The first time, the volume is decoded into the cache (progress is told in bytes); after that,
    opening reads no voxel. Coarser levels serve display alone; counting uses the finest unless
    another is asked for (`napari_stria.core.strides` says how far they are off).

    Parameters
    ----------
    annotation : str or Path
        An NRRD file in Allen's axis order (AP, DV, ML). See `space` for where its axes start. The
        ``space origin`` of files that this package wrote is kept: their first voxel lies where it
        lay in their atlas. Others begin at 0.
    structure_graph : str, Path or Ontology
        The structure graph JSON, or another file that `napari_stria.read_ontology` reads;
        ``allen:1`` for a graph of the Allen API, with its structure sets; or the regions
        themselves, which leave nothing by which such an atlas can be opened again.
    resolution_um : float or 3 floats, optional
        Voxel size, where the file's header has none.
    space : str, optional
        Where each axis starts, e.g. ``asr``, whatever the file says. By default what a file of this
        package says (``stria_space``); else what its space directions say, if they go along AP,
        DV, ML in this order; else ``asl``, as Allen's files, whose directions are wrong. An atlas
        that was opened with another space than its file's cannot be opened again by its address.
    progress : callable, optional
        Called with the bytes decoded and their total.
    cancel : threading.Event, optional
        Ends the decoding when it is set; nothing is kept of it.

    Raises
    ------
    AtlasNotFoundError
        If a file or graph does not exist.
    FormatError
        If a file is not what it should be.
    CoordinateError
        If `space` is no space.
    NetworkError, CorruptDataError
        If the Allen API does not give the graph.
    TaskCancelled
        If `cancel` was set.
    """
    letters = None if space is None else checked_space(space)
    volume = _file(annotation)
    ontology, graph = _regions(structure_graph, cancel)
    with volume.open("rb") as file:
        header = read_nrrd_header(file, str(volume))
        stated = header.spacing_um if resolution_um is None else resolution_triple(resolution_um)
        if stated is None:
            raise VoxelSizeMissingError(
                f"{volume} does not say a usable voxel size; give resolution_um, e.g. 25."
            )
        at = file.tell()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(at)
        letters = letters or header.space
        folder = decode_once(
            cache_folder("ccf") / _decoded_name(digest, stated, letters),
            header.shape,
            header.dtype,
            stated,
            lambda flat: _decode_stream(file, header, flat, str(volume), progress, cancel),
            space=letters,
            order="F",
        )
    store = open_store(folder)
    stored = read_ome_zarr(store, "").pyramid
    pyramid = _moved(stored, header.origin_um)
    return Atlas(
        name=volume.name.removesuffix(".nrrd"),
        ontology=ontology,
        annotation=pyramid,
        space=letters,
        resolution_um=stated,
        metadata=MappingProxyType(
            {"annotation": str(volume), "structure_graph": graph or "", "sha256": digest}
        ),
        statistics=statistics_files(store, "", stored, letters),
        opened_with=MappingProxyType(
            {
                "name_or_uri": str(volume.absolute()),
                "terminology": graph,
                "resolution_um": stated,
            }
            if graph and letters == header.space
            else {}
        ),
    )


def _decoded_name(digest: str, scale_um: Triple, space: str) -> str:
    """Return what the decoded volume is called: the file, and how it was read."""
    size = "x".join(f"{s:g}" for s in scale_um)
    return f"{digest[:32]}-{size}um" + ("" if space == SPACE else f"-{space}")


def _moved(pyramid: Multiscale, origin_um: Triple) -> Multiscale:
    """Return a pyramid of which the first voxel lies elsewhere."""
    levels = []
    for level in pyramid.levels:
        ap, dv, ml = (own + at for own, at in zip(level.origin_um, origin_um, strict=True))
        levels.append(replace(level, origin_um=(ap, dv, ml)))
    return Multiscale(tuple(levels))


def _file(path: str | Path) -> Path:
    found = Path(path).expanduser()
    if not found.is_file():
        raise AtlasNotFoundError(f"{found} is not a file; check the path.")
    return found


def _regions(
    structure_graph: str | Path | Ontology, cancel: Event | None
) -> tuple[Ontology, str | None]:
    """Return the regions, and the address that they can be had from again."""
    if isinstance(structure_graph, Ontology):
        return structure_graph, None
    number = graph_of_address(structure_graph)
    if number is not None:
        graph = AllenGraph(number, cancel)
        return graph.read(), graph.address
    path = _file(structure_graph)
    return parse_ontology(path.read_bytes(), str(path)), str(path.absolute())


def _decode_stream(
    file: IO[bytes],
    header: NrrdHeader,
    flat: Flat,
    where: str,
    progress: Progress | None,
    cancel: Event | None,
) -> None:
    source: Any = gzip.GzipFile(fileobj=file) if header.compressed else file
    done, total = 0, flat.nbytes
    raw = flat.view(np.uint8)
    try:
        while done < total:
            raise_if_set(cancel)
            piece = source.read(min(_SLAB_BYTES, total - done))
            if not piece:
                raise FormatError(f"{where} ends after {done} of {total} bytes; copy it again.")
            raw[done : done + len(piece)] = np.frombuffer(piece, dtype=np.uint8)
            done += len(piece)
            if progress is not None:
                progress(done, total)
        # Reading to the end makes gzip compare its checksum.
        if source.read(1):
            raise FormatError(f"{where} holds more voxels than its header says.")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f"{where} is damaged ({error}); copy it again.") from error
