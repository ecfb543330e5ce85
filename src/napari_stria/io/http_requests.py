"""Requests that survive bad servers: time-outs, retries, and no redirect to another host."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TypeVar

from napari_stria.errors import CorruptDataError, TaskCancelled, UnsupportedSourceError
from napari_stria.io.http_options import HttpOptions
from napari_stria.io.http_session import SessionPool
from napari_stria.io.http_transfer import MOST_BYTES, Answer, Asked, TemporaryFault, transfer
from napari_stria.io.sinks import ResumingSink, Sink
from napari_stria.io.store_base import Traffic

__all__ = ["LOOK_S", "Answer", "Cancelled", "HttpRequests", "raise_if_cancelled"]

T = TypeVar("T")
Cancelled = Callable[[], bool]

# How long a thread that waits goes without looking whether it was cancelled.
LOOK_S = 0.05


def raise_if_cancelled(cancelled: Cancelled | None) -> None:
    """Raise `TaskCancelled` if the caller wants no more."""
    if cancelled is not None and cancelled():
        raise TaskCancelled("the download was cancelled.")


class HttpRequests:
    """Asks servers; safe to use from many threads.

    Parameters
    ----------
    options : HttpOptions
        Timeouts, retries, headers.
    max_concurrent : int, optional
        So many requests run at a time, over all threads.

    Raises
    ------
    UnsupportedSourceError
        If no request may run at all.

    Attributes
    ----------
    traffic : Traffic
        Bodies that arrived.
    """

    def __init__(
        self,
        options: HttpOptions,
        *,
        max_concurrent: int | None = None,
    ) -> None:
        if max_concurrent is not None and max_concurrent < 1:
            raise UnsupportedSourceError(
                f"max_concurrent is a number of requests > 0, not {max_concurrent!r}."
            )
        self.options = options
        self.traffic = Traffic()
        self._sessions = SessionPool(options.headers)
        self._permits = threading.Semaphore(max_concurrent) if max_concurrent else None

    def fetch(
        self,
        url: str,
        accept: Callable[[Answer], T],
        cancelled: Cancelled | None = None,
        *,
        max_bytes: int = MOST_BYTES,
        headers: Mapping[str, str] | None = None,
        sink: Sink | None = None,
        with_body: bool = True,
    ) -> T | None:
        """Return what `accept` makes of the answer, None where the server answers 404.

        Parameters
        ----------
        url : str
            Address; errors name it without its query.
        accept : callable
            Gets the answer; the `CorruptDataError` that it raises is a reason to ask again.
        cancelled : callable, optional
            Looked at all the time while waiting for others, for the answer, and between attempts;
            always in the caller's thread.
        max_bytes : int
            A body that is longer when decoded is refused.
        headers : mapping, optional
            Sent with this request.
        sink : Sink, optional
            Takes the body, piece by piece and anew with each attempt; the answer's is empty. One
            that resumes has all attempts again after each that brought something new.
        with_body : bool
            False asks for the headers alone (HEAD).

        Raises
        ------
        ServerStatusError
            If the server answers with an error status, after all attempts where it may pass.
        NetworkError, ServerStalledError, CorruptDataError
            After all attempts, or at once for an answer that will not change (a redirect to
            another host, a body that is too long).
        TaskCancelled
            If `cancelled` says so.
        """
        asked = Asked(url, max_bytes, headers or {}, sink, with_body)
        failure: TemporaryFault | None = None
        attempt, most_held = 0, _held_bytes(sink)
        while attempt < self.options.attempts:
            if failure is not None:
                self._pause(self._pause_s(attempt, failure.retry_after_s), cancelled)
            raise_if_cancelled(cancelled)
            try:
                answer = self._answer(asked, cancelled)
                return None if answer is None else _accepted(accept, answer, asked)
            except TemporaryFault as temporary:
                failure = temporary
                if (held := _held_bytes(sink)) > most_held:
                    most_held, attempt = held, 0
                attempt += 1
        assert failure is not None
        raise failure.error from failure.__cause__

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def _pause_s(self, attempt: int, asked_s: float) -> float:
        usual = self.options.backoff_s * 2.0 ** (attempt - 1) * (0.75 + random.random() / 2)
        return min(max(usual, asked_s), self.options.longest_pause_s)

    def _pause(self, seconds: float, cancelled: Cancelled | None) -> None:
        if cancelled is None:
            self._sleep(seconds)
            return
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            raise_if_cancelled(cancelled)
            self._sleep(min(rest, LOOK_S))

    @contextmanager
    def _permit(self, cancelled: Cancelled | None) -> Iterator[None]:
        if self._permits is None:
            yield
            return
        while not self._permits.acquire(timeout=None if cancelled is None else LOOK_S):
            raise_if_cancelled(cancelled)
        try:
            raise_if_cancelled(cancelled)
            yield
        finally:
            self._permits.release()

    def _answer(self, asked: Asked, cancelled: Cancelled | None) -> Answer | None:
        with self._permit(cancelled):
            session = self._sessions.take()

            def ask() -> Answer | None:
                return transfer(session, asked, self.options)

            try:
                answer = ask() if cancelled is None else _while_looking(ask, cancelled)
            except BaseException:
                # Also ends the thread that was left behind, which waits for this session's sockets.
                session.end()
                raise
            self._sessions.give_back(session)
        if answer is not None:
            self.traffic.add(answer.n_bytes)
        return answer


def _held_bytes(sink: Sink | None) -> int:
    held = sink.held() if isinstance(sink, ResumingSink) else None
    return 0 if held is None else held.n_bytes


def _accepted(accept: Callable[[Answer], T], answer: Answer, asked: Asked) -> T:
    try:
        return accept(answer)
    except CorruptDataError as error:
        raise TemporaryFault(CorruptDataError(f"{asked.shown}: {error}")) from error


def _while_looking(work: Callable[[], T], cancelled: Cancelled) -> T:
    """Return the result of `work`, which another thread does; leave it there when cancelled.

    That thread lives for this one piece of work and is a daemon, so that none is waited for when
    the program ends.
    """
    future: Future[T] = Future()
    threading.Thread(target=_do, args=(work, future), name="stria-http", daemon=True).start()
    # Not by result(timeout=...): a server that stalled is a TimeoutError too.
    while not wait([future], LOOK_S).done:
        raise_if_cancelled(cancelled)
    return future.result()


def _do(work: Callable[[], T], future: Future[T]) -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001  (the future carries it on)
        future.set_exception(error)
    else:
        future.set_result(result)
