"""paho-mqtt's client on Tern: `import tern.paho.client as mqtt` in place of `paho.mqtt.client`.

docs/python-paho.md says what is the same and what differs.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import inspect
import logging
import socket
import ssl
import string
import time
from typing import Any, Callable, Optional, Union, overload

from .._apply import make_message
from .._core import LOG, TokenResult
from .._ffi import c, held
from ..errors import TernError
from ..requests import Subscribe, subscription
from . import MalformedPacket, MQTTException
from ._attributes import Attributes
from ._callbacks import (
    Callback,
    ConnectFlags,
    DisconnectFlags,
    convert_connack_rc_to_reason_code,
    convert_disconnect_error_code_to_reason_code,
)
from ._connection import WebsocketConnectionError
from ._message import (
    LARGEST,
    MQTTMessage,
    MQTTMessageInfo,
    PayloadType,
    encoded,
    error_string,
    mid_of,
    to_native,
)
from ._settings import MQTT_CLEAN_START_FIRST_ONLY
from ._types import (
    CallbackOnConnect,
    CallbackOnConnect_v1,
    CallbackOnConnect_v1_mqtt3,
    CallbackOnConnect_v1_mqtt5,
    CallbackOnConnect_v2,
    CallbackOnConnectFail,
    CallbackOnDisconnect,
    CallbackOnDisconnect_v1,
    CallbackOnDisconnect_v1_mqtt3,
    CallbackOnDisconnect_v1_mqtt5,
    CallbackOnDisconnect_v2,
    CallbackOnLog,
    CallbackOnMessage,
    CallbackOnPreConnect,
    CallbackOnPublish,
    CallbackOnPublish_v1,
    CallbackOnPublish_v2,
    CallbackOnSocket,
    CallbackOnSubscribe,
    CallbackOnSubscribe_v1,
    CallbackOnSubscribe_v1_mqtt3,
    CallbackOnSubscribe_v1_mqtt5,
    CallbackOnSubscribe_v2,
    CallbackOnUnsubscribe,
    CallbackOnUnsubscribe_v1,
    CallbackOnUnsubscribe_v1_mqtt3,
    CallbackOnUnsubscribe_v1_mqtt5,
    CallbackOnUnsubscribe_v2,
    CleanStartOption,
    HTTPHeader,
    WebSocketHeaders,
)
from ._watch import Watch
from .enums import (
    AUTH,
    CONNACK,
    CONNACK_ACCEPTED,
    CONNACK_REFUSED_BAD_USERNAME_PASSWORD,
    CONNACK_REFUSED_IDENTIFIER_REJECTED,
    CONNACK_REFUSED_NOT_AUTHORIZED,
    CONNACK_REFUSED_PROTOCOL_VERSION,
    CONNACK_REFUSED_SERVER_UNAVAILABLE,
    CONNECT,
    DISCONNECT,
    MQTT_BRIDGE,
    MQTT_CLIENT,
    MQTT_ERR_ACL_DENIED,
    MQTT_ERR_AGAIN,
    MQTT_ERR_AUTH,
    MQTT_ERR_CONN_LOST,
    MQTT_ERR_CONN_REFUSED,
    MQTT_ERR_ERRNO,
    MQTT_ERR_INVAL,
    MQTT_ERR_KEEPALIVE,
    MQTT_ERR_NO_CONN,
    MQTT_ERR_NOMEM,
    MQTT_ERR_NOT_FOUND,
    MQTT_ERR_NOT_SUPPORTED,
    MQTT_ERR_PAYLOAD_SIZE,
    MQTT_ERR_PROTOCOL,
    MQTT_ERR_QUEUE_SIZE,
    MQTT_ERR_SUCCESS,
    MQTT_ERR_TLS,
    MQTT_ERR_UNKNOWN,
    MQTT_LOG_DEBUG,
    MQTT_LOG_ERR,
    MQTT_LOG_INFO,
    MQTT_LOG_NOTICE,
    MQTT_LOG_WARNING,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    CallbackAPIVersion,
    ConnackCode,
    LogLevel,
    MessageState,
    MessageType,
    MQTTErrorCode,
    MQTTProtocolVersion,
    MQTTv5,
    MQTTv31,
    MQTTv311,
    PahoClientMode,
    mqtt_cs_connect_async,
    mqtt_cs_connected,
    mqtt_cs_disconnecting,
    mqtt_cs_new,
    mqtt_ms_invalid,
    mqtt_ms_publish,
    mqtt_ms_queued,
    mqtt_ms_resend_pubcomp,
    mqtt_ms_resend_pubrel,
    mqtt_ms_send_pubrec,
    mqtt_ms_wait_for_puback,
    mqtt_ms_wait_for_pubcomp,
    mqtt_ms_wait_for_pubrec,
    mqtt_ms_wait_for_pubrel,
)
from .matcher import MQTTMatcher
from .packettypes import PacketTypes
from .properties import Properties
from .reasoncodes import ReasonCode, ReasonCodes
from .subscribeoptions import SubscribeOptions

_CONNACK_TEXTS = (
    "Connection accepted.",
    "Connection refused: the broker does not speak this version of MQTT.",
    "Connection refused: the client identifier is not allowed.",
    "Connection refused: the broker is not available.",
    "Connection refused: bad user name or password.",
    "Connection refused: not authorized.",
)
LOGGING_LEVEL = {
    LogLevel.MQTT_LOG_DEBUG: logging.DEBUG,
    LogLevel.MQTT_LOG_INFO: logging.INFO,
    LogLevel.MQTT_LOG_NOTICE: logging.INFO,
    LogLevel.MQTT_LOG_WARNING: logging.WARNING,
    LogLevel.MQTT_LOG_ERR: logging.ERROR,
}
Filters = Union[
    str,
    tuple[str, Union[int, SubscribeOptions]],
    list[tuple[str, int]],
    list[tuple[str, SubscribeOptions]],
]


def connack_string(connack_code: Union[int, ReasonCode]) -> str:
    """What the code of a CONNACK means."""
    if isinstance(connack_code, ReasonCode):
        return str(connack_code)
    known = 0 <= connack_code < len(_CONNACK_TEXTS)
    return _CONNACK_TEXTS[connack_code] if known else "Connection refused: unknown reason."


def base62(num: int, base: str = string.digits + string.ascii_letters, padding: int = 1) -> str:
    """A number with 62 digits, `padding` places at least."""
    digits = ""
    while num:
        num, digit = divmod(num, 62)
        digits = base[digit] + digits
    return digits.rjust(padding, base[0])


def topic_matches_sub(sub: str, topic: str) -> bool:
    """Whether a topic matches a filter (MQTT 5 section 4.7). A shared subscription's begins with
    $share/, and matches as if that were a level of topics."""
    if not topic or sub.startswith("$share/"):
        matcher = MQTTMatcher()
        matcher[sub] = True
        return any(matcher.iter_match(topic))
    return bool(held.tern_filter_matches(sub.encode(), topic.encode()) == 1)


class Client(Attributes):
    """paho-mqtt's client, with the constructors of 1.6 and of 2.x."""

    @overload
    def __init__(
        self,
        callback_api_version: CallbackAPIVersion = ...,
        client_id: Union[str, bytes, None] = "",
        clean_session: Optional[bool] = None,
        userdata: Any = None,
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
        transport: str = "tcp",
        reconnect_on_failure: bool = True,
        manual_ack: bool = False,
    ) -> None: ...

    @overload
    def __init__(
        self,
        client_id: Union[str, bytes, None] = "",
        clean_session: Optional[bool] = None,
        userdata: Any = None,
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
        transport: str = "tcp",
        reconnect_on_failure: bool = True,
        manual_ack: bool = False,
    ) -> None: ...

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As in 1.6, callback_api_version (VERSION1) may be left out also where arguments have no
        names. Raises ValueError and TypeError."""
        super().__init__(*args, **kwargs)

    # ---- publishing ----

    def publish(
        self,
        topic: str,
        payload: PayloadType = None,
        qos: int = 0,
        retain: bool = False,
        properties: Optional[Properties] = None,
    ) -> MQTTMessageInfo:
        """Publishes. `rc` of the result is MQTT_ERR_NO_CONN where there is no connection: messages
        of QoS 1 and 2 wait for one then, those of QoS 0 are not sent.

        Raises ValueError and TypeError for wrong arguments.
        """
        if not topic or not isinstance(topic, str):
            raise ValueError(_bad_topic(properties))
        if payload.__class__ is not bytes:
            payload = encoded(payload)
        if qos not in (0, 1, 2):
            raise ValueError("Invalid QoS level.")
        if len(payload) > LARGEST:
            raise ValueError("Payload too large.")
        core = self._core or self._make_core()
        sent = self._sent
        connected = held.tern_client_connected(core.handle) == 1
        if not connected and qos == 0:
            return self._not_published(topic, MQTTErrorCode.MQTT_ERR_NO_CONN)
        flags = int(qos) | (c.TERN_RETAIN if retain else 0)
        native = to_native(properties)
        if self._queued and qos and sent is not None:
            number = sent.publish_one_of(self._queued, core.publish, topic, payload, flags, native)
            if number == 0:
                return self._not_published(topic, MQTTErrorCode.MQTT_ERR_QUEUE_SIZE)
        else:
            number = core.publish(topic, payload, flags, native)
        if sent is not None and sent.newest < number:
            sent.newest = number
        info = MQTTMessageInfo((number - 1) % 65535 + 1, sent, number)
        if not connected:
            info.rc = MQTTErrorCode.MQTT_ERR_NO_CONN
        elif qos == 0 and self.on_publish is not None and self._tells_at_once():
            self._tell_out(info)
        return info

    def _not_published(self, topic: str, rc: MQTTErrorCode) -> MQTTMessageInfo:
        held.tern_message_unref(make_message(topic, b"", 0, None))  # a wrong topic raises here too
        info = MQTTMessageInfo(self._next_mid())
        info.rc = rc
        return info

    # ---- subscribing ----

    def subscribe(
        self,
        topic: Filters,
        qos: int = 0,
        options: Optional[SubscribeOptions] = None,
        properties: Optional[Properties] = None,
    ) -> tuple[MQTTErrorCode, Optional[int]]:
        """Subscribes; the broker's answer is told to on_subscribe. Returns (rc, mid).

        After a reconnect Tern subscribes again by itself. Raises ValueError and TypeError.
        """
        wanted = _filters_of(topic, qos, options, self._speaks_5)
        identifiers = (
            [] if properties is None else getattr(properties, "SubscriptionIdentifier", [])
        )
        users = [] if properties is None else getattr(properties, "UserProperty", [])
        with subscription(wanted, 0, identifiers[-1] if identifiers else 0, users, {}) as handle:
            if not self.is_connected() or self._core is None:
                return (MQTTErrorCode.MQTT_ERR_NO_CONN, None)
            mid = self._next_mid()

            def done(result: TokenResult) -> None:
                if result.reason_codes:
                    self._tell(self._told_subscribe, mid, result.reason_codes)

            self._core.start(done, held.tern_client_subscribe_all, handle)
        return (MQTTErrorCode.MQTT_ERR_SUCCESS, mid)

    def unsubscribe(
        self, topic: Union[str, list[str]], properties: Optional[Properties] = None
    ) -> tuple[MQTTErrorCode, Optional[int]]:
        """Unsubscribes; the broker's answer is told to on_unsubscribe. Returns (rc, mid)."""
        several = topic if isinstance(topic, (list, tuple)) else []
        filters = [topic] if isinstance(topic, str) else several
        if not filters or not all(isinstance(one, str) and one for one in filters):
            raise ValueError("Invalid topic.")
        if not self.is_connected() or self._core is None:
            return (MQTTErrorCode.MQTT_ERR_NO_CONN, None)
        users = [] if properties is None else getattr(properties, "UserProperty", [])
        mid = self._next_mid()

        def done(result: TokenResult) -> None:
            if result.error == 0 or result.reason_codes:
                self._tell(self._told_unsubscribe, mid, result.reason_codes)

        with subscription(filters, 0, 0, users, {}) as handle:
            self._core.start(done, held.tern_client_unsubscribe_all, handle)
        return (MQTTErrorCode.MQTT_ERR_SUCCESS, mid)

    def _next_mid(self) -> int:
        """Counts down from 65535, so that it meets those of messages late."""
        self._requests += 1
        return 65536 - mid_of(self._requests)

    # ---- receiving ----

    def message_callback_add(self, sub: str, callback: Callback) -> None:
        """Has messages whose topic matches a filter told to a function, and not to on_message."""
        if callback is None or sub is None:
            raise ValueError("sub and callback must both be defined.")
        number = self._filters.get(sub)
        if number is None:
            number = next(n for n in range(1, len(self._handlers) + 2) if n not in self._handlers)
        self._make_core().set_filter(sub, number)
        self._handlers[number] = callback
        self._filters[sub] = number

    def message_callback_remove(self, sub: str) -> None:
        """Undoes message_callback_add(); nothing where there is none."""
        if sub is None:
            raise ValueError("sub must be defined.")
        number = self._filters.pop(sub, None)
        if number is not None:
            if self._core is not None:
                self._core.set_filter(sub, 0)
            self._handlers.pop(number, None)

    def topic_callback(self, sub: str) -> Callable[[Callback], Callback]:
        """Decorator for message_callback_add()."""

        def decorate(function: Callback) -> Callback:
            self.message_callback_add(sub, function)
            return function

        return decorate

    def manual_ack_set(self, on: bool) -> None:
        """Whether ack() acknowledges, and not the callback's end; from the next connect() on."""
        self._stale = self._stale or on != self._manual_ack
        self._manual_ack = on

    def ack(self, mid: int, qos: int) -> MQTTErrorCode:
        """Acknowledges a message, with manual_ack."""
        message = self._unacknowledged.pop(mid, None)
        if self._manual_ack and message is not None:
            try:
                message.ack()
            except TernError:
                return MQTTErrorCode.MQTT_ERR_NO_CONN  # the broker sends it again
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    # ---- logging ----

    @property
    def logger(self) -> Optional[logging.Logger]:
        """Where log records go, if anywhere; enable_logger() sets it too."""
        return self._logger

    @logger.setter
    def logger(self, value: Optional[logging.Logger]) -> None:
        self._logger = value

    def enable_logger(self, logger: Optional[logging.Logger] = None) -> None:
        """Has log records go to a logger, "tern" without one."""
        self._logger = logger or self._logger or LOG

    def disable_logger(self) -> None:
        """Has them go nowhere."""
        self._logger = None

    # ---- what only 1.6 has, and what Tern has not ----

    def loop(self, timeout: float = 1.0, max_packets: int = 1) -> MQTTErrorCode:
        """Waits up to `timeout` seconds for something to happen, and calls the callbacks."""
        return super().loop(timeout)

    def loop_write(self, max_packets: int = 1) -> MQTTErrorCode:
        """Nothing: Tern writes by itself."""
        return super().loop_write()

    def loop_forever(  # type: ignore[override]  # 1.6 has max_packets in the middle
        self,
        timeout: float = 1.0,
        max_packets: Union[int, bool] = 1,
        retry_first_connection: bool = False,
    ) -> MQTTErrorCode:
        """Calls the callbacks until disconnect() is called; reconnects.

        As in 2.x, retry_first_connection may be the second argument. Raises OSError where the
        first attempt after connect_async() fails; what callbacks raise.
        """
        return super().loop_forever(timeout, retry_first_connection or max_packets is True)

    def message_retry_set(self, retry: float) -> None:
        """Nothing: MQTT has no retries while a connection lasts."""

    def enable_bridge_mode(self) -> None:
        """Not there: Tern is a client."""
        raise ValueError("enable_bridge_mode: Tern is no bridge; SubscribeOptions have noLocal")

    def drop_out_messages(self) -> list[MQTTMessage]:
        """Not there: topic aliases, for which paho-mqtt has it, are Tern's business."""
        raise ValueError("drop_out_messages: Tern keeps what is unsent; no topic alias ages in it")

    @property
    def _sock(self) -> Optional[Watch]:
        """What socket() returns: asyncio wrappers of paho-mqtt ask for it by this name."""
        return self.socket()


