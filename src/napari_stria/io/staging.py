"""Files that belong together appear together: written aside, then given their names.

They are written into a hidden folder beside their place (`napari_stria.io.staging_folder`) and
published from there (`napari_stria.io.publishing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from napari_stria.io.free_places import check_free
from napari_stria.io.output_folder import locked, output_errors
from napari_stria.io.publishing import publish
from napari_stria.io.staging_folder import StagingFolder, clear_leftovers, lock_of, staging_folder

__all__ = ["check_free", "staged"]


@contextmanager
def staged(paths: Sequence[Path], *, overwrite: bool = False) -> Iterator[list[Path]]:
    """Yield where to write files and stores; at the end they take their names, all or none.

    Parameters
    ----------
    paths : sequence of Path
        Where they shall be; their folders exist.
    overwrite : bool
        Replace what is there; see `check_free`. It stays until all that replaces it is complete. A
        file is there all the time, the old or the new one; a store is away for a moment.

    Yields
    ------
    list of Path
        A place of the same name for each, in a folder of its own. What is not written there is
        left out.

    Raises
    ------
    OutputExistsError
        If one of the places is taken, also when that happens meanwhile.
    OutputBusyError
        If another program writes to one of the places now.
    OutputError
        If they cannot be written.

    Notes
    -----
    A program that is killed while it publishes several files may leave some old and some new. A
    store that it had moved aside comes back with the next writing into the same folder.
    """
    paths = [Path(path) for path in paths]
    for path in paths:
        check_free(path, overwrite=overwrite)
    with output_errors(paths[0]), ExitStack() as stack:
        locks = {path: lock_of(path) for path in paths}
        # In one order, so that of two programs with places in common one gets them all.
        for lock in sorted(set(locks.values())):
            stack.enter_context(locked(lock))
        folders = _folders(paths, locks, stack)
        for path in paths:
            check_free(path, overwrite=overwrite)
        places = [folders[path.parent].new / path.name for path in paths]
        yield places
        for path in paths:
            check_free(path, overwrite=overwrite)
        written = [
            (folders[path.parent], path)
            for place, path in zip(places, paths, strict=True)
            if place.exists()
        ]
        publish(written, overwrite=overwrite)


def _folders(
    paths: Sequence[Path], locks: dict[Path, Path], stack: ExitStack
) -> dict[Path, StagingFolder]:
    """Make a folder beside the files of each folder: files are renamed on one disk only."""
    folders = {}
    for parent in dict.fromkeys(path.parent for path in paths):
        own = frozenset(lock for path, lock in locks.items() if path.parent == parent)
        clear_leftovers(parent, own)
        folders[parent] = stack.enter_context(staging_folder(parent, own))
    return folders
