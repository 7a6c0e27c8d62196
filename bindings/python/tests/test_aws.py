"""AWS IoT Core, against a stand-in for it.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import queue
import sys

import pytest
from broker import Broker, free_port
from conftest import PATIENCE, wait_until
from service import Service

import tern
from tern import aio, aws

QUICK = {"retry_delay": (0.01, 0.1)}
GOOD = ("AKIDMOCK", "secret/of+the=mock")


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
def test_ways_in(certificates, common, topic, way):
    service = ways(certificates, common)[way]
    with tern.Client(service=service, client_id=topic.replace("/", "-"), **QUICK) as client:
        client.subscribe(topic, qos=1)
        client.publish(topic, "hello", qos=1).wait(PATIENCE)
        assert client.receive(PATIENCE).text == "hello"
        client.reconnect(timeout=PATIENCE)
        client.publish(topic, "again", qos=1).wait(PATIENCE)


def test_asyncio_and_a_provider_that_fails_first(common, topic):
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


def test_the_end_of_a_client_ends_its_question(common, topic):
    errors = []

    async def provider():
        await asyncio.Event().wait()

    async def run():
        service = aws.IoTCore.with_credentials("localhost", provider, region="eu-1", **common)
        client = aio.Client(service=service, client_id=topic.replace("/", "-"), **QUICK)
        client.on_error = errors.append
        with pytest.raises(tern.TimeoutError):
            await client.connect(0.2)
        (asking,) = asyncio.all_tasks() - {asyncio.current_task()}
        await client.close()
        await asyncio.wait([asking], timeout=PATIENCE)
        assert asking.done() and errors == []

    asyncio.run(run())


def test_says_what_a_refusal_means(common, topic):
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


def test_credentials_of_no_use(common, topic):
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
    assert kinds == [TypeError, tern.UsageError, TypeError, TypeError]
    client.close()


def test_limits_are_kept_before_sending(certificates, common, topic):
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


def test_calls_of_its_sdk(certificates, common, topic):
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
    (lambda: aws.IoTCore("a.b", backoff=(1, 2)), ValueError, "backoff"),
    (lambda: aws.IoTCore("a.b", address=("a",)), ValueError, "address"),
    (lambda: aws.IoTCore("a.b", address="ab"), TypeError, "address"),
    (lambda: aws.IoTCore("a.b", offline_queue=2**70), ValueError, "offline_queue"),
    (lambda: aws.IoTCore("a.b", offline_queue=1, offline_policy=7), ValueError, "offline_policy"),
    (lambda: aws.IoTCore.with_authorizer("a.b", token=("a", "b")), ValueError, "token"),
    (lambda: aws.IoTCore.with_authorizer("a.b", token="abc"), TypeError, "token"),
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
