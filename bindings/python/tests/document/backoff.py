"""Section 4.4.1 of the users' guide to MQTT: reconnecting with exponential backoff.

The broker is the argument; otherwise it is as the guide has it.

SPDX-License-Identifier: Apache-2.0
"""

import sys
import paho.mqtt.client as mqtt
import time
import threading
import random
from typing import Optional, Dict, Any

class ResilientMQTTClient:
    def __init__(self, broker_url: str, port: int = 1883, options: Optional[Dict[str, Any]] = None):
        self.broker_url = broker_url
        self.port = port
        self.options = options or {}
        self.reconnect_attempts = 0
        self.max_reconnect_attempts = self.options.get('max_reconnect_attempts', 10)
        self.base_delay = self.options.get('base_delay', 1)
        self.max_delay = self.options.get('max_delay', 30)
        self.client: Optional[mqtt.Client] = None
        self.connected = threading.Event()
        self.should_reconnect = True

    def connect(self) -> bool:
        try:
            self.client = mqtt.Client(
                client_id=self.options.get('client_id', ''),
                clean_session=self.options.get('clean_session', True)
            )

            self.client.on_connect = self.on_connect
            self.client.on_disconnect = self.on_disconnect
            self.client.on_message = self.on_message

            if 'username' in self.options and 'password' in self.options:
                self.client.username_pw_set(
                    self.options['username'],
                    self.options['password']
                )

            self.client.connect(self.broker_url, self.port, 60)
            self.client.loop_start()

            if self.connected.wait(timeout=10):
                print('Connected successfully')
                self.reconnect_attempts = 0
                return True
            else:
                print('Connection timeout')
                return False

        except Exception as e:
            print(f'Connection error: {e}')
            return False

    def on_connect(self, client, userdata, flags, rc):
        if rc == 0:
            self.connected.set()
        else:
            print(f'Connection failed with code: {rc}')
            self.handle_reconnection()

    def on_disconnect(self, client, userdata, rc):
        self.connected.clear()
        if rc != 0 and self.should_reconnect:
            print('Unexpected disconnection')
            self.handle_reconnection()
        else:
            print('Disconnected gracefully')

    def on_message(self, client, userdata, msg):
        print(f"Received message: {msg.payload.decode()} on {msg.topic}")

    def handle_reconnection(self):
        if self.reconnect_attempts >= self.max_reconnect_attempts:
            print('Max reconnection attempts reached')
            return

        base_delay = min(
            self.base_delay * (2 ** self.reconnect_attempts),
            self.max_delay
        )
        delay = base_delay + random.uniform(0, base_delay * 0.1)

        print(f'Reconnecting in {delay:.1f}s (attempt {self.reconnect_attempts + 1})')
        self.reconnect_attempts += 1

        def delayed_reconnect():
            time.sleep(delay)
            if self.should_reconnect:
                self.connect()

        threading.Thread(target=delayed_reconnect, daemon=True).start()

    def publish(self, topic: str, payload: str, qos: int = 0, retain: bool = False) -> bool:
        if self.client and self.connected.is_set():
            result = self.client.publish(topic, payload, qos, retain)
            return result.rc == mqtt.MQTT_ERR_SUCCESS
        return False

    def subscribe(self, topic: str, qos: int = 0) -> bool:
        if self.client and self.connected.is_set():
            result = self.client.subscribe(topic, qos)
            return result[0] == mqtt.MQTT_ERR_SUCCESS
        return False

    def disconnect(self):
        self.should_reconnect = False
        if self.client:
            self.client.loop_stop()
            self.client.disconnect()

client_options = {
    'client_id': 'resilient_client_001',
    'username': 'user',
    'password': 'pass',
    'max_reconnect_attempts': 5,
    'base_delay': 2,
    'max_delay': 60
}

client = ResilientMQTTClient(sys.argv[1], int(sys.argv[2]), client_options)
if client.connect():
    client.subscribe('test/topic')
    client.publish('test/topic', 'Hello from resilient client!')

    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        client.disconnect()
