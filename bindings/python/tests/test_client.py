"""tern.Client against a real broker.

SPDX-License-Identifier: Apache-2.0
"""

import pytest
from conftest import PATIENCE, wait_until

import tern

QUICK = {"retry_delay": (0.01, 0.1)}


@pytest.fixture
def client(broker):
    with tern.Client(broker.url, **QUICK) as one:
        yield one


# ---- publishing and receiving ----


@pytest.mark.parametrize("version", [tern.Version.V311, tern.Version.V5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_published_is_received(broker, topic, version, qos):
    with tern.Client(broker.url, version=version) as client:
        assert client.subscribe(topic + "/#", qos=qos) == [qos]
        publication = client.publish(topic + "/ä", "grüße", qos=qos).wait(PATIENCE)
        assert publication.outcome == (tern.Outcome.DELIVERED if qos else tern.Outcome.SENT)
        assert publication.done and publication.cause == tern.Cause.NONE
        message = client.receive(PATIENCE)
        assert (message.topic, message.text, message.qos, message.retain) == (
            topic + "/ä",
            "grüße",
            qos,
            False,
        )


@pytest.mark.parametrize(
    "payload", ["text", b"\0\xff", bytearray(b"ab"), memoryview(b"abc")[1:], b"", "x" * 300000]
)
def test_any_payload(client, topic, payload):
    client.subscribe(topic, qos=1)
    client.publish(topic, payload, qos=1)
    expected = payload.encode() if isinstance(payload, str) else bytes(payload)
    assert client.receive(PATIENCE).payload == expected


def test_properties(client, topic):
    properties = tern.Properties(
        payload_format=1,
        expiry=100,
        content_type="text/ä",
        response_topic="re",
        correlation_data=b"\0",
        user_properties=[("a", "1"), ("a", "2"), ("b", "")],
    )
    client.subscribe(topic, qos=1, identifier=268435455)
    client.publish(topic, "x", qos=1, properties=properties)
    received = client.receive(PATIENCE).properties
    assert received.subscription_ids == [268435455]
    received.subscription_ids = []
    assert received == properties


def test_properties_need_mqtt_5(broker, topic):
    with tern.Client(broker.url, version=tern.Version.V311) as client:
        with pytest.raises(tern.UsageError, match="NOT_SENT"):
            client.publish(topic, "x", properties=tern.Properties(content_type="x")).wait(PATIENCE)
        client.publish(
            topic, "x", properties=tern.Properties(content_type="x"), lose_properties=True
        ).wait(PATIENCE)


def test_retained(client, topic):
    client.publish(topic, "kept", qos=1, retain=True).wait(PATIENCE)
    client.subscribe(topic, qos=1)
    message = client.receive(PATIENCE)
    assert message.retain and message.text == "kept"
    client.publish(topic, b"", retain=True, qos=1).wait(PATIENCE)


def test_many_in_one_call(client, topic):
    client.subscribe(topic + "/#", qos=1)
    ids = client.publish_many(((f"{topic}/{i}", str(i)) for i in range(2500)), qos=1)
    assert ids == sorted(ids) and len(ids) == 2500
    assert [client.receive(PATIENCE).text for _ in range(2500)] == [str(i) for i in range(2500)]
    with pytest.raises(tern.UsageError, match="#") as caught:
        client.publish_many([(topic, "1"), ("#", "2"), (topic, "3")])
    assert len(caught.value.accepted) == 1


def test_units(own_broker, topic):
    """All of a unit are accepted or none, they stay together, and each has its outcome."""

    def unit(*texts, qos=1):
        return [tern.OutgoingMessage(topic, text, qos) for text in texts]

    with tern.Client(own_broker.url, outbox_messages=4, **QUICK) as client:
        client.subscribe(topic, qos=2)
        named = tern.OutgoingMessage(topic, b"2", 1, properties=tern.Properties(content_type="x"))
        sent = client.publish_unit([*unit("1"), named, *unit("3", qos=0)])
        assert [one.id for one in sent] == [1, 2, 3]
        client.flush(PATIENCE)
        assert [one.outcome.name for one in sent] == ["DELIVERED", "DELIVERED", "SENT"]
        got = [client.receive(PATIENCE) for _ in range(3)]
        assert [one.text for one in got] == ["1", "2", "3"]
        assert got[1].properties == named.properties
        own_broker.stop()
        client.publish_unit(unit("4", "5", "6"))
        with pytest.raises(tern.OutboxFullError):
            client.publish_unit(unit("7", "8"))
        with pytest.raises(tern.UsageError, match="topic '#'"):
            client.publish_unit([*unit("9"), tern.OutgoingMessage("#")])
        for count in (0, 17):
            with pytest.raises(tern.UsageError, match=f"not {count}"):
                client.publish_unit(unit(*"x" * count))
        assert client.publish(topic, "10", 1).id == 7
        own_broker.start()
        client.flush(PATIENCE)
    blocking = tern.OutboxPolicy.BLOCK
    with tern.Client(own_broker.url, outbox_messages=3, outbox_policy=blocking) as client:
        for _ in range(100):
            last = client.publish_unit(unit("1", "2"))[-1]
        assert last.wait(PATIENCE).id == 200


def test_begins_at_the_server_it_is_told(broker):
    with tern.Client("mqtt://127.0.0.1:1", broker.url, first_server=1, retry_delay=(60, 60)):
        pass


def test_handlers_by_filter(client, topic):
    got = []
    client.on_message = lambda message: got.append(("rest", message.text))

    @client.on(topic + "/a")
    def exact(message):
        got.append(("exact", message.text))

    @client.on(topic + "/+")
    def any_level(message):
        got.append(("plus", message.text))

    client.subscribe([tern.Subscribe(topic + "/#", qos=1)])
    client.publish(topic + "/a", "1", qos=1)
    client.publish(topic + "/b", "2", qos=1)
    client.publish(topic + "/b/c", "3", qos=1)
    assert wait_until(lambda: len(got) == 4)
    assert sorted(got[:2]) == [("exact", "1"), ("plus", "1")] and got[2:] == [
        ("plus", "2"),
        ("rest", "3"),
    ]
    client.set_handler(topic + "/a", None)
    client.set_handler(topic + "/+", None)
    client.publish(topic + "/a", "4", qos=1)
    assert wait_until(lambda: len(got) == 5) and got[4] == ("rest", "4")
    with pytest.raises(tern.StateError):
        client.set_handler(topic + "/a", None)


def test_messages_until_closed(broker, topic):
    client = tern.Client(broker.url).connect()
    client.subscribe(topic, qos=1)
    client.publish_many([(topic, str(i)) for i in range(10)], qos=1)
    got = []
    for message in client.messages():
        got.append(message.text)
        if len(got) == 10:
            client.close()
    assert got == [str(i) for i in range(10)]
    assert list(client.messages()) == []


def test_waiting_in_a_callback(client, topic):
    got = []

    @client.on(topic)
    def again(message):
        got.append(
            (
                message.text,
                client.publish(topic + "/answer", message.text, qos=2).wait(PATIENCE).outcome,
            )
        )
        client.subscribe(topic + "/more", qos=1)

    client.subscribe(topic, qos=1)
    client.publish_many([(topic, str(i)) for i in range(200)], qos=1)
    assert wait_until(lambda: len(got) == 200)
    assert [text for text, _ in got] == [str(i) for i in range(200)]
    assert {outcome for _, outcome in got} == {tern.Outcome.DELIVERED}


def test_receiving_in_a_callback_is_told(client, topic):
    caught = []

    @client.on(topic)
    def handler(message):
        try:
            client.receive(1)
        except tern.WouldDeadlockError as error:
            caught.append(error)

    client.subscribe(topic)
    client.publish(topic, "x")
    assert wait_until(lambda: caught)


# ---- acknowledging ----


def test_manual_acknowledgement(broker, topic):
    session = {
        "session": tern.Session.PERSISTENT,
        "client_id": topic.replace("/", "-"),
        "ack": "manual",
    }
    with tern.Client(broker.url, **session) as client:
        client.subscribe(topic, qos=1)
        client.publish_many([(topic, "1"), (topic, "2")], qos=1)
        first = client.receive(PATIENCE)
        second = client.receive(PATIENCE)
        first.ack()
        first.ack()
        client.flush(PATIENCE)
    with tern.Client(broker.url, **session) as client:
        again = client.receive(PATIENCE)
        assert again.text == "2" and again.duplicate
        with pytest.raises(tern.ClosedError):
            second.ack()
        again.ack()


def test_acknowledged_by_itself(broker, topic):
    session = {"session": tern.Session.PERSISTENT, "client_id": topic.replace("/", "-")}
    with tern.Client(broker.url, **session) as client:
        client.subscribe(topic, qos=1)
        client.publish(topic, "1", qos=1)
        message = client.receive(PATIENCE)
        with pytest.raises(tern.StateError):
            message.ack()
        assert wait_until(lambda: client.statistics["unacknowledged_received"] == 0)


# ---- the connection ----


def test_offline_then_delivered(own_broker, topic):
    port = own_broker.port
    own_broker.stop()
    events = []
    client = tern.Client(f"mqtt://127.0.0.1:{port}", **QUICK)
    client.on_event = events.append
    client.connect(timeout=0)
    published = [client.publish(topic, str(i), qos=1) for i in range(50)]
    assert wait_until(lambda: any(event.kind == tern.EventKind.CONNECT_FAILED for event in events))
    failed = next(event for event in events if event.kind == tern.EventKind.CONNECT_FAILED)
    assert (
        failed.step == tern.Step.CONNECT
        and failed.os_error != 0
        and failed.retry_delay is not None
        and failed.hint
    )
    assert not client.connected and published[0].outcome == tern.Outcome.PENDING
    with pytest.raises(tern.TimeoutError):
        published[0].wait(0.01)
    own_broker.start()
    client.flush(PATIENCE)
    assert {one.outcome for one in published} == {tern.Outcome.DELIVERED}
    client.close()


def test_a_restart_is_survived(own_broker, topic):
    with tern.Client(own_broker.url, **QUICK) as client:
        client.subscribe(topic, qos=1)
        own_broker.restart()
        assert wait_until(lambda: client.connected)
        client.publish(topic, "after", qos=1).wait(PATIENCE)
        assert client.receive(PATIENCE).text == "after"


def test_connected_event(broker):
    events = []
    client = tern.Client(broker.url, client_id="told")
    client.on_event = events.append
    client.connect()
    assert [event.kind for event in events] == [tern.EventKind.CONNECTING, tern.EventKind.CONNECTED]
    assert events[1].version == tern.Version.V5 and events[1].limits[tern.Limit.MAXIMUM_QOS] == 2
    assert client.limit(tern.Limit.RETAIN) == 1 and client.client_id == "told"
    client.reconnect()
    assert client.connected
    client.disconnect()
    assert not client.connected
    client.close()
    client.close()


def test_nobody_listens(own_broker):
    port = own_broker.port
    own_broker.stop()
    client = tern.Client(f"mqtt://127.0.0.1:{port}", **QUICK)
    with pytest.raises(tern.NetworkError, match=str(port)) as caught:
        client.connect(0.5)
    assert isinstance(caught.value, ConnectionError) and caught.value.name == "TERN_E_CONNECT"
    client.close()


def test_will(broker, topic):
    with tern.Client(broker.url) as watcher:
        watcher.subscribe(topic, qos=1)
        other = tern.Client(broker.url, will=tern.Will(topic, "gone", qos=1)).connect()
        other.disconnect(0x04)
        assert watcher.receive(PATIENCE).text == "gone"
        other.close()


def test_outbox_is_bounded(own_broker, topic):
    own_broker.stop()
    client = tern.Client(own_broker.url, outbox_messages=3)
    for i in range(3):
        client.publish(topic, str(i))
    with pytest.raises(tern.OutboxFullError):
        client.publish(topic, "4")
    waiting = client.publish_many([])
    assert waiting == []
    client.close(0)
    blocking = tern.Client(
        own_broker.url, outbox_messages=1, outbox_policy=tern.OutboxPolicy.BLOCK, block_timeout=0.2
    )
    first = blocking.publish(topic, "1", qos=1)
    with pytest.raises(tern.TimeoutError):
        blocking.publish(topic, "2", qos=1)
    blocking.close(0)
    assert first.outcome == tern.Outcome.NOT_SENT and first.cause == tern.Cause.CLOSED
    with pytest.raises(tern.ClosedError):
        first.wait()


def test_blocking_outbox_goes_on(broker, topic):
    with tern.Client(
        broker.url, outbox_messages=10, outbox_policy=tern.OutboxPolicy.BLOCK
    ) as client:
        ids = client.publish_many([(topic, "x")] * 500, qos=1)
        for _ in range(500):
            client.publish(topic, "y", qos=1)
        client.flush(PATIENCE)
        assert len(ids) == 500 and client.statistics["outcomes_delivered"] == 1000
