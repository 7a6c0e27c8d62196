"""tern.aio.Client against a real broker.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import gc
import os
import socket
import weakref

import pytest
from conftest import PATIENCE, wait_until

import tern
import tern.aio

QUICK = {"retry_delay": (0.01, 0.1)}


def run(coroutine):
    """Runs a test in an event loop of its own, with a deadline."""
    return asyncio.run(asyncio.wait_for(coroutine, 2 * PATIENCE))


async def until(condition):
    end = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < end, "not in time"
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_published_is_received(broker, topic, qos):
    async def main():
        async with tern.aio.Client(broker.url) as client:
            assert await client.subscribe(topic + "/#", qos=qos) == [qos]
            publication = await client.publish(
                topic + "/1", "text", qos=qos, properties=tern.Properties(content_type="x")
            )
            if qos:
                assert publication.outcome == tern.Outcome.DELIVERED
            await publication
            message = await client.receive()
            assert (message.text, message.qos, message.properties.content_type) == (
                "text",
                qos,
                "x",
            )
            assert await client.unsubscribe(topic + "/#") is not None
        with pytest.raises(tern.ClosedError):
            await client.publish(topic, "x")
        with pytest.raises(tern.ClosedError):
            await client.receive()

    run(main())


def test_iteration_and_back_pressure(broker, topic):
    """More messages than are held: none is lost, and what waits stays bounded."""

    async def main():
        most = 0
        async with (
            tern.aio.Client(broker.url, receive_limit=100) as reader,
            tern.aio.Client(broker.url) as writer,
        ):
            await reader.subscribe(topic, qos=1)
            await writer.publish_many(((topic, str(i)) for i in range(20000)), qos=1)
            got = []
            async for message in reader.messages():
                got.append(message.text)
                most = max(most, len(reader._core.queue))
                if len(got) % 1000 == 0:
                    await reader.publish(
                        topic + "/other", "x", qos=1
                    )  # waits while reading is paused
                if len(got) == 20000:
                    break
            assert got == [str(i) for i in range(20000)]
            await writer.flush()

    run(main())


def test_many_at_once(broker, topic):
    async def main():
        async with tern.aio.Client(broker.url) as client:
            done = await asyncio.gather(*(client.publish(topic, str(i), qos=2) for i in range(500)))
            assert {one.outcome for one in done} == {tern.Outcome.DELIVERED}
            assert [one.id for one in done] == list(range(1, 501))

    run(main())


def test_several_clients_in_a_loop(broker, topic):
    async def talk(number):
        async with tern.aio.Client(broker.url) as client:
            await client.subscribe(f"{topic}/{number}", qos=1)
            for i in range(50):
                await client.publish(f"{topic}/{number}", str(i), qos=1)
                assert (await client.receive()).text == str(i)

    async def main():
        await asyncio.gather(*(talk(number) for number in range(20)))

    run(main())


def test_a_thousand_clients_on_one_loop(broker, topic):
    """They share a network thread of C's, and each has its own messages."""

    async def main():
        before, shared = len(os.listdir("/proc/self/task")), tern.Loop()
        clients = [tern.aio.Client(broker.url, loop=shared) for _ in range(1000)]
        await asyncio.gather(*(client.connect(PATIENCE) for client in clients))
        assert len(os.listdir("/proc/self/task")) - before < 5
        await asyncio.gather(*(c.subscribe(f"{topic}/{i}") for i, c in enumerate(clients)))
        await asyncio.gather(
            *(c.publish(f"{topic}/{i}", str(i), qos=1) for i, c in enumerate(clients))
        )
        got = await asyncio.gather(*(client.receive() for client in clients))
        assert [message.text for message in got] == [str(i) for i in range(1000)]
        await asyncio.gather(*(client.close() for client in clients))

    run(main())


