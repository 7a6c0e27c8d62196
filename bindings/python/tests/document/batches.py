"""Section 4.3.2 of the users' guide to MQTT: batches.

The broker is the argument; otherwise it is as the guide has it.

SPDX-License-Identifier: Apache-2.0
"""

import sys
import paho.mqtt.client as mqtt
import json
import time
from threading import Timer
import queue

class BatchMQTTPublisher:
    def __init__(self, broker_host, batch_size=10, flush_interval=5):
        self.client = mqtt.Client()
        self.broker_host = broker_host
        self.batch_size = batch_size
        self.flush_interval = flush_interval
        self.message_queue = queue.Queue()
        self.timer = None

        self.client.on_connect = self.on_connect
        self.client.connect(broker_host, int(sys.argv[2]))
        self.client.loop_start()

        self.start_flush_timer()

    def on_connect(self, client, userdata, flags, rc):
        print(f"Connected with result code {rc}")

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
            self.client.publish(batch_topic, batch_payload, qos=1)
            print(f"Published batch of {len(messages)} messages")

        self.start_flush_timer()

    def start_flush_timer(self):
        self.timer = Timer(self.flush_interval, self.flush_messages)
        self.timer.start()

publisher = BatchMQTTPublisher(sys.argv[1])

for i in range(50):
    publisher.add_message(f'sensor/{i}', f'value_{i}')
    time.sleep(0.1)
