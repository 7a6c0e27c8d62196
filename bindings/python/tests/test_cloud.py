"""AWS IoT Core and Azure IoT Hub, against stand-ins for them; and what may be said before attempts.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import gc
import json
import queue
import re
import subprocess
import sys
import threading
import weakref

import pytest
from broker import Broker, free_port
from conftest import PATIENCE, wait_until

import tern
from tern import aio, aws, azure

QUICK = {"retry_delay": (0.01, 0.1)}
GOOD = ("AKIDMOCK", "secret/of+the=mock")


class Service:
    """A program that stands in for a service, and what it says."""

    def __init__(self, folder, *command):
        self._path = folder / "log"
        with open(self._path, "wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        assert wait_until(lambda: re.search(r"port \d+\n", self.log())), self.log()
        self.port = int(self.log().split("port ")[1].split()[0])

    def log(self):
        return self._path.read_text("utf-8", "replace")

    def says(self, text):
        return wait_until(lambda: text in self.log())

    def stop(self):
        self._process.terminate()
        self._process.wait(PATIENCE)


@pytest.fixture(scope="module")
def certificates(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run(["bash", root / "test/support/certs.sh", folder], check=True)
    return folder


# ---- before attempts ----


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
        assert "returned None" in str(errors[1])
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


def test_nobody_keeps_a_client_that_asks(broker):
    client = tern.Client(broker.url, credentials=lambda: (None, None))
    client.on_attempt = lambda attempt, circle=client: circle
    client.connect(PATIENCE)
    gone, thread = weakref.ref(client), client._thread
    del client
    gc.collect()
    assert gone() is None and wait_until(lambda: not thread.is_alive())


# ---- AWS IoT Core ----


@pytest.fixture(scope="module")
def door(root, certificates, tmp_path_factory):
    """The service's stand-in, in front of a mosquitto."""
    folder = tmp_path_factory.mktemp("aws")
    ws = free_port()
    lines = ["allow_anonymous true", f"listener {ws}", "socket_domain ipv4", "protocol websockets"]
    with Broker(folder, *lines) as broker:
        mock = root / "test/support/aws_mock.py"
        ports = str(broker.port), str(ws)
        command = [sys.executable, "-W", "ignore", mock, certificates, *ports, "localhost"]
        service = Service(folder, *command)
        yield service
        service.stop()


@pytest.fixture
def common(door, certificates):
    return {"address": ("127.0.0.1", door.port), "ca_file": certificates / "root.pem"}


def ways(certificates, common):
    return {
        "certificate": aws.IoTCore.with_certificate(
            "localhost", certificates / "client.pem", certificates / "client.key", **common
        ),
        "certificate on 443": aws.IoTCore.with_certificate(
            "localhost",
            certificates / "client.pem",
            certificates / "client.key",
            port=443,
            **common,
        ),
        "authorizer": aws.IoTCore.with_authorizer(
            "localhost",
            "door",
            username="device",
            password="sesame",
            token=("token", "it's me", "a+b/c="),
            **common,
        ),
        "credentials": aws.IoTCore.with_credentials(
            "localhost", lambda: GOOD, region="eu-west-1", **common
        ),
    }


WAYS = ["certificate", "certificate on 443", "authorizer", "credentials"]


@pytest.mark.parametrize("way", WAYS)
def test_aws_ways_in(certificates, common, topic, way):
    service = ways(certificates, common)[way]
    with tern.Client(service=service, client_id=topic.replace("/", "-"), **QUICK) as client:
        client.subscribe(topic, qos=1)
        client.publish(topic, "hello", qos=1).wait(PATIENCE)
        assert client.receive(PATIENCE).text == "hello"
        client.reconnect(timeout=PATIENCE)
        client.publish(topic, "again", qos=1).wait(PATIENCE)


def test_aws_asyncio_and_a_provider_that_fails_first(common, topic):
    async def run():
        asked, errors = [], []

        async def provider():
            asked.append(1)
            if len(asked) == 1:
                raise ZeroDivisionError("vault")
            return aws.Credentials(*GOOD)

        service = aws.IoTCore.with_credentials("localhost", provider, region="eu-1", **common)
        client = aio.Client(service=service, client_id=topic.replace("/", "-"), **QUICK)
        client.on_error = errors.append
        async with client:
            await client.publish(topic, "x", qos=1)
        assert len(asked) == 2 and isinstance(errors[0], ZeroDivisionError)

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


