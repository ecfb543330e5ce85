"""The practice brain on disk: a complete BrainGlobe tree, built once and never half."""

import configparser
import csv
import json
import threading
from pathlib import Path
from typing import Any

import ngff_zarr
import numpy as np
import numpy.typing as npt
import pytest
import zarr

from napari_stria.core import phantom
from napari_stria.core.phantom import practice_annotation
from napari_stria.core.phantom_grid import LEVELS_UM
from napari_stria.core.phantom_regions import PRACTICE_REGIONS
from napari_stria.core.phantom_template import practice_templates
from napari_stria.demo import practice
from napari_stria.demo.practice import practice_root, write_practice_root
from napari_stria.demo.template_file import load_template

ANNOTATION = "annotation-sets/practice_mouse-annotation/1_0/annotations_compressed.ome.zarr"
TEMPLATE = "templates/practice_mouse-template/1_0/template.ome.zarr"
TERMINOLOGY = "terminologies/practice_mouse-terminology/1_0/terminology.csv"
SHAPES = {50: [264, 160, 228], 100: [132, 80, 114], 200: [66, 40, 57]}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("practice") / "root"
    write_practice_root(folder)
    return folder


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def stored_levels(store: Path) -> list[npt.NDArray[Any]]:
    group = zarr.open_group(store, mode="r")
    arrays = [group[f"s{index}"] for index in range(len(LEVELS_UM))]
    return [np.asarray(array[...]) for array in arrays if isinstance(array, zarr.Array)]


def test_last_versions_lists_the_three_atlases(root: Path) -> None:
    config = configparser.ConfigParser()
    config.read(root / "atlases" / "last_versions.conf", encoding="utf-8")
    names = ("practice_mouse_50um", "practice_mouse_100um", "practice_mouse_200um")
    assert dict(config["atlases"]) == dict.fromkeys(names, "1.0")


@pytest.mark.parametrize("resolution", [50, 100, 200])
def test_manifest_says_what_brainglobes_says(root: Path, resolution: int) -> None:
    manifest = read_json(root / f"atlases/practice_mouse_{resolution}um/1_0/manifest.json")
    template = reference("template", "templates")
    terminology = reference("terminology", "terminologies")
    assert "synthetic practice data of napari-stria" in manifest.pop("citation").lower()
    assert manifest == {
        "name": "practice_mouse",
        "location": f"/atlases/practice_mouse_{resolution}um/1_0",
        "atlas_link": "",
        "species": "Mus musculus",
        "symmetric": True,
        "resolution": [float(resolution)] * 3,
        "orientation": "asr",
        "version": "1.0",
        "shape": SHAPES[resolution],
        "additional_references": [],
        "atlas_packager": "napari-stria",
        "coordinate_space": {**reference("space", "coordinate-spaces"), "template": template},
        "terminology": terminology,
        "annotation_set": {
            **reference("annotation", "annotation-sets"),
            "template": template,
            "terminology": terminology,
        },
        "template": template,
    }


def reference(kind: str, folder: str) -> dict[str, str]:
    name = f"practice_mouse-{kind}"
    return {"name": name, "version": "1.0", "location": f"/{folder}/{name}/1_0"}


def test_every_location_leads_to_a_folder_with_files(root: Path) -> None:
    manifest = read_json(root / "atlases/practice_mouse_50um/1_0/manifest.json")
    places = [manifest["location"]] + [
        manifest[part]["location"]
        for part in ("coordinate_space", "terminology", "annotation_set", "template")
    ]
    assert all(list((root / place[1:]).iterdir()) for place in places)
    space = read_json(root / "coordinate-spaces/practice_mouse-space/1_0/manifest.json")
    assert space == manifest["coordinate_space"]


def test_volumes_are_the_practice_brain(root: Path) -> None:
    annotations, templates = stored_levels(root / ANNOTATION), stored_levels(root / TEMPLATE)
    expected = practice_templates()
    assert len(annotations) == len(templates) == 3
    for index, level in enumerate(LEVELS_UM):
        assert annotations[index].dtype == np.uint32
        assert templates[index].dtype == np.uint16
        np.testing.assert_array_equal(annotations[index], practice_annotation(level))
        np.testing.assert_array_equal(templates[index], expected[index])


