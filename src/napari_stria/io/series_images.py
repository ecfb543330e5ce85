"""Where the images of a series are: found by the names in its file, in a folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from napari_stria.core.series import SectionSeries
from napari_stria.errors import FormatError, plain_text
from napari_stria.io.section_files import IMAGE_SUFFIXES


@dataclass(frozen=True)
class FoundImages:
    """Images that were looked for by their names.

    Attributes
    ----------
    paths : tuple of Path or None
        The file of each name; None where there is none, or more than one that it may be.
    ambiguous : tuple of str
        The names of the latter.
    """

    paths: tuple[Path | None, ...]
    ambiguous: tuple[str, ...] = ()


def images_of(series: SectionSeries, folder: str | PathLike[str]) -> tuple[Path | None, ...]:
    """Return the image of each section in a folder, None where there is none.

    Parameters
    ----------
    series : SectionSeries
    folder : path-like

    Returns
    -------
    tuple of Path or None
        See `find_images`; not searched below.

    Raises
    ------
    FormatError
        If the folder cannot be listed.
    """
    return find_images([s.filename for s in series.slices], folder).paths


def find_images(
    filenames: Sequence[str], folder: str | PathLike[str], *, below: bool = False
) -> FoundImages:
    """Find images by what a series calls them.

    Parameters
    ----------
    filenames : sequence of str
        With either kind of slash; folders may be those of the machine that the series was made on.
    folder : path-like
    below : bool
        Search the folders in it as well, but not those in them.

    Returns
    -------
    FoundImages
        The file at the very path, counted from the folder; else of the very name; else of the name
        in other letter case; else the only image of the name with another suffix
        (``slide_s001.tif`` for ``slide_s001.png``). Each of these first in the folder, then below.
        Of several names that mean one file it is that of the closest alone.

    Raises
    ------
    FormatError
        If the folder cannot be listed.
    """
    finder = _Finder(Path(folder).expanduser(), below=below)
    names = {name: name.replace("\\", "/") for name in filenames if name}
    found = {name: finder.find(plain) for name, plain in names.items()}
    # By how closely it is named: which names want it.
    wanted_by: dict[Path, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for name, (rank, files) in found.items():
        if len(files) == 1:
            wanted_by[files[0]][rank].add(names[name])
    paths, ambiguous = dict[str, Path](), list[str]()
    for name, (rank, files) in found.items():
        wishes = wanted_by[files[0]] if len(files) == 1 else {}
        if wishes and rank == min(wishes) and len(wishes[rank]) == 1:
            paths[name] = files[0]
        elif files:
            ambiguous.append(name)
    return FoundImages(tuple(paths.get(name) for name in filenames), tuple(ambiguous))


class _Finder:
    """The files of a folder, and of those in it, by what they are called."""

    def __init__(self, folder: Path, *, below: bool) -> None:
        self._folder = folder
        try:
            inside = sorted(folder.iterdir())
        except OSError as error:
            raise FormatError(f"{folder} cannot be listed ({plain_text(error)}).") from error
        self._places = [_ByName(inside)]
        files: list[Path] = []
        for place in inside if below else ():
            with suppress(OSError):
                files += sorted(place.iterdir())
        self._places.append(_ByName(files))

    def find(self, filename: str) -> tuple[int, list[Path]]:
        """Return the files that a name may mean, and how closely it names them: 0 is the best.

        As `find_images` says; a file in a folder of the right name is closer than others.
        """
        if path := self._at_path(filename):
            return 0, [path]
        parts = filename.split("/")
        name, tail = parts[-1], ("path", *parts[-2:])
        keys = (tail, ("name", name), ("any case", name.casefold()), ("stem", _stem(name)))
        for rank, key in enumerate(keys, 1):
            for place in self._places:
                if found := place.files.get(key):
                    return rank, found
        return len(keys) + 1, []

    def _at_path(self, filename: str) -> Path | None:
        """Return the file at this very path below the folder; none elsewhere on the machine."""
        parts = filename.split("/")
        with suppress(OSError, ValueError):  # a name that no file can have
            path = self._folder.joinpath(*parts)
            is_below = "" not in parts and ".." not in parts and path.is_relative_to(self._folder)
            if is_below and path.is_file():
                return path
        return None


class _ByName:
    """Files by their folder and name, by name in both kinds of letters, and images by stem."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.files: dict[Hashable, list[Path]] = defaultdict(list)
        for path in paths:
            with suppress(OSError):
                if path.is_file():
                    self._add(path)

    def _add(self, path: Path) -> None:
        files, name = self.files, path.name
        files["path", path.parent.name, name].append(path)
        files["name", name].append(path)
        files["any case", name.casefold()].append(path)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            files["stem", _stem(name)].append(path)


def _stem(name: str) -> str:
    """Return a file's name without its suffix, or both of ``.ome.tif``, in small letters."""
    stem = Path(name).stem
    return (stem[:-4] if stem.lower().endswith(".ome") else stem).casefold()
