"""tern.Pool against a real broker.

SPDX-License-Identifier: Apache-2.0
"""

import gc
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
from tern.enums import PoolPolicy

QUICK = {"retry_delay": (0.01, 0.1)}


@pytest.fixture
def pool(broker):
    with tern.Pool(broker.url, members=3, **QUICK) as one:
        yield one


def receiving(pool, topic, **more):
    """A queue of what the pool receives."""
    got = queue.Queue()
    pool.on_message = got.put
    pool.subscribe(topic, qos=1, timeout=PATIENCE, **more)
    return got


# ---- publishing and receiving ----


@pytest.mark.parametrize("policy", list(PoolPolicy))
def test_what_is_published_is_received(broker, topic, policy):
    with tern.Pool(broker.url, members=4, policy=policy, **QUICK) as pool:
        pool.wait_connected(timeout=PATIENCE)
        assert pool.members == pool.connected == 4
        got = receiving(pool, topic + "/#")
        sent = [pool.publish(f"{topic}/{i % 7}", str(i), qos=1) for i in range(70)]
        assert {one.wait(PATIENCE).outcome for one in sent} == {tern.Outcome.DELIVERED}
        assert len({one.id for one in sent}) == 70 and all(one.id for one in sent)
        texts = [got.get(timeout=PATIENCE).text for _ in range(70)]
        assert sorted(texts, key=int) == [str(i) for i in range(70)]
        used = {one.member for one in sent}
        assert len(used) > 1
        if policy == PoolPolicy.BY_TOPIC:
            homes = {i: {one.member for one in sent[i::7]} for i in range(7)}
            assert all(len(home) == 1 for home in homes.values())
            assert [t for t in texts if int(t) % 7 == 3] == [str(i) for i in range(3, 70, 7)]
        if policy == PoolPolicy.ROUND_ROBIN:
            assert [one.member for one in sent[:8]] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_messages_are_whole(pool, topic):
    got = receiving(pool, topic)
    properties = tern.Properties(
        payload_format=1,
        expiry=100,
        content_type="text/ä",
        response_topic="re",
        correlation_data=b"\0",
        user_properties=[("a", "1"), ("b", "")],
    )
    pool.publish(topic, "grüße", qos=1, retain=True, properties=properties).wait(PATIENCE)
    message = got.get(timeout=PATIENCE)
    assert (message.topic, message.text, message.qos) == (topic, "grüße", 1)
    assert not message.retain and not message.duplicate
    assert message.properties == properties
    pool.publish(topic, b"", qos=1, retain=True).wait(PATIENCE)
    assert got.get(timeout=PATIENCE).payload == b""
    assert pool.publish(topic, bytearray(b"\0"), qos=0).wait(PATIENCE).outcome == tern.Outcome.SENT
    assert got.get(timeout=PATIENCE).payload == b"\0"


def test_a_group_shares_the_work(broker, topic):
    members = set()
    done = threading.Event()
    with tern.Pool(broker.url, members=3, **QUICK) as pool, tern.Client(broker.url) as client:
        pool.wait_connected(timeout=PATIENCE)
        texts = []

        @pool.on(topic)
        def handler(message):
            members.add(message._core)
            texts.append(message.text)
            if len(texts) == 60:
                done.set()

        pool.subscribe(topic, qos=1, group="workers", timeout=PATIENCE)
        client.publish_many([(topic, str(i)) for i in range(60)], qos=1)
        assert done.wait(PATIENCE) and sorted(texts, key=int) == [str(i) for i in range(60)]
        assert len(members) > 1
        pool.unsubscribe(topic, group="workers")


def test_handlers_by_filter(pool, topic):
    got = queue.Queue()
    pool.on_message = lambda message: got.put(("rest", message.text))
    pool.set_handler(topic + "/a", lambda message: got.put(("exact", message.text)))
    pool.set_handler(topic + "/b", lambda message: got.put(("other", message.text)))
    pool.set_handler(topic + "/b", lambda message: got.put(("second", message.text)))
    pool.subscribe(topic + "/#", qos=1)
    for name in "abc":
        pool.publish(f"{topic}/{name}", name, qos=1).wait(PATIENCE)
    found = [got.get(timeout=PATIENCE) for _ in range(3)]
    assert found == [("exact", "a"), ("second", "b"), ("rest", "c")]
    pool.set_handler(topic + "/a", None)
    pool.publish(topic + "/a", "again", qos=1)
    assert got.get(timeout=PATIENCE) == ("rest", "again")
    pool.set_handler(topic + "/a", None)  # as often as you like


