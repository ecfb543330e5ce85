"""The page that walks AllenSDK's notebook: all its code in order, on two brains.

The servers that it asks are on this machine: they are named by the environment variables that the
package honours. Each brain is walked once, in a folder of its own; the tests look at what is left.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import matplotlib.pyplot as plt
import nrrd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import napari_stria as stria
from napari_stria.core.phantom import practice_annotation
from napari_stria.demo.server import DemoServer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "from_allensdk.md"
TEXT = PAGE.read_text(encoding="utf-8")
ANNOTATION = "annotation/ccf_2017/annotation_25.nrrd"
DIVISIONS = ("Isocortex", "OLF", "HPF", "CTXsp", "STR", "PAL", "TH", "HY", "MB", "P", "MY", "CB")
MAJOR_DIVISIONS = {"id": 687527670, "name": "Brain - Major Divisions"}
# Allen's axes AP, DV, ML lead to posterior, inferior and right.
AXES_MM = [[0, 0.025, 0], [0, 0, -0.025], [-0.025, 0, 0]]
Walk = Callable[[str, str], Any]


@pytest.fixture(scope="module")
def walk(
    run_page: Callable[[Path, Path], Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Walk]:
    """Run the page against an address of the API and one of the downloads."""

    def walked(api_url: str, downloads_url: str) -> Any:
        folder = tmp_path_factory.mktemp("working")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NAPARI_STRIA_CACHE", str(tmp_path_factory.mktemp("cache")))
            patch.setenv("NAPARI_STRIA_ALLEN_URL", api_url)
            patch.setenv("NAPARI_STRIA_ALLEN_DOWNLOADS", downloads_url)
            patch.setenv("NO_PROXY", "127.0.0.1,localhost")
            patch.chdir(folder)
            return run_page(PAGE, folder)

    before = plt.get_backend()
    plt.switch_backend("Agg")
    yield walked
    plt.close("all")
    plt.switch_backend(before)


@pytest.fixture(scope="module")
def practice_labels() -> npt.NDArray[np.uint32]:
    """The practice brain in Allen's axes, whose ML axis starts on the left, at 25 um."""
    coarse = practice_annotation(50.0)[..., ::-1]
    return coarse.repeat(2, 0).repeat(2, 1).repeat(2, 2)


