"""Attempts: what the application may say before each attempt to connect.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import time
import weakref
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Callable, NoReturn, Optional, Union

from ._apply import Handle, apply_connection
from ._check import as_bytes, c_text, milliseconds, refuse, refuse_coroutine
from ._ffi import c, callbacks, held, text
from .errors import StateError, make_error

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._base import ClientBase
    from .options import Options

Credentials = tuple[Optional[str], Union[str, bytes, None]]
SOONEST = 10  # ms until a handler that postponed is asked again, at least
AGAIN = 0.25  # seconds until the application is asked again that raised, first
MOST = 30.0
LONG = 3600.0  # a wait that is ended by hand
FRESH = 5.0  # seconds that an answer which was awaited is good for: its attempt starts at once


def _retry_delay(failures: int) -> float:
    """Seconds until the application is asked again, after so many failures."""
    return min(MOST, AGAIN * float(2 ** min(failures, 9)))


_numbers = itertools.count(1)
_clients: weakref.WeakValueDictionary[int, ClientBase] = weakref.WeakValueDictionary()


class Attempt:
    """An attempt to connect that is about to start. It is good until the handler returns.

    What is set goes for this attempt alone.
    """

    def __init__(self, pointer: int) -> None:
        self._pointer: Optional[int] = pointer
        self.number: int = held.tern_attempt_number(pointer)
        """From 1, since the last connection or connect()."""
        self.server: str = text(held.tern_attempt_server(pointer)) or ""
        """The server whose turn it is, as a URL without credentials."""

    def _check(self, rc: int) -> None:
        if rc != 0:
            raise make_error(rc)

    @property
    def _handle(self) -> int:
        if self._pointer is None:
            raise StateError(c.TERN_E_STATE, "attempt: its handler has returned")
        return self._pointer

    def set_credentials(
        self, username: Optional[str], password: Union[str, bytes, None] = None
    ) -> None:
        """Sets user name and password."""
        raw = None if password is None else as_bytes(password, "password")
        options = held.tern_attempt_options(self._handle)
        name = c_text("username", username)
        self._check(
            held.tern_connection_options_set_credentials(options, name, raw, len(raw or b""))
        )

    def configure(self, *servers: str, **options: Unpack[Options]) -> None:
        """Changes how to connect: servers in place of this one, and options of tern.Client.

        Session, delays and limits of the retries stay the client's.
        """
        from .options import Options  # which knows of attempts

        handle = held.tern_attempt_options(self._handle)
        unknown = set(options) - set(Options.__annotations__)
        if unknown:
            raise TypeError(f"unknown option: {', '.join(sorted(unknown))}")
        with Handle("connection") as trial:  # what is wrong is told before anything is changed
            apply_connection(trial, servers, options)
        if servers:
            self._check(held.tern_connection_options_clear_servers(handle))
        apply_connection(handle, servers, options)

    def set_hint(self, hint: Optional[str]) -> None:
        """Sets what Event.hint says where the server refuses the credentials; no secrets."""
        self._check(held.tern_attempt_set_hint(self._handle, c_text("hint", hint)))

    def postpone(self, seconds: float) -> None:
        """Does not connect now: the handler is asked again after so many seconds, 0.01 at least."""
        delay = max(SOONEST, milliseconds("seconds", seconds))
        self._check(held.tern_attempt_postpone(self._handle, delay))

    def stop(self, reason: Optional[str] = None) -> None:
        """Does not connect, and stops: the event STOPPED tells why. connect() may follow."""
        self._check(held.tern_attempt_stop(self._handle, c_text("reason", reason)))


class Question:
    """Something that the application is asked before attempts, by a function or a coroutine's.

    An answer that is awaited is fetched in the client's event loop; the attempt waits for it.
    """

    def __init__(self, client: ClientBase, ask: Callable[[], Any]) -> None:
        self._client = weakref.ref(client)
        self._ask = ask
        self._answer: Any = None
        self._fetched = 0.0
        self._task: Optional[asyncio.Task[None]] = None
        self._failures = 0
        self._closed = False
        client._asking.append(self)

    def close(self) -> None:
        """Nobody wants the answer any more: the client is closed, or asks somebody else."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    @property
    def delay(self) -> float:
        """Seconds until it makes sense to ask again."""
        return LONG if self._waits else _retry_delay(self._failures)

    @property
    def _waits(self) -> bool:
        return self._task is not None and not self._task.done()

    def ask(self) -> Any:
        """The answer; None where there is none yet, or the application raised: on_error knows."""
        if self._answer is not None:
            answer, self._answer = self._answer, None
            if time.monotonic() - self._fetched < FRESH:  # else its attempt never came
                self._failures = 0
                return answer
        if self._waits:
            return None
        try:
            answer = self._ask()
            if inspect.isawaitable(answer):
                self._fetch(answer)
                return None
            _check_answer(answer)
        except BaseException as error:
            self.failed(error)
            return None
        self._failures = 0
        return answer

    def failed(self, error: BaseException) -> None:
        """The application raised, or its answer is of no use."""
        self._failures += 1
        client = self._client()
        if client is not None:
            _tell(client, error)

    def _fetch(self, answer: Awaitable[Any]) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if inspect.iscoroutine(answer):
                answer.close()
            raise TypeError("a coroutine function needs a tern.aio.Client") from None
        self._task = loop.create_task(self._await(answer))

    async def _await(self, answer: Awaitable[Any]) -> None:
        try:
            fetched = await answer
            _check_answer(fetched)
        except (Exception, asyncio.CancelledError) as error:
            if self._closed:
                return
            self.failed(error)
            loop = asyncio.get_running_loop()
            loop.call_later(_retry_delay(self._failures), _retry, self._client)
        else:
            self._answer, self._fetched = fetched, time.monotonic()
            asyncio.get_running_loop().call_soon(_retry, self._client)


