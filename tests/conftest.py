"""What the tests share: private folders, the real data, and stores written by zarr-python.

The writers here use none of the package's own code, so that a reader is tested against another
implementation of the formats.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import zarr

os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", tempfile.mkdtemp(prefix="stria-hypothesis-"))

from hypothesis import HealthCheck, settings

# A shell that starts the tests in the background lets them ignore Ctrl+C, and their programs with
# them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Labels = npt.NDArray[Any]
Row = tuple[int, int | None, str, str]

# Reproducible and without a time limit: a slow machine is no failure.
settings.register_profile(
    "stria",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("stria")

REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
DIRECTIONS = ("anterior-to-posterior", "superior-to-inferior", "right-to-left")
# Ids on both sides of 2^16 and 2^31; the third root has no voxels.
ROWS: tuple[Row, ...] = (
    (997, None, "root", "root"),
    (8, 997, "grey", "Basic cell groups, and regions"),
    (688, 8, "CTX", "Cerebral cortex"),
    (3_000_000_001, 688, "CTXa", "Cerebral cortex, part a"),
    (182_305_689, 688, "CTXb", 'Cerebral cortex, "barrels"'),
    (1009, 997, "fiber tracts", "fiber tracts"),
    (70_000, 1009, "cc", "corpus callosum"),
    (12, None, "extra", "a second root"),
)
VALUES = (0, 8, 688, 3_000_000_001, 182_305_689, 1009, 70_000)


@pytest.fixture(autouse=True)
def private_places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep every test out of the user's folders, and loopback out of proxies."""
    folder = tmp_path_factory.mktemp("private")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_STRIA_CACHE", str(folder / "cache"))
        patch.setenv("NAPARI_STRIA_CONFIG", str(folder / "config"))
        patch.setenv("NAPARI_CONFIG", str(folder / "napari" / "settings.yaml"))
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("BRAINGLOBE_CONFIG_DIR", str(_brainglobe_config(folder)))
        # Neither this machine's keys nor a cloud machine's own.
        patch.setenv("AWS_CONFIG_FILE", str(folder / "aws" / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "aws" / "credentials"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield folder


def _brainglobe_config(folder: Path) -> Path:
    """Write a configuration of BrainGlobe's that names ``folder/brainglobe``; return its folder."""
    config = folder / "brainglobe-config"
    config.mkdir()
    text = f"[default_dirs]\nbrainglobe_dir = {folder / 'brainglobe'}\n"
    (config / "bg_config.conf").write_text(text, encoding="utf-8")
    return config


class S3Server:
    """A real S3 server (moto's) on this machine, with one bucket for all and one for its owner.

    Attributes
    ----------
    endpoint_url : str
    public_bucket, private_bucket : str
        Anybody may read the first; an anonymous reader of the second gets 403. moto checks no
        signature: any key opens it.
    storage_options : dict
        With credentials.
    anonymous_options : dict
        Without.
    """

    public_bucket = "open-atlases"
    private_bucket = "own-atlases"

    def __init__(self, endpoint_url: str) -> None:
        import boto3

        self.endpoint_url = endpoint_url
        self.anonymous_options: dict[str, Any] = {"anon": True, "endpoint_url": endpoint_url}
        self.storage_options: dict[str, Any] = {
            "key": "the-key-id", "secret": "the-secret", "endpoint_url": endpoint_url
        }  # fmt: skip
        self.client: Any = boto3.client(
            "s3", endpoint_url=endpoint_url, region_name="us-east-1",
            aws_access_key_id="the-key-id", aws_secret_access_key="the-secret",
        )  # fmt: skip
        self.client.create_bucket(Bucket=self.public_bucket, ACL="public-read")
        self.client.create_bucket(Bucket=self.private_bucket)

    def put(self, uri: str, data: bytes) -> None:
        """Write one object to ``s3://bucket/key``."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        acl = "public-read" if bucket == self.public_bucket else "private"
        self.client.put_object(Bucket=bucket, Key=key, Body=data, ACL=acl)

    def upload(self, folder: Path, uri: str) -> str:
        """Write all files of a folder below ``s3://bucket/prefix``; return that address."""
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            self.put(f"{uri.rstrip('/')}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return uri.rstrip("/")


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """See `S3Server`."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield S3Server(f"http://{host}:{port}")
    server.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A dask cluster of two processes with one thread each, on this machine."""
    from distributed import LocalCluster

    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=2, threads_per_worker=1, processes=True,
        host="127.0.0.1", dashboard_address=None, silence_logs=50,
    ) as made:  # fmt: skip
        yield made


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real public data; see its README."""
    if not (REAL / "brainglobe").is_dir():
        pytest.skip(f"the real data are not on this machine ({REAL})")
    return REAL


def _write_levels(
    folder: Path,
    arrays: Sequence[Labels],
    scales_um: Sequence[Sequence[float]],
    *,
    names: Sequence[str] | None = None,
    unit: str = "millimeter",
    um_per_unit: float = 1000.0,
    orientation_key: str | None = "value",
    directions: Sequence[str] = DIRECTIONS,
    translations_um: Sequence[Sequence[float]] | None = None,
    zarr_format: int = 3,
    chunks: tuple[int, ...] = (8, 8, 8),
    **array_options: Any,
) -> Path:
    """Write an OME-Zarr pyramid with zarr-python; translations are left out unless given."""
    names = names or [f"s{i}" for i in range(len(arrays))]
    axes: list[dict[str, Any]] = [{"name": n, "type": "space", "unit": unit} for n in "zyx"]
    if orientation_key is not None:
        for axis, words in zip(axes, directions):
            axis["orientation"] = {"type": "anatomical", orientation_key: words}
    datasets = []
    for i, (array, scale) in enumerate(zip(arrays, scales_um)):
        transforms = [{"type": "scale", "scale": [s / um_per_unit for s in scale]}]
        if translations_um is not None:
            moved = [t / um_per_unit for t in translations_um[i]]
            transforms.append({"type": "translation", "translation": moved})
        datasets.append({"path": names[i], "coordinateTransformations": transforms})
        stored = zarr.create_array(
            store=str(folder / names[i]),
            shape=array.shape,
            dtype=array.dtype,
            chunks=chunks,
            zarr_format=zarr_format,  # type: ignore[arg-type]
            **array_options,
        )
        stored[...] = array
    multiscales = [{"axes": axes, "datasets": datasets, "name": "/"}]
    if zarr_format == 3:
        meta: dict[str, Any] = {"zarr_format": 3, "node_type": "group"}
        meta["attributes"] = {"ome": {"version": "0.5", "multiscales": multiscales}}
        (folder / "zarr.json").write_text(json.dumps(meta))
    else:
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
        attributes = {"multiscales": [{**multiscales[0], "version": "0.4"}]}
        (folder / ".zattrs").write_text(json.dumps(attributes))
    return folder


def _csv_of(rows: Sequence[Row]) -> str:
    header = "identifier,parent_identifier,annotation_value,name,abbreviation,color_hex_triplet"
    lines = [f"{header},root_identifier_path"]
    for identifier, parent, acronym, name in rows:
        quoted = '"' + name.replace('"', '""') + '"'
        cells = [identifier, "" if parent is None else parent, identifier, quoted, acronym]
        lines.append(",".join([*map(str, cells), "#0A0B0C", '"[1]"']))
    return "\n".join(lines) + "\n"


def random_labels(shape: Sequence[int], values: Sequence[int] = VALUES, seed: int = 0) -> Labels:
    """Return blobs rather than noise, as an annotation has them, and some noise between."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice(np.asarray(values), size=[-(-n // 3) for n in shape])
    blobs = coarse.repeat(3, 0).repeat(3, 1).repeat(3, 2)[tuple(slice(n) for n in shape)]
    noise = rng.random(tuple(shape)) < 0.1
    return np.where(noise, rng.choice(np.asarray(values), size=tuple(shape)), blobs)


def _write_atlas(
    root: Path,
    labels: Labels | None = None,
    *,
    name: str = "toy_mouse_25um",
    resolution_um: Sequence[float] = (25.0, 25.0, 25.0),
    rows: Sequence[Row] = ROWS,
    csv: str | bytes | None = None,
    annotation_file: str = "annotations_compressed.ome.zarr",
    terminology_file: str = "terminology.csv",
    hemispheres: Labels | None = None,
    template: Labels | None = None,
    template_file: str = "template.ome.zarr",
    manifest: Mapping[str, Any] | None = None,
    n_levels: int = 3,
    **store_options: Any,
) -> Path:
    """Write a BrainGlobe tree (v3 layout) of one atlas; coarser levels take every 2nd voxel."""
    labels = random_labels((20, 12, 18)).astype(np.uint32) if labels is None else labels
    steps = [2**i for i in range(n_levels)]
    scales = [[r * step for r in resolution_um] for step in steps]

    def levels_of(array: Labels) -> list[Labels]:
        return [np.ascontiguousarray(array[::step, ::step, ::step]) for step in steps]

    def folder(key: str) -> Path:
        path = root / key
        path.mkdir(parents=True, exist_ok=True)
        return path

    annotations = folder("annotation-sets/toy-annotation/3_0")
    store = folder(f"annotation-sets/toy-annotation/3_0/{annotation_file}")
    _write_levels(store, levels_of(labels), scales, **store_options)
    if hemispheres is not None:
        halves = annotations / "hemispheres.ome.zarr"
        halves.mkdir()
        _write_levels(halves, levels_of(hemispheres), scales, chunks=(5, 7, 4))
    if template is not None:
        _write_levels(folder(f"templates/toy/1/{template_file}"), levels_of(template), scales)
    text = _csv_of(rows) if csv is None else csv
    raw = text.encode() if isinstance(text, str) else text
    (folder("terminologies/toy-terminology/3_0") / terminology_file).write_bytes(raw)
    content: dict[str, Any] = {
        "name": name,
        "symmetric": hemispheres is None,
        "resolution": list(resolution_um),
        "orientation": "asr",
        "version": "3.0",
        "shape": list(labels.shape),
        "terminology": {"location": "/terminologies/toy-terminology/3_0"},
        "annotation_set": {
            "location": "/annotation-sets/toy-annotation/3_0",
            "template": {"name": "toy", "location": "/templates/toy/1"},
        },
    }
    content.update(manifest or {})
    text = json.dumps({k: v for k, v in content.items() if v is not None})
    (folder(f"atlases/{name}/3_0") / "manifest.json").write_text(text)
    (root / "atlases" / "last_versions.conf").write_text(f"[atlases]\n{name} = 3.0\n")
    return root


@pytest.fixture
def write_levels() -> Callable[..., Path]:
    """See `_write_levels`."""
    return _write_levels


@pytest.fixture
def write_atlas() -> Callable[..., Path]:
    """See `_write_atlas`."""
    return _write_atlas


@pytest.fixture
def toy_labels() -> Labels:
    """The labels that `write_atlas` writes unless it is given others."""
    return random_labels((20, 12, 18)).astype(np.uint32)


@pytest.fixture
def blobs() -> Callable[..., Labels]:
    """See `random_labels`."""
    return random_labels


@pytest.fixture
def toy_rows() -> tuple[Row, ...]:
    """Rows (id, parent, acronym, name) of the ontology that `write_atlas` writes."""
    return ROWS


@pytest.fixture
def csv_of() -> Callable[[Sequence[Row]], str]:
    """See `_csv_of`."""
    return _csv_of
