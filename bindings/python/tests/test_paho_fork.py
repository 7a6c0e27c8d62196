"""tern.paho in the child of a fork.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from broker import Broker


def test_fork(broker: Broker) -> None:
    program = """
import os, sys
import tern.paho.client as mqtt
client = mqtt.Client()
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
child = os.fork()
if child == 0:
    other = mqtt.Client()
    other.connect("127.0.0.1", int(sys.argv[1]))
    other.publish("fork", "child", 1).wait_for_publish(10)
    other.disconnect()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
client.publish("fork", "parent", 1).wait_for_publish(10)
client.disconnect()
client.loop_stop()
print("done")
"""
    command = [sys.executable, "-c", program, str(broker.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "done\n", done.stderr


FORKING = """
import os, sys, threading
import tern.paho.client as mqtt

def child(client):
    got, done = [], threading.Event()
    client.on_message = lambda c, u, m: (got.append(m.payload), done.set())
    client.on_connect = lambda c, *_: c.subscribe(topic, 1)
    client.on_subscribe = lambda c, *_: c.publish(topic, "child", 1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert done.wait(20) and got == [b"child"], got
    client.disconnect()
    client.loop_stop()

port, topic, how = int(sys.argv[1]), sys.argv[2], sys.argv[3]
client = mqtt.Client()
if how == "filters":
    client.message_callback_add("elsewhere", print)
elif how == "publish":
    client.publish("elsewhere", "early", 1)
else:
    client.connect("127.0.0.1", port)
    client.loop_start()
if how == "used":
    client.disconnect()
    client.loop_stop()
if os.fork() == 0:
    try:
        child(client)
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
assert os.wait()[1] == 0
if how == "connected":
    client.publish("elsewhere", "parent", 1).wait_for_publish(20)
    assert client.is_connected()
    client.disconnect()
    client.loop_stop()
print("done")
"""


@pytest.mark.parametrize("how", ["filters", "publish", "used", "connected"])
def test_a_client_that_was_made_before_a_fork(broker: Broker, topic: str, how: str) -> None:
    command = [sys.executable, "-c", FORKING, str(broker.port), topic, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "done\n", done.stderr
