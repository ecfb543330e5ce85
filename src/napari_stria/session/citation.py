"""How an atlas and a dataset of sections are cited: what their sources say, and nothing more."""

from __future__ import annotations

from importlib.metadata import version
from urllib.parse import urlsplit

from napari_stria.core.atlas import Atlas
from napari_stria.core.section import SectionDataset
from napari_stria.io.allen_api import DEFAULT_URL

_ALLEN_HOST = urlsplit(DEFAULT_URL).hostname
_ALLEN_TERMS = (
    "The Allen Institute's terms of use and citation policy hold for its images "
    "(https://alleninstitute.org/legal/terms-of-use)."
)


def atlas_citation(atlas: Atlas) -> str:
    """Return the citation that an atlas's source gives, or a sentence that it gives none."""
    stated = str(atlas.metadata.get("citation") or "").strip()
    return stated or f"The source of {atlas.name} states no citation."


def sections_citation(dataset: SectionDataset, api_url: str) -> str:
    """Return which dataset it is and where it came from; its records name no publication."""
    genes = f", {'/'.join(dataset.genes)}" if dataset.genes else ""
    text = f"Section dataset {dataset.id}{genes}, {dataset.plane}, from {api_url}."
    if urlsplit(api_url).hostname == _ALLEN_HOST:
        return f"{text} {_ALLEN_TERMS}"
    return text


def citation_text(atlas: Atlas | None, sections: str | None) -> str:
    """Return all that is to be cited of a view, in paragraphs.

    Parameters
    ----------
    atlas : Atlas or None
    sections : str or None
        From `sections_citation`.
    """
    paragraphs = []
    if atlas is not None:
        known = atlas.metadata
        edition = f", version {known['version']}" if known.get("version") else ""
        lines = [f"Atlas: {atlas.name}{edition}", atlas_citation(atlas)]
        lines += [str(known["atlas_link"])] if known.get("atlas_link") else []
        lines += [f"Read from {known['root']}"] if known.get("root") else []
        paragraphs.append("\n".join(lines))
    if sections is not None:
        paragraphs.append(f"Sections:\n{sections}")
    paragraphs.append(f"Software: napari-stria {version('napari-stria')}")
    return "\n\n".join(paragraphs)
