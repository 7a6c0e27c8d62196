"""tern.Client against a real broker.

SPDX-License-Identifier: Apache-2.0
"""

import gc
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref

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


class Interrupted(Exception):
    """What a signal handler raises."""


@pytest.fixture
def alarm():
    """Sets off a signal whose handler does what it is told."""
    before = signal.getsignal(signal.SIGALRM)

    def after(seconds, handler):
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    yield after
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupt(*_):
    raise Interrupted


def test_an_interrupted_receive_takes_nothing(client, topic, alarm):
    """What it would have been woken for wakes the next one."""
    client.subscribe(topic, qos=1)
    alarm(0.05, interrupt)
    with pytest.raises(Interrupted):
        client.receive(PATIENCE)
    threading.Timer(0.05, client.publish, (topic, "x", 1)).start()
    assert client.receive(PATIENCE).text == "x"
    for _ in range(1000):
        with pytest.raises(tern.TimeoutError):
            client.receive(0)
    assert not client._receivers


def test_receivers_that_give_up_leave_messages_to_others(client, broker, topic):
    """Short waits and long ones at the same time: no message stays behind."""
    got, count = queue.Queue(), 300
    client.subscribe(topic)

    def take(timeout):
        while True:
            try:
                got.put(client.receive(timeout))
            except tern.TimeoutError:
                pass
            except tern.ClosedError:
                return

    threads = [threading.Thread(target=take, args=(one,)) for one in (0.0005, 0.0005, None)]
    for thread in threads:
        thread.start()
    with tern.Client(broker.url) as writer:
        for _ in range(count):
            writer.publish(topic, "x", qos=1).wait(PATIENCE)
    for _ in range(count):
        got.get(timeout=PATIENCE)
    client.close()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_an_interrupted_close_can_be_waited_for_again(broker, alarm):
    """A receive() in another thread ends, too."""
    client = tern.Client(broker.url, **QUICK).connect()
    busy, ended = threading.Event(), threading.Event()
    client.on_event = lambda _: busy.wait(PATIENCE)

    def take():
        with pytest.raises(tern.ClosedError):
            client.receive()
        ended.set()

    threading.Thread(target=take).start()
    alarm(0.05, interrupt)
    with pytest.raises(Interrupted):
        client.close()
    busy.set()
    client.close()
    assert ended.wait(PATIENCE) and not client._thread.is_alive()


def test_closing_in_a_signal_handler(client, alarm):
    alarm(0.05, lambda *_: client.close())
    with pytest.raises(tern.ClosedError):
        client.receive(PATIENCE)


@pytest.mark.parametrize("timeout", ["5", -1, float("nan"), float("inf")])
def test_a_wrong_time_closes_nothing(client, timeout):
    with pytest.raises((TypeError, ValueError)):
        client.close(timeout)
    client.publish("still/alive", "x", qos=1).wait(PATIENCE)
    client.close(None)
    assert not client.connected


def test_callbacks_are_no_coroutine_functions(client, topic):
    errors = queue.Queue()
    client.on_error = errors.put

    async def on_message(_message):
        pass

    client.on_message = on_message
    client.subscribe(topic)
    client.publish(topic, "x")
    assert isinstance(errors.get(timeout=PATIENCE), TypeError)


def test_waits_in_callbacks_last_as_long_as_they_may(own_broker, topic):
    """Also while the broker says nothing at all."""
    with tern.Client(own_broker.url, **QUICK) as client:
        result = queue.Queue()

        def on_message(_message):
            own_broker.pause()
            threading.Timer(0.3, own_broker.resume).start()
            result.put(client.publish(topic + "/2", "x", qos=1).wait(PATIENCE).outcome)

        client.on_message = on_message
        client.subscribe(topic)
        client.publish(topic, "x")
        assert result.get(timeout=PATIENCE) == tern.Outcome.DELIVERED