def _signature_of_2() -> inspect.Signature:
    """What inspect and mocks are to see: 2.x's way of making a client."""
    signature = inspect.signature(Attributes._begin)
    arguments = list(signature.parameters.values())
    arguments[1] = arguments[1].replace(
        name="callback_api_version", default=CallbackAPIVersion.VERSION1
    )
    return signature.replace(parameters=arguments)


setattr(Client.__init__, "__signature__", _signature_of_2())  # noqa: B010


def _bad_topic(properties: Optional[Properties]) -> str:
    if properties is not None and hasattr(properties, "TopicAlias"):
        return "TopicAlias: Tern chooses topic aliases by itself, and needs every message's topic"
    return "Invalid topic."


def _filters_of(
    topic: Filters, qos: int, options: Optional[SubscribeOptions], speaks_5: bool
) -> list[Subscribe]:
    """The filters of subscribe() in one of its many forms."""
    if isinstance(topic, str):
        if speaks_5 and options is not None and qos:
            raise ValueError("Subscribe options and qos parameters cannot be combined.")
        wanted: list[tuple[str, Union[int, SubscribeOptions]]]
        wanted = [(topic, qos if options is None or not speaks_5 else options)]
    elif isinstance(topic, tuple):
        wanted = [topic]
    elif isinstance(topic, list):
        wanted = list(topic)
    else:
        raise ValueError("No topic specified, or incorrect topic type.")
    if not wanted:
        raise ValueError("Empty topic list")
    return [_filter_of(sub, how, speaks_5) for sub, how in wanted]


