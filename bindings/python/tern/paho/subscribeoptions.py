"""Options of a subscription as paho-mqtt has them.

SPDX-License-Identifier: Apache-2.0
"""


class SubscribeOptions:
    """MQTT 5 section 3.8.3.1."""

    RETAIN_SEND_ON_SUBSCRIBE, RETAIN_SEND_IF_NEW_SUB, RETAIN_DO_NOT_SEND = range(3)

    def __init__(
        self,
        qos: int = 0,
        noLocal: bool = False,
        retainAsPublished: bool = False,
        retainHandling: int = 0,
    ) -> None:
        if retainHandling not in (0, 1, 2):
            raise AssertionError(f"retainHandling: 0, 1 and 2 are possible, not {retainHandling}")
        if qos not in (0, 1, 2):
            raise AssertionError(f"qos: 0, 1 and 2 are possible, not {qos}")
        self.QoS, self.noLocal, self.retainAsPublished = qos, noLocal, retainAsPublished
        self.retainHandling = retainHandling

    def json(self) -> dict[str, int]:
        """The options as a dictionary."""
        return dict(self.__dict__)

    def __str__(self) -> str:
        return str(self.json())