def test_waits_can_be_cancelled(own_broker, topic):
    """The message goes its way, no message is lost, and the client lives on."""

    async def main():
        async with tern.aio.Client(own_broker.url, **QUICK) as client:
            await client.subscribe(topic, qos=1)
            own_broker.stop()
            await until(lambda: not client.connected)
            task = asyncio.ensure_future(client.publish(topic, "1", qos=1))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not client._core.settled.waits
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.receive(), 0.01)
            own_broker.start()
            await client.flush()
            assert (await client.receive()).text == "1"
            waiting = [asyncio.ensure_future(client.receive()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            await client.publish_many([(topic, "2"), (topic, "3")], qos=1)
            assert sorted([(await waiting[1]).text, (await waiting[2]).text]) == ["2", "3"]

    run(main())


def test_offline_fills_the_outbox(own_broker, topic):
    own_broker.stop()

    async def main():
        client = tern.aio.Client(own_broker.url, outbox_messages=10, **QUICK)
        with pytest.raises(tern.NetworkError):
            await client.connect(0.2)
        for i in range(10):
            client.publish_nowait(topic, str(i), 1)
        with pytest.raises(tern.OutboxFullError):
            client.publish_nowait(topic, "11", 1)
        waiting = asyncio.ensure_future(client.publish(topic, "11", qos=1))
        many = asyncio.ensure_future(
            client.publish_many([(topic, str(i)) for i in range(100)], qos=1)
        )
        await asyncio.sleep(0)
        own_broker.start()
        assert (await waiting).outcome == tern.Outcome.DELIVERED
        assert len(await many) == 100
        await client.close()

    run(main())


def test_a_publish_is_a_future_and_a_coroutine(broker, topic):
    """Whatever asyncio has to wait with takes it."""

    async def main():
        async with tern.aio.Client(broker.url) as client:
            await client.subscribe(topic, qos=1)

            def publish(text, qos=1):
                return client.publish(topic, text, qos=qos)

            await publish("1")
            assert (await asyncio.create_task(publish("2"))).outcome == tern.Outcome.DELIVERED
            both = [asyncio.create_task(publish("3")), asyncio.create_task(publish("4", qos=2))]
            done, pending = await asyncio.wait(both, timeout=PATIENCE)
            assert len(done) == 2 and not pending
            await asyncio.wait_for(publish("5"), PATIENCE)
            await asyncio.shield(publish("6"))
            for one in asyncio.as_completed([publish("7"), publish("8")]):
                assert (await one).outcome == tern.Outcome.DELIVERED
            fine, wrong, unknown = await asyncio.gather(
                publish("9"), client.publish("#"), publish("10", qos=3), return_exceptions=True
            )
            assert fine.outcome == tern.Outcome.DELIVERED
            assert isinstance(wrong, tern.UsageError) and isinstance(unknown, ValueError)
            task = asyncio.create_task(client.publish("+", qos=1))
            with pytest.raises(tern.UsageError):
                await task
            publish("11")  # goes out though nobody waits
            publish("12", qos=0)
            if hasattr(asyncio, "TaskGroup"):
                async with asyncio.TaskGroup() as group:
                    group.create_task(publish("13"))
            else:
                await publish("13")
            texts = [(await client.receive()).text for _ in range(12)]
            assert texts == [str(number) for number in range(1, 14) if number != 10]
            asked = publish("14")
            assert await asked is await asked  # more than once, unlike a coroutine

    run(main())
    asyncio.run(asyncio.wait_for(main(), 2 * PATIENCE), debug=True)


def test_publishing_from_other_threads(broker, topic):
    """Where the loop is not at hand it is a coroutine, and publishes when it runs in the loop."""

    async def main():
        loop = asyncio.get_running_loop()
        async with tern.aio.Client(broker.url) as client:

            def publish(number):
                asked = client.publish(topic, str(number), qos=1)
                return asyncio.run_coroutine_threadsafe(asked, loop).result(PATIENCE)

            some = await asyncio.gather(
                *(loop.run_in_executor(None, publish, number) for number in range(100))
            )
            assert {one.outcome for one in some} == {tern.Outcome.DELIVERED}

    run(main())


def test_publishing_takes_turns(broker, topic):
    """Who publishes on and on, and never has to wait, leaves the loop to others now and then."""

    async def main():
        async with tern.aio.Client(broker.url) as client:
            others = 0

            async def other():
                nonlocal others
                while True:
                    others += 1
                    await asyncio.sleep(0)

            task = asyncio.ensure_future(other())
            for _ in range(5000):
                await client.publish(topic, "x")
            task.cancel()
            assert others > 10

    run(main())


def test_who_waits_for_room_goes_in_turn(own_broker, topic):
    """Beyond a full outbox order holds, a wait that is cancelled is not published."""
    own_broker.stop()

    async def main():
        client = tern.aio.Client(own_broker.url, outbox_messages=10, **QUICK)
        with pytest.raises(tern.NetworkError):
            await client.connect(0.2)
        asked = [client.publish(topic, str(number), qos=1) for number in range(40)]
        asked.append(client.publish("#", "x", qos=1))  # an error in its turn
        asked[20].cancel()
        task = asyncio.create_task(asked[30])
        await asyncio.sleep(0)
        task.cancel()
        reader = tern.aio.Client(own_broker.url)
        own_broker.start()
        await reader.connect()
        await reader.subscribe(topic, qos=1)
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(results.pop(), tern.UsageError)
        for number, result in enumerate(results):
            if number in (20, 30):
                assert isinstance(result, asyncio.CancelledError)
            else:
                assert result.outcome == tern.Outcome.DELIVERED
        await client.close()
        await reader.close()

    run(main())


def test_units(broker, topic):
    async def main():
        async with tern.aio.Client(broker.url) as client:
            await client.subscribe(topic, qos=1)
            unit = [tern.OutgoingMessage(topic, str(number), 1) for number in range(3)]
            sent = await asyncio.gather(*client.publish_unit(unit))
            assert {one.outcome for one in sent} == {tern.Outcome.DELIVERED}
            assert [(await client.receive()).text for _ in range(3)] == ["0", "1", "2"]

    run(main())


def test_closing_ends_who_waits_for_room(topic):
    async def main():
        client = tern.aio.Client("mqtt://127.0.0.1:1", outbox_messages=5, **QUICK)
        with pytest.raises(tern.NetworkError):
            await client.connect(0.1)
        asked = [client.publish(topic, str(number), qos=1) for number in range(10)]
        await asyncio.sleep(0)
        await client.close(0)
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(result, tern.TernError) for result in results)

    run(main())


def test_order_of_what_waited_for_room(own_broker, topic):
    async def main():
        async with (
            tern.aio.Client(own_broker.url) as reader,
            tern.aio.Client(own_broker.url, outbox_messages=3) as client,
        ):
            await reader.subscribe(topic, qos=1)
            asked = [client.publish(topic, str(number), qos=1) for number in range(500)]
            await asyncio.gather(*asked)
            assert [(await reader.receive()).text for _ in range(500)] == [
                str(number) for number in range(500)
            ]

    run(main())


def test_receivers_that_are_cancelled_leave_messages_to_others(broker, topic):
    async def main():
        async with tern.aio.Client(broker.url) as client:
            await client.subscribe(topic, qos=1)
            first = asyncio.ensure_future(client.receive())
            second = asyncio.ensure_future(client.receive())
            await asyncio.sleep(0)
            told = client._queued

            def told_and_cancelled():  # in the same turn of the loop
                told()
                first.cancel()

            client._queued = told_and_cancelled
            await client.publish(topic, "x", qos=1)
            assert (await second).text == "x"
            for _ in range(100):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.receive(), 0.0001)
            assert not client._receivers

    run(main())