def test_aws_says_what_a_refusal_means(common, topic):
    service = aws.IoTCore.with_credentials(
        "localhost", lambda: ("AKIDMOCK", "wrong"), region="eu-west-1", **common
    )
    events = queue.Queue()
    client = tern.Client(service=service, client_id=topic.replace("/", "-"), **QUICK)
    client.on_event = events.put
    client.connect(timeout=0)
    while (event := events.get(timeout=PATIENCE)).kind != tern.EventKind.CONNECT_FAILED:
        pass
    assert event.http_status == 403 and "check the credentials" in event.hint
    client.close(0)


def test_aws_credentials_of_no_use(common, topic):
    answers = ["ab", ("AK/ID", "x"), (5, "x"), ("a", "b", "c", "d"), GOOD]
    errors = []
    service = aws.IoTCore.with_credentials(
        "localhost", lambda: answers.pop(0), region="eu-west-1", **common
    )
    client = tern.Client(service=service, client_id=topic.replace("/", "-"), **QUICK)
    client.on_error = errors.append
    client.connect(timeout=0)

    def connected():
        client.retry()
        return client.connected

    assert wait_until(connected)
    kinds = [type(error) for error in errors]
    assert kinds in (
        [tern.UsageError, TypeError, TypeError],
        [tern.RefusedError, tern.UsageError, TypeError, TypeError],
    )
    client.close()


def test_aws_limits_are_kept_before_sending(certificates, common, topic):
    service = ways(certificates, common)["certificate"]
    with tern.Client(service=service, client_id=topic.replace("/", "-")) as client:
        for arguments, error in [
            ((topic, "x", 2), tern.UnsupportedError),
            ((topic, "x" * (128 * 1024 + 1), 1), tern.UsageError),
            (("a" * 257, "x", 1), tern.UsageError),
            (("a/b/c/d/e/f/g/h/i", "x", 1), tern.UsageError),
        ]:
            with pytest.raises(error, match="AWS"):
                client.publish(*arguments)
        client.publish(topic, "fine", qos=1).wait(PATIENCE)


def test_aws_calls_of_its_sdk(certificates, common, topic):
    service = aws.IoTCore.with_certificate(
        "localhost",
        certificates / "client.pem",
        certificates / "client.key",
        backoff=(1, 32, 20),
        offline_queue=2,
        offline_policy=tern.OutboxPolicy.DROP_OLDEST,
        draining_frequency=1000,
        **common,
    )
    client = tern.Client(service=service, client_id=topic.replace("/", "-"))
    sent = [client.publish(topic, str(i), qos=1) for i in range(3)]
    assert wait_until(lambda: sent[0].done) and sent[0].cause == tern.Cause.DROPPED
    client.connect(PATIENCE)
    assert sent[2].wait(PATIENCE).outcome == tern.Outcome.DELIVERED
    client.close()


WRONG_AWS = [
    (lambda: aws.IoTCore("not a host"), tern.UsageError, "endpoint"),
    (lambda: aws.IoTCore(5), TypeError, "endpoint"),
    (lambda: aws.IoTCore("a.b", backoff=(5, 1, 1)), tern.UsageError, "backoff"),
    (lambda: aws.IoTCore("a.b", backoff=("5", 1, 1)), TypeError, "backoff"),
    (lambda: aws.IoTCore("a.b", offline_queue=0), tern.UsageError, "offline_queue"),
    (lambda: aws.IoTCore("a.b", offline_queue="1"), TypeError, "offline_queue"),
    (
        lambda: aws.IoTCore("a.b", offline_queue=1, offline_policy=tern.OutboxPolicy.BLOCK),
        ValueError,
        "offline_policy",
    ),
    (lambda: aws.IoTCore("a.b", draining_frequency=0), tern.UsageError, "draining_frequency"),
    (lambda: aws.IoTCore("a.b", address=("a", 70000)), ValueError, "address"),
    (lambda: aws.IoTCore("a.b", colour=1), TypeError, "colour"),
    (lambda: aws.IoTCore.with_certificate("a.b", "c", "k", port=80), tern.UsageError, "certif"),
    (lambda: aws.IoTCore.with_certificate("a.b", None, "k"), tern.UsageError, "certif"),
    (lambda: aws.IoTCore.with_authorizer("a.b", token=("a", "b", None)), tern.UsageError, "author"),
    (lambda: aws.IoTCore.with_authorizer("a.b", password=5), TypeError, "password"),
    (lambda: aws.IoTCore.with_credentials("a.b", print), tern.UsageError, "region"),
    (lambda: aws.IoTCore.with_credentials("a.b", 5), TypeError, "credentials"),
]