def test_logging_that_raises_ends_nothing(broker, caplog):
    class Filter(logging.Filter):
        def filter(self, record):
            raise ZeroDivisionError

    caplog.set_level(logging.INFO, "tern")
    one, errors = Filter(), queue.Queue()
    logging.getLogger("tern").addFilter(one)
    try:
        client = tern.Client(broker.url, log_level=tern.LogLevel.INFO)
        client.on_error = errors.put
        with client:
            client.publish("a", "x", qos=1).wait(PATIENCE)
        assert isinstance(errors.get(timeout=PATIENCE), ZeroDivisionError)
    finally:
        logging.getLogger("tern").removeFilter(one)


def test_what_nobody_takes_is_logged_once(client, topic, caplog):
    """A client with handlers for other topics alone drops it, until receive() was called."""
    client.set_handler(topic + "/other", print)
    client.subscribe(topic, qos=1)
    for _ in range(2):
        client.publish(topic, "x", qos=1).wait(PATIENCE)
    assert wait_until(lambda: topic in caplog.text) and len(caplog.records) == 1
    with pytest.raises(tern.TimeoutError):
        client.receive(0)
    client.publish(topic, "kept", qos=1)
    assert client.receive(PATIENCE).text == "kept"


def test_messages_of_a_removed_handler_go_to_no_other(client, broker, topic):
    """Those of the same batch are for on_message."""
    got, wrong, rest = [], [], []

    def first(message):
        got.append(message)
        if len(got) == 1:
            assert wait_until(lambda: client.statistics["messages_received"] == 100)
        if len(got) == 2:
            client.set_handler(topic + "/a/#", None)
            client.set_handler(topic + "/b/#", wrong.append)

    client.set_handler(topic + "/a/#", first)
    client.on_message = rest.append
    client.subscribe(topic + "/#", qos=1)
    with tern.Client(broker.url) as writer:
        writer.publish_many([(f"{topic}/a/{number}", "") for number in range(100)], qos=1)
    assert wait_until(lambda: len(got) + len(rest) == 100)
    assert not wrong and len(got) == 2


def test_many_tells_what_was_accepted_whatever_comes_next(client):
    def raising():
        yield from [("a", "x")] * 1500
        raise ZeroDivisionError

    for messages, error in (
        ([("a", "x")] * 1500 + [("a", None)], TypeError),
        ([("a", "x")] * 5 + [("a\0", "x"), ("a", "x")], tern.UsageError),
        ([("a", "x")] * 5 + [(b"a", "x")], TypeError),
        ([("a", "x")] * 5 + [("a", "\ud800")], ValueError),
        (raising(), ZeroDivisionError),
    ):
        before = client.statistics["messages_published"]
        with pytest.raises(error) as caught:
            client.publish_many(messages, qos=1)
        accepted = client.statistics["messages_published"] - before
        assert len(caught.value.accepted) == accepted and accepted in (5, 1500)


def test_signal_handlers_may_ask(client, alarm):
    """In the middle of the same question, too."""
    publication, asked = client.publish("a", "x", qos=1).wait(PATIENCE), []

    def ask(*_):
        asked.append(publication.outcome)
        signal.setitimer(signal.ITIMER_REAL, 0.0001)

    alarm(0.0001, ask)
    while len(asked) < 500:
        assert publication.outcome == tern.Outcome.DELIVERED


def test_kept_messages_keep_no_client(broker, topic):
    client = tern.Client(broker.url, ack="manual").connect()
    client.subscribe(topic, qos=1)
    client.publish(topic, "x", qos=1)
    message, gone = client.receive(PATIENCE), weakref.ref(client._core)
    client.close()
    del client
    assert wait_until(lambda: gc.collect() is not None and gone() is None)
    assert message.text == "x"
    with pytest.raises(tern.ClosedError):
        message.ack()


def test_a_closed_client_is_not_entered(client):
    client.close()
    with pytest.raises(tern.ClosedError), client:
        pass


