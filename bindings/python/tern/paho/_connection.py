"""How a paho-mqtt client connects, loops and waits, on the core of Tern.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import atexit
import contextlib
import os
import socket as sockets
import ssl
import threading
import time
import weakref
from typing import Any, Callable, Optional, Union

from .._core import Core, Gate
from .._ffi import c, held
from ..enums import EventKind, Limit, Step
from ..errors import ClosedError, TernError
from ..event import Event
from ._settings import MQTT_CLEAN_START_FIRST_ONLY
from ._telling import Teller
from ._watch import Watch
from .enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from .packettypes import PacketTypes
from .properties import Properties
from .reasoncodes import ReasonCode

_PATIENCE = 5.0  # seconds that disconnect() gives messages that are on their way
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
_LIVE: weakref.WeakSet[Connection] = weakref.WeakSet()


class WebsocketConnectionError(ConnectionError, ValueError):
    """The WebSocket handshake failed."""


class Connection(Teller):
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
        self._filters: dict[str, int] = {}
        self._stopping = False
        self._wanted = False  # connect() was called, and disconnect() was not
        self._later = False  # by connect_async(): the first attempt is the loop's
        self._to_do = threading.Event()  # for a loop that was started before connect()
        self._trying = False  # Tern connects, and reconnects
        self._keeps_trying = False  # a loop runs that is to reconnect
        self._open = False  # on_socket_open was called
        self._first: Optional[Gate] = None
        self._leave_at: Optional[float] = None
        self._reason = 0
        self._rc = MQTTErrorCode.MQTT_ERR_SUCCESS
        self._requests = 0

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
        self.connect_async(host, port, keepalive, bind_address, bind_port, clean_start, properties)
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
        self._bind = (bind_address, bind_port)
        self._wanted = self._later = True
        self._to_do.set()

    def connect_srv(self, *args: Any, **kwargs: Any) -> MQTTErrorCode:
        """Not there: DNS SRV records are not looked up."""
        raise ValueError("connect_srv: Tern looks up no SRV records; call connect() with a host")

    def reconnect(self) -> MQTTErrorCode:
        """Connects anew as connect() was told to. Raises as connect()."""
        if not self._host:
            raise ValueError("Invalid host.")
        self._wanted, self._later = True, False
        if self.on_pre_connect is not None:
            self._call(self.on_pre_connect)
        gate = self._first = Gate()
        self._begin_trying()
        self._wait(gate, self._connect_timeout + 5)
        event: Optional[Event] = gate.value
        if event is not None and (event.kind == EventKind.CONNECTED or event.reason_code >= 0x80):
            self._opened()
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        if not self._keeps_trying:
            self._end_trying()
        raise _os_error(event)

    def disconnect(
        self, reasoncode: Optional[ReasonCode] = None, properties: Optional[Properties] = None
    ) -> MQTTErrorCode:
        """Disconnects when what was published before is out, and stops reconnecting."""
        self._wanted = self._later = False
        self._reason = 0 if reasoncode is None else int(reasoncode)
        core = self._core
        if core is None or not self.is_connected():
            self._end_trying()
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        flushed = Gate()
        if self._in_loop() or self._thread is not None:
            self._leave_at = time.monotonic() + _PATIENCE
            core.start(lambda _: self._leave(), held.tern_client_flush)
        else:
            core.start(flushed.open, held.tern_client_flush)
            self._wait(flushed, _PATIENCE)
            self._end_trying()
            self._tell_pending(messages=False)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _leave(self) -> None:
        """The second half of disconnect(), when nothing is on its way any more, or not in time."""
        if self._leave_at is not None:
            self._leave_at = None
            core = self._core
            if core is not None and not self._wanted:
                held.tern_client_disconnect(core.handle, self._reason, None)

    def _begin_trying(self) -> None:
        """Has Tern connect, with the settings of now."""
        if self._trying:
            self._end_trying()
        if self._stale:
            self._drop_core()
        core = self._make_core()
        core.configure([self._url()], self._options())
        self._trying = True
        core.check(held.tern_client_connect(core.handle, None))
        self._to_do.set()

    def _end_trying(self) -> None:
        """Has Tern disconnect, and waits for it."""
        core = self._core
        if core is None or not self._trying:
            return
        ended = Gate()
        with_reason = (held.tern_client_disconnect, self._reason)
        try:
            core.start(ended.open, *with_reason)
        except TernError:
            return  # it has stopped by itself
        self._wait(ended, _PATIENCE)
        self._trying = False

    def _make_core(self) -> Core:
        if self._core is None:
            self._stale = False
            self._core = core = Core(self, [], self._options())
            self._watch = Watch(core.descriptor)
            for sub, number in self._filters.items():
                core.set_filter(sub, number)
            _LIVE.add(self)
        return self._core

    def _drop_core(self) -> None:
        core, self._core = self._core, None
        if core is not None and self._watch is not None:
            core.closed = True
            held.tern_client_close(core.handle, 0, 0, None)
            self._watch.close()
        self._trying = self._open = False
        self._pending.clear()

    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        core = self._core
        return core is not None and held.tern_client_connected(core.handle) == 1

    def socket(self) -> Optional[Watch]:
        """What an event loop of the program's own waits for, to call loop_read() then; it has a
        fileno(). None while there is no connection."""
        return self._watch if self._open else None

    # ---- loops ----

    def loop(self, timeout: float = 1.0) -> MQTTErrorCode:
        """Waits up to `timeout` seconds for something to happen, and calls the callbacks."""
        if timeout < 0:
            raise ValueError("Invalid timeout.")
        if self._core is None or not (self._trying or self._pending):
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        return self._once(timeout)

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Calls the callbacks for what has happened; for event loops, when socket() is readable."""
        return self.loop(0)

    def loop_write(self) -> MQTTErrorCode:
        """Nothing: Tern writes by itself."""
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def want_write(self) -> bool:
        """False: Tern writes by itself."""
        return False

    def loop_misc(self) -> MQTTErrorCode:
        """Whether there is a connection; keep alive is Tern's business."""
        if self.is_connected() or self._trying:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        return MQTTErrorCode.MQTT_ERR_NO_CONN

    def loop_forever(
        self, timeout: float = 1.0, retry_first_connection: bool = False
    ) -> MQTTErrorCode:
        """Calls the callbacks until disconnect() is called; reconnects.

        Raises OSError where the first attempt after connect_async() fails; what callbacks raise.
        """
        self._keeps_trying = self._reconnect_on_failure or retry_first_connection
        try:
            if self._later:
                self._try_first(retry_first_connection)
            elif self._wanted and not self._trying and not self._pending:
                self._begin_trying()
            self._keeps_trying = self._reconnect_on_failure
            while not self._stopping:
                rc = self._once(timeout)
                if not self._wanted and not self._trying and not self._pending:
                    return rc
                if rc != MQTTErrorCode.MQTT_ERR_SUCCESS and not self._reconnect_on_failure:
                    return rc
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        finally:
            self._keeps_trying = False

    def _try_first(self, again: bool) -> None:
        try:
            self.reconnect()
        except OSError:
            self._call(self.on_connect_fail)
            if not again:
                raise

    def loop_start(self) -> MQTTErrorCode:
        """Has a thread of its own run loop_forever(). What callbacks raise goes to
        sys.unraisablehook, and the thread lives on."""
        if self._thread is not None:
            return MQTTErrorCode.MQTT_ERR_INVAL
        self._stopping = False
        self._to_do.clear()
        early = self._core is None and not self._later  # before connect()
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
        core, watch = self._core, self._watch
        if core is None or watch is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        if not self._pending and timeout > 0:
            watch.wait(timeout)
        with self._lock:
            watch.silence()
            outer, self._telling = self._telling, threading.get_ident()
            try:
                self._tell_pending()
                rc = core.read(0, wait=False)
            finally:
                self._telling = outer
        if rc in (c.TERN_E_CLOSED, c.TERN_E_FORKED):
            raise ClosedError(c.TERN_E_CLOSED)
        if self._leave_at is not None and time.monotonic() >= self._leave_at:
            self._leave()
        error, self._error = self._error, None
        if error is not None:
            raise error
        told, self._rc = self._rc, MQTTErrorCode.MQTT_ERR_SUCCESS
        return told

    # ---- what the core tells of the connection ----

    def _on_event(self, event: Event) -> None:
        gate = self._first
        if gate is not None and event.kind in (EventKind.CONNECTED, EventKind.CONNECT_FAILED):
            self._first = None
            gate.open(event)
            if event.kind == EventKind.CONNECT_FAILED and event.reason_code < 0x80:
                return  # reconnect() raises it
        if event.kind == EventKind.STOPPED:
            self._trying = False
        elif event.kind in _TOLD:
            self._tell(_TOLD[event.kind], self, event)

    def _told_connected(self, event: Event) -> None:
        self._opened()
        self._told_connack(event, self._connack_properties(event) if self._speaks_5 else None)

    def _opened(self) -> None:
        if not self._open:
            self._open = True
            self._call(self.on_socket_open, self._watch)

    def _closed(self, rc: MQTTErrorCode) -> None:
        self._rc = rc
        if self._open:
            self._open = False
            self._call(self.on_socket_close, self._watch)
        if self._wanted and not self._keeps_trying and self._core is not None:
            # Only a loop that runs for ever reconnects.
            held.tern_client_disconnect(self._core.handle, 0, None)

    def _told_failure(self, event: Event) -> None:
        if event.reason_code >= 0x80:
            self._told_connack(event, None)
            self._closed(MQTTErrorCode.MQTT_ERR_CONN_REFUSED)
            self._told_disconnect(MQTTErrorCode.MQTT_ERR_CONN_REFUSED, None, None)
        else:
            self._closed(MQTTErrorCode.MQTT_ERR_CONN_LOST)
            self._call(self.on_connect_fail)

    def _told_end(self, event: Event) -> None:
        rc, reason = MQTTErrorCode.MQTT_ERR_SUCCESS, None
        if self._wanted:
            rc = _LOST.get(event.error, MQTTErrorCode.MQTT_ERR_CONN_LOST)
            if event.reason_code >= 0:
                reason = ReasonCode.told(PacketTypes.DISCONNECT, event.reason_code)
        properties = None
        if self._speaks_5 and event.reason_string is not None:
            properties = Properties(PacketTypes.DISCONNECT)
            properties.ReasonString = event.reason_string
        self._closed(rc)
        self._told_disconnect(rc, reason, properties)

    def _connack_properties(self, event: Event) -> Properties:
        properties = Properties(PacketTypes.CONNACK)
        limits = event.limits
        if limits[Limit.KEEP_ALIVE] != self._keepalive:
            properties.ServerKeepAlive = limits[Limit.KEEP_ALIVE]
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
        for name, value in (
            ("ReasonString", event.reason_string),
            ("ResponseInformation", event.response_information),
            ("ServerReference", event.server_reference),
        ):
            if value is not None:
                setattr(properties, name, value)
        return properties


