"""The API of paho-mqtt on Tern: `import tern.paho.client as mqtt` is the one changed line.

See docs/python-paho.md.

SPDX-License-Identifier: Apache-2.0
"""


class MQTTException(Exception):
    """What paho-mqtt raises for wrong properties."""


class MalformedPacket(MQTTException):
    """What is to be unpacked is broken."""
