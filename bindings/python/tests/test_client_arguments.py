"""Wrong arguments of tern.Client: each raises its own exception, and nothing else happens.

SPDX-License-Identifier: Apache-2.0
"""

import pytest
from conftest import PATIENCE

import tern

QUICK = {"retry_delay": (0.01, 0.1)}


@pytest.fixture
def client(broker):
    with tern.Client(broker.url, **QUICK) as one:
        yield one


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
# Of these the argument's name is told, too.
WRONG_ARGUMENTS = [
    (lambda c: c.subscribe(5), TypeError, "filters"),
    (lambda c: c.subscribe(b"a"), TypeError, "filters"),
    (lambda c: c.unsubscribe(None), TypeError, "filters"),
    (lambda c: c.subscribe("a", timeout="5"), TypeError, "timeout"),
    (lambda c: c.unsubscribe("a", timeout=True), TypeError, "timeout"),
    (lambda c: c.disconnect(timeout="5"), TypeError, "timeout"),
    (lambda c: c.reconnect(timeout=float("nan")), ValueError, "timeout"),
    (lambda c: c.flush("5"), TypeError, "timeout"),
    (lambda c: c.receive("5"), TypeError, "timeout"),
    (lambda c: c.receive(float("nan")), ValueError, "timeout"),
    (lambda c: c.publish("a", "x", qos=1).wait("5"), TypeError, "timeout"),
    (lambda c: tern.Batch(c).add("a", "x").wait([]), TypeError, "timeout"),
    (lambda c: c.publish_unit(5), TypeError, "messages"),
    (lambda c: c.publish_unit(["a"]), TypeError, "messages"),
    (lambda c: c.set_handler("a", 5), TypeError, "handler"),
    (lambda c: c.on(print), TypeError, "filter"),
    (lambda c: tern.Loop(retry_budget=5), TypeError, "retry_budget"),
    (lambda c: tern.Loop(retry_budget=(1,)), ValueError, "retry_budget"),
    (lambda c: tern.Compression(filters=["a"]), TypeError, "filters"),
    (lambda c: tern.Compression().subscribe(5, "a"), TypeError, "client"),
    (lambda c: tern.Compression().unsubscribe(None, "a"), TypeError, "client"),
]


@pytest.mark.parametrize(("call", "error"), WRONG_CALLS)
def test_wrong_calls(client, call, error):
    with pytest.raises(error):
        call(client)
    client.publish("still/alive", "x", qos=1).wait(PATIENCE)


@pytest.mark.parametrize(("call", "error", "name"), WRONG_ARGUMENTS)
def test_wrong_arguments_are_named(client, call, error, name):
    """Before anything is done."""
    with pytest.raises(error, match=f"^{name}: "):
        call(client)
    client.publish("still/alive", "x", qos=1).wait(PATIENCE)


@pytest.mark.parametrize("timeout", [0, -1, float("-inf"), 0.01])
def test_odd_times(client, timeout):
    with pytest.raises(tern.TimeoutError):
        client.receive(timeout)
    client.flush(float("inf"))
    client.publish("a", "x", qos=1).wait(2**60)


def test_bytes_that_lie_about_their_length(client, topic):
    class Long(bytes):
        def __len__(self):
            return 1 << 20

    client.subscribe(topic, qos=1)
    client.publish(topic, Long(b"short"), qos=1)
    client.publish_many([(topic, Long(b"short"))], qos=1)
    assert [client.receive(PATIENCE).payload for _ in range(2)] == [b"short"] * 2


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
