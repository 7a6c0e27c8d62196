"""A device of Azure IoT Hub in an event loop, against a stand-in for the service.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import weakref

import pytest
from conftest import PATIENCE
from service import CONNECTION, KEY
from test_aio import run, until

import tern
import tern.aio


def with_device(where, **options):
    """Decorator: runs the test with a connected device in a loop of its own."""

    def decorate(test):
        async def main():
            async with tern.aio.Device(CONNECTION, **options, **where) as device:
                await test(device)

        run(main())

    return decorate


def test_telemetry(hub, where):
    @with_device(where)
    async def _(device):
        sent = device.send('{"n": 1}', {"alert": "a&b"}, content_type="application/json")
        assert not sent.done and sent.outcome == tern.Outcome.PENDING
        assert await sent is sent and sent.done
        assert sent.outcome == tern.Outcome.DELIVERED and "DELIVERED" in repr(sent)
        await asyncio.gather(*(device.send(str(number)) for number in range(20)))
        await device.send(b"plain", qos=0)
        await device.flush()
        assert device.connected and device.statistics["messages_published"] >= 21

    assert hub.says("event - plain") and "alert=a%26b" in hub.log()


def test_all_of_it_is_in_the_loops_thread(where):
    threads = set()

    @with_device(where)
    async def _(device):
        asked = asyncio.Event()

        def told(*_):
            threads.add(threading.get_ident())
            asked.set()

        device.on_event = device.on_desired = told
        device.send("desire")
        await asked.wait()

    assert threads == {threading.get_ident()}


def test_twins(where):
    @with_device(where)
    async def _(device):
        assert await device.report({"firmware": 3}) == 2
        twin = await device.get_twin()
        assert twin.json()["reported"] == {"n": 0, "firmware": 3, "$version": 2}
        with pytest.raises(tern.RefusedError, match="400"):
            await device.report("no json")
        await device.send("be mute")
        with pytest.raises(tern.TimeoutError):
            await device.get_twin(0.05)
        for wrong in ("1", -1):
            with pytest.raises((TypeError, ValueError), match="timeout"):
                await device.get_twin(wrong)


def test_messages_are_acknowledged_when_their_handlers_have_ended(hub, where):
    @with_device(where)
    async def _(device):
        got, go = [], asyncio.Event()

        async def handler(message, properties):
            got.append((message.text, dict(properties)["color"]))
            await go.wait()

        device.on_message = handler
        device.send("send me a message")
        await until(lambda: got)
        await device.send("later")
        assert got == [("hello", "dark&blue")] and "acknowledged" not in hub.log()
        go.set()
        await until(lambda: "acknowledged 1" in hub.log())
        device.on_message = lambda message, properties: got.append(message)
        device.send("send me a message")
        await until(lambda: "acknowledged 2" in hub.log())
        with pytest.raises(tern.StateError):
            got[1].ack()


def test_handlers_run_in_turn(where):
    @with_device(where)
    async def _(device):
        running, most, ended = [], [], []

        async def handler(version, payload):
            running.append(version)
            most.append(len(running))
            await asyncio.sleep(0)
            await device.send("meanwhile")
            running.remove(version)
            ended.append((version, json.loads(payload)["rate"]))

        device.on_desired = handler
        for _ in range(5):
            device.send("desire")
        await until(lambda: len(ended) == 5)
        assert set(most) == {1} and ended == [(version, 2) for version in range(2, 7)]


def test_a_message_whose_handler_was_cancelled_comes_again(hub, where):
    async def main():
        got = asyncio.Event()

        async def handler(message, properties):
            got.set()
            await asyncio.sleep(3600)

        async with tern.aio.Device(CONNECTION, **where) as device:
            device.on_message = handler
            device.send("send me a message")
            await got.wait()

    run(main())
    assert "acknowledged" not in hub.log()


def test_messages_acknowledged_by_hand(hub, where):
    @with_device(where, ack="manual")
    async def _(device):
        got = []
        device.on_message = lambda message, properties: got.append(message)
        device.send("send me a message")
        await until(lambda: got)
        await device.send("later")
        assert "acknowledged" not in hub.log()
        got[0].ack()
        await until(lambda: "acknowledged 1" in hub.log())


def test_methods(hub, where):
    @with_device(where)
    async def _(device):
        calls, errors, together = [], [], asyncio.Event()
        device.on_error = errors.append

        async def slowly(call):
            await together.wait()
            if call is calls[0]:
                raise ZeroDivisionError
            return 200, {"done": call.name}

        def method(call):
            calls.append(call)
            if len(calls) == 2:  # they run side by side
                together.set()
            if len(calls) <= 2:
                return slowly(call)
            if len(calls) == 3:
                raise ValueError
            return "no answer" if len(calls) == 4 else 202

        device.on_method = method
        for _ in range(5):
            device.send("call me")
        await until(lambda: hub.log().count("answered") == 5)
        ids = [call.request_id for call in calls]
        statuses = [500, 200, 500, 500, 202]
        for request_id, status in zip(ids, statuses):
            assert f"res/{status}/?$rid={request_id} " in hub.log()
        assert 'answered $iothub/methods/res/200/?$rid=2f {"done": "re boot"}' in hub.log()
        kinds = sorted(type(error).__name__ for error in errors)
        assert kinds == ["TypeError", "ValueError", "ZeroDivisionError"]


def test_a_method_that_was_cancelled_is_answered(hub, where, monkeypatch):
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    @with_device(where)
    async def _(device):
        tasks = []

        async def method(call):
            tasks.append(asyncio.current_task())
            await asyncio.sleep(3600)

        device.on_method = method
        device.send("call me")
        await until(lambda: tasks)
        tasks[0].cancel()
        await until(lambda: "res/500/?$rid=1f {}" in hub.log())

    assert unraisable == []


def test_what_callbacks_raise(where):
    @with_device(where)
    async def _(device):
        errors = []
        device.on_error = errors.append

        async def later(version, payload):
            raise ZeroDivisionError

        def now(version, payload):
            raise asyncio.CancelledError

        device.on_desired = later
        device.send("desire")
        await until(lambda: len(errors) == 1)
        device.on_desired = now
        device.send("desire")
        await until(lambda: len(errors) == 2)
        assert [type(one) for one in errors] == [ZeroDivisionError, asyncio.CancelledError]
        assert (await device.get_twin()).status == 200


def test_interrupts_leave_the_loop(hub, where):
    def handler(version, payload):
        raise KeyboardInterrupt

    async def main():
        device = await tern.aio.Device(CONNECTION, **where).connect()
        device.on_desired = handler
        await device.send("desire")
        await asyncio.sleep(PATIENCE)

    with pytest.raises(KeyboardInterrupt):
        run(main())


def test_waits_may_be_cancelled(hub, where):
    @with_device(where)
    async def _(device):
        sent = device.send("goes on")
        task = asyncio.ensure_future(sent)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await sent
        await device.send("be mute")
        asked = asyncio.ensure_future(device.get_twin())
        await until(lambda: "twin asked" in hub.log())
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert await device.report({}) == 2


def test_a_lost_connection_comes_back(hub, where):
    @with_device(where)
    async def _(device):
        device.send("hang up", qos=0)
        await until(lambda: hub.log().count("connected") == 2)
        await device.send("still there")


def test_connecting_fails(where):
    async def main():
        wrong = CONNECTION.replace(KEY, "d3Jvbmc=")
        with pytest.raises((tern.RefusedError, tern.TimeoutError)):
            await tern.aio.Device(wrong, **where).connect(1)
        device = tern.aio.Device(wrong, **where)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(device.__aenter__(), 0.05)
        with pytest.raises(tern.ClosedError):
            await device.connect()
        with pytest.raises(tern.UsageError, match="DeviceId"):
            tern.aio.Device("HostName=a")
        with pytest.raises(TypeError, match="timeout"):
            await tern.aio.Device(CONNECTION, **where).connect("1")

    run(main())


def test_closed(where):
    async def main():
        device = await tern.aio.Device(CONNECTION, **where).connect()
        pending = tern.aio.Device(CONNECTION, **where)
        never = pending.send("never")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(never.wait(), 0.01)
        await pending.close(0)
        with pytest.raises(tern.ClosedError):
            await never
        await asyncio.gather(device.close(), device.close())
        await device.close()
        for call in (device.connect, device.flush, device.get_twin, lambda: device.report({})):
            with pytest.raises(tern.ClosedError):
                await call()
        with pytest.raises(tern.ClosedError):
            device.send("x")
        assert not device._reader.reading

    run(main())


def test_closed_while_handlers_run(hub, where):
    async def main():
        device = await tern.aio.Device(CONNECTION, **where).connect()
        closed = asyncio.Event()

        async def handler(version, payload):
            await device.close()
            closed.set()

        device.on_desired = handler
        device.send("desire")
        await closed.wait()

    run(main())


def test_it_belongs_to_one_loop(where):
    device = tern.aio.Device(CONNECTION, **where)
    run(device.connect())
    with pytest.raises(RuntimeError, match="another event loop"):
        run(device.flush())
    run(device.close())


def test_devices_share_a_loop_of_c(where):
    @with_device(where, loop=tern.Loop())
    async def _(device):
        await device.send("shared")


def test_nobody_keeps_a_device(where):
    before = len(os.listdir("/proc/self/fd"))

    async def main():
        device = await tern.aio.Device(CONNECTION, **where).connect()
        device.on_method = lambda call, circle=device: circle
        device.on_desired = lambda *_, circle=device: circle
        gone = weakref.ref(device)
        del device
        gc.collect()
        assert gone() is None
        await until(lambda: len(os.listdir("/proc/self/fd")) <= inside)

    async def opened():
        return len(os.listdir("/proc/self/fd"))

    inside = run(opened())
    run(main())
    assert len(os.listdir("/proc/self/fd")) <= before


def test_the_end_of_the_interpreter(hub, where):
    program = f"""