@pytest.fixture(scope="module")
def practice(
    walk: Walk, practice_labels: npt.NDArray[np.uint32], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    served = tmp_path_factory.mktemp("served")
    file = served / ANNOTATION
    file.parent.mkdir(parents=True)
    header = {
        "space dimension": 3,
        "space directions": np.diag([25.0] * 3).tolist(),
        "space origin": [0, 0, 0],
        "encoding": "gzip",
    }
    nrrd.write(str(file), practice_labels, header, compression_level=1)
    with DemoServer(served) as server:
        return walk(server.allen_url, server.url)


@pytest.fixture(scope="module")
def real(walk: Walk, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    served = tmp_path_factory.mktemp("served")
    file = served / ANNOTATION
    file.parent.mkdir(parents=True)
    shutil.copyfile(real_data / "allen_ccf_2017" / "annotation_25.nrrd", file)
    nested = json.loads((real_data / "allen_ccf_2017" / "structure_graph.json").read_bytes())
    rows = list(_rows(nested["msg"][0], "/"))
    answer = {"success": True, "id": 0, "start_row": 0, "num_rows": len(rows), "msg": rows}
    query = served / "api" / "data" / "query.json"
    query.parent.mkdir(parents=True)
    # The server takes no notice of what is asked: this is the answer to the one query there is.
    query.write_text(json.dumps(answer | {"total_rows": len(rows)}), encoding="utf-8")
    with DemoServer(served) as server:
        return walk(f"{server.url}/api", server.url)


def _rows(node: dict[str, Any], above: str) -> Iterator[dict[str, Any]]:
    """Yield the structures of a nested graph as the API's rows of Structure, with one set."""
    path = f"{above}{node['id']}/"
    own = {name: value for name, value in node.items() if name != "children"}
    sets = [MAJOR_DIVISIONS] if node["acronym"] in DIVISIONS else []
    yield own | {"graph_id": 1, "structure_id_path": path, "structure_sets": sets}
    for child in node["children"]:
        yield from _rows(child, path)


@pytest.fixture(scope="module")
def golden(real_data: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((real_data / "golden/allensdk_2.16.2.json").read_text())
    return content


def sha256_of(array: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def mask_of(page: Any, labels: npt.NDArray[Any], *regions: str) -> npt.NDArray[np.bool_]:
    """Return where regions with all their descendants are, by numpy alone."""
    ids = [
        s.id
        for acronym in regions
        for s in page.names["ontology"].descendants(acronym, include_self=True)
    ]
    return np.isin(labels, ids)


def check_masks(page: Any, labels: npt.NDArray[np.uint32]) -> None:
    names = page.names
    section, plane = names["cortex"][150].compute(), names["brain"][:, 160].compute()
    assert np.array_equal(section, mask_of(page, labels[150], "Isocortex"))
    assert np.array_equal(plane, mask_of(page, labels[:, 160], *DIVISIONS))
    for region, acronym in ((385, "VISp"), (1097, "HY")):
        truth = mask_of(page, labels, acronym)
        for folder in ("annotation", "masks"):
            mask, header = nrrd.read(str(page.folder / folder / f"structure_{region}.nrrd"))
            assert np.array_equal(mask, truth)
            assert header["space"] == "left-posterior-superior"
            np.testing.assert_allclose(header["space directions"], AXES_MM)


def check_command_line(page: Any) -> None:
    """What the command line wrote is what Python made."""
    names, folder = page.names, page.folder
    picture = cv2.imread(str(folder / "slice.png"))
    assert picture is not None
    assert np.array_equal(picture[..., ::-1], names["picture"])
    smaller, _ = nrrd.read(str(folder / "annotation_75.nrrd"))
    assert np.array_equal(smaller, names["as_allensdk"].annotation.levels[0].data.compute())
    written = pd.read_csv(folder / "regions.csv", index_col="id")
    assert dict(written["voxels"]) == dict(names["table"]["voxels"])
    labels = (folder / "ccf_2017_itksnap_labels.txt").read_text()
    assert (folder / "itksnap.txt").read_text() == labels
    ours, _ = nrrd.read(str(folder / "ccf_2017_itksnap.nrrd"))
    theirs, _ = nrrd.read(str(folder / "itksnap.nrrd"))
    assert np.array_equal(ours, theirs)


def test_the_page_on_the_practice_brain(
    practice: Any, practice_labels: npt.NDArray[np.uint32]
) -> None:
    names = practice.names
    assert names["annotation_path"] == practice.folder / "annotation_25.nrrd"
    np.testing.assert_array_equal(names["level"].data[200], practice_labels[200])
    assert (names["region"].id, names["auditory"].id, names["acronyms"][385]) == (1002, 247, "VISp")
    assert not names["is_within"]
    with pytest.raises(stria.RegionNotFoundError, match="Primary auditory area"):
        names["ontology"].by_name("Primary audtory area")
    assert [region.acronym for region in names["divisions"]] == list(DIVISIONS)
    check_masks(practice, practice_labels)
    check_command_line(practice)
    assert names["table"].loc[385, "voxels"] == np.count_nonzero(practice_labels == 385)
    assert len(names["assigned"]) + len(names["removed"]) == len(names["ontology"])
    colors = np.zeros((practice_labels.max() + 1, 3), np.uint8)
    for region in names["ontology"]:
        colors[region.id] = region.rgb_triplet
    np.testing.assert_array_equal(names["picture"], colors[practice_labels[:, 200]])
    assert names["smaller"].resolution_um == names["as_allensdk"].resolution_um == (75.0,) * 3
    assert names["smaller"].annotation.levels[0].shape == (176, 107, 152)


def test_the_page_on_allens_annotation(real: Any, golden: dict[str, Any], real_data: Path) -> None:
    names = real.names
    labels = names["level"].data.compute()
    assert sha256_of(labels) == golden["input"]["sha256_C_order_uint32"]
    assert len(names["ontology"]) == golden["n_structures_tree"]
    assert int(names["cortex"].sum()) == golden["mask_315"]["voxels"]
    check_masks(real, labels)
    check_command_line(real)
    for acronym, expected in golden["volumes"].items():
        assert names["table"].loc[expected["id"], "voxels"] == expected["voxels"], acronym
    assert len(names["assigned"]) == golden["remove_unassigned"]["survivors"]
    assert 12997 in {region.id for region in names["removed"]}
    assert sha256_of(names["picture"]) == golden["slice_image"]["1,5000"]["sha256"]
    downsampled = golden["downsample"]["[75, 75, 75]"]
    smaller = names["as_allensdk"].annotation.levels[0]
    assert list(smaller.shape) == downsampled["shape"]
    assert sha256_of(smaller.data.compute()) == downsampled["sha256"]
    rows = (real.folder / "ccf_2017_itksnap_labels.txt").read_text().splitlines()
    expected = golden["itksnap_100um"]
    assert len(rows) == expected["n_rows"]
    assert rows[: len(expected["file_first_lines"])] == expected["file_first_lines"]
    assert nrrd.read_header(str(real.folder / "ccf_2017_itksnap.nrrd"))["type"] == "uint16"


def test_the_numbers_of_the_page_are_allensdks(golden: dict[str, Any]) -> None:
    for number in (
        golden["mask_315"]["voxels"],
        golden["n_structures_tree"],
        golden["remove_unassigned"]["survivors"],
    ):
        assert f"{number:,}" in TEXT
    assert f"{golden['mask_315']['volume_mm3']:.3f} mm³" in TEXT


def test_what_the_page_names_exists() -> None:
    api = set(re.findall(r"`stria\.(\w+)", TEXT))
    assert len(api) > 10
    assert {name for name in api if not hasattr(stria, name)} == set()
    owners = {"ontology": stria.Ontology, "api": stria.AllenApi}
    for owner, cls in owners.items():
        methods = set(re.findall(rf"`{owner}\.(\w+)", TEXT))
        assert {name for name in methods if not hasattr(cls, name)} <= {"ids", "set_names"}


def test_the_menus_that_the_page_names_exist() -> None:
    source = Path(stria.__file__).parent
    files = [*source.glob("widgets/*.py"), *source.glob("viewer/*.py"), source / "napari.yaml"]
    texts = "".join(file.read_text(encoding="utf-8") for file in files).replace("&", "")
    paragraphs = re.findall(r"^In the window: .*?(?=\n\n)", TEXT, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"`.*?`", "", " ".join(" ".join(paragraphs).split()))
    named = set(re.findall(r"\*(.+?)\*", prose))
    assert len(named) > 8
    assert {name for name in named if name not in texts} == set()
