"""``napari-stria register | warp``, on practice histology whose place is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

import napari_stria as stria
from napari_stria.cli import main
from napari_stria.core.section_plane import AtlasFrame, SectionPlacement, atlas_frame
from napari_stria.core.section_state import Record, SectionEntry, SectionState
from napari_stria.core.transforms import Affine
from napari_stria.demo.practice import write_practice_root
from napari_stria.demo.practice_histology import PracticeHistology, practice_histology
from napari_stria.demo.template_file import load_template
from napari_stria.io.registration_files import (
    RegistrationDocument,
    read_registration,
    write_registration,
)
from napari_stria.io.transform_files import read_transform, write_transform

NAME = "practice_mouse_50um"
Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("practice")
    write_practice_root(folder)
    return folder


@pytest.fixture(scope="module")
def section(root: Path) -> PracticeHistology:
    return practice_histology(
        5,
        position_um=6900,
        pitch_deg=4,
        yaw_deg=-3,
        rotation_deg=6,
        scale=1.03,
        shift_um=(250, -150),
        warp_px=4,
        pixel_um=40,
        size=(240, 330),
        template=load_template(root),
    )


@pytest.fixture
def image(tmp_path: Path, section: PracticeHistology) -> Path:
    path = tmp_path / "mine.png"
    assert cv2.imwrite(str(path), section.pixels[..., ::-1])
    return path


@pytest.fixture
def run(root: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command about the practice brain; return its code, its lines, and its errors."""

    def ran(*arguments: object) -> tuple[int, list[str], str]:
        code = main([*map(str, arguments), "--atlas", NAME, "--root", str(root)])
        streams = capsys.readouterr()
        return code, streams.out.splitlines(), streams.err

    return ran


def truth(section: PracticeHistology) -> SectionPlacement:
    place = section.place
    return SectionPlacement(
        "coronal",
        place.position_um,
        place.pitch_deg,
        place.yaw_deg,
        place.rotation_deg,
        place.scale_xy,
        0.0,
        place.shift_um,
    )


def start_file(folder: Path, image: Path, section: PracticeHistology, root: Path) -> Path:
    """A registration that has the image where it is."""
    entry = SectionEntry(image.name, 1, section.shape_hw, section.pixel_size_um, path=image)
    record = Record(entry, SectionState(truth(section), is_placed=True))
    frame = atlas_frame(stria.open_atlas(NAME, root=root))
    return write_registration(
        folder / "begun.stria-registration.json", RegistrationDocument((record,), 0, frame, NAME)
    )