import asyncio, sys, tern.aio
async def main():
    tls = tern.TLS(ca_file=sys.argv[2])
    device = await tern.aio.Device({CONNECTION!r}, server=sys.argv[1], tls=tls).connect()
    device.on_desired = print
    await device.send("x")
    device.send("desire")
    return device
kept = asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", program, where["server"], where["tls"].ca_file],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_a_device_that_connects_already_is_entered(where):
    async def main():
        device = await tern.aio.Device(CONNECTION, **where).connect(0)
        async with device:
            await device.send("x")
        with pytest.raises(tern.ClosedError):
            async with device:
                pass
        wrong = CONNECTION.replace(KEY, "d3Jvbmc=")
        refused = tern.aio.Device(wrong, retry_limit=1, **where)
        with pytest.raises(tern.RefusedError):
            await refused.connect(PATIENCE)
        with pytest.raises(tern.RefusedError):  # it tries anew
            async with refused:
                pass
        with pytest.raises(tern.ClosedError):
            refused.send("x")

    run(main())


def test_a_forks_child_does_not_wait():
    program = f"""
import asyncio, os, tern.aio
async def main():
    device = tern.aio.Device("{CONNECTION}", server="mqtt://127.0.0.1:1")
    sent = device.send("x")
    if os.fork() == 0:
        try:
            await sent
        except tern.ClosedError as error:
            print(error.name, flush=True)
        os._exit(0)
    os.wait()
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "TERN_E_FORKED\n", done.stdout + done.stderr
