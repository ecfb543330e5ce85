"""Files of transformations: read back exactly, in RFC-5's convention, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.interpolate import RegularGridInterpolator

from napari_stria.core.field_transform import FieldTransform
from napari_stria.core.piecewise import PiecewiseAffine
from napari_stria.core.spline import ThinPlateSpline
from napari_stria.core.transforms import Affine, CoordinateTransform, Sequence
from napari_stria.errors import (
    CoordinateError,
    FormatError,
    OutputError,
    OutputExistsError,
    ReferenceSpaceError,
)
from napari_stria.io.transform_files import read_transform, transform_space, write_transform
from napari_stria.registration.landmarks import fit_landmarks

F64 = npt.NDArray[np.float64]
SIZE = (900, 700)
TO_ATLAS = Affine([[0.3, 0.2, 6000.1], [0.5, 9.7, 120.0], [10.1, -0.4, 31.0]])
NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)


def bending(seed: int = 0, n: int = 10) -> ThinPlateSpline:
    rng = np.random.default_rng(seed)
    moving = rng.uniform((0, 0), SIZE, (n, 2))
    return ThinPlateSpline(moving, moving + rng.normal(0, 8, (n, 2)))


def field(seed: int = 0, interpolation: Any = "cubic") -> FieldTransform:
    displacement = np.random.default_rng(seed).normal(0, 5, (6, 8, 2))
    lattice = Affine([[1 / 110, 0, 0.3], [0, 1 / 130, -0.1]])
    return FieldTransform(displacement, lattice, interpolation)


def markers(seed: int = 0) -> PiecewiseAffine:
    rng = np.random.default_rng(seed)
    moving = rng.uniform((0, 0), SIZE, (7, 2))
    return PiecewiseAffine(moving, moving + rng.normal(0, 8, (7, 2)), SIZE)


def places(seed: int = 9) -> F64:
    return np.random.default_rng(seed).uniform((0, 0), SIZE, (60, 2))


CHAINS: dict[str, Callable[[], CoordinateTransform]] = {
    "affine": lambda: TO_ATLAS,
    "affine of the plane": lambda: Affine([[1.1, 0.2, 3], [0.1, 0.9, 7]]),
    "spline": bending,
    "spline and affine": lambda: Sequence([bending(), TO_ATLAS]),
    "markers": lambda: Sequence([markers(), TO_ATLAS]),
    "markers back": lambda: markers().inverse,
    "field": lambda: Sequence([field(), TO_ATLAS]),
    "two fields": lambda: Sequence([field(1, "linear"), Sequence([bending(2), field(3)])]),
    "fit": lambda: fit_landmarks(bending().moving, bending().fixed),
    "fit in the atlas": lambda: fit_landmarks(bending().moving, TO_ATLAS(bending().fixed)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_what_is_written_is_read_back(tmp_path: Path, name: str) -> None:
    chain = CHAINS[name]()
    path = write_transform(tmp_path / "section.json", chain)
    found = read_transform(path)
    assert (found.n_in, found.n_out) == (chain.n_in, chain.n_out)
    tolerance = {"markers back": 2.0, "fit in the atlas": 1e-6}.get(name, 0.0)
    np.testing.assert_allclose(found(places()), chain(places()), rtol=0, atol=tolerance)
    assert (tmp_path / "section.fields.zarr").exists() == (not name.startswith("affine"))


@settings(max_examples=15)
@given(hnp.arrays(np.float64, (3, 3), elements=NUMBERS), st.integers(0, 99))
def test_round_trips(tmp_path_factory: Any, matrix: F64, seed: int) -> None:
    place = tmp_path_factory.mktemp("t") / "a.json"
    affine = Affine(matrix)
    assert read_transform(write_transform(place, affine)) == affine
    spline = bending(seed, 3 + seed % 9)
    write_transform(place, Sequence([spline, affine]), overwrite=True)
    found = read_transform(place)
    assert isinstance(found, Sequence)
    assert found.transforms == (spline, affine)


def test_maps_of_the_atlas_are_not_moved_by_half_a_pixel(tmp_path: Path) -> None:
    for number, n_out in enumerate((2, 3)):
        affine = Affine(np.arange(12.0).reshape(3, 4)[:n_out] + np.eye(n_out, 4))
        path = write_transform(tmp_path / f"{number}.json", affine)
        assert read_transform(path) == affine
        written = json.loads(path.read_text())["coordinateTransformations"][0]
        assert [t["type"] for t in written["transformations"]] == ["affine"]


def as_rfc5_says(folder: Path, values: Any, points: F64) -> F64:
    """Apply transformations as another program would, without a look at our own keys."""
    for part in values:
        if part["type"] == "translation":
            points = points + part["translation"]
        elif part["type"] == "affine":
            matrix = np.array(part["affine"])
            points = points @ matrix[:, :-1].T + matrix[:, -1]
        else:
            assert part["type"] == "displacements"
            assert part["interpolation"] == "linear"
            group = zarr.open_group(folder / part["path"], mode="r")
            image: Any = group.attrs["ome"]
            (dataset,) = image["multiscales"][0]["datasets"]
            (axes,) = image["multiscales"][0]["coordinateSystems"]
            assert [a["type"] for a in axes["axes"]] == ["displacement", "space", "space"]
            assert [a["name"] for a in axes["axes"]] == ["c", "x", "y"]
            scale, shift = dataset["coordinateTransformations"][0]["transformations"]
            array: Any = group[dataset["path"]]
            nodes = [
                np.arange(n) * scale["scale"][i + 1] + shift["translation"][i + 1]
                for i, n in enumerate(array.shape[1:])
            ]
            for_each = [RegularGridInterpolator(nodes, component) for component in array[...]]
            points = points + np.stack([f(points) for f in for_each], axis=-1)
    return points


@pytest.mark.parametrize("size_px", [None, SIZE])
def test_another_program_finds_the_same_places(tmp_path: Path, size_px: Any) -> None:
    chain = Sequence([bending(4), TO_ATLAS])
    path = write_transform(tmp_path / "s.json", chain, size_px=size_px)
    values = json.loads(path.read_text())
    section, atlas = values["coordinateSystems"]
    assert [a["name"] for a in section["axes"]] == ["x", "y"]
    assert [(a["name"], a["unit"]) for a in atlas["axes"]] == [
        ("AP", "micrometer"), ("DV", "micrometer"), ("ML", "micrometer"),
    ]  # fmt: skip
    (transformation,) = values["coordinateTransformations"]
    assert transformation["input"] == {"name": "section"}
    assert transformation["output"] == {"name": "atlas"}
    # The centre of the pixel in row 20 and column 10 is (10, 20) to RFC-5, (10.5, 20.5) here.
    centres = np.floor(np.random.default_rng(1).uniform(150, 550, (40, 2)))
    found = as_rfc5_says(tmp_path, transformation["transformations"], centres)
    error = transformation["transformations"][1]["stria"]["max_error"]
    assert error <= 0.05
    np.testing.assert_allclose(found, chain(centres + 0.5), rtol=0, atol=12 * error)


def test_the_stated_error_holds(tmp_path: Path) -> None:
    spline = bending(7)
    path = write_transform(tmp_path / "s.json", spline, size_px=SIZE)
    values = json.loads(path.read_text())["coordinateTransformations"][0]["transformations"]
    found = as_rfc5_says(tmp_path, values, places() - 0.5)
    assert np.linalg.norm(found - spline(places()), axis=1).max() <= values[1]["stria"]["max_error"]


class Wave:
    """A smooth map that is none of ours."""

    n_in = n_out = 2

    def __call__(self, points: npt.ArrayLike) -> F64:
        array = np.asarray(points, dtype=np.float64)
        return np.asarray(array + 4 * np.sin(array[..., ::-1] / 150))


def test_any_smooth_map_is_sampled(tmp_path: Path) -> None:
    chain = Sequence([Wave(), TO_ATLAS])
    with pytest.raises(CoordinateError, match="size_px"):
        write_transform(tmp_path / "a.json", chain)
    assert list(tmp_path.iterdir()) == []
    found = read_transform(write_transform(tmp_path / "a.json", chain, size_px=SIZE))
    np.testing.assert_allclose(found(places()), chain(places()), atol=0.5)


def test_files_of_other_programs_are_read(tmp_path: Path) -> None:
    systems = [
        {"name": "xy", "axes": [{"name": "x"}, {"name": "y"}]},
        {"name": "zyx", "axes": [{"name": "z"}, {"name": "y"}, {"name": "x"}]},
    ]
    affine = {"type": "affine", "affine": [[1, 0, 0], [2, 3, 4], [5, 6, 7]]}
    path = tmp_path / "t.json"

    def read(transformation: Any) -> CoordinateTransform:
        flat = transformation["type"] in ("identity", "scale", "rotation", "mapAxis")
        ends = {"input": {"name": "xy"}, "output": {"name": "xy" if flat else "zyx"}}
        one = {**transformation, **ends}
        document = {"coordinateSystems": systems, "coordinateTransformations": [one]}
        path.write_text(json.dumps({"attributes": {"ome": {"scene": document}}}))
        found = read_transform(path)
        path.write_text(json.dumps(document))
        again = read_transform(path)
        np.testing.assert_array_equal(found([3.0, 4.0]), again([3.0, 4.0]))
        return found

    # Its (0, 0) is the centre of the first pixel, which is (0.5, 0.5) here.
    np.testing.assert_allclose(read(affine)([0.5, 0.5]), [0, 4, 7])
    np.testing.assert_allclose(read(affine)([1.5, 0.5]), [1, 6, 12])
    np.testing.assert_allclose(read({"type": "identity"})([1.5, 0.5]), [1, 0])
    np.testing.assert_allclose(read({"type": "scale", "scale": [2, 3]})([1.5, 2.5]), [2, 6])
    turn = {"type": "rotation", "rotation": [[0, -1], [1, 0]]}
    np.testing.assert_allclose(read(turn)([1.5, 2.5]), [-2, 1])
    np.testing.assert_allclose(read({"type": "mapAxis", "mapAxis": [1, 0]})([1.5, 2.5]), [2, 1])
    both = {"type": "bijection", "forward": affine, "inverse": affine}
    np.testing.assert_allclose(read(both)([1.5, 0.5]), [1, 6, 12])
    nested = {"type": "sequence", "transformations": [turn, {"type": "translation",
              "translation": [0.5, 0.25]}, affine]}  # fmt: skip
    np.testing.assert_allclose(read(nested)([1.5, 2.5]), [-1.5, 4.75, 7])


def test_a_field_of_another_program_is_read(tmp_path: Path) -> None:
    path = write_transform(tmp_path / "f.json", field(5, "linear"))
    values = json.loads(path.read_text())
    part = values["coordinateTransformations"][0]["transformations"][1]
    del part["stria"]
    path.write_text(json.dumps(values))
    found = read_transform(path)
    np.testing.assert_allclose(found(places()), field(5, "linear")(places()), atol=1e-9)


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = write_transform(tmp_path / "a.json", bending(1))
    before = path.read_bytes()
    with pytest.raises(OutputExistsError):
        write_transform(path, bending(2))
    assert path.read_bytes() == before
    write_transform(path, bending(2), overwrite=True)
    assert read_transform(path) == bending(2)
    path.unlink()
    with pytest.raises(OutputExistsError, match="fields"):
        write_transform(path, TO_ATLAS)
    with pytest.raises(OutputError, match="folder"):
        write_transform(tmp_path / "none" / "a.json", TO_ATLAS)
    assert not path.exists()


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    crooked = ThinPlateSpline([[0, 0], [9, 0], [0, 9], [9, 9]],
                              [[0, 0, 0], [9, 0, 0], [0, 9, 0], [9, 9, 5]])  # fmt: skip
    for bad, words in (
        (Affine([[1.0, 2.0]]), "planes and volumes"),
        (crooked, "off a plane"),
    ):
        with pytest.raises(CoordinateError, match=words):
            write_transform(tmp_path / "a.json", bad)
    with pytest.raises(CoordinateError, match=r"\.json"):
        write_transform(tmp_path / "a.txt", TO_ATLAS)
    for size in ((0, 5), (5, np.nan)):
        with pytest.raises(CoordinateError, match="size_px"):
            write_transform(tmp_path / "a.json", bending(), size_px=size)  # type: ignore[arg-type]
    with pytest.raises(CoordinateError, match="no value"):
        write_transform(tmp_path / "a.json", Lost(), size_px=SIZE)
    assert list(tmp_path.iterdir()) == []


class Lost(Wave):
    def __call__(self, points: npt.ArrayLike) -> F64:
        return np.full(np.shape(points), np.nan)


def deepened(values: Any) -> Any:
    for _ in range(40):
        values = {"type": "sequence", "transformations": [values]}
    return values


SPOILED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no list": (lambda t: {"type": "affine"}, "affine"),
    "ragged": (lambda t: {"type": "affine", "affine": [[1, 2, 3], [4]]}, "list of lists"),
    "words": (lambda t: {"type": "affine", "affine": [["a", "b", "c"]]}, "affine"),
    "other size": (lambda t: {"type": "affine", "affine": [[1, 2], [3, 4]]}, "list of lists"),
    "unknown": (lambda t: {"type": "byDimension"}, "byDimension"),
    "no type": (lambda t: {}, "type"),
    "deep": (deepened, "deeply"),
    "empty": (lambda t: {"type": "sequence", "transformations": []}, "at least one"),
    "outside": (lambda t: {"type": "displacements", "path": "../a.zarr/b"}, "beside"),
    "absolute": (lambda t: {"type": "displacements", "path": "/a.zarr/b"}, "beside"),
    "missing": (lambda t: {"type": "displacements", "path": "b.zarr/b"}, "no displacement field"),
    "bad spline": (lambda t: {**t, "stria": {"kind": "thin_plate", "moving": [[1, 2]],
                              "fixed": [[1, 2]]}}, "at least 3"),
    "unequal": (lambda t: {**t, "stria": {"kind": "thin_plate", "moving": [[1, 2]],
                           "fixed": [[1, 2, 3]]}}, "list of lists"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILED)
def test_damaged_files_are_refused(tmp_path: Path, case: str) -> None:
    spoil, words = SPOILED[case]
    path = write_transform(tmp_path / "a.json", bending())
    values = json.loads(path.read_text())
    parts = values["coordinateTransformations"][0]["transformations"]
    parts[1] = spoil(parts[1])
    path.write_text(json.dumps(values))
    with pytest.raises(FormatError, match=words):
        read_transform(path)


@pytest.mark.parametrize("spoiled", ["axes", "shape", "place", "places"])
def test_damaged_fields_are_refused(tmp_path: Path, spoiled: str) -> None:
    path = write_transform(tmp_path / "a.json", field())
    group = zarr.open_group(tmp_path / "a.fields.zarr" / "field0", mode="r+")
    ome: Any = dict(group.attrs)["ome"]
    image = ome["multiscales"][0]
    placed = image["datasets"][0]["coordinateTransformations"]
    if spoiled == "axes":
        image["coordinateSystems"][0]["axes"][0]["type"] = "space"
    elif spoiled == "place":
        placed[0]["transformations"][0] = {"type": "affine"}
    elif spoiled == "places":
        placed.append(placed[0])
    else:
        group.create_array("s0", shape=(3, 4, 5), dtype=np.float64, overwrite=True)
    group.attrs["ome"] = ome
    with pytest.raises(FormatError, match="field0"):
        read_transform(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = write_transform(tmp_path / "a.json", TO_ATLAS)
    values = json.loads(path.read_text())
    for spoil, words in (
        (b"no json", "not a JSON"),
        (b"{}", "no such transformation"),
        (json.dumps({**values, "coordinateSystems": []}).encode(), "no coordinate system"),
        (json.dumps({**values, "coordinateTransformations":
                     values["coordinateTransformations"] * 2}).encode(), "several"),
    ):  # fmt: skip
        (tmp_path / "b.json").write_bytes(spoil)
        with pytest.raises(FormatError, match=words):
            read_transform(tmp_path / "b.json")
    assert read_transform(path, "section_to_atlas") == TO_ATLAS
    with pytest.raises(FormatError, match="no such"):
        read_transform(path, "other")
    with pytest.raises(FileNotFoundError):
        read_transform(tmp_path / "c.json")


def foreign(place: Path, before: str, after: str, matrix: Any) -> Path:
    """A file of another program, whose axes have these names."""
    systems = [
        {"name": name, "axes": [{"name": letter, "type": "space"} for letter in letters]}
        for name, letters in (("in", before), ("out", after))
    ]
    part = {"type": "affine", "affine": matrix, "input": {"name": "in"}, "output": {"name": "out"}}
    document = {"coordinateSystems": systems, "coordinateTransformations": [part]}
    place.write_text(json.dumps(document))
    return place


def test_names_of_axes_say_which_is_which(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    # y + 100, x * 2, from the centre of the first pixel.
    down = read_transform(foreign(path, "yx", "yx", [[1, 0, 100], [0, 2, 0]]))
    np.testing.assert_allclose(down([10.5, 20.5]), [20, 120])
    across = read_transform(foreign(path, "yx", "xy", [[0, 2, 0], [1, 0, 100]]))
    np.testing.assert_allclose(across([10.5, 20.5]), [20, 120])
    turned = read_transform(foreign(path, "xy", "xyz", [[1, 0, 3], [0, 1, 2], [0, 0, 1]]))
    np.testing.assert_allclose(turned([10.5, 20.5]), [1, 22, 13])
    cycled = read_transform(foreign(path, "yxz", "zyx", np.eye(3, 4).tolist()))
    np.testing.assert_allclose(cycled([1, 2, 3]), [2, 3, 1])
    for names in ("ij", "x", "xx", "cyx"):
        with pytest.raises(FormatError, match="which is which"):
            read_transform(foreign(path, names, "xy", np.eye(2, 1 + len(names)).tolist()))
    with pytest.raises(FormatError, match="gives 2"):
        read_transform(foreign(path, "xy", "zyx", [[1, 0, 0], [0, 1, 0]]))


def test_a_plane_at_one_micrometre_keeps_its_third_coordinate(tmp_path: Path) -> None:
    plane = Affine([[5, 0, 0], [0, 5, 0], [0, 0, 1]])
    found = read_transform(write_transform(tmp_path / "a.json", plane))
    assert found == plane
    assert found.n_out == 3


def test_fields_hold_where_what_comes_before_puts_the_section(tmp_path: Path) -> None:
    to_um = Affine([[5, 0, -1000], [0, 5, -2000]])
    pixels = bending(3)
    spline = ThinPlateSpline(to_um(pixels.moving), to_um(pixels.fixed))
    chain = Sequence([to_um, Sequence([spline]), TO_ATLAS])
    path = write_transform(tmp_path / "s.json", chain, size_px=SIZE)
    values = json.loads(path.read_text())["coordinateTransformations"][0]["transformations"]
    flat = [*values[:2], *values[2]["transformations"], values[3]]
    found = as_rfc5_says(tmp_path, flat, places() - 0.5)
    np.testing.assert_allclose(found, chain(places()), rtol=0, atol=3)


def test_a_turned_field_is_read_back_exactly(tmp_path: Path) -> None:
    turned = Affine([[0.008, -0.002, 1.0], [0.002, 0.009, 1.5]])
    bent = FieldTransform(field(4).displacement, turned)
    path = write_transform(tmp_path / "s.json", Sequence([bent, TO_ATLAS]), size_px=SIZE)
    found = read_transform(path)
    assert isinstance(found, Sequence)
    assert found.transforms == (bent, TO_ATLAS)
    values = json.loads(path.read_text())["coordinateTransformations"][0]["transformations"]
    assert np.abs(as_rfc5_says(tmp_path, values, places() - 0.5) - found(places())).max() < 1


@pytest.mark.parametrize("space", ["asr", "asl", "pir"])
def test_the_sides_of_the_atlas_are_kept(tmp_path: Path, space: str) -> None:
    path = write_transform(tmp_path / "a.json", TO_ATLAS, space=space)
    axes = json.loads(path.read_text())["coordinateSystems"][1]["axes"]
    side = {"r": "right-to-left", "l": "left-to-right"}[space[2]]
    assert axes[2]["orientation"] == {"type": "anatomical", "value": side}
    assert transform_space(path) == space
    assert read_transform(path, space=space) == TO_ATLAS
    with pytest.raises(ReferenceSpaceError, match=f"'{space}'"):
        read_transform(path, space="psl")
    silent = write_transform(tmp_path / "b.json", TO_ATLAS)
    assert transform_space(silent) is None
    assert read_transform(silent, space=space) == TO_ATLAS


def test_fields_that_nothing_names_any_more_go(tmp_path: Path) -> None:
    store = tmp_path / "a.fields.zarr"
    path = write_transform(tmp_path / "a.json", bending(1))
    assert store.is_dir()
    write_transform(path, TO_ATLAS, overwrite=True)
    assert not store.exists()
    # What the file that is replaced does not name is somebody else's.
    zarr.create_group(store, zarr_format=3)
    write_transform(path, TO_ATLAS, overwrite=True)
    assert store.is_dir()
