"""``napari-stria demo``: the practice brain, opened, streamed and read out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from napari_stria.errors import StriaError
from napari_stria.session.atlas_session import AtlasSession
from napari_stria.session.readout import PATH_SEPARATOR, Readout
from napari_stria.viewer.display import has_display, virtual_display
from napari_stria.viewer.waiting import settle, wait_for

DEMO_REGION = "RSP"
_SIZE = (1280, 800)


def run_demo(*, headless: bool, picture: Path) -> int:
    """Show the practice brain; without a screen write a picture, print the readout and end."""
    headless = headless or not has_display()
    with virtual_display(*_SIZE) if headless else nullcontext():
        import napari

        from napari_stria.viewer.contributions import open_practice_brain
        from napari_stria.viewer.controller import controller_of

        viewer = napari.Viewer(title="napari-stria: practice brain")
        viewer.window.resize(*_SIZE)
        controller = controller_of(viewer)
        session = controller.session
        session.opened.connect(lambda _atlas: _select_demo_region(session, controller.go_to))
        open_practice_brain(viewer)
        if not headless:
            napari.run()
            return 0
        problems: list[str] = []
        session.message.connect(problems.append)
        session.opening_failed.connect(lambda error: problems.append(str(error)))
        wait_for(lambda: bool(problems) or _is_ready(session))
        if problems:
            raise StriaError(problems[0])
        assert session.annotation is not None
        wait_for(lambda: session.idle)
        settle()
        viewer.screenshot(str(picture), canvas_only=False, flash=False)
        assert session.readout is not None
        print(readout_text(session.readout))
        print(f"wrote {picture}")
        viewer.close()
    return 0


def _select_demo_region(session: AtlasSession, go_to: Callable[[int], None]) -> None:
    assert session.atlas is not None
    position = session.atlas.ontology.position(DEMO_REGION)
    session.select([position])
    go_to(position)


def _is_ready(session: AtlasSession) -> bool:
    return session.readout is not None and session.readout.volumes is not None


def readout_text(readout: Readout) -> str:
    """Return a readout as lines of text."""
    volumes = readout.volumes
    lines = [f"{readout.title}: {readout.subtitle}", PATH_SEPARATOR.join(readout.path)]
    if volumes is not None:
        lines.append(
            f"left {volumes.left_mm3:.4f} mm3, right {volumes.right_mm3:.4f} mm3, "
            f"total {volumes.total_mm3:.4f} mm3"
        )
        if volumes.share_of_parent is not None:
            lines.append(f"{100 * volumes.share_of_parent:.1f} % of {volumes.parent_acronym}")
    size = " x ".join(f"{s:g}" for s in readout.counted_um)
    lines.append(f"counted at {size} um; axes {readout.space}")
    return "\n".join(lines)