def test_a_cancelled_close_goes_on(broker):
    async def main():
        client = await tern.aio.Client(broker.url).connect()
        waiting = asyncio.ensure_future(client.receive())
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(client.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(tern.ClosedError):
            await waiting
        await client.close()
        assert not client.connected

    run(main())


def test_many_wait_behind_who_waits_for_room(broker, topic):
    async def main():
        reader = await tern.aio.Client(broker.url).connect()
        await reader.subscribe(topic, qos=1)
        client = tern.aio.Client("mqtt://127.0.0.1:1", outbox_messages=3, **QUICK)
        await client.connect(0)
        single = [client.publish(topic, str(i), qos=1) for i in range(6)]
        many = asyncio.ensure_future(
            client.publish_many([(topic, str(i)) for i in range(6, 9)], qos=1)
        )
        await asyncio.sleep(0)
        client.configure(broker.url)
        await asyncio.gather(*single, many)
        assert [(await reader.receive()).text for _ in range(9)] == [str(i) for i in range(9)]
        await asyncio.gather(client.close(), reader.close())

    run(main())


def test_closing_while_reading_pauses(broker, topic):
    """More messages wait than receive_limit; the end is told all the same."""

    async def main():
        reader = tern.aio.Client(broker.url, receive_limit=10)
        await reader.connect()
        await reader.subscribe(topic, qos=1)
        async with tern.aio.Client(broker.url) as writer:
            await writer.publish_many(((topic, str(i)) for i in range(5000)), qos=1)
            await writer.flush()
        await until(lambda: not reader._reader.reading)
        await reader.close(None)
        assert not reader.connected and (await reader.receive()).text == "0"

    run(main())


def test_connecting_without_waiting(own_broker, topic):
    async def main():
        own_broker.stop()
        client = tern.aio.Client(own_broker.url, **QUICK)
        assert await client.connect(0) is client
        own_broker.start()
        async with client:
            await client.publish(topic, "x", qos=1)

    run(main())


def test_a_client_that_still_tries_is_entered(own_broker, topic):
    async def main():
        own_broker.stop()
        client = tern.aio.Client(own_broker.url, **QUICK)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.connect(), 0.05)
        own_broker.start()
        async with client:
            await client.publish(topic, "x", qos=1)

    run(main())