_TOLD: dict[EventKind, Callable[[Connection, Event], None]] = {
    EventKind.CONNECTED: Connection._told_connected,
    EventKind.CONNECT_FAILED: Connection._told_failure,
    EventKind.DISCONNECTED: Connection._told_end,
}


def _os_error(event: Optional[Event]) -> OSError:
    """What paho-mqtt's connect() would raise."""
    if event is None:
        return TimeoutError("connect: no answer in time")
    text = event.text if event.hint is None else f"{event.text}; {event.hint}"
    if event.step == Step.RESOLVE:
        return sockets.gaierror(sockets.EAI_NONAME, text)
    if event.step == Step.TLS:
        refused = event.verify_result != 0
        return (ssl.SSLCertVerificationError if refused else ssl.SSLError)(text)
    if event.step == Step.WEBSOCKET:
        return WebsocketConnectionError(text)
    if event.error == c.TERN_E_TIMEOUT:
        return TimeoutError(text)
    if event.os_error:
        return OSError(event.os_error, text)
    return ConnectionError(text)


def _finish() -> None:
    """At the interpreter's end: what is on its way has a second."""
    for client in list(_LIVE):
        core = client._core
        if core is not None and not core.closed and client.is_connected():
            flushed = Gate()
            with contextlib.suppress(Exception):
                core.start(flushed.open, held.tern_client_flush)
                client._wait(flushed, 1.0)


def _forked() -> None:
    """In the child of a fork: its clients are the parent's."""
    for client in list(_LIVE):
        if client._core is not None:
            client._core.closed = True


atexit.register(_finish)
os.register_at_fork(after_in_child=_forked)
