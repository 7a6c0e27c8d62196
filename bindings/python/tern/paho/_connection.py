"""How a paho-mqtt client connects, loops and waits, on the core of Tern.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import contextlib
import socket as sockets
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, Optional, Union

from .._core import Gate
from .._ffi import c
from ..enums import EventKind, Limit, Step
from ..errors import ClosedError
from ..event import Event
from ._link import Link, without_wait
from ._settings import MQTT_CLEAN_START_FIRST_ONLY
from ._watch import Watch
from .enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from .packettypes import PacketTypes
from .properties import Properties
from .reasoncodes import ReasonCode

_LOST = {
    c.TERN_E_KEEPALIVE: MQTTErrorCode.MQTT_ERR_KEEPALIVE,
    c.TERN_E_MALFORMED: MQTTErrorCode.MQTT_ERR_PROTOCOL,
    c.TERN_E_PROTOCOL: MQTTErrorCode.MQTT_ERR_PROTOCOL,
}
_AVAILABLE = {
    Limit.RETAIN: "RetainAvailable",
    Limit.WILDCARD_SUBSCRIPTION: "WildcardSubscriptionAvailable",
    Limit.SUBSCRIPTION_IDENTIFIER: "SubscriptionIdentifierAvailable",
    Limit.SHARED_SUBSCRIPTION: "SharedSubscriptionAvailable",
}


class WebsocketConnectionError(ConnectionError, ValueError):
    """The WebSocket handshake failed."""


class Connection(Link):
    """A client but for publishing, subscribing and receiving."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Client(callback_api_version=VERSION1, client_id="", clean_session=None, userdata=None,
        protocol=MQTTv311, transport="tcp", reconnect_on_failure=True, manual_ack=False).

        As in 1.6, callback_api_version may be left out also where arguments have no names.
        """
        version = kwargs.pop("callback_api_version", None)
        if version is None and args and isinstance(args[0], CallbackAPIVersion):
            version, args = args[0], args[1:]
        version = version or CallbackAPIVersion.VERSION1
        if not isinstance(version, CallbackAPIVersion):
            raise ValueError(f"callback_api_version: a CallbackAPIVersion, not {version!r}")
        self._begin(version, *args, **kwargs)

    def _begin(
        self,
        version: CallbackAPIVersion,
        client_id: Optional[str] = "",
        clean_session: Optional[bool] = None,
        userdata: Any = None,
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
        transport: str = "tcp",
        reconnect_on_failure: bool = True,
        manual_ack: bool = False,
    ) -> None:
        self._start_telling(version, userdata, transport, protocol, manual_ack)
        if self._speaks_5 and clean_session is not None:
            raise ValueError("Clean session is not used for MQTT 5.0")
        self._clean_session = clean_session is None or bool(clean_session)
        self._client_id = client_id or ""
        if not self._clean_session and not self._client_id:
            raise ValueError("A client id must be provided if clean session is False.")
        self._reconnect_on_failure = reconnect_on_failure
        self._stopping = False
        self._requests = 0
        self._start_link()

    def reinitialise(
        self, client_id: str = "", clean_session: Optional[bool] = True, userdata: Any = None
    ) -> None:
        """Becomes a new client, without callbacks; the old one's connection ends."""
        self._drop_core()
        session = None if self._speaks_5 else clean_session
        version, protocol, transport = self._callback_api_version, self._protocol, self._transport
        self._begin(version, client_id, session, userdata, protocol, transport)

    # ---- the connection ----

    def connect(
        self,
        host: str,
        port: int = 1883,
        keepalive: int = 60,
        bind_address: str = "",
        bind_port: int = 0,
        clean_start: Union[bool, int] = MQTT_CLEAN_START_FIRST_ONLY,
        properties: Optional[Properties] = None,
    ) -> MQTTErrorCode:
        """Connects, and waits until the broker has answered or the attempt has failed.

        Raises OSErrors for what fails before MQTT: socket.gaierror, ConnectionRefusedError,
        TimeoutError, ssl.SSLError ... A broker that refuses is told to on_connect.
        """
        self._aim(host, port, keepalive, bind_address, bind_port, clean_start, properties)
        self._first_again = True
        return self.reconnect()

    def connect_async(
        self,
        host: str,
        port: int = 1883,
        keepalive: int = 60,
        bind_address: str = "",
        bind_port: int = 0,
        clean_start: Union[bool, int] = MQTT_CLEAN_START_FIRST_ONLY,
        properties: Optional[Properties] = None,
    ) -> None:
        """As connect(), but the loop connects: loop_start() or loop_forever()."""
        self._aim(host, port, keepalive, bind_address, bind_port, clean_start, properties)
        self._wanted = self._later = True
        self._close_socket()  # that of a connection which lasts until then
        self._to_do.set()
        if self._watch is not None:
            self._watch.ring()

    def _aim(
        self,
        host: str,
        port: int,
        keepalive: int,
        bind_address: str,
        bind_port: int,
        clean_start: Union[bool, int],
        properties: Optional[Properties],
    ) -> None:
        """Notes where connect() is to go, and how."""
        if not host:
            raise ValueError("Invalid host.")
        if self._transport != "unix" and not 0 < port <= 65535:
            raise ValueError("Invalid port number.")
        if keepalive < 0:
            raise ValueError("Keepalive must be >=0.")
        if bind_port != 0:
            raise ValueError("bind_port: the system chooses the port; give a bind_address alone")
        if self._speaks_5:
            self._clean_start = clean_start
            if properties is not None and properties.packetType != PacketTypes.CONNECT:
                raise ValueError("properties: those of a CONNECT are needed")
            self._connect_properties = properties
        elif properties is not None:
            raise ValueError("Properties only apply to MQTT V5")
        self._host, self._port, self._keepalive = host, port, keepalive
        self._server_keepalive = None
        self._bind = (bind_address, bind_port)
        self._anew = True

    def connect_srv(self, *args: Any, **kwargs: Any) -> MQTTErrorCode:
        """Not there: DNS SRV records are not looked up."""
        raise ValueError("connect_srv: Tern looks up no SRV records; call connect() with a host")

    def reconnect(self) -> MQTTErrorCode:
        """Connects anew as connect() was told to. Raises as connect()."""
        if not self._host:
            raise ValueError("Invalid host.")
        self._wanted = True
        gate = Gate()
        self._attempt(gate)
        answered = self._wait(gate, self._connect_timeout + 5)
        event: Optional[Event] = gate.value
        if event is None and (answered or self._is_up()):  # somebody else calls it, or is slow
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        if event is not None and (event.kind == EventKind.CONNECTED or event.reason_code >= 0x80):
            self._open_socket()
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        raise _os_error(event)

    def disconnect(
        self, reasoncode: Optional[ReasonCode] = None, properties: Optional[Properties] = None
    ) -> MQTTErrorCode:
        """Disconnects when what was published before is out, and stops reconnecting.

        Without a loop it waits for that: up to half a second where the broker is silent.
        """
        self._wanted = self._later = False
        self._anew = True
        self._reason = 0 if reasoncode is None else int(reasoncode)
        if not self._is_up():
            rc = MQTTErrorCode.MQTT_ERR_SUCCESS if self._open else MQTTErrorCode.MQTT_ERR_NO_CONN
            self._stop_trying()
            return rc
        self._begin_leaving()
        if not self._served() and not self._in_loop():
            self._finish_leaving()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def is_connected(self) -> bool:
        """Whether there is a connection now, that is to stay."""
        return self._wanted and not self._later and self._is_up()

    def socket(self) -> Optional[Watch]:
        """What an event loop of the program's own waits for, to call loop_read() then; it has a
        fileno(). None while there is no connection."""
        return self._watch if self._open else None

    # ---- loops ----

    def loop(self, timeout: float = 1.0) -> MQTTErrorCode:
        """Waits up to `timeout` seconds for something to happen, and calls the callbacks."""
        if timeout < 0:
            raise ValueError("Invalid timeout.")
        if not self._has_socket() and not self._pending:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        return self._once(timeout)

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Calls the callbacks for what has happened; for event loops, when socket() is readable."""
        return self.loop(0)

    def loop_write(self) -> MQTTErrorCode:
        """Whether there is a connection; Tern writes by itself."""
        return self.loop_misc()

    def want_write(self) -> bool:
        """False: Tern writes by itself."""
        return False

    def loop_misc(self) -> MQTTErrorCode:
        """Whether there is a connection; keep alive is Tern's business."""
        there = self._has_socket() or bool(self._pending)
        return MQTTErrorCode.MQTT_ERR_SUCCESS if there else MQTTErrorCode.MQTT_ERR_NO_CONN

    def loop_forever(
        self, timeout: float = 1.0, retry_first_connection: bool = False
    ) -> MQTTErrorCode:
        """Calls the callbacks until disconnect() is called; reconnects.

        Raises OSError where the first attempt after connect_async() fails; what callbacks raise.
        """
        if self._thread is None:
            self._stopping = False
        with self._looped():
            if self._later:
                self._try_first(retry_first_connection)
            while not self._stopping or self._is_leaving():
                if self._is_lost() and not self._pending:
                    if not self._reconnect_on_failure:
                        return MQTTErrorCode.MQTT_ERR_NO_CONN
                    self._try_again()
                rc = self._once(timeout)
                failed = rc != MQTTErrorCode.MQTT_ERR_SUCCESS and not self._reconnect_on_failure
                if failed or not (self._wanted or self._is_leaving()):
                    return rc
            return MQTTErrorCode.MQTT_ERR_SUCCESS

    @contextlib.contextmanager
    def _looped(self) -> Iterator[None]:
        """While a loop runs, it is the loop that reads, tells and leaves."""
        outer, self._looping = self._looping, threading.get_ident()
        try:
            yield
        finally:
            self._looping = outer
            self._retire()

    def _try_first(self, again: bool) -> None:
        """The first attempt after connect_async(), and those after it until one succeeds."""
        while not self._stopping:
            try:
                self.reconnect()
                return
            except OSError:
                self._told_connect_fail()
                if not again:
                    raise
            self._pause()
            if not self._wanted:  # it was that callback which called disconnect()
                return

    def _try_again(self) -> None:
        self._pause()
        if self._is_lost() and not self._stopping:
            try:
                self._attempt()
            except OSError:  # of the host, or of functions that were set
                self._told_connect_fail()
            except Exception as error:  # of settings, or of functions that were set
                self._raised(error)

    def _pause(self) -> None:
        """Waits until the next attempt is due, or not wanted any more."""
        end = time.monotonic() + self._next_delay()
        while self._is_lost() and not self._stopping and time.monotonic() < end:
            self._once(min(1.0, max(0.0, end - time.monotonic())))

    def loop_start(self) -> MQTTErrorCode:
        """Has a thread of its own run loop_forever(). What callbacks raise goes to
        sys.unraisablehook, and the thread lives on."""
        if self._thread is not None:
            return MQTTErrorCode.MQTT_ERR_INVAL
        self._stopping = False
        self._to_do.clear()
        early = not self._wanted and not self._trying  # before connect()
        name = f"tern-paho-{self._client_id}"
        self._thread = threading.Thread(target=self._run, args=(early,), name=name, daemon=True)
        self._thread.start()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _run(self, early: bool) -> None:
        try:
            if early:
                self._await_connect()
            if not self._stopping:
                self.loop_forever(retry_first_connection=True)
        except ClosedError:
            pass  # the interpreter ends, or the process has forked
        finally:
            self._thread = None
            self._retire()

    def _await_connect(self) -> None:
        """loop_start() may come before connect()."""
        while not self._trying and not self._later and not self._stopping:
            self._to_do.wait()
            self._to_do.clear()

    def loop_stop(self, force: bool = False) -> MQTTErrorCode:
        """Ends the thread of loop_start(); the connection stays."""
        thread = self._thread
        if thread is None:
            return MQTTErrorCode.MQTT_ERR_INVAL
        self._stopping = True
        self._to_do.set()
        if self._watch is not None:
            self._watch.ring()
        if thread is not threading.current_thread():
            thread.join()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _once(self, timeout: float) -> MQTTErrorCode:
        watch = self._watch
        if self._core is None or watch is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        if self._leave_at is not None:
            timeout = min(timeout, max(0.0, self._leave_at - time.monotonic()))
        if not self._pending and timeout > 0:
            watch.wait(timeout)
        with self._lock:
            watch.silence()
            outer, self._telling = self._telling, threading.get_ident()
            try:
                self._tell_pending()
                core = self._core  # a callback may have brought another one
                rc = 0 if core is None else core.read(0, wait=False)
            finally:
                self._telling = outer
        if rc in (c.TERN_E_CLOSED, c.TERN_E_FORKED) and core is self._core:
            raise ClosedError(c.TERN_E_CLOSED)
        self._leave_in_time()
        self._raise_kept()
        told, self._rc = self._rc, MQTTErrorCode.MQTT_ERR_SUCCESS
        return told

    # ---- what the core tells of the connection ----

    def _told_connected(self, event: Event) -> None:
        if self._later:
            return  # connect_async() has given it up
        self._open_socket()
        self._told_connack(event, self._connack_properties(event) if self._speaks_5 else None)

    def _told_refusal(self, event: Event) -> None:
        attempts, properties = self._attempts, None
        if self._speaks_5:
            properties = _add_texts(Properties(PacketTypes.CONNACK), event)
        self._open_socket()
        self._told_connack(event, properties)
        if attempts == self._attempts:  # else the callback has reconnected
            refused, left = MQTTErrorCode.MQTT_ERR_CONN_REFUSED, MQTTErrorCode.MQTT_ERR_SUCCESS
            self._rc = refused if self._wanted else left
            self._close_socket()
            self._told_disconnect(self._rc, None, None)

    def _told_failure(self, event: Event) -> None:
        self._rc = MQTTErrorCode.MQTT_ERR_CONN_LOST
        self._close_socket()
        self._told_connect_fail()

    def _told_connect_fail(self) -> None:
        """What it raises ends no loop, as in paho-mqtt: the loop raises the attempt's own error."""
        if self.on_connect_fail is not None:
            try:
                self.on_connect_fail(self, self._userdata)
            except Exception as error:
                self._raised(error, ends=False)

    def _told_end(self, event: Event) -> None:
        rc, reason = MQTTErrorCode.MQTT_ERR_SUCCESS, None
        if self._wanted:
            rc = _LOST.get(event.error, MQTTErrorCode.MQTT_ERR_CONN_LOST)
            if event.reason_code >= 0:
                reason = ReasonCode.told(PacketTypes.DISCONNECT, event.reason_code)
        properties = None
        if self._speaks_5 and (event.reason_string, event.server_reference) != (None, None):
            properties = _add_texts(Properties(PacketTypes.DISCONNECT), event)
        if event.error == 0:  # by disconnect(), whatever is wanted by now
            rc, reason = MQTTErrorCode.MQTT_ERR_SUCCESS, None
        self._told_end_for(rc, reason, properties)

    def _told_end_for(
        self, rc: MQTTErrorCode, reason: Optional[ReasonCode], properties: Optional[Properties]
    ) -> None:
        """The socket of a lost connection is closed before on_disconnect, else after it."""
        attempts, self._rc = self._attempts, rc
        if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._close_socket()
        self._told_disconnect(rc, reason, properties)
        if attempts == self._attempts:  # else the callback has reconnected
            self._close_socket()

    def _connack_properties(self, event: Event) -> Properties:
        properties = Properties(PacketTypes.CONNACK)
        limits = event.limits
        if limits[Limit.KEEP_ALIVE] != self._keepalive:
            self._server_keepalive = properties.ServerKeepAlive = limits[Limit.KEEP_ALIVE]
        if limits[Limit.SESSION_EXPIRY] != self._session_expiry():
            properties.SessionExpiryInterval = limits[Limit.SESSION_EXPIRY]
        if limits[Limit.INFLIGHT_MAXIMUM] < self._inflight_maximum():
            properties.ReceiveMaximum = limits[Limit.INFLIGHT_MAXIMUM]
        if limits[Limit.TOPIC_ALIAS_MAXIMUM]:
            properties.TopicAliasMaximum = limits[Limit.TOPIC_ALIAS_MAXIMUM]
        if limits[Limit.MAXIMUM_PACKET_SIZE] != 0xFFFFFFFF:
            properties.MaximumPacketSize = limits[Limit.MAXIMUM_PACKET_SIZE]
        if limits[Limit.MAXIMUM_QOS] < 2:
            properties.MaximumQoS = limits[Limit.MAXIMUM_QOS]
        for limit, name in _AVAILABLE.items():
            if not limits[limit]:
                setattr(properties, name, 0)
        if not self._client_id and self._core is not None:
            properties.AssignedClientIdentifier = self._core.client_id()
        return _add_texts(properties, event)


def _add_texts(properties: Properties, event: Event) -> Properties:
    """The texts of a CONNACK or DISCONNECT."""
    for name, value in (
        ("ReasonString", event.reason_string),
        ("ResponseInformation", event.response_information),
        ("ServerReference", event.server_reference),
    ):
        if value is not None:
            setattr(properties, name, value)
    return properties


def _os_error(event: Optional[Event]) -> OSError:
    """What paho-mqtt's connect() would raise."""
    if event is None:
        return TimeoutError("connect: no answer in time")
    told = without_wait(event.text)
    text = told if event.hint is None else f"{told}; {event.hint}"
    if event.step == Step.RESOLVE:
        return sockets.gaierror(sockets.EAI_NONAME, text)
    if event.error == c.TERN_E_TIMEOUT:
        return TimeoutError(text)
    if event.step == Step.TLS:
        refused = event.verify_result != 0
        return (ssl.SSLCertVerificationError if refused else ssl.SSLError)(text)
    if event.step == Step.WEBSOCKET:
        return WebsocketConnectionError(text)
    if event.os_error:
        return OSError(event.os_error, text)
    return ConnectionError(text)