def test_a_cancelled_publish_many_tells_what_was_accepted(topic):
    async def main():
        client = tern.aio.Client("mqtt://127.0.0.1:1", outbox_messages=5)

        async def publish():
            with pytest.raises(asyncio.CancelledError) as caught:
                await client.publish_many([(topic, "x")] * 9, qos=1)
            return caught.value.accepted

        many = asyncio.ensure_future(publish())
        await until(lambda: client.statistics["messages_published"] == 5)
        many.cancel()
        assert await many == [1, 2, 3, 4, 5]
        await client.close(0)

    run(main())


@pytest.mark.parametrize("timeout", ["5", -1, float("nan"), float("inf")])
def test_a_wrong_time_changes_nothing(broker, timeout):
    async def main():
        async with tern.aio.Client(broker.url) as client:
            with pytest.raises((TypeError, ValueError)):
                await client.close(timeout)
            await client.publish("still/alive", "x", qos=1)
            await client.close(None)
        with pytest.raises((TypeError, ValueError)):
            await tern.aio.Client(broker.url).connect(timeout)

    run(main())


@pytest.mark.parametrize("uv", [False, True])
def test_a_descriptor_has_another_owner_when_its_client_is_gone(broker, uv):
    """The loop forgets it before it is closed, wherever the last reference goes."""
    loop = (pytest.importorskip("uvloop") if uv else asyncio).new_event_loop()

    async def connected():
        return await tern.aio.Client(broker.url).connect()

    async def gone_elsewhere(clients):
        await asyncio.get_running_loop().run_in_executor(None, clients.clear)

    async def used(sockets):
        for one in sockets:
            one.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(one, 10) == b"x"

    for elsewhere in (False, True):
        clients = [loop.run_until_complete(connected()) for _ in range(3)]
        numbers = {client._reader._descriptor for client in clients}
        if elsewhere:
            loop.run_until_complete(gone_elsewhere(clients))
        clients.clear()
        gc.collect()
        loop.run_until_complete(asyncio.sleep(0))
        assert all(not os.path.exists(f"/proc/self/fd/{number}") for number in numbers)
        pairs = [socket.socketpair() for _ in range(10)]
        assert numbers & {one.fileno() for pair in pairs for one in pair}
        for pair in pairs:
            pair[1].send(b"x")
            pair[0].send(b"x")
        loop.run_until_complete(
            asyncio.wait_for(used([one for pair in pairs for one in pair]), PATIENCE)
        )
        for pair in pairs:
            pair[0].close()
            pair[1].close()
    loop.close()


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_a_callback_that_ends_the_loop_loses_nothing(broker, topic, kind):
    """What came with its message is told when the loop goes on; a cancellation ends no loop."""
    loop, got, told, errors = asyncio.new_event_loop(), [], [], []

    async def start():
        client = tern.aio.Client(broker.url)

        def on_message(message):
            got.append(message.text)
            if message.text == "3":
                raise kind

        client.on_message = on_message
        client.on_delivery = lambda one: told.append(one.last_id - one.first_id + 1)
        client.on_error = errors.append
        await client.connect()
        await client.subscribe(topic, qos=1)
        clients.append(client)
        asked = [client.publish_nowait(topic, str(number), 1) for number in range(200)]
        assert wait_until(lambda: client.statistics["messages_received"] == 200)
        await asyncio.gather(*asked)

    async def rest():
        await until(lambda: len(got) == 200 and sum(told) == 200)
        await clients.pop().close()

    clients = []
    if kind is asyncio.CancelledError:
        loop.run_until_complete(start())
        assert [type(error) for error in errors] == [kind]
    else:
        with pytest.raises(kind):
            loop.run_until_complete(start())
    loop.run_until_complete(rest())
    assert got == [str(number) for number in range(200)]
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def test_another_loop_is_refused_by_every_call(broker, topic):
    client = tern.aio.Client(broker.url)
    asyncio.run(client.connect())
    for call in (
        lambda: client.subscribe(topic),
        lambda: client.publish(topic, "x", qos=1),
        client.flush,
        client.receive,
        client.__aenter__,
    ):
        with pytest.raises(RuntimeError, match="another event loop"):
            run(call())
    run(client.close())  # the other loop is gone, so there is nobody to wait
    assert wait_until(lambda: not client.connected)


