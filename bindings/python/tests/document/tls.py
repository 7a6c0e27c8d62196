"""Section 4.2.1 of the users' guide to MQTT: the advanced set-up, with tls_set() in place of a context.

The broker is the argument; otherwise it is as the guide has it.

SPDX-License-Identifier: Apache-2.0
"""

import sys
import paho.mqtt.client as mqtt
import ssl
import time
import random
import string

client_id = f"unique-client-{''.join(random.choices(string.ascii_lowercase + string.digits, k=8))}"

client = mqtt.Client(client_id=client_id, clean_session=True)

client.username_pw_set('user', 'pass')

client.tls_set("./ca.crt", "./client.crt", "./client.key")

client.will_set(
    topic='clients/client-id/status',
    payload='offline',
    qos=1,
    retain=True
)

client.connect(sys.argv[1], int(sys.argv[2]), keepalive=60)
client.loop_start()
