"""What may be said before attempts to connect: credentials, options, and not now.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import gc
import queue
import subprocess
import threading
import time
import weakref

import pytest
from broker import Broker, free_port
from conftest import PATIENCE, wait_until

import tern
from tern import aio

QUICK = {"retry_delay": (0.01, 0.1)}


@pytest.fixture
def guarded(tmp_path):
    """A broker that wants a user and a password."""
    (tmp_path / "users").write_text("")
    subprocess.run(
        ["mosquitto_passwd", "-b", tmp_path / "users", "joe", "sesame"], check=True, timeout=30
    )
    (tmp_path / "users").chmod(0o644)
    lines = [f"password_file {tmp_path / 'users'}", "allow_anonymous false"]
    with Broker(tmp_path, *lines) as started:
        yield started


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def test_credentials_are_asked_for_before_each_attempt(guarded, topic):
    answers = [ZeroDivisionError("vault"), None, ("joe", "wrong"), ("joe", b"sesame")]
    answers.append(("joe", "sesame"))
    errors, asked = [], []

    def credentials():
        asked.append(threading.current_thread().name)
        answer = answers[len(asked) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = tern.Client(guarded.url, credentials=credentials, retry_refused=True, **QUICK)
    client.on_error = errors.append
    with client:
        assert [type(error) for error in errors] == [ZeroDivisionError, TypeError]
        assert "not NoneType" in str(errors[1])
        assert asked[:4] == ["tern"] * 4
        client.publish(topic, "x", qos=1).wait(PATIENCE)
        client.reconnect(timeout=PATIENCE)
        assert len(asked) == 5


def test_a_coroutine_is_asked_for_credentials(guarded, topic):
    async def run():
        asked, errors = [], []

        async def credentials():
            asked.append(1)
            await asyncio.sleep(0)
            if len(asked) == 1:
                raise ZeroDivisionError("vault")
            return None if len(asked) == 2 else ("joe", "sesame")

        client = aio.Client(guarded.url, credentials=credentials, **QUICK)
        client.on_error = errors.append
        async with client:
            await client.publish(topic, "x", qos=1)
            await client.reconnect()
            assert len(asked) == 4
            assert [type(error) for error in errors] == [ZeroDivisionError, TypeError]

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


def test_a_coroutine_needs_an_event_loop(guarded):
    errors = queue.Queue()

    async def credentials():
        return "joe", "sesame"

    client = tern.Client(guarded.url, credentials=credentials)
    client.on_error = errors.put
    client.connect(timeout=0)
    with pytest.raises(TypeError, match="tern.aio.Client"):
        raise errors.get(timeout=PATIENCE)
    client.close(0)


def test_the_attempt_handler_changes_postpones_and_stops(broker, topic):
    told = []
    client = tern.Client(f"mqtt://127.0.0.1:{free_port()}", **QUICK)
    events = []
    client.on_event = events.append

    def handler(attempt):
        told.append((attempt.number, attempt.server))
        if len(told) == 1:
            attempt.postpone(0.01)
        elif len(told) == 2:
            attempt.configure(broker.url, keep_alive=7, will=tern.Will(topic, "gone"))
        else:
            attempt.set_hint("ask the operator")
            attempt.stop("no more today")

    client.on_attempt = handler
    assert client.on_attempt is handler
    client.connect(PATIENCE)
    assert client.limit(tern.Limit.KEEP_ALIVE) == 7 and len(told) == 2
    assert told[0][0] == 1 and told[0][1].startswith("mqtt://127.0.0.1:")
    with pytest.raises(tern.CancelledError, match="no more today"):
        client.reconnect(timeout=PATIENCE)
    assert wait_until(lambda: events[-1].kind == tern.EventKind.STOPPED)
    client.on_attempt = None
    client.configure(broker.url)
    client.connect(PATIENCE)
    client.close()


def test_what_an_attempt_handler_may_not_do(broker, topic):
    errors, kept = [], []
    client = tern.Client(broker.url, **QUICK)
    client.on_error = errors.append

    def handler(attempt):
        kept.append(attempt)
        if len(kept) == 1:
            client.publish(topic, "x", qos=1).wait(PATIENCE)
        elif len(kept) == 2:
            attempt.configure("nonsense")
        elif len(kept) == 3:
            attempt.configure(colour="red")
        elif len(kept) == 4:
            attempt.postpone(-1)

    client.on_attempt = handler
    client.connect(PATIENCE)
    assert [type(error) for error in errors] == [
        tern.WouldDeadlockError,
        tern.UsageError,
        TypeError,
        ValueError,
    ]
    for call in (lambda: kept[0].stop(), lambda: kept[0].set_credentials("a"), kept[0].configure):
        with pytest.raises(tern.StateError, match="its handler has returned"):
            call()
    client.close()


def test_credentials_whose_task_is_cancelled_are_asked_for_again(broker):
    """Somebody else's cancellation is an error like others; the client's own end is none."""
    asked, errors = [], []

    async def credentials():
        asked.append(1)
        if len(asked) == 1:
            raise asyncio.CancelledError
        if len(asked) == 3:
            await asyncio.Event().wait()
        return "me", "secret"

    async def main():
        client = tern.aio.Client(broker.url, credentials=credentials, **QUICK)
        client.on_error = errors.append
        async with client:
            assert [type(error) for error in errors] == [asyncio.CancelledError]
            await client.disconnect()
            with pytest.raises(tern.TimeoutError):
                await client.connect(0.2)
            task = client._question._task
        await asyncio.sleep(0)
        assert task.done() and len(errors) == 1

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_an_answer_that_nobody_waits_for_any_more_is_not_used_later(broker):
    asked, fetch = [], []

    async def credentials():
        asked.append(1)
        await fetch[0].wait()
        return "me", "secret"

    async def main():
        fetch.append(asyncio.Event())
        client = tern.aio.Client(broker.url, credentials=credentials, **QUICK)
        connecting = asyncio.ensure_future(client.connect())
        await until(lambda: asked)
        await client.disconnect()
        with pytest.raises(tern.CancelledError):
            await connecting
        fetch[0].set()
        await until(lambda: client._question._answer is not None)
        client._question._fetched -= 3600  # an hour later
        async with client:
            assert len(asked) == 2

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_who_is_asked_can_be_replaced(broker):
    asked = []

    def first():
        asked.append(1)
        return "me", "secret"

    with tern.Client(broker.url, credentials=first, **QUICK) as client:
        client.configure(credentials=lambda: asked.append(2) or ("you", "secret"))
        client.reconnect(timeout=PATIENCE)
        assert wait_until(lambda: client.connected) and asked == [1, 2]
        client.configure(credentials=None)
        client.reconnect(timeout=PATIENCE)
        assert asked == [1, 2]

    async def never():
        await asyncio.Event().wait()

    async def main():
        client = tern.aio.Client(broker.url, credentials=never, **QUICK)
        connecting = asyncio.ensure_future(client.connect())
        await until(lambda: client._question._task is not None)
        client.configure(credentials=first)
        await connecting
        assert asked == [1, 2, 1]
        await client.close()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("place", ["credentials", "on_attempt", "on_error"])
def test_the_loop_may_be_left_before_an_attempt(broker, kind, place):
    def leave(*_):
        raise kind

    def fail(*_):
        raise ZeroDivisionError

    async def main():
        wrong = {"credentials": leave} if place == "credentials" else {}
        client = tern.aio.Client(broker.url, **wrong, **QUICK)
        client.on_attempt = leave if place == "on_attempt" else fail
        client.on_error = leave if place == "on_error" else None
        await client.connect(PATIENCE)

    with pytest.raises(kind):
        asyncio.run(main())


def test_a_coroutine_function_is_no_attempt_handler(broker):
    errors = queue.Queue()

    async def on_attempt(_attempt):
        pass

    with tern.Client(broker.url, **QUICK) as client:
        client.on_error = errors.put
        client.on_attempt = on_attempt
        with pytest.raises(tern.TimeoutError):
            client.reconnect(timeout=0.1)
        assert "plain functions" in str(errors.get(timeout=PATIENCE))
        client.on_attempt = None


def test_who_postpones_by_nothing_is_not_asked_on_and_on(broker):
    """There is a smallest delay, so that a handler which always does takes no processor."""
    asked, client = [], tern.Client(broker.url)

    def on_attempt(attempt):
        asked.append(time.monotonic())
        attempt.postpone(0)

    client.on_attempt = on_attempt
    client.connect(0)
    assert wait_until(lambda: len(asked) > 10)
    client.close(0)
    assert asked[10] - asked[0] >= 0.09


def test_nobody_keeps_a_client_that_asks(broker):
    client = tern.Client(broker.url, credentials=lambda: (None, None))
    client.on_attempt = lambda attempt, circle=client: circle
    client.connect(PATIENCE)
    gone, thread = weakref.ref(client), client._thread
    del client
    gc.collect()
    assert gone() is None and wait_until(lambda: not thread.is_alive())