def test_what_cannot_be_written_is_refused_before_the_work(
    run: Run, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_stria.session import section_registering

    def worked(*_: object, **__: object) -> None:
        pytest.fail("the work began")

    monkeypatch.setattr(section_registering, "register_section", worked)
    taken = tmp_path / "taken"
    taken.touch()
    for words, said in (
        (("--resolution", "-1"), "resolution"),
        (("--resolution", "0.1"), "too large"),
        (("--out", taken), "is a file"),
        (("--out", taken / "deep"), "is a file"),
    ):
        code, _, error = run("register", image, "--pixel-size", 40, *words)
        assert code == 1
        assert said in error
    assert not (tmp_path / "mine-registration").exists()


def test_of_a_registration_all_is_written_or_nothing(
    run: Run,
    image: Path,
    section: PracticeHistology,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari_stria.io import registration_files

    begun = start_file(tmp_path, image, section, root)

    def full(*_: object) -> None:
        raise stria.StriaError("the disk is full")

    folder = tmp_path / "mine-registration"
    folder.mkdir()
    (folder / "mine_notes.txt").touch()
    monkeypatch.setattr(registration_files, "write_registration", full)
    code, _, error = run("register", image, "--start", begun, "--kind", "none")
    assert code == 1
    assert "the disk is full" in error
    assert [path.name for path in folder.iterdir()] == ["mine_notes.txt"]


def test_a_folder_is_no_chain(run: Run, image: Path, tmp_path: Path) -> None:
    code, _, error = run("warp", image, tmp_path / "a.tif", "--chain", tmp_path)
    assert code == 1
    assert "give the file of a chain" in error


def test_a_section_finds_its_place(
    run: Run, image: Path, section: PracticeHistology, tmp_path: Path
) -> None:
    pytest.importorskip("itk")
    code, lines, error = run("register", image, "--pixel-size", 40)
    assert code == 0, error
    assert lines[0].startswith("coronal at AP 6")
    assert "a suggestion" in error
    folder = tmp_path / "mine-registration"
    assert {path.name for path in folder.iterdir()} == {
        "mine.stria-registration.json", "mine_chain.json", "mine_warped.tif"
    }  # fmt: skip
    chain = read_transform(folder / "mine_chain.json")
    away = np.linalg.norm(chain(section.landmarks_xy) - section.landmarks_um, axis=1)
    # The warp alone is 4 pixels of 40 um.
    assert np.median(away) < 200
    (record,) = read_registration(folder / "mine.stria-registration.json").records
    assert record.entry.path is not None
    assert record.entry.path.resolve() == image.resolve()
    assert record.state.placement is not None
    assert abs(record.state.placement.position_um - 6900) < 200
    code, _, error = run("register", image, "--pixel-size", 40)
    assert code == 1
    assert "exists already" in error


def test_what_is_written_says_one_thing(
    run: Run, image: Path, section: PracticeHistology, root: Path, tmp_path: Path
) -> None:
    start = start_file(tmp_path, image, section, root)
    out = tmp_path / "out"
    code, lines, error = run("register", image, "--start", start, "--kind", "none", "--out", out)
    assert code == 0, error
    assert lines[1:] == [
        str(out / "mine_chain.json"),
        str(out / "mine_warped.tif"),
        str(out / "mine.stria-registration.json"),
    ]
    placement = truth(section)
    frame = atlas_frame(stria.open_atlas(NAME, root=root))
    expected = placement.section_to_atlas(frame, section.shape_hw, (40, 40))
    points = section.landmarks_xy
    chain = read_transform(out / "mine_chain.json")
    np.testing.assert_allclose(chain(points), expected(points), atol=1e-6)
    (record,) = read_registration(out / "mine.stria-registration.json").records
    assert record.state.placement == placement
    atlas = stria.open_atlas(NAME, root=root)
    warped = stria.warp_section(section.pixels, expected, atlas, 25)
    np.testing.assert_array_equal(tifffile.imread(out / "mine_warped.tif"), np.asarray(warped))
    # The same by the other command, as a PNG.
    chained = ("--chain", out / "mine_chain.json")
    picture = tmp_path / "w.png"
    assert run("warp", image, picture, *chained)[:2] == (0, [str(picture)])
    found = cv2.imread(str(picture))
    assert found is not None
    np.testing.assert_array_equal(found[..., ::-1], np.asarray(warped))
    code, _, error = run("warp", image, picture, *chained)
    assert code == 1
    assert "exists already" in error


def test_all_channels_of_a_tiff_are_warped(
    run: Run, section: PracticeHistology, root: Path, tmp_path: Path
) -> None:
    channels = np.moveaxis(section.pixels, -1, 0)[:2]
    path = tmp_path / "two.ome.tif"
    tifffile.imwrite(path, channels, ome=True, metadata={"axes": "CYX"})
    frame = AtlasFrame((13200, 8000, 11400))
    chain = write_transform(
        tmp_path / "c.json", truth(section).section_to_atlas(frame, section.shape_hw, (40, 40))
    )
    asked = ("--chain", chain, "--resolution", 100)
    out = tmp_path / "w.ome.tif"
    assert run("warp", path, out, *asked)[0] == 0
    with tifffile.TiffFile(out) as tiff:
        assert tiff.series[0].axes == "CYX"
        both = tiff.asarray()
        assert 'PhysicalSizeX="100.0"' in str(tiff.ome_metadata)
    assert both.shape == (2, 80, 114)
    assert run("warp", path, tmp_path / "one.tif", *asked, "--channel", 1)[0] == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "one.tif"), both[1])
    code, _, error = run("warp", path, tmp_path / "no.png", *asked)
    assert code == 1
    assert "choose one channel" in error


