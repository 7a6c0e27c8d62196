"""The batching publisher of a widely read guide, built on Paho, and a program around it.
Usage: document_batch.py publish PORT COUNT | receive PORT COUNT

publish adds COUNT messages and waits until all are out; receive prints "ready", and "topic payload" of each message of the batches
that it gets, until there were COUNT.
SPDX-License-Identifier: Apache-2.0"""
import json
import queue
import sys
import threading
import time
from threading import Timer

import paho.mqtt.client as mqtt


class BatchMQTTPublisher:
    def __init__(self, broker_host, batch_size=10, flush_interval=5, port=1883):
        self.client = mqtt.Client()
        self.broker_host = broker_host
        self.batch_size = batch_size
        self.flush_interval = flush_interval
        self.message_queue = queue.Queue()
        self.timer = None
        self.client.on_connect = self.on_connect
        self.client.connect(broker_host, port)
        self.client.loop_start()
        self.start_flush_timer()

    def on_connect(self, client, userdata, flags, rc):
        pass

    def add_message(self, topic, payload, qos=0):
        message = {
            'topic': topic,
            'payload': payload,
            'qos': qos,
            'timestamp': time.time()
        }
        self.message_queue.put(message)
        if self.message_queue.qsize() >= self.batch_size:
            self.flush_messages()

    def flush_messages(self):
        if self.timer:
            self.timer.cancel()
        messages = []
        while not self.message_queue.empty() and len(messages) < self.batch_size:
            messages.append(self.message_queue.get())
        if messages:
            batch_topic = "batch/messages"
            batch_payload = json.dumps(messages)
            info = self.client.publish(batch_topic, batch_payload, qos=1)
            info.wait_for_publish()
        self.start_flush_timer()

    def start_flush_timer(self):
        self.timer = Timer(self.flush_interval, self.flush_messages)
        self.timer.daemon = True
        self.timer.start()


def publish(port, count):
    publisher = BatchMQTTPublisher("127.0.0.1", port=port)
    for i in range(count):
        publisher.add_message(f'sensor/{i}', f'value_{i} "grün"\n')
    publisher.flush_messages()
    return 0


def receive(port, count):
    client = mqtt.Client()
    done, subscribed, got = threading.Event(), threading.Event(), []

    def on_message(_client, _userdata, message):
        for item in json.loads(message.payload):
            assert isinstance(item['timestamp'], float) and abs(item['timestamp'] - time.time()) < 600
            got.append(item)
            print(item['topic'], item['payload'], item['qos'], flush=True)
        if len(got) >= count:
            done.set()

    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe("batch/messages", 1)
    if not subscribed.wait(30):
        return 1
    print("ready", flush=True)
    return 0 if done.wait(60) and len(got) == count else 1


sys.exit((publish if sys.argv[1] == "publish" else receive)(int(sys.argv[2]), int(sys.argv[3])))
