"""elastix on the images of a folder: run as a program of its own, because native code may crash.

``python -m napari_stria.registration.elastix_job FOLDER`` reads ``fixed.npy`` and ``moving.npy``
(float32), ``mask.npy`` (uint8, where the fixed image counts) and ``job.json``: ``spacing`` and
``origin`` of the pixels' centres, x before y, and ``stages``, elastix's parameter maps. It writes
``result.json``, a list of elastix's transform parameter maps, or ``failure.txt``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

NO_ELASTIX = 3
FAILED = 4


def main(folder: Path) -> int:
    """Run the job of a folder; return 0, or one of `NO_ELASTIX` and `FAILED`."""
    threading.Thread(target=_end_with_the_caller, args=(folder,), daemon=True).start()
    try:
        elastix = _Elastix()
    except ImportError as error:
        (folder / "failure.txt").write_text(str(error), encoding="utf-8")
        return NO_ELASTIX
    try:
        result = elastix.run(folder)
    except Exception as error:  # noqa: BLE001  (handed to the caller, who raises it again)
        (folder / "failure.txt").write_text(str(error), encoding="utf-8")
        return FAILED
    (folder / "result.tmp").write_text(json.dumps(result), encoding="utf-8")
    (folder / "result.tmp").replace(folder / "result.json")
    return 0


def _end_with_the_caller(folder: Path) -> None:
    """Wait until the caller has closed our input, then take the folder along and end."""
    # Not through sys.stdin, whose lock this thread would hold while the program ends.
    while os.read(0, 64):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


class _Elastix:
    """The four classes of elastix that are needed.

    They are taken from their own modules: through the package ``itk`` the first use loads all that
    elastix might ever need, which takes 15 s instead of 2.
    """

    def __init__(self) -> None:
        from itk.elxParameterObjectPython import elastixParameterObject_New
        from itk.itkElastixRegistrationMethodPython import itkElastixRegistrationMethodIF2IF2
        from itk.itkPyBufferPython import itkPyBufferIF2, itkPyBufferIUC2

        self._new_method = itkElastixRegistrationMethodIF2IF2.New
        self._new_parameters = elastixParameterObject_New
        self._float_image = itkPyBufferIF2.GetImageViewFromArray
        self._mask_image = itkPyBufferIUC2.GetImageViewFromArray

    def run(self, folder: Path) -> list[dict[str, list[str]]]:
        job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        arrays = {name: np.load(folder / f"{name}.npy") for name in ("fixed", "moving", "mask")}
        parameters = self._new_parameters()
        for stage in job["stages"]:
            parameters.AddParameterMap(stage)
        method = self._new_method()
        method.SetFixedImage(self._image(arrays["fixed"], job))
        method.SetMovingImage(self._image(arrays["moving"], job))
        method.SetFixedMask(self._image(arrays["mask"], job))
        method.SetParameterObject(parameters)
        method.SetOutputDirectory(str(folder))
        method.SetLogToFile(True)
        method.SetLogFileName("elastix.log")
        method.SetLogToConsole(False)
        # Never a number of threads: with one, a B-spline stage ends the process.
        method.Update()
        found = method.GetTransformParameterObject()
        maps = (found.GetParameterMap(i) for i in range(found.GetNumberOfParameterMaps()))
        return [{key: list(values) for key, values in one.items()} for one in maps]

    def _image(self, array: npt.NDArray[Any], job: dict[str, list[float]]) -> Any:
        make = self._mask_image if array.dtype == np.uint8 else self._float_image
        image = make(np.ascontiguousarray(array))
        image.SetSpacing(job["spacing"])
        image.SetOrigin(job["origin"])
        return image


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
