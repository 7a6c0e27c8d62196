"""Section 4.3.3 of the users' guide to MQTT: compressed messages.

The broker is the argument; otherwise it is as the guide has it.

SPDX-License-Identifier: Apache-2.0
"""

import sys
import gzip
import json
import paho.mqtt.client as mqtt
from typing import Callable, Dict, Any

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
        if rc == 0:
            print("Connected to broker")

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
            print(f"Compressed: {len(payload.encode('utf-8'))} -> {len(final_payload)} bytes")

        meta_topic = f"{topic}/meta"
        self.client.publish(meta_topic, json.dumps(headers), qos=0)

        result = self.client.publish(topic, final_payload, qos)
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

def message_handler(topic: str, message: str):
    print(f"Received: {message} on {topic}")

client = CompressedMQTTClient(sys.argv[1], int(sys.argv[2]))
client.subscribe_with_decompression('test/compressed', message_handler)

large_message = "This is a large message that will be compressed" * 10
client.publish_compressed('test/compressed', large_message, qos=1)