def test_a_payload_beyond_what_c_counts_is_refused(client):
    """Its length is cut nowhere: not to 5 bytes."""
    try:
        payload = bytes(2**32 + 5)
    except MemoryError:
        pytest.skip("there is no memory for it")
    with pytest.raises(tern.UsageError, match="too large"):
        client.publish("a", payload, qos=1)


def test_keys_are_not_shown():
    assert "secret" not in repr(tern.TLS(certificate="x", key="secret", key_password="secret"))


# ---- arguments ----

WRONG_OPTIONS = [
    ({"client_id": "a\0b"}, ValueError),
    ({"first_server": -1}, ValueError),
    ({"receive_limit": None}, TypeError),
    ({"receive_limit": 0}, ValueError),
    ({"block_timeout": "1"}, TypeError),
    ({"credentials": "me"}, TypeError),
    ({"tcp_no_delay": "no"}, TypeError),
    ({"environment_proxy": None}, TypeError),
    ({"will": "gone"}, TypeError),
    ({"headers": "a: b"}, TypeError),
    ({"headers": ["ab"]}, TypeError),
    ({"connect_properties": {"a": 5}}, TypeError),
    ({"drain_rate": True}, TypeError),
    ({"drain_rate": float("inf")}, ValueError),
    ({"tcp_keep_alive": (1, 2)}, ValueError),
    ({"retry_delay": 5}, TypeError),
    ({"version": True}, TypeError),
    ({"session": 99}, ValueError),
    ({"client_id": "\ud800"}, ValueError),
    ({"tls": tern.TLS(verification=True)}, TypeError),
    ({"tls": tern.TLS(minimum_version=1.2)}, TypeError),
    ({"tls": tern.TLS(alpn="mqtt")}, TypeError),
    ({"tls": tern.TLS(psk=("me", None))}, TypeError),
    ({"tls": tern.TLS(resumption="no")}, TypeError),
    ({"loop": "loop"}, TypeError),
    ({"keep_alive": -1}, ValueError),
    ({"keep_alive": 70000}, ValueError),
    ({"keep_alive": "60"}, TypeError),
    ({"version": 3}, ValueError),
    ({"session": 7}, ValueError),
    ({"connect_timeout": "1"}, TypeError),
    ({"connect_timeout": -1}, ValueError),
    ({"connect_timeout": 0}, tern.UsageError),
    ({"ack": "never"}, ValueError),
    ({"colour": "red"}, TypeError),
    ({"outbox_bytes": 0}, tern.UsageError),
    ({"inflight_maximum": 0}, tern.UsageError),
    ({"retry_delay": (5, 1)}, tern.UsageError),
    ({"headers": {"a": "b\r\nc: d"}}, tern.UsageError),
    ({"tls": "yes"}, TypeError),
    ({"tls": tern.TLS(ciphers="NONE-SUCH")}, tern.UsageError),
    ({"proxy": "ftp://x"}, tern.UsageError),
    ({"session": tern.Session.PERSISTENT}, tern.UsageError),
    ({"will": tern.Will("a/#")}, tern.UsageError),
    ({"password": 5}, TypeError),
    ({"drain_rate": -1.0}, (ValueError, tern.TernError)),
    ({"log_level": 9}, ValueError),
]


@pytest.mark.parametrize(
    ("options", "error"), WRONG_OPTIONS, ids=[repr(one[0])[:40] for one in WRONG_OPTIONS]
)
def test_wrong_options(options, error):
    with pytest.raises(error) as caught:
        tern.Client("mqtt://127.0.0.1:1", **options)
    assert next(iter(options)).split("_")[0] in str(caught.value) or isinstance(
        caught.value, ValueError
    )


@pytest.mark.parametrize(
    "url", ["", "x", "ftp://a", "mqtt://", "mqtt://a:99999", "mqtt://[::1", "mqtt://a b", 5]
)
def test_wrong_urls(url):
    with pytest.raises((tern.UsageError, TypeError)):
        tern.Client(url)


