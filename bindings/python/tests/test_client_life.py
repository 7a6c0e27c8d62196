"""Callbacks that raise, threads, and the ends of clients and programs.

SPDX-License-Identifier: Apache-2.0
"""

import gc
import logging
import os
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


@pytest.mark.parametrize("kind", ["Client", "Pool"])
def test_the_end_has_one_second_for_all(kind):
    if kind == "Pool" and (3, 12) <= sys.version_info < (3, 12, 2):
        pytest.skip("this interpreter starts no threads at its end")
    program = """
import atexit, sys, time
atexit.register(lambda: print(time.monotonic() - end))  # the first is called last
import tern
made = [getattr(tern, sys.argv[1])("mqtt://127.0.0.1:1") for _ in range(10)]
for one in made:
    one.connect(0)
    one.publish("a", "b", qos=1)
end = time.monotonic()
"""
    done = run(program, kind)
    assert 0.9 < float(done.stdout) < 9, done.stdout + done.stderr


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


def test_a_fork_while_another_thread_asks(broker, topic):
    """In the child no lock is held by a thread that is not there."""
    program = """
import os, signal, sys, threading, tern
with tern.Client(sys.argv[1]) as client, tern.Pool(sys.argv[1], members=1) as pool:
    batch = tern.Batch(client, sys.argv[2])
    asked = [one.publish(sys.argv[2], "x", qos=1).wait(10) for one in (client, pool)]
    asked.append(batch.add("a", "x"))
    locks = [one._lock for one in (client._core.settled, pool._settled[0], batch.settled)]
    held, done = threading.Event(), threading.Event()
    def hold():
        for lock in locks:
            lock.acquire()
        held.set()
        done.wait()
        for lock in locks:
            lock.release()
    threading.Thread(target=hold).start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        print(*(one.outcome.name for one in asked), flush=True)
        os._exit(0)
    print(os.waitpid(child, 0)[1])
    done.set()
"""
    done = run(program, broker.url, topic)
    assert done.stdout == "DELIVERED DELIVERED PENDING\n0\n", done.stdout + done.stderr


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