def _filter_of(sub: str, how: Union[int, SubscribeOptions], speaks_5: bool) -> Subscribe:
    if not isinstance(sub, str) or not sub:
        raise ValueError("Invalid topic.")
    if isinstance(how, SubscribeOptions):
        if not speaks_5:
            raise ValueError("SubscribeOptions are for MQTT 5 alone")
        return Subscribe(
            sub,
            how.QoS,
            no_local=how.noLocal,
            retain_as_published=how.retainAsPublished,
            retained_if_new=how.retainHandling == 1,
            retained_never=how.retainHandling == 2,
        )
    if how not in (0, 1, 2):
        raise ValueError("Invalid QoS level.")
    return Subscribe(sub, how)


__all__ = [
    "AUTH",
    "CONNACK",
    "CONNACK_ACCEPTED",
    "CONNACK_REFUSED_BAD_USERNAME_PASSWORD",
    "CONNACK_REFUSED_IDENTIFIER_REJECTED",
    "CONNACK_REFUSED_NOT_AUTHORIZED",
    "CONNACK_REFUSED_PROTOCOL_VERSION",
    "CONNACK_REFUSED_SERVER_UNAVAILABLE",
    "CONNECT",
    "CallbackAPIVersion",
    "CallbackOnConnect",
    "CallbackOnConnectFail",
    "CallbackOnConnect_v1",
    "CallbackOnConnect_v1_mqtt3",
    "CallbackOnConnect_v1_mqtt5",
    "CallbackOnConnect_v2",
    "CallbackOnDisconnect",
    "CallbackOnDisconnect_v1",
    "CallbackOnDisconnect_v1_mqtt3",
    "CallbackOnDisconnect_v1_mqtt5",
    "CallbackOnDisconnect_v2",
    "CallbackOnLog",
    "CallbackOnMessage",
    "CallbackOnPreConnect",
    "CallbackOnPublish",
    "CallbackOnPublish_v1",
    "CallbackOnPublish_v2",
    "CallbackOnSocket",
    "CallbackOnSubscribe",
    "CallbackOnSubscribe_v1",
    "CallbackOnSubscribe_v1_mqtt3",
    "CallbackOnSubscribe_v1_mqtt5",
    "CallbackOnSubscribe_v2",
    "CallbackOnUnsubscribe",
    "CallbackOnUnsubscribe_v1",
    "CallbackOnUnsubscribe_v1_mqtt3",
    "CallbackOnUnsubscribe_v1_mqtt5",
    "CallbackOnUnsubscribe_v2",
    "CleanStartOption",
    "Client",
    "ConnackCode",
    "ConnectFlags",
    "DISCONNECT",
    "DisconnectFlags",
    "HTTPHeader",
    "LOGGING_LEVEL",
    "LogLevel",
    "MQTTErrorCode",
    "MQTTException",
    "MQTTMatcher",
    "MQTTMessage",
    "MQTTMessageInfo",
    "MQTTProtocolVersion",
    "MQTT_BRIDGE",
    "MQTT_CLEAN_START_FIRST_ONLY",
    "MQTT_CLIENT",
    "MQTT_ERR_ACL_DENIED",
    "MQTT_ERR_AGAIN",
    "MQTT_ERR_AUTH",
    "MQTT_ERR_CONN_LOST",
    "MQTT_ERR_CONN_REFUSED",
    "MQTT_ERR_ERRNO",
    "MQTT_ERR_INVAL",
    "MQTT_ERR_KEEPALIVE",
    "MQTT_ERR_NOMEM",
    "MQTT_ERR_NOT_FOUND",
    "MQTT_ERR_NOT_SUPPORTED",
    "MQTT_ERR_NO_CONN",
    "MQTT_ERR_PAYLOAD_SIZE",
    "MQTT_ERR_PROTOCOL",
    "MQTT_ERR_QUEUE_SIZE",
    "MQTT_ERR_SUCCESS",
    "MQTT_ERR_TLS",
    "MQTT_ERR_UNKNOWN",
    "MQTT_LOG_DEBUG",
    "MQTT_LOG_ERR",
    "MQTT_LOG_INFO",
    "MQTT_LOG_NOTICE",
    "MQTT_LOG_WARNING",
    "MQTTv31",
    "MQTTv311",
    "MQTTv5",
    "MalformedPacket",
    "MessageState",
    "MessageType",
    "PINGREQ",
    "PINGRESP",
    "PUBACK",
    "PUBCOMP",
    "PUBLISH",
    "PUBREC",
    "PUBREL",
    "PacketTypes",
    "PahoClientMode",
    "Properties",
    "ReasonCode",
    "ReasonCodes",
    "SUBACK",
    "SUBSCRIBE",
    "SubscribeOptions",
    "UNSUBACK",
    "UNSUBSCRIBE",
    "WebSocketHeaders",
    "WebsocketConnectionError",
    "base62",
    "connack_string",
    "convert_connack_rc_to_reason_code",
    "convert_disconnect_error_code_to_reason_code",
    "error_string",
    "mqtt_cs_connect_async",
    "mqtt_cs_connected",
    "mqtt_cs_disconnecting",
    "mqtt_cs_new",
    "mqtt_ms_invalid",
    "mqtt_ms_publish",
    "mqtt_ms_queued",
    "mqtt_ms_resend_pubcomp",
    "mqtt_ms_resend_pubrel",
    "mqtt_ms_send_pubrec",
    "mqtt_ms_wait_for_puback",
    "mqtt_ms_wait_for_pubcomp",
    "mqtt_ms_wait_for_pubrec",
    "mqtt_ms_wait_for_pubrel",
    "socket",
    "ssl",
    "time",
    "topic_matches_sub",
]