WRONG_CALLS = [
    (lambda c: c.publish("a/+", "x"), tern.UsageError),
    (lambda c: c.publish("", "x"), tern.UsageError),
    (lambda c: c.publish("a\0b", "x"), tern.UsageError),
    (lambda c: c.publish("a", 5), TypeError),
    (lambda c: c.publish("a", None), TypeError),
    (lambda c: c.publish("a", "x", qos=3), ValueError),
    (lambda c: c.publish("a", "x", qos=-1), ValueError),
    (lambda c: c.publish("a", "x", qos="1"), ValueError),
    (lambda c: c.publish("a" * 65536, "x"), tern.UsageError),
    (lambda c: c.publish(5, "x"), (TypeError, AttributeError)),
    (lambda c: c.publish(b"a", "x"), (TypeError, AttributeError)),
    (lambda c: c.publish("\ud800", "x"), ValueError),
    (lambda c: c.publish("a", "x", properties=tern.Properties(expiry=-1)), ValueError),
    (lambda c: c.publish("a", "x", properties=tern.Properties(content_type="a\0")), ValueError),
    (
        lambda c: c.publish("a", "x", properties=tern.Properties(response_topic="a/#")),
        tern.UsageError,
    ),
    (lambda c: c.subscribe("a/#/b"), tern.UsageError),
    (lambda c: c.subscribe([]), tern.UsageError),
    (lambda c: c.subscribe("a", qos=3), ValueError),
    (lambda c: c.subscribe("a", colour=True), TypeError),
    (lambda c: c.subscribe(5), TypeError),
    (lambda c: c.subscribe("a", retained_if_new=True, retained_never=True), tern.UsageError),
    (lambda c: c.unsubscribe("a/#/b"), tern.UsageError),
    (lambda c: c.set_handler("a/#/b", print), tern.UsageError),
    (lambda c: c.disconnect(0x02), tern.UsageError),
    (lambda c: c.connect(), tern.StateError),
    (lambda c: c.configure("nonsense"), tern.UsageError),
    (lambda c: c.publish_many([("a", 5)]), TypeError),
    (lambda c: c.publish_many([5]), TypeError),
    (lambda c: c.publish(b"a", "x"), TypeError),
    (lambda c: c.publish(None, "x"), TypeError),
    (lambda c: c.publish("a", "x", properties={}), TypeError),
    (lambda c: c.publish("a", properties=tern.Properties(correlation_data=5)), TypeError),
    (lambda c: c.publish("a", properties=tern.Properties(user_properties=["ab"])), TypeError),
    (lambda c: c.subscribe("a", qos=4), ValueError),
    (lambda c: c.subscribe("a", qos=None), ValueError),
    (lambda c: c.subscribe("a", identifier="x"), TypeError),
    (lambda c: c.subscribe("a", identifier=2**32 + 1), ValueError),
    (lambda c: c.subscribe([None]), TypeError),
    (lambda c: c.set_handler("nul\0b", print), ValueError),
    (lambda c: c.set_handler(5, print), TypeError),
    (lambda c: c.disconnect("x"), TypeError),
    (lambda c: c.disconnect(2**32), ValueError),
    (lambda c: c.reconnect(float("inf")), ValueError),
    (lambda c: c.configure(keepalive=5), TypeError),
    (lambda c: c.publish_unit([tern.OutgoingMessage("a", 5)]), TypeError),
    (lambda c: c.publish_unit([tern.OutgoingMessage("a", "x", 3)]), ValueError),
]


@pytest.mark.parametrize(("call", "error"), WRONG_CALLS)
def test_wrong_calls(client, call, error):
    with pytest.raises(error):
        call(client)
    client.publish("still/alive", "x", qos=1).wait(PATIENCE)