def test_messages_of_a_removed_handler_go_to_no_other(pool):
    """They may be under way while handlers change."""
    pool.set_handler("a", print)
    number = pool._filters["a"]
    pool.set_handler("a", None)
    pool.set_handler("b", print)
    assert pool._filters["b"] != number and pool._handlers.get(number) is None


def test_manual_acknowledgement(broker, topic):
    options = {"members": 1, "client_id_prefix": topic.replace("/", "-"), "ack": "manual"}
    options["session"] = tern.Session.PERSISTENT
    with tern.Pool(broker.url, **options) as pool:
        got = receiving(pool, topic)
        for text in ("1", "2"):
            pool.publish(topic, text, qos=1).wait(PATIENCE)
        first, second = got.get(timeout=PATIENCE), got.get(timeout=PATIENCE)
        first.ack()
        pool.flush(PATIENCE)
    with pytest.raises(tern.ClosedError):
        second.ack()
    with tern.Pool(broker.url, **options) as pool:
        got = queue.Queue()
        pool.on_message = got.put
        again = got.get(timeout=PATIENCE)
        assert again.text == "2" and again.duplicate
        again.ack()


def test_acknowledged_by_itself(pool, topic):
    got = receiving(pool, topic)
    pool.publish(topic, "1", qos=1)
    with pytest.raises(tern.StateError):
        got.get(timeout=PATIENCE).ack()
    assert wait_until(lambda: pool.statistics["unacknowledged_received"] == 0)


# ---- events, outcomes, failures ----


def test_events_and_outcomes(broker, topic):
    events, told = [], []
    pool = tern.Pool(broker.url, members=2, client_id_prefix="told")
    pool.on_event = lambda member, event: events.append((member, event.kind))
    pool.on_delivery = told.append
    pool.connect(PATIENCE, members=2)
    kinds = [tern.EventKind.CONNECTING, tern.EventKind.CONNECTED]
    assert wait_until(lambda: len(events) == 4)
    for member in range(2):
        assert [kind for number, kind in events if number == member] == kinds
    sent = [pool.publish(f"{topic}/{i}", "x", qos=1) for i in range(50)]
    pool.flush(PATIENCE)
    assert wait_until(lambda: sum(one.last_id - one.first_id + 1 for one in told) == 50)
    ids = [i for one in told for i in range(one.first_id, one.last_id + 1)]
    assert sorted(ids) == sorted(one.id for one in sent)
    assert {one.outcome for one in told} == {tern.Outcome.DELIVERED}
    assert pool.statistics["messages_published"] == 50
    assert "2 of 2" in repr(pool)
    pool.close()
    pool.close()
    assert "closed" in repr(pool)


def test_nobody_listens(own_broker):
    own_broker.stop()
    pool = tern.Pool(own_broker.url, **QUICK)
    with pytest.raises(tern.TimeoutError, match="0 of 5"):
        pool.connect(0.05)
    pool.close(0)


def test_what_is_not_entered_is_closed(monkeypatch):
    pool = tern.Pool("mqtt://127.0.0.1:1", members=1)
    monkeypatch.setattr(pool, "wait_connected", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), pool:
        pass
    with pytest.raises(tern.ClosedError):
        pool.publish("a", "x")


def test_members_that_stop_say_why(own_broker):
    own_broker.stop()
    pool = tern.Pool(own_broker.url, members=2, retry_limit=1, **QUICK)
    with pytest.raises(tern.NetworkError, match="member"):
        pool.connect(PATIENCE)
    pool.close(0)


def test_offline_then_delivered(own_broker, topic):
    own_broker.stop()
    pool = tern.Pool(own_broker.url, members=2, **QUICK).connect(timeout=0)
    sent = [pool.publish(f"{topic}/{i}", "x", qos=1) for i in range(50)]
    assert not sent[0].done and sent[0].outcome == tern.Outcome.PENDING
    with pytest.raises(tern.TimeoutError):
        sent[0].wait(0.01)
    with pytest.raises(tern.TimeoutError):
        pool.flush(0.01)
    own_broker.start()
    pool.flush(PATIENCE)
    assert {one.outcome for one in sent} == {tern.Outcome.DELIVERED}
    pool.close()


