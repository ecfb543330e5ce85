"""What is measured in the atlas, how, and what comes of it; frozen, for views to show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_stria.core.parcellation import Parcellation
from napari_stria.core.section import SectionDataset
from napari_stria.core.transforms import CoordinateTransform
from napari_stria.io.allen_api import AllenApi

SourceKind = Literal["points", "labels", "image", "shapes", "expression"]
Side = Literal["", "left", "right", "unsided"]


@dataclass(frozen=True, eq=False)
class ExpressionData:
    """What the expression of an Allen dataset is measured on.

    Attributes
    ----------
    dataset : SectionDataset
        Its sections are those that count.
    api : AllenApi
        Where its images come from.
    mirrored : bool
        Whether left and right are exchanged; see `napari_stria.session.section_options`.
    refinements : mapping of int to CoordinateTransform
        By image id; see `napari_stria.aligned_stack`.
    """

    dataset: SectionDataset
    api: AllenApi
    mirrored: bool = False
    refinements: Mapping[int, CoordinateTransform] = field(
        default_factory=lambda: MappingProxyType({})
    )


@dataclass(frozen=True, eq=False)
class SourceData:
    """The data of a source, in atlas space.

    Attributes
    ----------
    data : object
        Of points an (N, 3) array of (AP, DV, ML) in um, numpy or dask; of labels and images a 2D or
        3D array (images with channels have these as their last axis); of shapes a sequence of
        (K, 3) polygons in um; of an Allen dataset `ExpressionData`.
    to_atlas : CoordinateTransform or None
        From places in the array, counted from its corner, to the atlas in um. None: it lies on the
        very grid of a level of the annotation. Of points, shapes and datasets always None.
    names : tuple of str
        Of the objects or channels, where they have any.
    remark : str
        What else one must know of the numbers, to be told with what they add up to.
    """

    data: Any
    to_atlas: CoordinateTransform | None = None
    names: tuple[str, ...] = ()
    remark: str = ""


@dataclass(frozen=True, eq=False)
class QuantifySource:
    """Something that can be measured.

    Attributes
    ----------
    key : str
        Stays the same for as long as the source exists.
    name : str
        What it is called.
    kind : {"points", "labels", "image", "shapes", "expression"}
    note : str
        Why it cannot be measured, as a sentence; empty if it can.
    load : callable
        Returns the data; called in another thread.
    channels : tuple of str
        Names of an image's channels; empty if it has one.
    """

    key: str
    name: str
    kind: SourceKind
    load: Callable[[], SourceData]
    note: str = ""
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class QuantifyOptions:
    """How a source is measured.

    Attributes
    ----------
    level : Parcellation or None
        What regions are counted as: parcels of a depth, a structure set or groups; None for the
        regions themselves. `napari_stria.session.level_choices` lists them.
    sides : bool
        Show left and right apart. They are measured in any case.
    threshold : float or None
        Of images: pixels above it are counted besides.
    channel : str or None
        Which of an image's channels; None for the first.
    resolution_um : float or None
        Which level of the annotation; None for that in the atlas's name.
    tier : int or None
        Of Allen datasets: how often the images are halved; None for the usual.
    """

    level: Parcellation | None = None
    sides: bool = True
    threshold: float | None = None
    channel: str | None = None
    resolution_um: float | None = None
    tier: int | None = None

    def with_channel_of(self, source: QuantifySource) -> QuantifyOptions:
        """Return these with the name of the channel that None is in a source."""
        if self.channel is not None or not source.channels:
            return self
        return replace(self, channel=source.channels[0])

    def is_like(self, other: QuantifyOptions, kind: SourceKind) -> bool:
        """Tell whether other options give the same numbers of a kind of source."""
        if self.level is None or other.level is None:
            if self.level is not other.level:
                return False
        elif not self.level.is_made_like(other.level):
            return False
        used = {"image": ("threshold", "channel"), "expression": ("tier",)}.get(kind, ())
        names = ("resolution_um", *used)
        return all(getattr(self, name) == getattr(other, name) for name in names)


@dataclass(frozen=True)
class ColumnInfo:
    """One column of numbers.

    Attributes
    ----------
    name : str
        In the table.
    title : str
        In plain words.
    unit : str
        Empty for counts and ratios.
    decimals : int
        How many of a number are worth showing.
    side : {"", "left", "right", "unsided"}
        What it is limited to.
    from_zero : bool
        Whether 0 means that there is nothing, as of counts, and not some value, as of means.
    """

    name: str
    title: str
    unit: str = ""
    decimals: int = 0
    side: Side = ""
    from_zero: bool = True


@dataclass(frozen=True, eq=False)
class QuantifyResult:
    """Numbers per region of one source.

    Attributes
    ----------
    kind : {"points", "labels", "image", "shapes", "expression"}
    source_key, source_name : str
        Of what it was measured on.
    options : QuantifyOptions
        How it was measured.
    table : DataFrame
        Indexed by region id, in pre-order, or by ``id`` of parcels; columns ``acronym``, ``name``,
        ``depth`` and the numbers.
    columns : tuple of ColumnInfo
        Those to show: without the sides if these are not asked for.
    channel : str
        Of an image with several: which one.
    totals : str
        What it all adds up to, as a sentence.
    stale_reason : str
        Why it no longer is what a new run would give, as a sentence; empty if it is.
    """

    kind: SourceKind
    source_key: str
    source_name: str
    options: QuantifyOptions
    table: pd.DataFrame
    columns: tuple[ColumnInfo, ...]
    totals: str
    channel: str = ""
    stale_reason: str = ""

    @property
    def is_stale(self) -> bool:
        """Whether the source, or how it is to be measured, changed since."""
        return bool(self.stale_reason)

    def column(self, name: str) -> ColumnInfo:
        """Return what is known of a column that is shown."""
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True, eq=False)
class ValueLegend:
    """Which colour is which number.

    Attributes
    ----------
    low, high : float
        The numbers of the first and the last colour.
    title, unit : str
        Of the numbers.
    rgb : (256, 3) uint8 ndarray
        The colours, from low to high.
    log_scale : bool
        Whether equal steps of colour are equal ratios.
    is_exceeded : tuple of 2 bool
        Whether some region's number lies below `low`, and above `high`; it has the end's colour.
    """

    low: float
    high: float
    title: str
    unit: str
    rgb: npt.NDArray[np.uint8]
    log_scale: bool = False
    is_exceeded: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, eq=False)
class ChartData:
    """The largest numbers of a column, largest first.

    Attributes
    ----------
    ids : tuple of int
        Rows of the table.
    names : tuple of str
        Acronyms.
    full_names : tuple of str
    total : (n,) float64 ndarray
    left, right : (n,) float64 ndarray or None
        Of the sides, where the column has them and they are asked for.
    rgb : (n, 3) uint8 ndarray
        Colours of the regions.
    title, unit : str
        Of the numbers.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]
    full_names: tuple[str, ...]
    total: npt.NDArray[np.float64]
    left: npt.NDArray[np.float64] | None
    right: npt.NDArray[np.float64] | None
    rgb: npt.NDArray[np.uint8]
    title: str
    unit: str
