#!/usr/bin/env python3
"""A stand-in for Azure IoT Hub, for one device: MQTT 3.1.1 behind TLS, with the checks and refusals that the service documents.
It prints a line for all that happens. Usage: azure_service.py CERTIFICATE KEY HOST DEVICE DEVICE_KEY [CLOCK_OFFSET]
SPDX-License-Identifier: Apache-2.0"""
import base64
import hashlib
import hmac
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse

CERTIFICATE, KEY, HOST, DEVICE, DEVICE_KEY = sys.argv[1:6]
OFFSET = int(sys.argv[6]) if len(sys.argv) > 6 else 0
LOCK = threading.RLock()
STATE = {"connection": None, "filters": set(), "twin": {"n": 0}, "version": 1, "desired": 1, "pending": [], "packet_id": 0,
         "known": False, "rid": 0}
EVENTS = f"devices/{DEVICE}/messages/events/"
FILTERS = {f"devices/{DEVICE}/messages/devicebound/#", "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#",
           "$iothub/methods/POST/#"}


def say(*words):
    """A line, whole, whichever thread says it."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def text(data):
    return struct.pack(">H", len(data)) + data


def packet(first, body):
    length, rest = b"", len(body)
    while True:
        length += bytes([rest % 128 | (128 if rest > 127 else 0)])
        rest //= 128
        if rest == 0:
            return bytes([first]) + length + body


def token_end(password):
    """When the token ends; None where it is not one for this device."""
    if not password.startswith("SharedAccessSignature "):
        return None
    fields = dict(part.split("=", 1) for part in password[22:].split("&"))
    resource = urllib.parse.quote(f"{HOST}/devices/{DEVICE}", safe="")
    digest = hmac.new(base64.b64decode(DEVICE_KEY), f"{fields.get('sr')}\n{fields.get('se')}".encode(), hashlib.sha256).digest()
    good = urllib.parse.quote(base64.b64encode(digest), safe="") == fields.get("sig") and fields.get("sr") == resource
    return int(fields["se"]) if good else None


class Connection(threading.Thread):
    def __init__(self, raw):
        super().__init__(daemon=True)
        self.raw, self.socket, self.end = raw, None, None

    def read(self, count):
        data = b""
        while len(data) < count:
            if self.end is not None:
                left = self.end - (time.time() + OFFSET)
                if left <= 0:
                    say("expired")
                    raise ConnectionError("the token expired")
                self.socket.settimeout(left)
            try:
                more = self.socket.recv(count - len(data))
            except (TimeoutError, socket.timeout):
                continue
            if not more:
                raise ConnectionError("end")
            data += more
        return data

    def packet(self):
        first, length, shift = self.read(1)[0], 0, 0
        while True:
            digit = self.read(1)[0]
            length |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return first, self.read(length)

    def write(self, data):
        with LOCK:
            self.socket.sendall(data)

    def publish(self, topic, payload, qos=0, packet_id=0):
        body = text(topic.encode()) + (struct.pack(">H", packet_id) if qos else b"") + payload
        self.write(packet(0x30 | qos << 1, body))

    def connect(self):
        first, body = self.packet()
        flags, keep_alive = body[7], struct.unpack(">H", body[8:10])[0]
        at, fields = 10, []
        while at < len(body):
            size = struct.unpack(">H", body[at:at + 2])[0]
            fields.append(body[at + 2:at + 2 + size].decode())
            at += 2 + size
        user = f"{HOST}/{DEVICE}/?api-version=2021-04-12"
        self.end = token_end(fields[2]) if len(fields) == 3 else None
        good = first == 0x10 and body[6] == 4 and fields[:2] == [DEVICE, user] and keep_alive <= 1177
        if not good or self.end is None or self.end <= time.time() + OFFSET:
            say("refused", fields[:2])
            self.write(packet(0x20, bytes([0, 5])))
            raise ConnectionError("refused")
        with LOCK:
            older, STATE["connection"] = STATE["connection"], self
            if older is not None:
                older.hang_up()
            clean = flags & 2
            if clean:
                STATE["filters"], STATE["pending"] = set(), []
            present = STATE["known"] and not clean
            STATE["known"] = True
            self.write(packet(0x20, bytes([1 if present else 0, 0])))
            say("connected", self.end)
            for packet_id, topic, payload in STATE["pending"]:
                self.publish(topic, payload, 1, packet_id)

    def hang_up(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def run(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, KEY)
        try:
            self.socket = context.wrap_socket(self.raw, server_side=True)
            self.socket.settimeout(20)
            self.connect()
            while self.step(*self.packet()):
                pass
        except (ConnectionError, OSError, ssl.SSLError) as error:
            say("ended", error)
        with LOCK:
            if STATE["connection"] is self:
                STATE["connection"] = None
        if self.socket is not None:
            self.socket.close()

    def step(self, first, body):
        kind = first >> 4
        if kind == 3:
            return self.take_publish(first, body)
        if kind == 4:
            done = struct.unpack(">H", body)[0]
            STATE["pending"] = [one for one in STATE["pending"] if one[0] != done]
            say("acknowledged", done)
        elif kind == 8:
            return self.take_subscribe(body)
        elif kind == 10:
            size = struct.unpack(">H", body[2:4])[0]
            STATE["filters"].discard(body[4:4 + size].decode())
            self.write(packet(0xB0, body[:2]))
        elif kind == 12:
            self.write(packet(0xD0, b""))
        elif kind == 14:
            say("disconnect")
            return False
        return kind in (4, 8, 10, 12)

    def take_subscribe(self, body):
        at, codes = 2, b""
        while at < len(body):
            size = struct.unpack(">H", body[at:at + 2])[0]
            name = body[at + 2:at + 2 + size].decode()
            if name not in FILTERS:
                say("foreign filter", name)
                return False
            STATE["filters"].add(name)
            codes += bytes([min(body[at + 2 + size], 1)])
            at += 3 + size
        self.write(packet(0x90, body[:2] + codes))
        say("subscribed", sorted(STATE["filters"]))
        return True

    def take_publish(self, first, body):
        qos, size = first >> 1 & 3, struct.unpack(">H", body[:2])[0]
        topic, at = body[2:2 + size].decode(), 2 + size + (2 if qos else 0)
        payload = body[at:]
        if qos == 2 or first & 1 or len(body) > 256 * 1024 + 4:
            say("refused message", topic)
            return False
        if qos:
            self.write(packet(0x40, body[2 + size:4 + size]))
        rid = topic.split("$rid=")[-1]
        if topic.startswith(EVENTS):
            say("event", topic[len(EVENTS):] or "-", payload.decode(errors="replace")[:100])
            self.obey(payload)
        elif topic.startswith("$iothub/twin/GET/?$rid="):
            self.answer_twin(rid)
        elif topic.startswith("$iothub/twin/PATCH/properties/reported/?$rid="):
            self.merge(rid, payload)
        elif topic.startswith("$iothub/methods/res/"):
            say("answered", topic, payload.decode())
        else:
            say("foreign topic", topic)
            return False
        return True

    def answer_twin(self, rid):
        say("twin asked for", rid)
        if STATE.get("mute"):
            return
        twin = {"desired": {"$version": STATE["desired"]}, "reported": dict(STATE["twin"], **{"$version": STATE["version"]})}
        self.publish(f"$iothub/twin/res/200/?$rid={rid}", json.dumps(twin).encode())

    def merge(self, rid, payload):
        try:
            STATE["twin"].update(json.loads(payload))
        except (ValueError, TypeError):
            self.publish(f"$iothub/twin/res/400/?$rid={rid}", b"{}")
            return
        STATE["version"] += 1
        self.publish(f"$iothub/twin/res/204/?$rid={rid}&$version={STATE['version']}", b"")

    def obey(self, payload):
        """Telemetry that tells the service what to do next."""
        if payload == b"send me a message":
            STATE["packet_id"] += 1
            name = urllib.parse.quote(f"/devices/{DEVICE}/messages/devicebound", safe="")
            topic = f"devices/{DEVICE}/messages/devicebound/%24.mid=m%201&%24.to={name}&color=dark%26blue&flag"
            STATE["pending"].append((STATE["packet_id"], topic, b"hello"))
            self.publish(topic, b"hello", 1, STATE["packet_id"])
        elif payload == b"call me":
            STATE["rid"] += 1
            self.publish(f"$iothub/methods/POST/re%20boot/?$rid={STATE['rid']:x}f", b'{"in": 5}')
        elif payload == b"desire":
            STATE["desired"] += 1
            self.publish(f"$iothub/twin/PATCH/properties/desired/?$version={STATE['desired']}", b'{"rate": 2}')
        elif payload == b"be mute":
            STATE["mute"] = True
        elif payload == b"hang up":
            self.hang_up()


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    say("port", listener.getsockname()[1])
    while True:
        Connection(listener.accept()[0]).start()


main()
