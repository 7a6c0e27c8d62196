"""What callbacks, signal handlers and waits of tern.Client may do to each other.

SPDX-License-Identifier: Apache-2.0
"""

import gc
import logging
import queue
import signal
import sys
import threading
import weakref

import pytest
from conftest import PATIENCE, wait_until

import tern

QUICK = {"retry_delay": (0.01, 0.1)}


@pytest.fixture
def client(broker):
    with tern.Client(broker.url, **QUICK) as one:
        yield one


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


def test_an_interrupted_wait_leaves_nothing_behind(topic, alarm):
    client = tern.Client("mqtt://127.0.0.1:1")
    sent = client.publish(topic, "x", qos=1)
    alarm(0.05, interrupt)
    with pytest.raises(Interrupted):
        sent.wait(PATIENCE)
    assert not client._core.settled.waits
    client.close(0)


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


def test_closing_while_reading_pauses(broker, topic):
    """More messages wait than receive_limit; the client's thread ends all the same."""
    reader = tern.Client(broker.url, receive_limit=10).connect()
    reader.subscribe(topic, qos=1)
    with tern.Client(broker.url) as writer:
        writer.publish_many([(topic, str(i)) for i in range(5000)], qos=1)
        writer.flush(PATIENCE)
    assert wait_until(lambda: not reader._room.is_set())
    reader.close(0)
    assert not reader._thread.is_alive() and reader.receive(PATIENCE).text == "0"


def test_an_outcome_that_comes_as_the_thread_ends_is_told(client):
    """The wait begins when the message has no outcome, and finds the thread at its end."""
    gate = tern.client.Gate()
    client.close()
    gate.open((int(tern.Outcome.SENT), 0, -1))
    assert client._wait(gate, PATIENCE)


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


def test_callbacks_are_no_coroutine_functions(client, topic, monkeypatch):
    errors = queue.Queue()
    client.on_error = errors.put

    async def on_message(_message):
        pass

    client.on_message = on_message
    client.subscribe(topic)
    client.publish(topic, "x")
    assert isinstance(errors.get(timeout=PATIENCE), TypeError)
    unraisable = queue.Queue()
    monkeypatch.setattr(sys, "unraisablehook", unraisable.put)
    client.on_error = on_message
    client.publish(topic, "x")
    assert unraisable.get(timeout=PATIENCE).exc_type is TypeError


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

    def interrupted():
        yield from [("a", "x")] * 1500
        raise KeyboardInterrupt

    for messages, error in (
        ([("a", "x")] * 1500 + [("a", None)], TypeError),
        ([("a", "x")] * 5 + [("a\0", "x"), ("a", "x")], tern.UsageError),
        ([("a", "x")] * 5 + [(b"a", "x")], TypeError),
        ([("a", "x")] * 5 + [("a", "\ud800")], ValueError),
        (raising(), ZeroDivisionError),
        (interrupted(), KeyboardInterrupt),
    ):
        before = client.statistics["messages_published"]
        with pytest.raises(error) as caught:
            client.publish_many(messages, qos=1)
        accepted = client.statistics["messages_published"] - before
        assert len(caught.value.accepted) == accepted and accepted in (5, 1000, 1500)


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


def test_a_client_that_still_tries_is_entered(own_broker, topic):
    own_broker.stop()
    client = tern.Client(own_broker.url, **QUICK)
    with pytest.raises((tern.TimeoutError, tern.NetworkError)):
        client.connect(0.05)
    own_broker.start()
    with client:
        client.publish(topic, "x", qos=1).wait(PATIENCE)


def test_a_closed_client_is_not_entered(client):
    client.close()
    with pytest.raises(tern.ClosedError), client:
        pass