def test_what_is_left_at_the_end_is_told(own_broker, topic):
    own_broker.stop()
    pool = tern.Pool(own_broker.url, members=2)
    sent = [pool.publish(f"{topic}/{i}", "x", qos=1) for i in range(5)]
    pool.close(0)
    assert {(one.outcome, one.cause) for one in sent} == {
        (tern.Outcome.NOT_SENT, tern.Cause.CLOSED)
    }
    with pytest.raises(tern.ClosedError):
        sent[0].wait(1)


def test_a_full_outbox(own_broker, topic):
    own_broker.stop()
    pool = tern.Pool(own_broker.url, members=1, outbox_messages=3)
    for _ in range(3):
        pool.publish(topic, "x", qos=1)
    with pytest.raises(tern.OutboxFullError):
        pool.publish(topic, "x", qos=1)
    pool.close(0)
    options = {"outbox_policy": tern.OutboxPolicy.BLOCK, "block_timeout": 0.05}
    pool = tern.Pool(own_broker.url, members=1, outbox_messages=3, **options, **QUICK)
    for _ in range(3):
        pool.publish(topic, "x", qos=1)
    with pytest.raises(tern.TimeoutError):
        pool.publish(topic, "x", qos=1)
    pool._options["block_timeout"] = PATIENCE
    own_broker.start()
    pool.connect(timeout=0)
    for _ in range(20):
        pool.publish(topic, "x", qos=1)
    pool.flush(PATIENCE)
    pool.close()


# ---- wrong uses ----

WRONG_OPTIONS = [
    ({"members": 0}, tern.UsageError),
    ({"members": 257}, tern.UsageError),
    ({"members": "3"}, TypeError),
    ({"block_timeout": "x"}, TypeError),
    ({"policy": 7}, ValueError),
    ({"client_id_prefix": "a\0"}, ValueError),
    ({"client_id_prefix": 5}, TypeError),
    ({"unhealthy_after": -1}, ValueError),
    ({"client_id": "x"}, TypeError),
    ({"log_level": 3}, TypeError),
    ({"receive_limit": 3}, TypeError),
    ({"colour": "red"}, TypeError),
    ({"ack": "never"}, ValueError),
    ({"keep_alive": -1}, ValueError),
    ({"session": tern.Session.PERSISTENT}, tern.UsageError),
]


@pytest.mark.parametrize(
    ("options", "error"), WRONG_OPTIONS, ids=[str(one[0]) for one in WRONG_OPTIONS]
)
def test_wrong_options(options, error):
    with pytest.raises(error) as caught:
        tern.Pool("mqtt://127.0.0.1:1", **options)
    assert next(iter(options)) in str(caught.value) or "session" in options or "policy" in options


def test_wrong_servers():
    for servers in ((), ("nonsense",), ("ftp://a",)):
        with pytest.raises(tern.UsageError):
            tern.Pool(*servers)


WRONG_CALLS = [
    (lambda p: p.publish("a/+", "x"), tern.UsageError),
    (lambda p: p.publish("a\0b", "x"), ValueError),
    (lambda p: p.publish("a", 5), TypeError),
    (lambda p: p.publish(5, "x"), TypeError),
    (lambda p: p.publish("a", "x", qos=3), ValueError),
    (lambda p: p.publish("a", "x", properties=tern.Properties(expiry=-1)), ValueError),
    (lambda p: p.subscribe("a"), tern.StateError),
    (lambda p: p.set_handler("a/#/b", print), tern.UsageError),
    (lambda p: p.wait_connected(99), tern.UsageError),
    (lambda p: p.wait_connected(1, "x"), TypeError),
    (lambda p: p.flush("x"), TypeError),
    (lambda p: p.publish("a", "x", qos=1).wait(float("nan")), ValueError),
    (lambda p: p.set_handler("a", 5), TypeError),
    (lambda p: p.on(print), TypeError),
    (lambda p: p.unsubscribe("a/#/b"), tern.UsageError),
]


@pytest.mark.parametrize(("call", "error"), WRONG_CALLS)
def test_wrong_calls(pool, call, error):
    with pytest.raises(error):
        call(pool)
    pool.publish("still/alive", "x", qos=1).wait(PATIENCE)


