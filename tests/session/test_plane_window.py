"""The picture of a plane covers all that the plane cuts, and little more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_stria.core.section_plane import AtlasFrame, Orientation, SectionPlacement
from napari_stria.session.plane_window import plane_request

FRAME = AtlasFrame((13200.0, 8000.0, 11400.0), (0.0, 0.0, 0.0), "asr")
ORIENTATIONS: list[Orientation] = ["coronal", "sagittal", "horizontal"]


@pytest.mark.parametrize(
    ("orientation", "shape"),
    [("coronal", (640, 912)), ("sagittal", (640, 1056)), ("horizontal", (1056, 912))],
)
def test_a_plane_along_the_axes_is_the_atlas_in_half_voxels(
    orientation: Orientation, shape: tuple[int, int]
) -> None:
    plane = SectionPlacement.in_the_middle(FRAME, orientation).plane_to_atlas(FRAME)
    request = plane_request(FRAME, plane, 25.0)
    assert request.pixel_um == 12.5
    assert request.shape == shape
    assert request.center_xy_um == (0.0, 0.0)


@given(
    orientation=st.sampled_from(ORIENTATIONS),
    position=st.floats(0.1, 0.9),
    pitch=st.floats(-60, 60),
    yaw=st.floats(-60, 60),
)
def test_no_point_of_the_atlas_on_the_plane_lies_outside(
    orientation: Orientation, position: float, pitch: float, yaw: float
) -> None:
    middle = SectionPlacement.in_the_middle(FRAME, orientation)
    placement = SectionPlacement(orientation, 2 * position * middle.position_um, pitch, yaw)
    plane = placement.plane_to_atlas(FRAME)
    request = plane_request(FRAME, plane, 100.0)
    far = np.linspace(-20_000, 20_000, 201)
    xy = np.stack(np.meshgrid(far, far), axis=-1).reshape(-1, 2)
    points = plane(xy)
    inside = xy[((points >= 0) & (points <= FRAME.extent_um)).all(axis=1)]
    half = np.array(request.shape[::-1]) * request.pixel_um / 2 + 1e-6
    assert (np.abs(inside - request.center_xy_um) <= half).all()
    # No larger than its corners make it: every edge touches the atlas, to a grid step.
    if len(inside):
        reach = np.abs(inside - request.center_xy_um).max(axis=0)
        assert (half - reach <= 250.0 + request.pixel_um).all()


def test_a_large_atlas_gets_larger_pixels() -> None:
    plane = SectionPlacement.in_the_middle(FRAME, "coronal").plane_to_atlas(FRAME)
    request = plane_request(FRAME, plane, 2.0)
    assert request.shape[0] * request.shape[1] <= 2_600_000
    assert request.pixel_um > 2.0
