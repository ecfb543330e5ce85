"""Buckets: a real S3 server, and a server that fails on demand in its place."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from napari_stria import fetch_atlas_list, open_atlas, region_table
from napari_stria.demo.server import DemoServer
from napari_stria.errors import (
    FormatError,
    NetworkError,
    ServerBusyError,
    ServerStalledError,
    ServerStatusError,
    StriaError,
    UnsupportedSourceError,
)
from napari_stria.io.cached_store import CachedStore, with_copies
from napari_stria.io.s3_options import harmless_options
from napari_stria.io.s3_store import S3Store
from napari_stria.io.store import Store, open_store

QUICK = {
    "read_timeout": 0.4,
    "connect_timeout": 1.0,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}
BODY = bytes(range(256)) * 40


def says_one_sentence(error: BaseException, *secrets: str) -> bool:
    text = str(error)
    assert text
    assert "\n" not in text
    assert "0x" not in text
    assert not any(secret in text for secret in secrets)
    return True


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[DemoServer]:
    """A bucket named "bucket" on a server that does wrong what it is told to."""
    (tmp_path / "bucket/top").mkdir(parents=True)
    (tmp_path / "bucket/top/data").write_bytes(BODY)
    with DemoServer(tmp_path) as running:
        yield running


def quick_store(server: DemoServer) -> S3Store:
    return S3Store("s3://bucket/top", {"endpoint_url": server.url, "config_kwargs": QUICK})


@pytest.mark.parametrize("bucket", ["public_bucket", "private_bucket"])
def test_bytes_versions_and_sizes(s3_server: Any, bucket: str) -> None:
    top = f"s3://{getattr(s3_server, bucket)}/bytes"
    s3_server.put(f"{top}/a b/data#1?x=%20", BODY)
    s3_server.put(f"{top}/empty", b"")
    store = S3Store(f"{top}/", s3_server.storage_options)
    assert isinstance(store, Store)
    assert store.uri == top
    assert store.get("a b/data#1?x=%20") == store.get("/a b//data#1?x=%20") == BODY
    assert store.get("empty") == b""
    assert (store.traffic.requests, store.traffic.bytes) == (3, 2 * len(BODY))
    for missing in ("a b", "nothing", "a b/", "a b/data#1"):
        assert store.get(missing) is None
        assert store.fetch(missing) is None
        assert store.size_of(missing) is None
    assert store.version_of("nothing") == "missing"
    assert store.traffic.requests == 3
    assert store.size_of("a b/data#1?x=%20") == len(BODY)
    before = store.fetch("a b/data#1?x=%20")
    assert before is not None
    assert before.version == store.version_of("a b/data#1?x=%20")
    s3_server.put(f"{top}/a b/data#1?x=%20", BODY[::-1])
    assert store.version_of("a b/data#1?x=%20") != before.version
    with pytest.raises(FormatError, match="leaves its store"):
        store.get("../bytes/empty")


def test_sizes_are_listed_page_by_page(s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    top = f"s3://{s3_server.public_bucket}/sizes"
    expected = {f"s0/c/{i}": i for i in range(7)}
    for key, size in expected.items():
        s3_server.put(f"{top}/{key}", b"x" * size)
    s3_server.put(f"{top}/s01/c/0", b"a level whose name starts alike")
    s3_server.put(f"{top}x/s0/c/0", b"another store")
    store = S3Store(top, s3_server.anonymous_options)
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    assert store.sizes_below("s0") == store.sizes_below("/s0/") == expected
    assert len(store.sizes_below("")) == 8
    assert store.sizes_below("s7") == {}
    assert S3Store(f"s3://{s3_server.public_bucket}", s3_server.anonymous_options).sizes_below(
        "sizes/s0"
    ) == {f"sizes/{key}": size for key, size in expected.items()}


def test_credentials_are_needed_where_they_are_needed(s3_server: Any) -> None:
    uri = s3_server.put(f"s3://{s3_server.private_bucket}/closed/data", BODY)
    uri = f"s3://{s3_server.private_bucket}/closed"
    with pytest.raises(ServerStatusError, match="give credentials") as caught:
        S3Store(uri, s3_server.anonymous_options).get("data")
    assert says_one_sentence(caught.value)
    # Nothing said of credentials: anonymous, as the table of options says.
    with pytest.raises(ServerStatusError, match="give credentials"):
        S3Store(uri, {"endpoint_url": s3_server.endpoint_url}).size_of("data")
    assert S3Store(uri, s3_server.storage_options).get("data") == BODY
    client = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
    own = {"endpoint_url": s3_server.endpoint_url, "client_kwargs": client}
    assert S3Store(uri, own).get("data") == BODY


def test_a_profile_is_looked_up(
    s3_server: Any, private_places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_server.put(f"s3://{s3_server.private_bucket}/profile/data", BODY)
    uri = f"s3://{s3_server.private_bucket}/profile"
    options = {"profile": "lab", "endpoint_url": s3_server.endpoint_url}
    with pytest.raises(UnsupportedSourceError, match="cannot be used"):
        S3Store(uri, options).get("data")
    file = private_places / "aws" / "credentials"
    file.parent.mkdir(exist_ok=True)
    file.write_text("[lab]\naws_access_key_id = k\naws_secret_access_key = s\n")
    assert S3Store(uri, options).get("data") == BODY


def test_credentials_that_are_nowhere_are_said(s3_server: Any) -> None:
    store = S3Store("s3://any/x", {"anon": False, "endpoint_url": s3_server.endpoint_url})
    with pytest.raises(UnsupportedSourceError, match="no credentials were found") as caught:
        store.get("data")
    assert says_one_sentence(caught.value)


def test_a_bucket_that_is_not_there(s3_server: Any) -> None:
    store = S3Store("s3://no-such-bucket/x", s3_server.anonymous_options)
    for ask in (store.get, store.fetch, store.sizes_below):
        with pytest.raises(ServerStatusError, match="there is no bucket 'no-such-bucket'"):
            ask("data")


def test_credentials_that_are_out_of_reach_leave_what_was_seen(
    s3_server: Any, tmp_path: Path, write_atlas: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch, private_places: Path,
) -> None:  # fmt: skip
    root = s3_server.upload(write_atlas(tmp_path), f"s3://{s3_server.private_bucket}/role")
    profile = private_places / "aws" / "credentials"
    profile.parent.mkdir(exist_ok=True)
    profile.write_text("[lab]\nrole_arn = r\naws_access_key_id = k\naws_secret_access_key = s\n")
    options = {"anon": False, "endpoint_url": s3_server.endpoint_url}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    table = region_table(open_atlas("toy_mouse_25um", root=root, storage_options=options))
    clear_clients()
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    atlas = open_atlas("toy_mouse_25um", root=root, storage_options=options)
    assert region_table(atlas).equals(table)


def clear_clients() -> None:
    """Forget the clients that were made: they know credentials of their time."""
    from napari_stria.io import s3_requests

    s3_requests._connected.cache_clear()


def test_each_server_and_reader_has_a_place_of_its_own(
    s3_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def place(**options: Any) -> str:
        clear_clients()
        return with_copies(S3Store("s3://bucket/x", options)).place

    here = {"endpoint_url": s3_server.endpoint_url}
    assert place() == "s3://bucket/x"
    assert place(**here) == f"s3+{s3_server.endpoint_url}/bucket/x"
    places = [place(), place(**here), place(endpoint_url="http://127.0.0.1:9")]
    places += [place(key=k, secret="the-secret", **here) for k in ("key-one", "key-two")]
    client = {"aws_access_key_id": "key-three", "aws_secret_access_key": "s"}
    places += [place(client_kwargs=client, **here), place(anon=False, **here)]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-four")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    places.append(place(anon=False, **here))
    assert len(set(places)) == len(places)
    assert not any(word in text for text in places for word in ("key-", "the-secret"))
    assert place(key="key-one", secret="another", **here) == places[3]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert place() == places[2]


def test_what_one_reader_saw_is_not_for_others(
    s3_server: Any, tmp_path: Path, write_atlas: Callable[..., Path]
) -> None:
    root = s3_server.upload(write_atlas(tmp_path), f"s3://{s3_server.private_bucket}/mine")
    region_table(open_atlas("toy_mouse_25um", root=root, storage_options=s3_server.storage_options))
    store = with_copies(S3Store(root, s3_server.anonymous_options))
    assert isinstance(store, CachedStore)
    store._reach.failed("as if the network were gone")
    try:
        with pytest.raises(NetworkError):
            store.fetch("atlases/last_versions.conf")
    finally:
        store._reach.answered()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_connects_anew(s3_server: Any) -> None:
    s3_server.put(f"s3://{s3_server.public_bucket}/fork/data", BODY)
    program = (
        "import os, sys\n"
        "from napari_stria.io.s3_store import S3Store\n"
        "store = S3Store(sys.argv[1], {'anon': True, 'endpoint_url': sys.argv[2]})\n"
        "size = len(store.get('data'))\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if len(store.get('data')) == size else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    place = f"s3://{s3_server.public_bucket}/fork"
    done = subprocess.run(
        [sys.executable, "-c", program, place, s3_server.endpoint_url],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.decode().strip() == "0", done.stderr.decode()


def test_a_server_that_is_not_there() -> None:
    options = {"endpoint_url": "http://127.0.0.1:9", "config_kwargs": QUICK}
    store = S3Store("s3://bucket/x", options)
    for ask in (store.get, store.size_of, store.sizes_below):
        with pytest.raises(NetworkError, match="check the network") as caught:
            ask("data")
        assert says_one_sentence(caught.value)
        assert not isinstance(caught.value, ServerStatusError)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("stall", ServerStalledError),
        ("truncate", NetworkError),
        ("drop", NetworkError),
    ],
)
def test_a_fault_once_is_mended_and_for_good_is_said(
    faulty: DemoServer, fault: str, kind: type[StriaError]
) -> None:
    store = quick_store(faulty)
    once = iter([True])
    setattr(faulty.faults, fault, lambda path: next(once, False))
    assert store.get("data") == BODY
    assert faulty.counters.requests == 2
    setattr(faulty.faults, fault, lambda path: True)
    with pytest.raises(kind) as caught:
        store.get("data")
    assert says_one_sentence(caught.value)
    # A connection that was cut without an answer is made anew once below botocore.
    assert 4 <= faulty.counters.requests <= 6
    assert not isinstance(caught.value, ServerStatusError)


@pytest.mark.parametrize(("status", "tries"), [(503, 2), (500, 2), (403, 1), (400, 1)])
def test_an_error_status_is_repeated_where_it_may_pass(
    faulty: DemoServer, status: int, tries: int
) -> None:
    faulty.faults.status_for = lambda path, nth: status
    with pytest.raises(ServerStatusError, match=str(status)) as caught:
        quick_store(faulty).get("data")
    assert says_one_sentence(caught.value)
    assert faulty.counters.requests == tries


def test_requests_and_bodies_share_their_attempts(faulty: DemoServer) -> None:
    # A body that breaks off, and then a server in trouble: two attempts, not two of each.
    faulty.faults.truncate = lambda path: True
    faulty.faults.status_for = lambda path, nth: 503 if faulty.counters.requests > 1 else None
    with pytest.raises(ServerBusyError):
        quick_store(faulty).get("data")
    assert faulty.counters.requests == 2


def test_a_page_instead_of_a_list_is_no_list(faulty: DemoServer) -> None:
    faulty.faults.html_for = lambda path: True
    with pytest.raises(NetworkError):
        quick_store(faulty).sizes_below("")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ano": True}, "it has no 'ano'"),
        ({"attempts": 3}, "it has no 'attempts'"),
        ({"session": object()}, "it has no 'session'"),
        ({"anon": "yes"}, "anon is True or False"),
        ({"anon": True, "key": "hunter2", "secret": "hunter2"}, "without credentials"),
        ({"key": "hunter2"}, "belong together"),
        ({"secret": "hunter2"}, "belong together"),
        ({"token": "hunter2"}, "belong together"),
        ({"client_kwargs": "hunter2"}, "is a mapping"),
        ({"endpoint_url": "https://me:hunter2@example.org"}, "without user name and password"),
        ({"endpoint_url": "example.org"}, "endpoint_url"),
        ({"client_kwargs": {"endpoint_url": "ftp://x"}}, "endpoint_url"),
        ({"key": lambda: "hunter2", "secret": "hunter2"}, "texts, numbers"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedSourceError, match=words) as caught:
        open_store("s3://bucket/x", options)
    assert says_one_sentence(caught.value, "hunter2")


@pytest.mark.parametrize(
    "options",
    [
        {"config_kwargs": {"no_such": 1}},
        {"client_kwargs": {"no_such": 1}},
        {"client_kwargs": {"region_name": "not a region!"}},
    ],
)
def test_options_that_only_the_library_knows_are_refused_on_use(options: dict[str, Any]) -> None:
    store = S3Store("s3://bucket/x", {"endpoint_url": "http://127.0.0.1:9", **options})
    with pytest.raises(UnsupportedSourceError, match="storage_options") as caught:
        store.get("data")
    assert says_one_sentence(caught.value)


@pytest.mark.parametrize("uri", ["s3://", "s3:///x", "s3://me:hunter2@bucket/x", "s3://a b/x"])
def test_addresses_that_name_no_bucket_are_refused(uri: str) -> None:
    with pytest.raises(UnsupportedSourceError, match="s3://bucket/prefix") as caught:
        open_store(uri)
    assert says_one_sentence(caught.value, "hunter2")


def test_secrets_are_not_shown_and_not_kept(s3_server: Any) -> None:
    options = {
        **s3_server.storage_options,
        "client_kwargs": {"region_name": "eu-west-1", "aws_session_token": "the-token"},
    }
    store = S3Store("s3://no-such-bucket/x", options)
    with pytest.raises(StriaError) as caught:
        store.get("data")
    shown = f"{store!r} {store.uri} {caught.value} {harmless_options(options)}"
    assert not any(word in shown for word in ("the-key-id", "the-secret", "the-token"))
    assert harmless_options(options) == {
        "endpoint_url": s3_server.endpoint_url,
        "client_kwargs": {"region_name": "eu-west-1"},
    }
    assert harmless_options(None) == {}


def test_many_threads_and_a_copy_in_another_process(s3_server: Any) -> None:
    top = f"s3://{s3_server.private_bucket}/threads"
    for i in range(16):
        s3_server.put(f"{top}/{i}", bytes([i]) * 1000)
    store = S3Store(top, s3_server.storage_options)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(store.get, [str(i % 16) for i in range(64)]))
    assert found == [bytes([i % 16]) * 1000 for i in range(64)]
    assert store.traffic.bytes == 64_000
    copy = pickle.dumps(store)
    program = (
        "import pickle, sys; store = pickle.loads(sys.stdin.buffer.read()); "
        "assert store.get('3') == bytes([3]) * 1000; print(store.uri)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        input=copy, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == b""
    assert done.stdout.decode().strip() == top


def test_the_list_of_a_root(
    s3_server: Any, tmp_path: Path, write_atlas: Callable[..., Path]
) -> None:
    root = s3_server.upload(write_atlas(tmp_path), f"s3://{s3_server.private_bucket}/list")
    (entry,) = fetch_atlas_list(root=root, storage_options=s3_server.storage_options)
    assert (entry.name, entry.version) == ("toy_mouse_25um", "3.0")
    with pytest.raises(ServerStatusError, match="give credentials"):
        fetch_atlas_list(root=root, storage_options=s3_server.anonymous_options)


def test_what_opens_an_atlas_again_holds_no_secret(
    s3_server: Any, tmp_path: Path, write_atlas: Callable[..., Path]
) -> None:
    tree = write_atlas(tmp_path)
    for bucket, options in (
        (s3_server.private_bucket, s3_server.storage_options),
        (s3_server.public_bucket, s3_server.anonymous_options),
    ):
        root = s3_server.upload(tree, f"s3://{bucket}/again")
        atlas = open_atlas("toy_mouse_25um", root=root, storage_options=options, cached=False)
        assert "the-secret" not in repr(atlas.opened_with)
        said = dict(atlas.opened_with)
        said["storage_options"] = {**said["storage_options"], **options}
        again = open_atlas(**said, cached=False)
        assert region_table(again).equals(region_table(atlas))
    assert atlas.opened_with["storage_options"] == s3_server.anonymous_options


def test_an_array_that_changes_in_a_bucket_is_counted_again(
    s3_server: Any, tmp_path: Path, write_atlas: Callable[..., Path], toy_labels: Any
) -> None:
    uri = f"s3://{s3_server.public_bucket}/changing"
    sums = []
    for labels in (toy_labels, toy_labels[:16]):
        tree = write_atlas(tmp_path / str(len(labels)), labels, n_levels=1)
        s3_server.upload(tree, uri)
        atlas = open_atlas("toy_mouse_25um", root=uri, storage_options=s3_server.anonymous_options)
        local = open_atlas("toy_mouse_25um", root=tree)
        sums += [int(region_table(a)["voxels"][997]) for a in (atlas, local)]
    assert sums[0] == sums[1] != sums[2] == sums[3]