def test_wrong_subscriptions(pool):
    pool.on_message = print
    for arguments in (
        {"filter": "a/#/b"},
        {"filter": "a", "group": "a/b"},
    ):
        with pytest.raises(tern.UsageError):
            pool.subscribe(**arguments)
    for qos in (3, "1", None):
        with pytest.raises(ValueError, match="qos"):
            pool.subscribe("a", qos=qos)
    with pytest.raises(TypeError, match="colour"):
        pool.subscribe("a", colour=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.publish("a", "x"),
        lambda p: p.publish("a", "x", properties=tern.Properties(expiry=1)),
        lambda p: p.subscribe("a"),
        lambda p: p.unsubscribe("a"),
        lambda p: p.connect(),
        lambda p: p.flush(),
        lambda p: p.wait_connected(),
        lambda p: p.set_handler("a", print),
    ],
)
def test_closed(broker, call):
    pool = tern.Pool(broker.url, members=2).connect(PATIENCE)
    pool.on_message = print
    pool.close()
    with pytest.raises(tern.ClosedError):
        call(pool)
    pool.on_message = None


# ---- callbacks ----


def test_waiting_in_a_callback_is_told(pool, topic):
    caught = queue.Queue()

    def handler(message):
        for call in (
            lambda: pool.publish(topic + "/more", "x", qos=1).wait(1),
            pool.flush,
            pool.close,
            lambda: pool.subscribe("a"),
            lambda: pool.wait_connected(3),
        ):
            try:
                call()
                caught.put(None)
            except Exception as error:
                caught.put(error)

    pool.on_message = handler
    pool.subscribe(topic)
    pool.publish(topic, "x")
    errors = [caught.get(timeout=PATIENCE) for _ in range(5)]
    assert [type(error) for error in errors] == [tern.WouldDeadlockError] * 5


def test_callbacks_may_publish_and_raise(pool, topic, monkeypatch):
    unraisable, taken, answers = [], [], queue.Queue()
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    @pool.on(topic)
    def handler(message):
        pool.publish(topic + "/answer", message.text, qos=1)
        raise ZeroDivisionError(message.text)

    pool.set_handler(topic + "/answer", answers.put)
    pool.subscribe(topic + "/#", qos=1)
    pool.publish(topic, "1", qos=1)
    assert answers.get(timeout=PATIENCE).text == "1"
    assert wait_until(lambda: unraisable) and unraisable[0].exc_type is ZeroDivisionError
    pool.on_error = taken.append
    pool.on_event = pool.on_delivery = lambda *_: 1 / 0
    pool.publish(topic, "2", qos=1).wait(PATIENCE)
    assert answers.get(timeout=PATIENCE).text == "2"
    assert wait_until(lambda: len(taken) >= 2) and len(unraisable) == 1
    pool.on_delivery, pool.on_error = None, lambda error: 1 / 0
    pool.publish(topic, "3", qos=1)
    assert wait_until(lambda: len(unraisable) >= 2)
    pool.on_event, pool.on_error = None, taken.append


def test_callbacks_are_no_coroutine_functions(pool, topic):
    errors = queue.Queue()
    pool.on_error = errors.put

    async def callback(*_):
        pass

    pool.on_message = callback
    pool.subscribe(topic)
    pool.publish(topic, "x").wait(PATIENCE)
    assert isinstance(errors.get(timeout=PATIENCE), TypeError)
    pool.on_message, pool.on_delivery = None, callback
    pool.publish(topic, "x").wait(PATIENCE)
    assert isinstance(errors.get(timeout=PATIENCE), TypeError)


def test_many_threads(pool, topic):
    got = receiving(pool, topic + "/#")

    def publish(number):
        for i in range(200):
            pool.publish(f"{topic}/{number}", str(i), qos=1)

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    messages = [got.get(timeout=PATIENCE) for _ in range(1000)]
    for n in range(5):
        mine = [one.text for one in messages if one.topic.endswith(f"/{n}")]
        assert mine == [str(i) for i in range(200)]


# ---- lives that end ----


def test_pools_share_a_loop(broker, topic):
    """Several pools on one network thread; callbacks of different members may run at a time."""
    loop = tern.Loop(dispatchers=2)
    with (
        tern.Pool(broker.url, members=2, loop=loop) as first,
        tern.Pool(broker.url, members=2, loop=loop) as second,
    ):
        got = queue.Queue()
        first.on_message = got.put
        first.subscribe(topic, qos=1)
        second.publish(topic, "x", qos=1).wait(PATIENCE)
        assert got.get(timeout=PATIENCE).text == "x"
    with pytest.raises(tern.UsageError, match="servers"):
        tern.Pool()
    with pytest.raises(TypeError, match="tern.Loop is needed"):
        tern.Pool(broker.url, loop=5)


