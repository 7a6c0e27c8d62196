"""Section 4.3.1 of the users' guide to MQTT: a pool of connections.

The broker is the argument; otherwise it is as the guide has it.

SPDX-License-Identifier: Apache-2.0
"""

import sys
import paho.mqtt.client as mqtt
import threading
import time
from typing import List, Dict, Any

class MQTTConnectionPool:
    def __init__(self, options: Dict[str, Any]):
        self.broker_url = options['broker_url']
        self.port = options.get('port', 1883)
        self.pool_size = options.get('pool_size', 5)
        self.connections: List[mqtt.Client] = []
        self.round_robin = 0
        self.lock = threading.Lock()

    def initialize(self):
        for i in range(self.pool_size):
            client = self.create_connection(i)
            self.connections.append(client)

    def create_connection(self, index: int) -> mqtt.Client:
        client_id = f"pool_{index}_{int(time.time())}"
        client = mqtt.Client(client_id=client_id, clean_session=True)

        connected = threading.Event()

        def on_connect(client, userdata, flags, rc):
            if rc == 0:
                connected.set()
            else:
                print(f"Connection failed for client {index}: {rc}")

        def on_disconnect(client, userdata, rc):
            if rc != 0:
                print(f"Unexpected disconnection for client {index}")

        client.on_connect = on_connect
        client.on_disconnect = on_disconnect

        client.connect(self.broker_url, self.port, 60)
        client.loop_start()

        if not connected.wait(timeout=10):
            raise Exception(f"Connection timeout for client {index}")

        return client

    def get_connection(self) -> mqtt.Client:
        with self.lock:
            connection = self.connections[self.round_robin]
            self.round_robin = (self.round_robin + 1) % self.pool_size
            return connection

    def publish_with_load_balancing(self, topic: str, message: str, qos: int = 0) -> bool:
        connection = self.get_connection()
        result = connection.publish(topic, message, qos)
        result.wait_for_publish()
        return result.is_published()

pool_options = {
    'broker_url': sys.argv[1],
    'port': int(sys.argv[2]),
    'pool_size': 5
}

pool = MQTTConnectionPool(pool_options)
pool.initialize()

pool.publish_with_load_balancing('test/topic', 'Hello from pool!')
