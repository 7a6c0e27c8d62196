"""The API of paho-mqtt on Tern: `import tern.paho.client as mqtt` is the one changed line.

See docs/python-paho.md.

SPDX-License-Identifier: Apache-2.0
"""

__version__ = "2.2.0"  # of paho-mqtt, whose API this is; programs choose by it how to call it


class MQTTException(Exception):
    """What paho-mqtt raises for wrong properties."""


class MalformedPacket(MQTTException):
    """What is to be unpacked is broken."""