@pytest.mark.parametrize(("call", "error", "text"), WRONG_AWS)
def test_wrong_aws_services(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_wrong_uses_of_aws_services(certificates, common, topic):
    service = ways(certificates, common)["credentials"]
    for options in ({"tls": tern.TLS()}, {"username": "joe"}, {"headers": {"a": "b"}}):
        with pytest.raises(TypeError, match=f"{next(iter(options))}: the service sets it"):
            tern.Client(service=service, **options)
    with pytest.raises(TypeError, match="the service knows its own"):
        tern.Client("mqtt://127.0.0.1", service=service)
    with pytest.raises(tern.UsageError):
        tern.Client(service=service, client_id="x" * 129)
    with pytest.raises(tern.UsageError):
        tern.Client(service=aws.IoTCore("localhost"))  # no way in
    with pytest.raises(TypeError, match="service"):
        tern.Pool("mqtt://127.0.0.1", service=service)
    client = tern.Client(service=service, client_id="thing")
    with pytest.raises(tern.StateError, match="service"):
        client.on_attempt = print
    with pytest.raises(tern.StateError, match="service"):
        client.configure("mqtt://127.0.0.1")
    client.close()
    assert "secret" not in repr(aws.Credentials(*GOOD)) and "localhost" in repr(service)


# ---- Azure IoT Hub ----

HOST, DEVICE = "contoso.azure-devices.net", "MyDevice01"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
CONNECTION = f"HostName={HOST};DeviceId={DEVICE};SharedAccessKey={KEY}"


@pytest.fixture
def hub(root, certificates, tmp_path):
    """The service's stand-in."""
    script = root / "test/support/azure_service.py"
    files = certificates / "good.pem", certificates / "server.key"
    service = Service(tmp_path, sys.executable, "-W", "ignore", script, *files, HOST, DEVICE, KEY)
    yield service
    service.stop()


@pytest.fixture
def where(hub, certificates):
    return {
        "server": f"mqtts://localhost:{hub.port}",
        "tls": tern.TLS(ca_file=certificates / "root.pem"),
        **QUICK,
    }


@pytest.fixture
def device(where):
    with azure.Device(CONNECTION, **where) as one:
        yield one


def test_azure_telemetry(hub, device):
    sent = device.send(
        '{"temperature": 25.5}',
        {"alert": "a&b", "flag": None},
        content_type="application/json",
        content_encoding="utf-8",
        message_id="m 1",
        correlation_id="c",
    )
    assert sent.wait(PATIENCE).outcome == tern.Outcome.DELIVERED and sent.done
    assert sent.cause == tern.Cause.NONE and "DELIVERED" in repr(sent)
    line = next(line for line in hub.log().splitlines() if line.startswith("event "))
    for part in ("alert=a%26b", "flag", "$.ct=application%2Fjson", "$.ce=utf-8", "$.mid=m%201"):
        assert part in line.split()[1].split("&")
    assert line.endswith('{"temperature": 25.5}')
    device.send(b"plain", [("n", "v")], qos=0).wait(PATIENCE)
    assert hub.says("event n=v plain")
    device.flush(PATIENCE)
    assert device.connected and device.statistics["messages_published"] >= 2


def test_azure_messages_from_the_cloud(hub, device):
    got = queue.Queue()
    device.on_message = lambda message, properties: got.put((message, properties))
    assert device.on_message is not None and hub.says("devicebound")
    device.send("send me a message")
    message, properties = got.get(timeout=PATIENCE)
    assert message.text == "hello" and message.qos == 1
    assert dict(properties)["$.mid"] == "m 1" and dict(properties)["color"] == "dark&blue"
    assert ("flag", None) in properties
    assert hub.says("acknowledged 1")
    with pytest.raises(tern.StateError):
        message.ack()
    device.on_message = None


def test_azure_messages_acknowledged_by_hand(hub, where):
    got = queue.Queue()
    with azure.Device(CONNECTION, ack="manual", **where) as device:
        device.on_message = lambda message, properties: got.put(message)
        device.send("send me a message").wait(PATIENCE)
        message = got.get(timeout=PATIENCE)
        assert "acknowledged" not in hub.log()
        message.ack()
        assert hub.says("acknowledged 1")
    with pytest.raises(tern.ClosedError):
        message.ack()


def test_azure_twins(hub, device):
    version = device.report({"firmware": 3}, PATIENCE)
    assert version == 2 and device.report(b'{"rate": 1}', PATIENCE) == 3
    twin = device.get_twin(PATIENCE)
    assert (twin.status, twin.error) == (200, 0)
    assert twin.json()["reported"] == {"n": 0, "firmware": 3, "rate": 1, "$version": 3}
    with pytest.raises(tern.RefusedError, match="400"):
        device.report("no json", PATIENCE)
    answers = queue.Queue()
    device.request_twin(answers.put, PATIENCE)
    device.request_report({"x": 1}, answers.put, PATIENCE)
    device.request_report({"y": 1})
    told = [answers.get(timeout=PATIENCE) for _ in range(2)]
    assert sorted(one.status for one in told) == [200, 204]
    device.send("be mute").wait(PATIENCE)
    with pytest.raises(tern.TimeoutError):
        device.get_twin(0.05)


def test_azure_desired_properties(device):
    got = queue.Queue()
    device.on_desired = lambda version, payload: got.put((version, json.loads(payload)))
    device.send("desire")
    assert got.get(timeout=PATIENCE) == (2, {"rate": 2})


def test_azure_direct_methods(hub, device):
    calls = queue.Queue()
    errors = []
    answers = [202, (200, {"done": True}), (200, b"[]"), ZeroDivisionError("method"), None]
    device.on_error = errors.append

    def method(call):
        calls.put(call)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    device.on_method = method
    for _ in range(5):
        device.send("call me")
    got = [calls.get(timeout=PATIENCE) for _ in range(5)]
    assert {call.name for call in got} == {"re boot"} and got[0].json() == {"in": 5}
    device.answer(got[4], 404, "{}")
    for text in (
        f"res/202/?$rid={got[0].request_id} {{}}",
        f'res/200/?$rid={got[1].request_id} {{"done": true}}',
        f"res/200/?$rid={got[2].request_id} []",
        f"res/500/?$rid={got[3].request_id} {{}}",
        f"res/404/?$rid={got[4].request_id} {{}}",
    ):
        assert hub.says(text), hub.log()
    assert [type(error) for error in errors] == [ZeroDivisionError]
    with pytest.raises(tern.UsageError):
        device.answer("no/id")
    with pytest.raises(ValueError, match="status"):
        device.answer("1", -1)


def test_azure_callbacks_may_send_and_must_not_wait(device):
    caught = queue.Queue()

    def handler(version, payload):
        device.send("from a callback")
        for call in (
            device.get_twin,
            lambda: device.report({}),
            lambda: device.flush(1),
            device.close,
            device.connect,
            lambda: device.send("x").wait(1),
        ):
            try:
                call()
                caught.put(None)
            except Exception as error:
                caught.put(error)
        device.request_twin(caught.put)

    device.on_desired = handler
    device.send("desire")
    errors = [caught.get(timeout=PATIENCE) for _ in range(6)]
    assert [type(error) for error in errors] == [tern.WouldDeadlockError] * 6
    assert caught.get(timeout=PATIENCE).status == 200


def test_azure_tokens_are_renewed(hub, where):
    events = queue.Queue()
    with azure.Device(CONNECTION, token_life=5, **where) as device:
        device.on_event = events.put
        while events.get(timeout=PATIENCE).kind != tern.EventKind.CONNECTED:
            pass
        device.send("after", qos=1).wait(PATIENCE)
    assert hub.log().count("connected") == 2 and "expired" not in hub.log()


def test_azure_a_lost_connection_comes_back(hub, device):
    device.send("hang up", qos=0)
    assert wait_until(lambda: hub.log().count("connected") == 2)
    device.send("still there").wait(PATIENCE)


def test_azure_refusals(where):
    wrong = CONNECTION.replace(KEY, "d3Jvbmc=")
    device = azure.Device(wrong, **where)
    with pytest.raises((tern.RefusedError, tern.TimeoutError)):
        device.connect(1)
    device.close(0)


def test_azure_limits_are_kept_before_sending(device):
    with pytest.raises(tern.UnsupportedError):
        device.send("x", qos=2)
    with pytest.raises(tern.UsageError):
        device.send("x" * (256 * 1024 + 1))
    for properties, error in [
        ({"": "x"}, tern.UsageError),
        ({"a\0": "x"}, ValueError),
        ({5: "x"}, TypeError),
        ([(None, "x")], TypeError),
    ]:
        with pytest.raises(error, match="properties"):
            device.send("x", properties)
    with pytest.raises(TypeError):
        device.send(5)


WRONG_STRINGS = [
    ("", "empty"),
    ("HostName=a", "DeviceId"),
    (CONNECTION + ";Colour=red", "Colour"),
    (CONNECTION + ";DeviceId=b", "DeviceId"),
    (f"HostName={HOST};DeviceId=a;SharedAccessKey=!", "SharedAccessKey"),
]


@pytest.mark.parametrize(("text", "key"), WRONG_STRINGS)
def test_wrong_connection_strings(text, key):
    for call in (azure.check_connection_string, azure.Device):
        with pytest.raises(tern.UsageError, match=key) as caught:
            call(text)
        assert KEY not in str(caught.value)
    with pytest.raises(TypeError):
        azure.Device(5)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"token_life": 4}, tern.UsageError),
        ({"token_life": "5"}, TypeError),
        ({"keep_alive": 1178}, tern.UsageError),
        ({"server": "ftp://a"}, tern.UsageError),
        ({"model_id": "x" * 300}, tern.UsageError),
        ({"client_id": "x"}, TypeError),
        ({"version": 5}, TypeError),
        ({"credentials": print}, TypeError),
        ({"colour": "red"}, TypeError),
        ({"ack": "never"}, ValueError),
        ({"outbox_policy": tern.OutboxPolicy.BLOCK}, ValueError),
    ],
)
def test_wrong_azure_options(options, error):
    with pytest.raises(error, match=next(iter(options))):
        azure.Device(CONNECTION, **options)


