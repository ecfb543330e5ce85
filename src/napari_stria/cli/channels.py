"""Which channel of an image is meant, as the command line says it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from napari_stria.errors import StriaError

if TYPE_CHECKING:
    from napari_stria.io.section_files import SectionImage


def add_channel(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--channel``, whose value `channel_of` understands."""
    parser.add_argument("--channel", metavar="N|NAME", help=text)


def channel_of(image: SectionImage, said: str | None) -> int | None:
    """Return the number of the channel that was asked for; None for none.

    Raises
    ------
    StriaError
        If the image has no such channel, with the names of those that it has.
    """
    if said is None:
        return None
    names = [channel.name for channel in image.channels]
    # By name first: channels may be called by numbers.
    if said in names:
        return names.index(said)
    if said.isdecimal() and int(said) < len(names):
        return int(said)
    known = ", ".join(f"{number} ({name})" for number, name in enumerate(names))
    raise StriaError(f"{image.name} has no channel {said}; it has {known}.")
