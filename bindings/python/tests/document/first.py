"""Section 4.2.1 of the users' guide to MQTT: the first program.

The broker is the argument; otherwise it is as the guide has it.

SPDX-License-Identifier: Apache-2.0
"""

import sys
import paho.mqtt.client as mqtt

def on_connect(client, userdata, flags, rc):
    print('Connected')
    client.subscribe('test/topic')
    client.publish('test/topic', 'Hello World!')

def on_message(client, userdata, msg):
    print(f"Received {msg.payload.decode()} on {msg.topic}")

client = mqtt.Client()
client.on_connect = on_connect
client.on_message = on_message

client.connect(sys.argv[1], int(sys.argv[2]), 60)
client.loop_forever()