def test_a_chain_into_an_atlas_of_the_other_side_is_refused(
    run: Run, image: Path, root: Path, tmp_path: Path
) -> None:
    plane = Affine([[0, 0, 6600], [0, 40, 0], [40, 0, 0]])
    picture = tmp_path / "w.tif"
    for space, expected in (("asr", 0), ("asl", 1)):
        chain = write_transform(tmp_path / f"{space}.json", plane, space=space)
        code, _, error = run("warp", image, picture, "--chain", chain, "--resolution", 100)
        assert code == expected, error
        picture.unlink(missing_ok=True)
    assert "'asl'" in error


def test_one_channel_alone_finds_its_place(
    run: Run, section: PracticeHistology, tmp_path: Path
) -> None:
    stain = section.pixels[..., 0]
    noise = np.random.default_rng(1).integers(0, 255, stain.shape, dtype=np.uint8)
    names = {"axes": "CYX", "Channel": {"Name": ["glow", "stain"]}}
    two, one = tmp_path / "two.ome.tif", tmp_path / "one.ome.tif"
    tifffile.imwrite(two, np.stack([noise, stain]), ome=True, metadata=names)
    tifffile.imwrite(one, stain, ome=True, metadata={"axes": "YX"})
    asked = ("--pixel-size", 40, "--kind", "none", "--resolution", 200)
    _, alone, _ = run("register", one, *asked)
    for number, channel in enumerate(("stain", 1)):
        out = tmp_path / f"out{number}"
        code, lines, error = run("register", two, *asked, "--channel", channel, "--out", out)
        assert code == 0, error
        assert lines[:2] == alone[:2]
    code, _, error = run("register", two, *asked, "--channel", "other")
    assert code == 1
    assert "has no channel other; it has 0 (glow), 1 (stain)." in error


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "does not say its pixel size"),
        (("--pixel-size", "40", "--start", "other.json"), "cannot be read"),
    ],
)
def test_what_cannot_begin(
    run: Run, image: Path, tmp_path: Path, more: tuple[str, ...], words: str
) -> None:
    code, lines, error = run("register", image, *more)
    assert (code, lines) == (1, [])
    assert words in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]


def test_a_start_of_another_pixel_size_is_refused(
    run: Run, image: Path, section: PracticeHistology, root: Path, tmp_path: Path
) -> None:
    start = start_file(tmp_path, image, section, root)
    code, _, error = run("register", image, "--start", start, "--pixel-size", 20)
    assert code == 1
    assert "another pixel size" in error


def test_a_start_for_an_image_of_another_size_is_refused(
    run: Run, image: Path, section: PracticeHistology, root: Path, tmp_path: Path
) -> None:
    start = start_file(tmp_path, image, section, root)
    assert cv2.imwrite(str(image), section.pixels[:-2, :, ::-1])
    code, _, error = run("register", image, "--start", start)
    assert code == 1
    assert "another size" in error


def test_a_chain_that_is_none(run: Run, image: Path, tmp_path: Path) -> None:
    chain = tmp_path / "c.json"
    chain.write_text(json.dumps({"some": "thing"}))
    for asked in (chain, tmp_path / "none.json"):
        code, _, error = run("warp", image, tmp_path / "w.tif", "--chain", asked)
        assert code == 1
        assert error.count("\n") == 1
        assert not (tmp_path / "w.tif").exists()
    code, _, error = run("warp", image, tmp_path / "w.xyz", "--chain", chain)
    assert code == 1
    assert "ends with" in error


@pytest.mark.parametrize("size", ["0", "a", "1,2,3", "-1", "nan"])
def test_a_pixel_size_that_cannot_be(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["register", "a.png", "--atlas", NAME, f"--pixel-size={size}"])
    assert ended.value.code == 2
    assert "is no pixel size" in capsys.readouterr().err