def test_nobody_keeps_a_pool(broker, topic):
    pool = tern.Pool(broker.url, members=2).connect(PATIENCE)
    pool.on_message = lambda message, circle=pool: circle  # of the user's own
    pool.subscribe(topic)
    handle = pool._handle
    gone = weakref.ref(pool)
    del pool
    gc.collect()
    assert gone() is None
    from tern import _foreign

    assert handle and wait_until(lambda: not _foreign._ending)


def test_collected_in_its_own_callback(broker, topic):
    holder = {"pool": tern.Pool(broker.url, members=2).connect(PATIENCE)}
    gone = weakref.ref(holder["pool"])
    called = threading.Event()

    def handler(message):
        holder.clear()
        called.set()

    holder["pool"].on_message = handler
    holder["pool"].subscribe(topic, qos=1)
    holder["pool"].publish(topic, "x", qos=1)
    assert called.wait(PATIENCE) and wait_until(lambda: gone() is None)
    from tern import _foreign

    assert wait_until(lambda: not _foreign._ending)


def run(program, *arguments):
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


ENDS = {
    "running": "",
    "dropped": "del pool, handler",
    "closed": "pool.close()",
    "raising": "raise SystemExit(0)",
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_the_interpreter(broker, topic, end):
    program = f"""
import sys, tern
pool = tern.Pool(sys.argv[1], members=3).connect(members=3)
handler = pool.on_message = lambda message: pool.publish(sys.argv[2], "again")
pool.on_event = lambda member, event: None
pool.subscribe(sys.argv[2])
pool.publish(sys.argv[2], "first")
for _ in range(1000):
    pool.publish(sys.argv[2] + "/other", b"x" * 1000, qos=1)
{ENDS[end]}
"""
    done = run(program, broker.url, topic)
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_fork(broker, topic):
    program = """
import os, sys, tern
pool = tern.Pool(sys.argv[1], members=2).connect()
pending = tern.Pool("mqtt://127.0.0.1:1", members=1).publish(sys.argv[2], "x", qos=1)
child = os.fork()
if child == 0:
    for call in lambda: pool.publish(sys.argv[2], "x"), lambda: pending.wait(20):
        try:
            call()
        except tern.StateError as error:
            print("child", error.name, flush=True)
    pool.close()
    del pool
    with tern.Pool(sys.argv[1], members=2) as own:
        own.publish(sys.argv[2], "x", qos=1).wait(10)
    sys.exit(0)
_, status = os.waitpid(child, 0)
pool.publish(sys.argv[2], "x", qos=1).wait(10)
print("parent", status, flush=True)
"""
    done = run(program, broker.url, topic)
    told = "child TERN_E_CLOSED\nchild TERN_E_FORKED\nparent 0\n"
    assert done.stdout == told, done.stdout + done.stderr


def test_interrupt(broker):
    program = """
import sys, tern
pool = tern.Pool(sys.argv[1], members=1).connect()
try:
    print("ready", flush=True)
    pool.wait_connected(1)
    pool.close = lambda *_: None
    pool.publish("a", "x", qos=1)
    waiting = tern.Pool("mqtt://127.0.0.1:1").connect(timeout=None)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, broker.url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    process.communicate(timeout=PATIENCE)
    assert time.monotonic() - started < PATIENCE


def test_memory_is_bounded(pool, topic):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    got = []
    pool.on_message = lambda message: got.append(1)
    pool.subscribe(topic, qos=1)

    def exchange(number):
        del got[:]
        for _ in range(number):
            pool.publish(topic, b"x" * 1000, qos=1)
        pool.flush(PATIENCE)
        assert wait_until(lambda: len(got) == number)

    for _ in range(3):
        exchange(2000)
    before = resident()
    for _ in range(5):
        exchange(2000)  # 10 MB of payloads
    assert resident() - before < 5 << 20


def test_failures_are_logged(own_broker, caplog):
    own_broker.stop()
    pool = tern.Pool(own_broker.url, members=2, **QUICK).connect(timeout=0)
    assert wait_until(lambda: any("member 1: " in one.getMessage() for one in caplog.records))
    assert {one.levelname for one in caplog.records if one.name == "tern"} == {"WARNING"}
    assert str(own_broker.port) in caplog.records[0].getMessage()
    pool.close(0)
