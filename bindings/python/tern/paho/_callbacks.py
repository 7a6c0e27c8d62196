"""The callbacks of a paho-mqtt client, with the arguments of both versions of the API.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional

from ..event import Event
from .enums import CallbackAPIVersion, MQTTErrorCode
from .packettypes import PacketTypes
from .properties import Properties
from .reasoncodes import ReasonCode

Callback = Callable[..., Any]

# Return codes of a 3.1.1 CONNACK for the reason codes that Tern tells (MQTT 5 section 3.2.2.2).
_RETURN_CODES = {0x84: 1, 0x85: 2, 0x88: 3, 0x86: 4, 0x87: 5}
_ACCEPTED = ReasonCode(PacketTypes.PUBACK, identifier=0)
_REASONS = {
    MQTTErrorCode.MQTT_ERR_SUCCESS: 0x00,
    MQTTErrorCode.MQTT_ERR_KEEPALIVE: 0x8D,
    MQTTErrorCode.MQTT_ERR_PROTOCOL: 0x82,
}


class ConnectFlags(NamedTuple):
    """What on_connect is told beside the reason code."""

    session_present: bool
    """The broker had kept the session."""


class DisconnectFlags(NamedTuple):
    """What on_disconnect is told beside the reason code."""

    is_disconnect_packet_from_server: bool
    """The broker said why; else the reason code was made here."""


def convert_connack_rc_to_reason_code(connack_code: int) -> ReasonCode:
    """The reason code of MQTT 5 for a 3.1.1 return code."""
    codes = {value: code for code, value in _RETURN_CODES.items()}
    code = 0 if connack_code == 0 else codes.get(connack_code, 0x80)
    return ReasonCode(PacketTypes.CONNACK, identifier=code)


def convert_disconnect_error_code_to_reason_code(rc: MQTTErrorCode) -> ReasonCode:
    """The reason code of MQTT 5 for an MQTT_ERR_ number."""
    return ReasonCode(PacketTypes.DISCONNECT, identifier=_REASONS.get(rc, 0x80))


class Callbacks:
    """The attributes on_connect and so on, their decorators, and how they are called.

    They are attributes of the class, so that a subclass may have methods of these names.
    """

    on_pre_connect: Optional[Callback] = None
    on_connect: Optional[Callback] = None
    on_connect_fail: Optional[Callback] = None
    on_disconnect: Optional[Callback] = None
    on_message: Optional[Callback] = None
    on_publish: Optional[Callback] = None
    on_subscribe: Optional[Callback] = None
    on_unsubscribe: Optional[Callback] = None
    on_log: Optional[Callback] = None
    on_socket_open: Optional[Callback] = None
    on_socket_close: Optional[Callback] = None
    on_socket_register_write: Optional[Callback] = None
    on_socket_unregister_write: Optional[Callback] = None

    def __init__(self, version: CallbackAPIVersion, userdata: Any) -> None:
        self._version_2 = version == CallbackAPIVersion.VERSION2
        self._callback_api_version = version
        self._speaks_5 = False
        self._userdata = userdata
        for name in _NAMES:  # those of a subclass stay
            self.__dict__.pop(name, None)
        self._handlers: dict[int, Callback] = {}

    @property
    def callback_api_version(self) -> CallbackAPIVersion:
        """Which arguments callbacks are given."""
        return self._callback_api_version

    def user_data_set(self, userdata: Any) -> None:
        """Sets what callbacks are given as userdata."""
        self._userdata = userdata

    def user_data_get(self) -> Any:
        """What callbacks are given as userdata."""
        return self._userdata

    # ---- decorators ----

    def _decorator(self, name: str) -> Callable[[Callback], Callback]:
        def decorate(function: Callback) -> Callback:
            setattr(self, name, function)
            return function

        return decorate

    def pre_connect_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_pre_connect."""
        return self._decorator("on_pre_connect")

    def connect_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_connect."""
        return self._decorator("on_connect")

    def connect_fail_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_connect_fail."""
        return self._decorator("on_connect_fail")

    def disconnect_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_disconnect."""
        return self._decorator("on_disconnect")

    def message_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_message."""
        return self._decorator("on_message")

    def publish_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_publish."""
        return self._decorator("on_publish")

    def subscribe_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_subscribe."""
        return self._decorator("on_subscribe")

    def unsubscribe_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_unsubscribe."""
        return self._decorator("on_unsubscribe")

    def log_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_log."""
        return self._decorator("on_log")

    def socket_open_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_socket_open."""
        return self._decorator("on_socket_open")

    def socket_close_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_socket_close."""
        return self._decorator("on_socket_close")

    def socket_register_write_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_socket_register_write, which Tern never calls."""
        return self._decorator("on_socket_register_write")

    def socket_unregister_write_callback(self) -> Callable[[Callback], Callback]:
        """Decorator for on_socket_unregister_write, which Tern never calls."""
        return self._decorator("on_socket_unregister_write")

    # ---- calling ----

    def _call(self, callback: Optional[Callback], *arguments: Any) -> None:
        if callback is not None:
            try:
                callback(self, self._userdata, *arguments)
            except BaseException as error:  # what comes after it in the batch is told first
                self._raised(error)

    def _raised(self, error: BaseException) -> None:
        raise NotImplementedError

    def _told_connack(self, event: Event, properties: Optional[Properties]) -> None:
        """Calls on_connect for an accepted connection and for a refused one."""
        if self.on_connect is None:
            return
        reason = ReasonCode.told(PacketTypes.CONNACK, max(event.reason_code, 0))
        flags = {"session present": int(event.session_present)}
        if self._version_2:
            told = properties or Properties(PacketTypes.CONNACK)
            self._call(self.on_connect, ConnectFlags(event.session_present), reason, told)
        elif self._speaks_5:
            self._call(self.on_connect, flags, reason, properties)
        else:
            self._call(self.on_connect, flags, _RETURN_CODES.get(reason.value, reason.value))

    def _told_disconnect(
        self, rc: MQTTErrorCode, from_server: Optional[ReasonCode], properties: Optional[Properties]
    ) -> None:
        if self.on_disconnect is None:
            return
        if self._version_2:
            reason = from_server or convert_disconnect_error_code_to_reason_code(rc)
            told = properties or Properties(PacketTypes.DISCONNECT)
            flags = DisconnectFlags(from_server is not None)
            self._call(self.on_disconnect, flags, reason, told)
        elif self._speaks_5:
            self._call(self.on_disconnect, rc if from_server is None else from_server, properties)
        else:
            self._call(self.on_disconnect, rc)

    def _told_publish(self, mid: int, reason_code: int) -> None:
        if self._version_2:
            reason = _ACCEPTED
            if reason_code > 0:
                reason = ReasonCode.told(PacketTypes.PUBACK, reason_code)
            self._call(self.on_publish, mid, reason, Properties(PacketTypes.PUBACK))
        else:
            self._call(self.on_publish, mid)

    def _told_subscribe(self, mid: int, codes: list[int]) -> None:
        reasons = [ReasonCode.told(PacketTypes.SUBACK, code) for code in codes]
        if self._version_2 or self._speaks_5:
            self._call(self.on_subscribe, mid, reasons, Properties(PacketTypes.SUBACK))
        else:
            self._call(self.on_subscribe, mid, tuple(codes))

    def _told_unsubscribe(self, mid: int, codes: list[int]) -> None:
        reasons = [ReasonCode.told(PacketTypes.UNSUBACK, code) for code in codes]
        properties = Properties(PacketTypes.UNSUBACK)
        if self._version_2:
            self._call(self.on_unsubscribe, mid, reasons, properties)
        elif self._speaks_5:
            one = reasons[0] if len(reasons) == 1 else reasons
            self._call(self.on_unsubscribe, mid, properties, one)
        else:
            self._call(self.on_unsubscribe, mid)


_NAMES = tuple(name for name in Callbacks.__dict__ if name.startswith("on_"))
