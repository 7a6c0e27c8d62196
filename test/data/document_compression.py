"""The compressing client of a widely read guide, built on Paho, and a program around it.
Usage: document_compression.py publish PORT TOPIC COUNT | receive PORT TOPIC COUNT

publish sends COUNT texts, every second one large; receive prints "ready", and each text that it got on a line of its own.
The name `qos`, which the class uses without binding it, is bound here.
SPDX-License-Identifier: Apache-2.0"""
import gzip
import json
import sys
import threading
from typing import Callable

import paho.mqtt.client as mqtt

qos = 1


class CompressedMQTTClient:
    def __init__(self, broker_url: str, port: int = 1883):
        self.client = mqtt.Client()
        self.broker_url = broker_url
        self.port = port
        self.compression_threshold = 100
        self.message_headers = {}
        self.client.on_connect = self.on_connect
        self.client.on_message = self.on_message
        self.connect()

    def on_connect(self, client, userdata, flags, rc):
        pass

    def on_message(self, client, userdata, msg):
        pass

    def connect(self):
        self.client.connect(self.broker_url, self.port, 60)
        self.client.loop_start()

    def publish_compressed(self, topic: str, payload: str, qos: int = 0) -> bool:
        final_payload = payload.encode('utf-8')
        headers = {'compressed': False}
        if len(payload.encode('utf-8')) > self.compression_threshold:
            final_payload = gzip.compress(payload.encode('utf-8'))
            headers['compressed'] = True
        meta_topic = f"{topic}/meta"
        self.client.publish(meta_topic, json.dumps(headers), qos=0)
        result = self.client.publish(topic, final_payload, qos)
        result.wait_for_publish()
        return result.is_published()

    def subscribe_with_decompression(self, topic: str, callback: Callable[[str, str], None]):
        meta_topic = f"{topic}/meta"

        def internal_callback(client, userdata, msg):
            if msg.topic == meta_topic:
                self.message_headers[topic] = json.loads(msg.payload.decode())
                return
            if msg.topic == topic:
                final_message = msg.payload
                headers = self.message_headers.get(topic, {})
                if headers.get('compressed', False):
                    final_message = gzip.decompress(msg.payload)
                callback(msg.topic, final_message.decode('utf-8'))
                if topic in self.message_headers:
                    del self.message_headers[topic]

        self.client.subscribe([(topic, qos), (meta_topic, 0)])
        self.client.message_callback_add(topic, internal_callback)
        self.client.message_callback_add(meta_topic, internal_callback)


def text_of(n):
    return f"{n} " + "This is a large message that will be compressed. " * (10 if n % 2 else 0)


def main():
    what, port, topic, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    client = CompressedMQTTClient("127.0.0.1", port)
    if what == "publish":
        for n in range(count):
            if not client.publish_compressed(topic, text_of(n), 1):
                return 1
        return 0
    done = threading.Event()
    got = []

    def on_text(_topic, text):
        got.append(text)
        print(text, flush=True)
        if len(got) == count:
            done.set()

    subscribed = threading.Event()
    client.client.on_subscribe = lambda *_: subscribed.set()
    client.subscribe_with_decompression(topic, on_text)
    if not subscribed.wait(30):
        return 1
    print("ready", flush=True)
    return 0 if done.wait(60) else 1


sys.exit(main())