def _check_answer(answer: Any) -> None:
    if not isinstance(answer, tuple) or len(answer) < 2:
        refuse("credentials", "the function has to return a tuple", answer)


def _raise(error: BaseException) -> NoReturn:
    raise error


def _tell(client: ClientBase, error: BaseException) -> None:
    """Tells on_error what was raised where C calls. What is to leave an event loop leaves it when
    C has returned."""
    try:
        if not isinstance(error, client._TAKEN):
            raise error
        client._on_error(error)
    except BaseException as leaving:
        client._core.defer(functools.partial(_raise, leaving))


def _retry(reference: weakref.ref[ClientBase]) -> None:
    client = reference()
    if client is not None and not client._core.closed:
        client.retry()


@callbacks.tern_attempt_callback  # type: ignore[untyped-decorator]
def _on_attempt(_client: int, pointer: int, number: int) -> None:
    client = _clients.get(number)
    if client is None:
        return
    attempt = Attempt(pointer)
    question = client._question
    try:
        if question is not None:
            answer = question.ask()
            if answer is None:
                attempt.postpone(question.delay)
                return
            attempt.set_credentials(*answer)
        if client._on_attempt is not None:
            refuse_coroutine(client._on_attempt(attempt))
    except BaseException as error:
        _tell(client, error)
        attempt.postpone(_retry_delay(attempt.number))
    finally:
        attempt._pointer = None


def watch_attempts(client: ClientBase) -> None:
    """Has the client's handler and `credentials` asked before attempts, if there is any."""
    wanted = client._on_attempt is not None or client._question is not None
    if not client._attempts_as:
        client._attempts_as = next(_numbers)
        _clients[client._attempts_as] = client
    number, callback = client._attempts_as, _on_attempt if wanted else None
    client._core.check(held.tern_client_set_attempt_handler(client._core.handle, callback, number))


__all__ = ["Attempt"]
