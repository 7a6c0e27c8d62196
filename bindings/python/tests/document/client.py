"""Section 4.2.2 of the users' guide to MQTT: a class around the client.

The broker is the argument; otherwise it is as the guide has it.

SPDX-License-Identifier: Apache-2.0
"""

import sys
import paho.mqtt.client as mqtt
import json
import time

class MQTTClient:
    def __init__(self, broker_host, broker_port=1883):
        self.broker_host = broker_host
        self.broker_port = broker_port
        self.client = mqtt.Client()

        self.client.on_connect = self.on_connect
        self.client.on_message = self.on_message
        self.client.on_disconnect = self.on_disconnect

    def on_connect(self, client, userdata, flags, rc):
        if rc == 0:
            print("Connected successfully")
            client.subscribe("sensors/+/temperature")
        else:
            print(f"Connection failed with code {rc}")

    def on_message(self, client, userdata, msg):
        try:
            payload = json.loads(msg.payload.decode())
            print(f"Topic: {msg.topic}")
            print(f"Message: {payload}")
        except json.JSONDecodeError:
            print(f"Raw message: {msg.payload}")

    def on_disconnect(self, client, userdata, rc):
        if rc != 0:
            print("Unexpected disconnection")

    def connect(self, username=None, password=None):
        if username and password:
            self.client.username_pw_set(username, password)

        self.client.connect(self.broker_host, self.broker_port, 60)
        self.client.loop_start()

    def publish(self, topic, payload, qos=0, retain=False):
        msg_info = self.client.publish(topic, payload, qos, retain)
        msg_info.wait_for_publish()

    def subscribe(self, topic, qos=0):
        self.client.subscribe(topic, qos)

    def disconnect(self):
        self.client.loop_stop()
        self.client.disconnect()

client = MQTTClient(sys.argv[1], int(sys.argv[2]))
client.connect()

sensor_data = {
    "temperature": 23.5,
    "humidity": 45.2,
    "timestamp": int(time.time())
}

client.publish("sensors/room1/data", json.dumps(sensor_data), qos=1)
