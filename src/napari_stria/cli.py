"""The command line: ``napari-stria demo | info | regions | volumes``."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from napari_stria import __version__
from napari_stria.errors import ResolutionWarning, StriaError

if TYPE_CHECKING:
    import pandas as pd

    from napari_stria.core.atlas import Atlas

EXIT_OK, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; a `StriaError` becomes one sentence."""
    arguments = _parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", category=ResolutionWarning)
            warnings.showwarning = _show_warning
            code: int = arguments.run(arguments)
    except StriaError as error:
        print(f"napari-stria: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("napari-stria: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); there is nobody left to tell.
        sys.stderr.close()
        return EXIT_OK
    return code


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    del category, filename, lineno, file, line
    print(f"napari-stria: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-stria", description="Explore brain atlases from the command line."
    )
    parser.add_argument("--version", action="version", version=f"napari-stria {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="open the practice brain in napari")
    demo.add_argument(
        "--headless", action="store_true", help="in a virtual display; write a picture and end"
    )
    demo.add_argument(
        "--picture", type=Path, default=Path("demo.png"), help="where the picture is written"
    )
    demo.set_defaults(run=_demo)

    info = commands.add_parser("info", help="say what an atlas is; no voxel is read")
    _atlas_arguments(info)
    info.set_defaults(run=_info)

    regions = commands.add_parser("regions", help="list the regions of an atlas")
    _atlas_arguments(regions)
    regions.add_argument("--region", action="append", metavar="TEXT", help=_REGION_HELP)
    regions.add_argument("--csv", type=Path, metavar="FILE", help="write a CSV file")
    regions.set_defaults(run=_regions)

    volumes = commands.add_parser("volumes", help="count every region of an atlas")
    _atlas_arguments(volumes)
    volumes.add_argument("--region", action="append", metavar="TEXT", help=_REGION_HELP)
    volumes.add_argument("--resolution", type=float, metavar="UM", help="voxel size to count at")
    volumes.add_argument("--csv", type=Path, metavar="FILE", help="write a CSV file")
    volumes.set_defaults(run=_volumes)
    return parser


_REGION_HELP = "an acronym, name or pattern such as 'RSP*'; may be repeated"


def _atlas_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "atlas", help="a name such as allen_mouse_25um, or the address of an annotation OME-Zarr"
    )
    parser.add_argument("--root", help="URL or folder of the atlases (default: BrainGlobe's)")
    parser.add_argument("--terminology", help="address of the terminology.csv, with an address")
    parser.add_argument("--atlas-version", help="version of the atlas (default: the newest)")


def _opened(arguments: argparse.Namespace) -> Atlas:
    from napari_stria.io.brainglobe import open_atlas

    return open_atlas(
        arguments.atlas,
        root=arguments.root,
        terminology=arguments.terminology,
        version=arguments.atlas_version,
    )


def _info(arguments: argparse.Namespace) -> int:
    atlas = _opened(arguments)
    print(f"{atlas.name}: {len(atlas.ontology)} regions, axes {atlas.space} (AP, DV, ML)")
    for level in atlas.annotation.levels:
        size = " x ".join(f"{s:g}" for s in level.scale_um)
        chunk = " x ".join(str(c) for c in level.reader.chunk_shape)
        print(f"  annotation {size} um: {level.shape} {level.dtype}, chunks {chunk}")
    for name, template in atlas.templates.items():
        sizes = ", ".join(f"{lv.scale_um[0]:g}" for lv in template.levels)
        print(f"  template {name}: {sizes} um")
    for key, value in atlas.metadata.items():
        print(f"  {key}: {value}")
    return EXIT_OK


def _regions(arguments: argparse.Namespace) -> int:
    atlas = _opened(arguments)
    frame = atlas.ontology.to_dataframe().drop(columns=["rgb_triplet", "structure_id_path"])
    _write(_picked(frame, atlas, arguments.region), arguments.csv)
    return EXIT_OK


def _volumes(arguments: argparse.Namespace) -> int:
    from napari_stria.core.regions import region_table

    atlas = _opened(arguments)
    progress = _Progress(atlas)
    table = region_table(atlas, arguments.resolution, progress=progress)
    progress.end()
    frame = _picked(table, atlas, arguments.region).reset_index()
    _write(frame if arguments.csv else frame[_SHOWN], arguments.csv)
    size = " x ".join(f"{s:g}" for s in table.attrs["resolution_um"])
    note = f"counted at {size} um; axes {atlas.space}"
    if table.attrs["unlisted_voxels"]:
        note += f"; {table.attrs['unlisted_voxels']} voxels have labels that the ontology lacks"
    print(note, file=sys.stderr)
    return EXIT_OK


# A terminal shows these; a file has all columns.
_SHOWN = ["id", "acronym", "name", "voxels", "volume_mm3", "left_mm3", "right_mm3"]


def _picked(frame: pd.DataFrame, atlas: Atlas, texts: list[str] | None) -> pd.DataFrame:
    """Return the rows of the regions that were asked; all of them by default."""
    if not texts:
        return frame
    ids: list[int] = []
    for text in texts:
        is_pattern = any(c in text for c in "*?[")
        found = atlas.ontology.search(text) if is_pattern else [atlas.ontology[text]]
        if not found:
            from napari_stria.errors import RegionNotFoundError

            raise RegionNotFoundError(f"no region fits {text!r}; try another pattern.")
        ids += [s.id for s in found]
    return frame.loc[list(dict.fromkeys(ids))]


def _write(frame: pd.DataFrame, csv: Path | None) -> None:
    if csv is None:
        sys.stdout.write(frame.to_string(index=False) + "\n")
        return
    from napari_stria.io.cache import write_atomically

    try:
        write_atomically(csv, frame.to_csv(index=False).encode())
    except OSError as error:
        raise StriaError(f"{csv} cannot be written ({error}); check the folder.") from error


class _Progress:
    """A progress line on a terminal; silent elsewhere."""

    def __init__(self, atlas: Atlas) -> None:
        self._name = atlas.name
        self._on = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        if self._on:
            sys.stderr.write(f"\rcounting {self._name}: {100 * done // total} %")
            sys.stderr.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._on:
            sys.stderr.write("\r\x1b[K")


def _demo(arguments: argparse.Namespace) -> int:
    from napari_stria.viewer.demo import run_demo

    return run_demo(headless=arguments.headless, picture=arguments.picture)


if __name__ == "__main__":
    raise SystemExit(main())