CALLS = [
    lambda c: c.publish("a", "x"),
    lambda c: c.publish("a", "x", properties=tern.Properties(expiry=1)),
    lambda c: c.publish_many([("a", "x")]),
    lambda c: c.publish_unit([tern.OutgoingMessage("a", "x")]),
    lambda c: c.subscribe("a"),
    lambda c: c.unsubscribe("a"),
    lambda c: c.connect(),
    lambda c: c.disconnect(),
    lambda c: c.reconnect(),
    lambda c: c.retry(),
    lambda c: c.flush(),
    lambda c: c.receive(1),
    lambda c: c.set_handler("a", print),
    lambda c: c.configure("mqtt://a"),
]


@pytest.mark.parametrize("call", CALLS)
def test_closed(broker, call):
    client = tern.Client(broker.url).connect()
    client.close()
    with pytest.raises(tern.ClosedError):
        call(client)


# ---- callbacks that raise, lives that end ----


def test_callbacks_may_raise(client, topic, monkeypatch):
    taken, unraisable, got = [], [], []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    @client.on(topic)
    def bad(message):
        got.append(message)
        raise ZeroDivisionError(message.text)

    client.subscribe(topic, qos=1)
    client.publish(topic, "1", qos=1)
    assert wait_until(lambda: unraisable) and unraisable[0].exc_type is ZeroDivisionError
    client.on_error = taken.append
    client.publish(topic, "2", qos=1)
    assert (
        wait_until(lambda: taken)
        and isinstance(taken[0], ZeroDivisionError)
        and len(unraisable) == 1
    )
    client.on_event = client.on_delivery = lambda _: 1 / 0
    client.publish(topic, "3", qos=1).wait(PATIENCE)
    assert wait_until(lambda: len(taken) >= 3 and len(got) == 3)


def test_clients_share_a_loop(broker, topic):
    """Many clients and one network thread, which ends with the last of them."""

    def threads():
        return len(os.listdir("/proc/self/task"))

    gc.collect()
    before = threads()
    loop = tern.Loop(retry_budget=(10, 0))
    shared = threads() - before
    clients = [tern.Client(broker.url, loop=loop).connect() for _ in range(20)]
    assert threads() - before <= shared + len(clients)  # each has one of Python's
    gone = weakref.ref(loop)
    del loop
    for number, client in enumerate(clients):
        client.subscribe(f"{topic}/{number}", qos=1)
        client.publish(f"{topic}/{number}", str(number), qos=1)
    assert [client.receive(PATIENCE).text for client in clients] == [str(i) for i in range(20)]
    for client in clients:
        client.close()
    del client, clients
    gc.collect()
    assert gone() is None
    assert wait_until(lambda: threads() <= before)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"dispatchers": 0}, tern.UsageError),
        ({"dispatchers": "1"}, TypeError),
        ({"poller": 9}, ValueError),
        ({"retry_budget": (2000000, 1)}, tern.UsageError),
    ],
)
def test_wrong_loops(options, error):
    with pytest.raises(error):
        tern.Loop(**options)


def test_nobody_keeps_a_client(broker, topic):
    client = tern.Client(broker.url).connect()
    client.on_message = lambda message, kept=client: kept  # a cycle of the user's own
    client.subscribe(topic, qos=1)
    thread, gone = client._thread, weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    assert wait_until(lambda: not thread.is_alive())


def test_log_records(broker, caplog):
    def logged():
        return any("connected to" in record.message for record in caplog.records)

    caplog.set_level(logging.INFO, "tern")
    with tern.Client(broker.url, log_level=tern.LogLevel.INFO):
        assert wait_until(logged)


def test_many_threads(client, topic):
    got = []
    client.on_message = got.append
    client.subscribe(topic + "/#", qos=1)

    def publish(number):
        for i in range(300):
            client.publish(f"{topic}/{number}", str(i), qos=1)
        client.publish(f"{topic}/{number}", "end", qos=1).wait(PATIENCE)

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wait_until(lambda: len(got) == 8 * 301)
    for n in range(8):
        mine = [message.text for message in got if message.topic.endswith(f"/{n}")]
        assert mine == [str(i) for i in range(300)] + ["end"]


