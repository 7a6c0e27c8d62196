"""Batches: collecting, outcomes, unpacking.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import gc
import json
import subprocess
import sys
import threading
import time
import weakref

import pytest
from conftest import PATIENCE, wait_until

import tern
from tern import aio


@pytest.fixture
def client(broker):
    with tern.Client(broker.url, retry_delay=(0.01, 0.1)) as one:
        yield one


def unpacked(message):
    return [(item.message.topic, item.message.payload) for item in tern.unpack_batch(message)]


def test_messages_go_together_when_there_are_enough(client, topic):
    client.subscribe(topic, qos=1)
    before = time.time()
    with tern.Batch(client, topic, max_messages=3, interval=None) as batch:
        items = [batch.add(f"sensor/{i}", payload, qos=i) for i, payload in enumerate("ab")]
        assert len(batch) == 2 and not items[0].done
        items.append(batch.add("sensor/2", b"\0\xff", qos=2))
        assert len(batch) == 0
        assert [item.wait(PATIENCE).outcome for item in items] == [tern.Outcome.DELIVERED] * 3
        assert [item.id for item in items] == [1, 2, 3]
    message = client.receive(PATIENCE)
    found = tern.unpack_batch(message)
    assert found.problem is None
    got = [(one.message.topic, one.message.payload, one.message.qos) for one in found]
    assert got == [("sensor/0", b"a", 0), ("sensor/1", b"b", 1), ("sensor/2", b"\0\xff", 2)]
    assert all(before - 1 < one.timestamp < time.time() + 1 for one in found)
    assert json.loads(message.text)[2]["encoding"] == "base64"
    found[0].message.ack()  # it needs none


def test_an_interval_a_flush_and_the_end_send_what_there_is(client, topic):
    client.subscribe(topic, qos=1)
    quick = tern.Batch(client, topic, interval=0.02)
    quick.add("a", "1").wait(PATIENCE)
    assert unpacked(client.receive(PATIENCE)) == [("a", b"1")]
    batch = tern.Batch(client, topic, interval=None)
    item = batch.add("a", "2")
    with pytest.raises(tern.TimeoutError):
        item.wait(0.01)
    batch.flush()
    assert item.wait(PATIENCE) is item
    assert unpacked(client.receive(PATIENCE)) == [("a", b"2")]
    batch.add("a", "3")
    del item, batch  # nobody uses it any more
    gc.collect()
    assert unpacked(client.receive(PATIENCE)) == [("a", b"3")]
    with tern.Batch(client, topic, interval=None) as batch:
        batch.add("a", "4")
    assert unpacked(client.receive(PATIENCE)) == [("a", b"4")]
    batch.close()
    with pytest.raises(tern.ClosedError):
        batch.add("a", "5")


def test_sizes_flags_and_compression(broker, topic):
    with tern.Client(broker.url, compression=tern.Compression()) as client:
        client.subscribe(topic, qos=2)
        batch = tern.Batch(client, topic, qos=2, retain=True, max_bytes=300, max_messages=100)
        items = [batch.add("a", "x" * 100) for _ in range(5)]
        items.append(batch.add("a", "y" * 1000))
        batch.close()
        assert {item.wait(PATIENCE).outcome for item in items} == {tern.Outcome.DELIVERED}
        messages = [client.receive(PATIENCE) for _ in range(6)]
        assert {message.qos for message in messages} == {2}
        sizes = [[len(one.message.payload) for one in tern.unpack_batch(m)] for m in messages]
        assert [size for some in sizes for size in some] == [100] * 5 + [1000]
        assert messages[-1].compression == tern.CompressionResult.INFLATED
        client.publish(topic, b"", retain=True, qos=1).wait(PATIENCE)


def test_offline_and_outcomes_in_ranges(own_broker, topic):
    own_broker.stop()
    client = tern.Client(own_broker.url, retry_delay=(0.01, 0.1)).connect(timeout=0)
    batch = tern.Batch(client, topic, max_messages=2)
    told = []
    batch.on_delivery = told.append
    items = [batch.add("a", str(number)) for number in range(10)]
    assert not any(item.done for item in items)
    own_broker.start()
    items[-1].wait(PATIENCE)
    assert wait_until(lambda: told and told[-1].last_id == 10)
    assert [one.first_id for one in told] == [1, 3, 5, 7, 9]
    assert {one.outcome for one in told} == {tern.Outcome.DELIVERED}
    client.close()


def test_what_is_left_at_the_end_is_told(own_broker, topic):
    own_broker.stop()
    client = tern.Client(own_broker.url)
    batch = tern.Batch(client, topic, max_messages=2)
    items = [batch.add("a", "x") for _ in range(3)]
    client.close(0)
    assert wait_until(lambda: all(item.done for item in items))
    assert {item.outcome for item in items} == {tern.Outcome.NOT_SENT}
    assert {item.cause for item in items} == {tern.Cause.CLOSED}
    with pytest.raises(tern.ClosedError):
        items[0].wait(1)


def test_full_batches_wait_for_room(own_broker, topic):
    own_broker.stop()
    client = tern.Client(own_broker.url, outbox_messages=1, retry_delay=(0.01, 0.1))
    batch = tern.Batch(client, topic, max_messages=1, waiting_limit=500)
    items = []
    with pytest.raises(tern.OutboxFullError):
        for _ in range(100):
            items.append(batch.add("a", "x" * 50))
    assert 2 < len(items) < 20 and len(batch) == len(items) - 1
    own_broker.start()
    client.connect(timeout=PATIENCE)
    for item in items:
        item.wait(PATIENCE)
    client.close()


def test_handlers_of_outcomes_may_wait_and_raise(client, topic):
    errors, results = [], []
    client.on_error = errors.append
    batch = tern.Batch(client, topic, max_messages=1)

    def told(delivery):
        if delivery.first_id == 1:
            raise ZeroDivisionError
        results.append(client.publish(topic, "from here", qos=1).wait(PATIENCE).outcome)

    batch.on_delivery = told
    batch.add("a", "1")
    batch.add("a", "2")
    assert wait_until(lambda: errors and results)
    assert isinstance(errors[0], ZeroDivisionError) and results == [tern.Outcome.DELIVERED]


def test_adding_and_waiting_in_a_callback(client, topic):
    batch = tern.Batch(client, topic + "/batch", max_messages=1)
    got = []
    client.on_message = lambda message: got.append(batch.add("a", message.payload).wait(PATIENCE))
    client.subscribe(topic, qos=1)
    for number in range(20):
        client.publish(topic, str(number), qos=1)
    assert wait_until(lambda: len(got) == 20)
    assert {item.outcome for item in got} == {tern.Outcome.DELIVERED}


def test_many_threads(client, topic):
    client.subscribe(topic, qos=1)
    batch = tern.Batch(client, topic)

    def add(number):
        for i in range(200):
            batch.add(f"thread/{number}", str(i))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batch.close()
    got = []
    while len(got) < 1000:
        got += unpacked(client.receive(PATIENCE))
    for number in range(5):
        mine = [payload for name, payload in got if name == f"thread/{number}"]
        assert mine == [str(i).encode() for i in range(200)]


def test_asyncio(broker, topic):
    async def run():
        async with aio.Client(broker.url) as client:
            await client.subscribe(topic, qos=1)
            with aio.Batch(client, topic, interval=None, max_messages=2) as batch:
                first, second = batch.add("a", "1"), batch.add("b", "2")
                assert (await first).outcome == tern.Outcome.DELIVERED
                assert second.done and await second is second
                third = batch.add("c", "3")
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(third.wait(), 0.01)
            assert (await third).outcome == tern.Outcome.DELIVERED
            got = [unpacked(await asyncio.wait_for(client.receive(), PATIENCE)) for _ in range(2)]
            assert got == [[("a", b"1"), ("b", b"2")], [("c", b"3")]]
            with pytest.raises(TypeError, match="tern.client.Client"):
                tern.Batch(client)

    asyncio.run(run())


# ---- unpacking ----

BAD = [
    (b"", "batch"),
    (b"{}", "array"),
    (b"[", "batch"),
    (b'[{"payload": "x"}]', '"topic"'),
    (b'[{"topic": "a", "payload": "1"}, {"topic": "a/#", "payload": "x"}]', "item 1"),
    (b'[{"topic": "a", "payload": 5}]', '"payload"'),
    (b'[{"topic": "a", "payload": "?", "encoding": "base64"}]', "base64"),
]


@pytest.mark.parametrize(("payload", "text"), BAD)
def test_bad_batches(payload, text):
    with pytest.raises(tern.ProtocolError, match=text):
        tern.unpack_batch(payload)


def test_the_good_ones_of_a_bad_batch():
    payload = '[{"topic": "a", "payload": "1"}, 7, {"topic": "b", "payload": "2"}]'
    found = tern.unpack_batch(payload, skip_bad=True)
    assert [one.message.text for one in found] == ["1", "2"] and "item 1" in found.problem
    assert found[0].timestamp is None
    assert tern.unpack_batch("[]") == []


# ---- wrong uses, and lives that end ----

WRONG = [
    ({"topic": "a/#"}, tern.UsageError),
    ({"topic": "a\0"}, ValueError),
    ({"topic": 5}, TypeError),
    ({"qos": 3}, ValueError),
    ({"max_messages": 0}, tern.UsageError),
    ({"max_messages": "3"}, TypeError),
    ({"max_bytes": 0}, tern.UsageError),
    ({"interval": -1}, ValueError),
    ({"interval": "1"}, TypeError),
    ({"waiting_limit": 0}, tern.UsageError),
    ({"colour": 1}, TypeError),
]


@pytest.mark.parametrize(("options", "error"), WRONG, ids=[str(one[0]) for one in WRONG])
def test_wrong_options(client, options, error):
    with pytest.raises(error, match=next(iter(options))):
        tern.Batch(client, **options)


def test_wrong_calls(client):
    batch = tern.Batch(client)
    for arguments, error in [
        (("a/#", "x"), tern.UsageError),
        (("", "x"), tern.UsageError),
        (("a\0", "x"), tern.UsageError),
        (("a", 5), TypeError),
        (("a", "x", 3), ValueError),
        ((5, "x"), (TypeError, AttributeError)),
    ]:
        with pytest.raises(error):
            batch.add(*arguments)
    assert len(batch) == 0 and batch
    for wrong in (5, None, "client"):
        with pytest.raises(TypeError, match="client: a tern.client.Client is needed"):
            tern.Batch(wrong)
        with pytest.raises(TypeError, match="bytes-like"):
            tern.unpack_batch(7)


def test_a_closed_client(broker):
    client = tern.Client(broker.url)
    batch = tern.Batch(client)
    client.close()
    for call in (lambda: batch.add("a", "x"), batch.flush, lambda: tern.Batch(client)):
        with pytest.raises(tern.ClosedError):
            call()
    batch.close()


def test_closing_the_client_ends_what_only_a_flush_would_send(broker):
    client = tern.Client(broker.url).connect()
    batch = tern.Batch(client, interval=None)
    item = batch.add("a", "x")
    client.close()
    assert item.cause == tern.Cause.CLOSED
    with pytest.raises(tern.ClosedError, match="NOT_SENT"):
        item.wait(PATIENCE)

    async def main():
        client = await tern.aio.Client(broker.url).connect()
        item = tern.aio.Batch(client, interval=None).add("a", "x")
        waiting = asyncio.ensure_future(item.wait())
        await asyncio.sleep(0)
        await client.close()
        for one in (waiting, item):
            with pytest.raises(tern.ClosedError, match="NOT_SENT"):
                await one

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


@pytest.mark.parametrize("order", ["batch first", "client first", "in a circle"])
def test_collected_in_any_order(broker, topic, order):
    client = tern.Client(broker.url).connect()
    batch = tern.Batch(client, topic, interval=None)
    batch.add("a", "x")
    gone = weakref.ref(client), weakref.ref(batch)
    if order == "batch first":
        del batch
        gc.collect()
        assert gone[1]() is None
        del client
    elif order == "client first":
        del client
        gc.collect()
        assert gone[0]() is not None  # the batch needs it
        del batch
    else:
        client.on_message = lambda message, circle=batch: circle
        batch.on_delivery = lambda told, circle=client: circle
        del client, batch
    gc.collect()
    assert wait_until(lambda: gc.collect() is not None and [one() for one in gone] == [None, None])


def test_the_end_of_the_interpreter_sends_what_is_collected(broker, topic):
    program = """
import sys, tern
client = tern.Client(sys.argv[1]).connect()
batch = tern.Batch(client, sys.argv[2], interval=None)
batch.on_delivery = print
batch.add("a", "last words")
"""
    with tern.Client(broker.url) as watcher:
        watcher.subscribe(topic, qos=1)
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", program, broker.url, topic],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "") and "DELIVERED" in done.stdout
        assert unpacked(watcher.receive(PATIENCE)) == [("a", b"last words")]


def test_fork(broker, topic):
    program = """
import gc, os, sys, tern
client = tern.Client(sys.argv[1]).connect()
batch = tern.Batch(client, sys.argv[2], interval=None)
item = batch.add("a", "x")
child = os.fork()
if child == 0:
    try:
        batch.add("a", "x")
    except tern.StateError as error:
        print("child", error.name, flush=True)
    del batch, item
    gc.collect()
    sys.exit(0)
_, status = os.waitpid(child, 0)
batch.flush()
print("parent", status, item.wait(10).outcome.name, flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program, broker.url, topic],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "child TERN_E_CLOSED\nparent 0 DELIVERED\n", done.stdout + done.stderr
