"""Azure IoT Hub, against a stand-in for it.

SPDX-License-Identifier: Apache-2.0
"""

import gc
import json
import queue
import subprocess
import sys
import weakref

import pytest
from conftest import PATIENCE, wait_until
from service import CONNECTION, HOST, KEY

import tern
from tern import azure


@pytest.fixture
def device(where):
    with azure.Device(CONNECTION, **where) as one:
        yield one


def test_telemetry(hub, device):
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
    assert hub.says('{"temperature": 25.5}\n')  # it answers before it tells
    line = next(line for line in hub.log().splitlines() if line.startswith("event "))
    for part in ("alert=a%26b", "flag", "$.ct=application%2Fjson", "$.ce=utf-8", "$.mid=m%201"):
        assert part in line.split()[1].split("&")
    assert line.endswith('{"temperature": 25.5}')
    device.send(b"plain", [("n", "v")], qos=0).wait(PATIENCE)
    assert hub.says("event n=v plain")
    device.flush(PATIENCE)
    assert device.connected and device.statistics["messages_published"] >= 2


def test_messages_from_the_cloud(hub, device):
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


def test_messages_acknowledged_by_hand(hub, where):
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


def test_twins(hub, device):
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


def test_desired_properties(device):
    got = queue.Queue()
    device.on_desired = lambda version, payload: got.put((version, json.loads(payload)))
    device.send("desire")
    assert got.get(timeout=PATIENCE) == (2, {"rate": 2})


def test_direct_methods(hub, device):
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

    async def coroutine(_call):
        pass

    device.on_method = coroutine
    device.send("call me")
    assert wait_until(lambda: len(errors) == 2) and "plain functions" in str(errors[1])
    with pytest.raises(tern.UsageError):
        device.answer("no/id")
    with pytest.raises(ValueError, match="status"):
        device.answer("1", -1)


def test_callbacks_may_send_and_must_not_wait(device):
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


def test_tokens_are_renewed(hub, where):
    events = queue.Queue()
    with azure.Device(CONNECTION, token_life=5, **where) as device:
        device.on_event = events.put
        while events.get(timeout=PATIENCE).kind != tern.EventKind.CONNECTED:
            pass
        device.send("after", qos=1).wait(PATIENCE)
    assert hub.log().count("connected") == 2 and "expired" not in hub.log()


def test_a_lost_connection_comes_back(hub, device):
    device.send("hang up", qos=0)
    assert wait_until(lambda: hub.log().count("connected") == 2)
    device.send("still there").wait(PATIENCE)


def test_a_device_that_connects_already_is_entered(where):
    device = azure.Device(CONNECTION, **where).connect(0)
    with device:
        device.send("x").wait(PATIENCE)
    with pytest.raises(tern.ClosedError), device:
        pass
    refused = azure.Device(CONNECTION.replace(KEY, "d3Jvbmc="), retry_limit=1, **where)
    with pytest.raises(tern.RefusedError):
        refused.connect(PATIENCE)
    with pytest.raises(tern.RefusedError), refused:
        pass
    with pytest.raises(tern.ClosedError):
        refused.send("x")


def test_refusals(where):
    wrong = CONNECTION.replace(KEY, "d3Jvbmc=")
    device = azure.Device(wrong, **where)
    with pytest.raises((tern.RefusedError, tern.TimeoutError)):
        device.connect(1)
    device.close(0)


def test_limits_are_kept_before_sending(device):
    with pytest.raises(tern.UnsupportedError):
        device.send("x", qos=2)
    with pytest.raises(tern.UsageError):
        device.send("x" * (256 * 1024 + 1))
    for properties, error in [
        ({"": "x"}, tern.UsageError),
        ({"a\0": "x"}, ValueError),
        ({5: "x"}, TypeError),
        ([(None, "x")], TypeError),
        (["ab"], TypeError),
        ([("a", "b", "c")], ValueError),
        ("ab", TypeError),
        (5, TypeError),
    ]:
        with pytest.raises(error, match="properties"):
            device.send("x", properties)
    with pytest.raises(TypeError):
        device.send(5)
    with pytest.raises(TypeError, match="on_message"):
        device.on_message = "no function"


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


def test_closed(where):
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


def test_devices_share_a_loop(hub, where):
    with azure.Device(CONNECTION, loop=tern.Loop(), **where) as device:
        device.send("shared").wait(PATIENCE)


def test_nobody_keeps_a_device(where):
    device = azure.Device(CONNECTION, **where).connect(PATIENCE)
    device.on_method = lambda call, circle=device: circle
    device.on_desired = lambda *_, circle=device: circle
    gone = weakref.ref(device)
    del device
    gc.collect()
    assert gone() is None


def test_fork():
    program = f"""
import os, tern, tern.azure
device = tern.azure.Device("{CONNECTION}", server="mqtt://127.0.0.1:1")
sent = device.send("x")
child = os.fork()
if child == 0:
    for call in lambda: device.send("x"), lambda: sent.wait(20):
        try:
            call()
        except tern.ClosedError as error:
            print(error.name, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "TERN_E_CLOSED\nTERN_E_FORKED\n", done.stdout + done.stderr


def test_the_end_of_the_interpreter(hub, where):
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
