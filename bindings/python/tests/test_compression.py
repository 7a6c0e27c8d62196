"""Compression: what goes over the wire, what comes back, and what is refused.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import gc
import gzip
import json

import pytest
from conftest import PATIENCE

import tern
from tern import aio
from tern.enums import CompressionForm, CompressionResult, Decompression, Encoding

TEXT = "temperature 23.5 degrees; " * 40


@pytest.fixture
def watcher(broker):
    """A client without compression: it sees what is on the wire."""
    with tern.Client(broker.url) as one:
        yield one


def test_a_payload_goes_compressed_and_comes_inflated(broker, topic, watcher):
    watcher.subscribe(topic, qos=1)
    compression = tern.Compression()
    with tern.Client(broker.url, compression=compression) as client:
        client.subscribe(topic, qos=1)
        client.publish(topic, TEXT, qos=1).wait(PATIENCE)
        message = client.receive(PATIENCE)
        assert message.text == TEXT and message.compression == CompressionResult.INFLATED
        assert message.properties.user_properties == []
    raw = watcher.receive(PATIENCE)
    assert gzip.decompress(raw.payload) == TEXT.encode()
    assert raw.properties.user_properties == [
        ("content-encoding", "gzip"),
        ("content-length", str(len(TEXT))),
    ]
    assert raw.compression == CompressionResult.RAW
    told = compression.statistics
    assert told["messages_compressed"] == 1 and told["messages_inflated"] == 1
    assert told["bytes_before"] == len(TEXT) and told["bytes_after"] == len(raw.payload)


def test_rules_flags_and_thresholds(broker, topic, watcher):
    watcher.subscribe(topic + "/#", qos=1)
    compression = tern.Compression(
        filters=[(topic + "/raw/#", Encoding.NONE), (topic + "/raw/but", Encoding.GZIP)],
        threshold=200,
    )
    with tern.Client(broker.url, compression=compression) as client:
        for name, length, more in [
            ("any", 201, {}),
            ("any", 200, {}),
            ("raw/a", 201, {}),
            ("raw/but", 201, {}),
            ("raw/a", 201, {"compress": True}),
            ("any", 201, {"compress": False}),
        ]:
            client.publish(f"{topic}/{name}", "x" * length, qos=1, **more).wait(PATIENCE)
    sizes = [len(watcher.receive(PATIENCE).payload) for _ in range(6)]
    assert [size >= 200 for size in sizes] == [False, True, True, False, False, True]


def test_compression_over_mqtt_3_1_1_speaks_for_itself(broker, topic):
    options = {"version": tern.Version.V311, "compression": tern.Compression()}
    with tern.Client(broker.url, **options) as client:
        client.subscribe(topic, qos=1)
        client.publish(topic, TEXT, qos=1)
        message = client.receive(PATIENCE)
        assert message.text == TEXT and message.compression == CompressionResult.INFLATED


def test_meta_topics(broker, topic, watcher):
    watcher.subscribe(topic + "/#", qos=1)
    compression = tern.Compression(form=CompressionForm.META_TOPIC)
    with tern.Client(broker.url, compression=compression) as client:
        assert compression.subscribe(client, topic, qos=1, timeout=PATIENCE) == [1, 1]
        client.publish(topic, TEXT, qos=1).wait(PATIENCE)
        assert client.receive(PATIENCE).text == TEXT
        meta = watcher.receive(PATIENCE)
        assert meta.topic == topic + "/meta"
        told = json.loads(meta.text)
        assert told["compressed"] is True and told["original_size"] == len(TEXT)
        assert gzip.decompress(watcher.receive(PATIENCE).payload).decode() == TEXT
        for wrong in ("$share/group/a", "a/meta"):
            with pytest.raises(tern.UsageError):
                compression.subscribe(client, wrong)
        with pytest.raises(tern.UsageError):
            client.publish("a/meta", TEXT, qos=1)
        assert len(compression.unsubscribe(client, topic)) == 2


def test_meta_messages_are_delivered_where_asked_for(broker, topic):
    compression = tern.Compression(form=CompressionForm.META_TOPIC, deliver_meta=True)
    with tern.Client(broker.url, compression=compression) as client:
        compression.subscribe(client, topic, qos=1)
        client.publish(topic, TEXT, qos=1)
        topics = [client.receive(PATIENCE).topic for _ in range(2)]
        assert sorted(topics) == [topic, topic + "/meta"]


def test_what_cannot_be_inflated_is_delivered_as_it_came(broker, topic, watcher):
    good = gzip.compress(TEXT.encode())
    cases = [
        (good[:-3], CompressionResult.DAMAGED),
        (gzip.compress(b"x" * 5000, 9), CompressionResult.TOO_LARGE),
        (good, CompressionResult.INFLATED),
        (b"plain", CompressionResult.RAW),
    ]
    compression = tern.Compression(Encoding.NONE, max_bytes=2000)
    with tern.Client(broker.url, compression=compression) as client:
        client.subscribe(topic, qos=1)
        for payload, _ in cases:
            watcher.publish(topic, payload, qos=1).wait(PATIENCE)
        lie = tern.Properties(user_properties=[("content-encoding", "gzip")])
        watcher.publish(topic, b"not gzip at all", qos=1, properties=lie).wait(PATIENCE)
        for payload, result in cases:
            message = client.receive(PATIENCE)
            assert message.compression == result
            assert message.payload == (TEXT.encode() if message.compression == 1 else payload)
        assert client.receive(PATIENCE).compression == CompressionResult.MISMATCH
    assert compression.statistics["messages_damaged"] == 1


@pytest.mark.parametrize("mode", [Decompression.OFF, Decompression.HINTED])
def test_what_nobody_named_stays_compressed(broker, topic, watcher, mode):
    payload = gzip.compress(TEXT.encode())
    with tern.Client(broker.url, compression=tern.Compression(decompression=mode)) as client:
        client.subscribe(topic, qos=1)
        watcher.publish(topic, payload, qos=1)
        assert client.receive(PATIENCE).payload == payload


def test_asyncio(broker, topic):
    async def run():
        compression = tern.Compression(form=CompressionForm.META_TOPIC)
        async with aio.Client(broker.url, compression=compression) as client:
            assert await compression.subscribe(client, topic, qos=1) == [1, 1]
            await client.publish(topic, TEXT, qos=1)
            message = await asyncio.wait_for(client.receive(), PATIENCE)
            assert message.text == TEXT
            assert message.compression == CompressionResult.INFLATED
            assert len(await compression.unsubscribe(client, topic)) == 2

    asyncio.run(run())


def test_a_client_keeps_its_compression(broker, topic):
    client = tern.Client(broker.url, compression=tern.Compression()).connect()
    gc.collect()
    client.subscribe(topic, qos=1)
    client.publish(topic, TEXT, qos=1)
    assert client.receive(PATIENCE).compression == CompressionResult.INFLATED
    client.close()
    shared = tern.Compression()
    clients = [tern.Client(broker.url, compression=shared) for _ in range(3)]
    clients[0].close()
    del clients, shared
    gc.collect()


WRONG = [
    ({"encoding": 7}, ValueError, "Encoding"),
    ({"filters": {"a/#/b": Encoding.GZIP}}, tern.UsageError, "filters"),
    ({"filters": {"a": "gzip"}}, TypeError, "Encoding"),
    ({"filters": {5: Encoding.GZIP}}, TypeError, "filters"),
    ({"filters": {"a\0": Encoding.GZIP}}, ValueError, "filters"),
    ({"threshold": -1}, ValueError, "threshold"),
    ({"threshold": "100"}, TypeError, "threshold"),
    ({"level": 0}, tern.UsageError, "level"),
    ({"level": 10}, ValueError, "level"),
    ({"minimal_gain": 100}, ValueError, "minimal_gain"),
    ({"form": 2}, ValueError, "CompressionForm"),
    ({"decompression": 3}, ValueError, "Decompression"),
    ({"max_bytes": 0}, tern.UsageError, "max_bytes"),
    ({"max_ratio": 0}, tern.UsageError, "max_ratio"),
    ({"max_ratio": 1 << 32}, ValueError, "max_ratio"),
    ({"colour": 1}, TypeError, "colour"),
]


@pytest.mark.parametrize(("options", "error", "text"), WRONG, ids=[str(one[0]) for one in WRONG])
def test_wrong_settings(options, error, text):
    with pytest.raises(error, match=text):
        tern.Compression(**options)


def test_wrong_uses(broker):
    with pytest.raises(TypeError, match="compression"):
        tern.Client(broker.url, compression="gzip")
    compression = tern.Compression()
    client = tern.Client(broker.url, compression=compression)
    with pytest.raises(tern.UsageError):
        compression.subscribe(client, "a/#/b")
    with pytest.raises(TypeError, match="colour"):
        compression.subscribe(client, "a", colour=True)
    client.close()
    with pytest.raises(tern.ClosedError):
        compression.subscribe(client, "a")