def test_handlers_and_errors(broker, topic):
    async def main():
        got, errors = [], []
        async with tern.aio.Client(broker.url) as client:
            client.on_error = errors.append

            @client.on(topic + "/+")
            def handler(message):
                got.append(message.text)
                raise ZeroDivisionError

            await client.subscribe(topic + "/#", qos=1)
            await client.publish(topic + "/a", "1", qos=1)
            await until(lambda: got == ["1"] and len(errors) == 1)
            client.set_handler(topic + "/+", None)
            await client.publish(topic + "/a", "2", qos=1)
            assert (await client.receive()).text == "2"
            with pytest.raises(tern.UsageError):
                await client.publish("#", "x")
            with pytest.raises(tern.UsageError):
                await client.subscribe("a/#/b")
            with pytest.raises(TypeError):
                await client.publish(topic, 5)

    run(main())


def test_acknowledged_when_taken(broker, topic):
    """What waits in the queue is not acknowledged before it is taken."""

    async def main():
        options = {"client_id": topic.replace("/", "-"), "session": tern.Session.PERSISTENT}
        first = await tern.aio.Client(broker.url, **options).connect()
        await first.subscribe(topic, qos=1)
        await first.publish_many([(topic, "1"), (topic, "2"), (topic, "3")], qos=1)
        await until(lambda: len(first._core.queue) == 3)
        assert (await first.receive()).text == "1"
        await first.close(1)
        async with tern.aio.Client(broker.url, **options) as second:
            assert [(await second.receive()).text for _ in range(2)] == ["2", "3"]

    run(main())


def test_nobody_keeps_a_client(broker):
    async def main():
        client = await tern.aio.Client(broker.url).connect()
        gone = weakref.ref(client)
        del client
        gc.collect()
        assert gone() is None
        await asyncio.sleep(0)

    run(main())


def test_uvloop(broker, topic):
    uvloop = pytest.importorskip("uvloop")

    async def main():
        async with tern.aio.Client(broker.url) as client:
            await client.subscribe(topic, qos=1)
            await client.publish(topic, "x", qos=1)
            assert (await client.receive()).text == "x"

    loop = uvloop.new_event_loop()
    loop.run_until_complete(main())
    loop.close()


def test_the_wrong_loop(broker):
    client = tern.aio.Client(broker.url)
    asyncio.run(client.connect())
    with pytest.raises(RuntimeError):
        asyncio.run(client.connect())
    assert wait_until(lambda: True)