def test_delivery_handler(client, topic):
    told = []
    client.on_delivery = told.append
    ids = client.publish_many([(topic, "x")] * 100, qos=1)
    client.flush(PATIENCE)
    assert wait_until(lambda: sum(one.last_id - one.first_id + 1 for one in told) == 100)
    assert sorted(i for one in told for i in range(one.first_id, one.last_id + 1)) == ids
    assert {one.outcome for one in told} == {tern.Outcome.DELIVERED}


def run(program, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **more,
    )


def test_the_end_of_the_interpreter(broker, topic):
    program = """
import sys, tern
client = tern.Client(sys.argv[1]).connect()
client.on_message = lambda message: client.publish(sys.argv[2], "again")
client.subscribe(sys.argv[2])
client.publish(sys.argv[2], "first")
for _ in range(1000):
    client.publish(sys.argv[2] + "/other", b"x" * 1000, qos=1)
"""
    done = run(program, broker.url, topic)
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_what_a_callback_raises_is_shown(broker, topic):
    program = """
import sys, threading, tern
with tern.Client(sys.argv[1]) as client:
    came = threading.Event()
    def handler(message):
        if message.text == "end":
            came.set()
        raise ZeroDivisionError(message.text)
    client.on_message = handler
    client.subscribe(sys.argv[2], qos=1)
    client.publish(sys.argv[2], "first", qos=1)
    client.publish(sys.argv[2], "end", qos=1)
    print("alive" if came.wait(10) else "dead")
"""
    done = run(program, broker.url, topic)
    assert done.returncode == 0 and done.stdout == "alive\n", done.stderr
    assert "Exception ignored" in done.stderr and "ZeroDivisionError: first" in done.stderr


def test_interrupt(broker):
    program = """
import sys, tern
client = tern.Client(sys.argv[1]).connect()
try:
    print("ready", flush=True)
    client.receive()
except KeyboardInterrupt:
    print("interrupted", flush=True)
client.close()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, broker.url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    assert process.wait(PATIENCE) == 0 and time.monotonic() - started < PATIENCE


def test_fork(broker, topic):
    program = """
import os, sys, tern
client = tern.Client(sys.argv[1]).connect()
done = client.publish(sys.argv[2], "x", qos=1).wait(10)
pending = tern.Client("mqtt://127.0.0.1:1").publish(sys.argv[2], "x", qos=1)
child = os.fork()
if child == 0:
    try:
        client.publish(sys.argv[2], "x")
    except tern.ClosedError as error:
        print("child", error.name, flush=True)
    for waiting in (lambda: pending.wait(), lambda: client.receive(), client.__enter__):
        try:
            waiting()
        except tern.ClosedError:
            pass
    assert done.outcome == tern.Outcome.DELIVERED
    client.close()
    with tern.Client(sys.argv[1]) as own:
        own.publish(sys.argv[2], "x", qos=1).wait(10)
    os._exit(0)
os.waitpid(child, 0)
client.publish(sys.argv[2], "x", qos=1).wait(10)
print("parent", flush=True)
"""
    done = run(program, broker.url, topic)
    assert done.stdout == "child TERN_E_FORKED\nparent\n", done.stdout + done.stderr


def test_memory_is_bounded(client, topic):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    count = int(os.environ.get("TERN_TEST_MESSAGES", "20000"))
    got = 0

    def on_message(_message):
        nonlocal got
        got += 1

    client.on_message = on_message
    client.subscribe(topic, qos=0)

    def exchange(number):
        until = got
        for _ in range(0, number, 1000):
            until += 1000
            client.publish_many([(topic, b"x" * 100)] * 1000)
            assert wait_until(lambda: got >= until)

    exchange(10000)
    before = resident()
    exchange(count)
    assert resident() - before < 20 << 20