def test_the_template_lies_ready_for_the_practice_sections(root: Path) -> None:
    stored = load_template(root)
    assert isinstance(stored.base, np.memmap)
    np.testing.assert_array_equal(stored, stored_levels(root / TEMPLATE)[0])


@pytest.mark.parametrize("store", [ANNOTATION, TEMPLATE])
def test_ngff_zarr_reads_the_pyramids(root: Path, store: str) -> None:
    images = ngff_zarr.from_ngff_zarr(str(root / store)).images
    assert [list(image.data.shape) for image in images] == list(SHAPES.values())
    assert [image.scale["z"] for image in images] == [0.05, 0.1, 0.2]
    assert [image.translation["x"] for image in images] == [0.0, 0.025, 0.075]
    orientations = images[0].axes_orientations
    assert orientations is not None
    assert orientations["x"].value.value == "right-to-left"


def test_terminology_holds_the_regions_in_order(root: Path) -> None:
    with (root / TERMINOLOGY).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "identifier",
        "parent_identifier",
        "annotation_value",
        "name",
        "abbreviation",
        "color_hex_triplet",
        "root_identifier_path",
    ]
    assert len(rows) == len(PRACTICE_REGIONS)
    for row, region in zip(rows, PRACTICE_REGIONS, strict=True):
        assert row["identifier"] == row["annotation_value"] == str(region.id)
        assert row["parent_identifier"] == str(region.parent_id or "")
        assert (row["abbreviation"], row["name"]) == (region.acronym, region.name)
        assert bytes.fromhex(row["color_hex_triplet"].removeprefix("#")) == bytes(
            region.rgb_triplet
        )
    paths = {row["abbreviation"]: json.loads(row["root_identifier_path"]) for row in rows}
    assert paths["root"] == [997]
    assert paths["RSPd"] == [997, 8, 567, 688, 695, 315, 254, 879]


def test_a_second_write_into_the_same_folder_is_refused(root: Path) -> None:
    before = (root / TERMINOLOGY).stat().st_mtime_ns
    with pytest.raises(FileExistsError):
        write_practice_root(root)
    assert (root / TERMINOLOGY).stat().st_mtime_ns == before


def write_little(folder: Path) -> None:
    folder.mkdir()
    (folder / "made").write_text(threading.current_thread().name, encoding="utf-8")


def test_the_root_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []

    def count(folder: Path) -> None:
        built.append(folder)
        write_little(folder)

    monkeypatch.setattr(practice, "write_practice_root", count)
    cache = tmp_path / "not" / "there" / "yet"
    first, second = practice_root(cache), practice_root(cache)
    assert first == second
    assert first.parent == cache
    assert first.name.startswith("practice-")
    assert (first / "made").exists()
    assert len(built) == 1
    assert list(cache.iterdir()) == [first]


def test_the_root_is_built_anew_when_its_source_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(practice, "write_practice_root", write_little)
    first = practice_root(tmp_path / "cache")
    changed = tmp_path / "phantom.py"
    changed.write_bytes(Path(phantom.__file__).read_bytes() + b"\n# another brain\n")
    monkeypatch.setattr(phantom, "__file__", str(changed))
    assert practice_root(tmp_path / "cache") != first


def test_builders_at_once_agree_on_one_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_built = threading.Barrier(2, timeout=30)

    def build_together(folder: Path) -> None:
        write_little(folder)
        # Neither may publish before both have built: the case that must not go wrong.
        both_built.wait()

    monkeypatch.setattr(practice, "write_practice_root", build_together)
    results: list[Path] = []
    builders = [
        threading.Thread(target=lambda: results.append(practice_root(tmp_path))) for _ in range(2)
    ]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert len(results) == 2
    assert results[0] == results[1]
    assert list(tmp_path.iterdir()) == [results[0]]
    assert (results[0] / "made").read_text(encoding="utf-8") in {b.name for b in builders}


def test_a_failed_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        write_little(folder)
        raise ArithmeticError("no brain today")

    monkeypatch.setattr(practice, "write_practice_root", fail)
    with pytest.raises(ArithmeticError, match="no brain today"):
        practice_root(tmp_path)
    assert list(tmp_path.iterdir()) == []