def test_azure_closed(where):
    device = azure.Device(CONNECTION, **where).connect(PATIENCE)
    pending = azure.Device(CONNECTION, **where).send("never")
    device.close()
    device.close()
    for call in (
        device.connect,
        device.flush,
        device.get_twin,
        lambda: device.send("x"),
        lambda: device.report({}),
        lambda: device.answer("1"),
        lambda: setattr(device, "on_method", print),
    ):
        with pytest.raises(tern.ClosedError):
            call()
    other = pending._device
    other.close(0)
    assert wait_until(lambda: pending.done) and pending.cause == tern.Cause.CLOSED
    with pytest.raises(tern.ClosedError):
        pending.wait(1)


def test_azure_nobody_keeps_a_device(where):
    device = azure.Device(CONNECTION, **where).connect(PATIENCE)
    device.on_method = lambda call, circle=device: circle
    device.on_desired = lambda *_, circle=device: circle
    gone = weakref.ref(device)
    del device
    gc.collect()
    assert gone() is None


def test_azure_the_end_of_the_interpreter(hub, where):
    program = f"""
import sys, tern, tern.azure
tls = tern.TLS(ca_file=sys.argv[2])
device = tern.azure.Device({CONNECTION!r}, server=sys.argv[1], tls=tls).connect()
device.on_desired = lambda version, payload: device.send("again")
device.on_event = print
device.send("desire")
device.request_twin(lambda response: device.send("twin"))
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program, where["server"], where["tls"].ca_file],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert hub.says("event - desire")
