"""A loopback HTTP server over a folder, which counts what it serves and fails on demand.

It shows the practice brain the way a remote store would, answers for the practice sections as the
Allen API does, and lets tests see every request and break chosen ones: late, cut short, never
answered, or answered with an error page.
"""

from __future__ import annotations

import logging
import socket
import socketserver
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from napari_stria.demo.allen_service import API_PREFIX, AllenService
from napari_stria.demo.annotation_files import ARCHIVE_PREFIX, AnnotationFiles
from napari_stria.demo.counters import Counters, Faults, Tally, is_chunk_path
from napari_stria.demo.replies import (
    BODILESS,
    Reply,
    file_reply,
    find_file,
    html_reply,
    plain_reply,
)

__all__ = ["Counters", "DemoServer", "Faults", "is_chunk_path"]

_log = logging.getLogger(__name__)
_STALL_SECONDS = 60.0
_POLL_SECONDS = 0.02
_JOIN_SECONDS = 10.0


class DemoServer:
    """Serves a folder to this machine alone, over HTTP/1.1; use it as a context manager.

    Parameters
    ----------
    folder : Path
        What to serve. Files outside it are never served, directories are not listed.
    port : int
        Port on 127.0.0.1; 0 takes a free one.

    Attributes
    ----------
    faults : Faults
        What to do wrong; change it at any time.
    allen : AllenService
        Answers below ``/api/v2``, and the same routes directly below ``/`` where the folder has
        no such file. Its ``row_cap`` can be changed at any time.
    annotations : AnnotationFiles
        Answers for Allen's annotation files that the folder does not have.
    """

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self.faults = Faults()
        self.allen = AllenService(Path(folder))
        self.annotations = AnnotationFiles()
        self._folder = Path(folder)
        self._port = port
        self._tally = Tally()
        self._http: _HTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Address without a slash at the end, e.g. ``http://127.0.0.1:8000``."""
        if self._http is None:
            raise RuntimeError("the demo server is not running; call start() or use 'with'.")
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def allen_url(self) -> str:
        """Address of the practice sections' Allen API, e.g. ``http://127.0.0.1:8000/api/v2``."""
        return f"{self.url}{API_PREFIX}"

    @property
    def archive_url(self) -> str:
        """Address of the annotation files: the `base_url` of `napari_stria.fetch_annotation`."""
        return f"{self.url}{ARCHIVE_PREFIX}"

    @property
    def counters(self) -> Counters:
        """A copy of the counts as they are now."""
        return self._tally.snapshot()

    def reset(self) -> None:
        """Set the counts to zero."""
        self._tally.reset()

    def start(self) -> Self:
        """Listen and serve from a background thread.

        Raises
        ------
        RuntimeError
            If it runs already.
        OSError
            If the port is taken.
        """
        if self._http is not None:
            raise RuntimeError("the demo server is running already.")
        self._http = _HTTPServer(self._port, self._folder.resolve(), self)
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(_POLL_SECONDS,), name="stria-demo", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and break all connections; does nothing if it does not run."""
        if self._http is None or self._thread is None:
            return
        self._http.stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.close_connections()
        self._http.server_close()
        self._http = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class _HTTPServer(ThreadingHTTPServer):
    """Keeps track of its connections, so that stopping can end them."""

    # Clients open many connections at once; the default backlog of 5 would refuse some.
    request_queue_size = 128

    def __init__(self, port: int, folder: Path, owner: DemoServer) -> None:
        self.folder = folder
        self.owner = owner
        self.tally = owner._tally
        self.stopping = threading.Event()
        self._connections: dict[threading.Thread, socket.socket] = {}
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer would ask the name service for our name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="stria-demo-connection",
            daemon=True,
        )
        # A connection is forgotten when its thread is gone, not before: stopping joins them all.
        self._connections = {t: c for t, c in self._connections.items() if t.is_alive()}
        self._connections[thread] = request
        thread.start()

    def close_connections(self) -> None:
        """End all connections; to be called when no new ones are accepted any more."""
        for connection in self._connections.values():
            # One that has ended already cannot be shut down.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._connections:
            thread.join(_JOIN_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that hang up are everyday life; anything else is a bug, here or in a fault.
        level = logging.DEBUG if isinstance(sys.exception(), OSError) else logging.ERROR
        _log.log(level, "%s of %s broke", request, client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: _HTTPServer
    protocol_version = "HTTP/1.1"
    server_version = "napari-stria-demo"
    # Header and body are two writes; together with delayed acknowledgement they cost 40 ms.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base's name)
        _log.debug(format, *args)

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        count = self.server.tally.begin(path)
        try:
            reply = self._reply(path, count)
        finally:
            self.server.tally.end()
        if reply is None:
            self.close_connection = True
        else:
            self._send(path, reply)

    def _reply(self, path: str, count: int) -> Reply | None:
        """Return the answer after any delay; None to hang up without one."""
        faults = self.server.owner.faults
        delay = faults.wait_s(path)
        if delay > 0 and self.server.stopping.wait(delay):
            return None
        if faults.stall is not None and faults.stall(path):
            self.server.stopping.wait(_STALL_SECONDS)
            return None
        if faults.drop is not None and faults.drop(path):
            return None
        status = faults.status_for(path, count) if faults.status_for is not None else None
        if status is not None:
            return plain_reply(status)
        if faults.html_for is not None and faults.html_for(path):
            return html_reply()
        reply = self._content(path)
        if faults.shorten is not None and faults.shorten(path):
            reply = replace(reply, body=reply.body[: len(reply.body) // 2])
        cut = faults.truncate is not None and faults.truncate(path)
        halted = faults.halt is not None and faults.halt(path)
        return replace(reply, truncated=cut, halted=halted)

    def _content(self, path: str) -> Reply:
        """Return a file, or the answer of the Allen API."""
        owner = self.server.owner
        query, headers = urlsplit(self.path).query, owner.faults.noticed(path, self.headers)
        file = None if path.startswith(f"{API_PREFIX}/") else find_file(self.server.folder, path)
        if file is not None:
            return file_reply(file, self.command, headers)
        return (
            owner.annotations.reply(path, self.command, headers)
            or owner.allen.reply(path, query)
            or plain_reply(HTTPStatus.NOT_FOUND)
        )

    def _send(self, path: str, reply: Reply) -> None:
        headers = dict(reply.headers)
        if reply.status not in BODILESS:
            headers["Content-Length"] = str(len(reply.body))
        self.send_response(reply.status)
        for name, value in headers.items():
            if not self.server.owner.faults.is_left_out(path, name):
                self.send_header(name, value)
            elif name == "Content-Length":
                self.close_connection = True
        self.end_headers()
        if self.command == "HEAD":
            return
        body = reply.body
        if reply.truncated or reply.halted:
            body = body[: len(body) // 2]
            self.close_connection = True
        # Counted first: a client that has its answer finds it counted.
        self.server.tally.sent(len(body))
        self.wfile.write(body)
        if reply.halted:
            self.server.stopping.wait(_STALL_SECONDS)
