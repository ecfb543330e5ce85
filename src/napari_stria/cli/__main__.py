"""``python -m napari_stria.cli``."""

from napari_stria.cli import main

raise SystemExit(main())
