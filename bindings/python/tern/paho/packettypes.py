"""Types of packets, for Properties and ReasonCode.

SPDX-License-Identifier: Apache-2.0
"""


class PacketTypes:
    """MQTT 5 section 2.1.2, and 99 for a will."""

    CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
    SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
    PINGREQ, PINGRESP, DISCONNECT, AUTH, WILLMESSAGE = 12, 13, 14, 15, 99
    indexes = range(1, 16)
    Names = (
        "reserved",
        "Connect",
        "Connack",
        "Publish",
        "Puback",
        "Pubrec",
        "Pubrel",
        "Pubcomp",
        "Subscribe",
        "Suback",
        "Unsubscribe",
        "Unsuback",
        "Pingreq",
        "Pingresp",
        "Disconnect",
        "Auth",
    )
