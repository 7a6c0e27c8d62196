#!/usr/bin/env python3
"""What AWS IoT Core does at its door, before a broker that does the rest: aws_mock.py FOLDER BROKER WS_BROKER HOST.

FOLDER has certificates (good.pem, server.key, root.pem). BROKER and WS_BROKER are the ports of a mosquitto's plain and WebSocket listeners. HOST
is the endpoint's name. Listens with TLS on a free port of 127.0.0.1, which it prints; ALPN says who comes: `x-amzn-mqtt-ca` must show a
certificate, `mqtt` must name the authorizer "door" with password "sesame", whoever says nothing must show a certificate or upgrade to WebSocket
with a URL that is signed rightly by AKIDMOCK and its secret, and not long ago. Then it passes bytes on, and closes as the
service does: for QoS 2, payloads over 128 KiB, more than 8 filters, and a client id that comes twice.
SPDX-License-Identifier: Apache-2.0"""
import datetime
import hashlib
import hmac
import os
import select
import socket
import ssl
import sys
import threading
import urllib.parse

FOLDER, BROKER, WS_BROKER, HOST = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
KEYS = {"AKIDMOCK": "secret/of+the=mock"}
here = {}
lock = threading.Lock()


def log(*words):
    """A line, whole, whichever thread says it."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def refuse(client, status, why):
    log("refused", why)
    body = why.encode()
    client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)


def signed_rightly(target):
    """None where the URL's signature is right, else what is wrong."""
    path, _, query = target.partition("?")
    given = urllib.parse.parse_qs(query, keep_blank_values=True)
    try:
        access, date, region, service, end = given["X-Amz-Credential"][0].split("/")
        stamp, signature = given["X-Amz-Date"][0], given["X-Amz-Signature"][0]
        signed = query[:query.index("&X-Amz-Signature=")]
    except (KeyError, ValueError):
        return "Missing Authentication Token"
    if access not in KEYS or service != "iotdevicegateway" or end != "aws4_request" or stamp[:8] != date:
        return "The security token included in the request is invalid"
    age = datetime.datetime.utcnow() - datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ")
    if abs(age.total_seconds()) > 300:
        return "Signature expired"
    request = f"GET\n{path}\n{signed}\nhost:{HOST}\n\nhost\n" + hashlib.sha256(b"").hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{date}/{region}/{service}/{end}\n" + hashlib.sha256(request.encode()).hexdigest()
    key = ("AWS4" + KEYS[access]).encode()
    for part in (date, region, service, end, text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return None if hmac.compare_digest(key.hex(), signature) else "The request signature we calculated does not match"


def packets(buffer):
    """Takes whole MQTT packets off the buffer: (first byte, body)."""
    while len(buffer) >= 2:
        length, shift, at = 0, 0, 1
        while True:
            if at >= len(buffer):
                return
            length |= (buffer[at] & 127) << shift
            shift += 7
            at += 1
            if buffer[at - 1] < 128:
                break
        if len(buffer) < at + length:
            return
        body = bytes(buffer[at:at + length])
        first = buffer[0]
        del buffer[:at + length]
        yield first, body


def text_at(body, at):
    length = int.from_bytes(body[at:at + 2], "big")
    return body[at + 2:at + 2 + length], at + 2 + length


def varint_at(body, at):
    value, shift = 0, 0
    while True:
        value |= (body[at] & 127) << shift
        shift += 7
        at += 1
        if body[at - 1] < 128:
            return value, at


def trouble(first, body, state):
    """What the service closes for."""
    kind = first >> 4
    if kind == 1:
        level, flags = body[6], body[7]
        at = 10
        if level == 5:
            length, at = varint_at(body, at)
            at += length
        client_id, at = text_at(body, at)
        user = password = b""
        if flags & 0x80:
            user, at = text_at(body, at)
        if flags & 0x40:
            password, at = text_at(body, at)
        state["v5"] = level == 5
        if state["alpn"] == "mqtt":
            wanted = b"device?x-amz-customauthorizer-name=door&x-amz-customauthorizer-signature=a%2Bb%2Fc%3D&token=it%27s%20me"
            if user != wanted or password != b"sesame":
                return f"authorizer said no to {user!r}"
        with lock:
            other, here[client_id] = here.get(client_id), state
        if other is not None and other is not state:
            log("closed", "the older client with the same id")
            try:
                other["broker"].shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has gone by itself
        return None
    if kind == 3:
        if first & 6 == 4:
            return "QoS 2"
        topic, at = text_at(body, 0)
        at += 2 if first & 6 else 0
        if state["v5"]:
            length, at = varint_at(body, at)
            at += length
        if len(body) - at > 128 * 1024:
            return "payload too large"
        if topic.count(b"/") > 7 and not topic.startswith(b"$aws/rules/"):
            return "too many slashes"
    if kind == 8:
        at, filters = 2, 0
        if state["v5"]:
            length, at = varint_at(body, at)
            at += length
        while at < len(body):
            _, at = text_at(body, at)
            at += 1
            filters += 1
        log("filters", filters)
        if filters > 8:
            return "too many filters"
    return None


def pass_on(client, broker, first_bytes, watch, alpn):
    state = {"alpn": alpn, "v5": False, "broker": broker}
    buffer = bytearray()

    def see(data):
        if watch:
            buffer.extend(data)
            for first, body in packets(buffer):
                why = trouble(first, body, state)
                if why:
                    log("closed", why)
                    return False
        broker.sendall(data)
        return True

    if first_bytes and not see(first_bytes):
        return
    while True:
        readable = [client] if client.pending() else select.select([client, broker], [], [])[0]
        if client in readable:
            data = client.recv(65536)
            if not data or not see(data):
                return
        if broker in readable:
            data = broker.recv(65536)
            if not data:
                return
            client.sendall(data)


def serve(raw, context):
    try:
        client = context.wrap_socket(raw, server_side=True)
    except OSError as error:
        log("tls", error)
        return
    broker = None
    try:
        alpn = client.selected_alpn_protocol()
        certificate = client.getpeercert()
        data = client.recv(65536)
        websocket = data.startswith(b"GET ")
        log("came", alpn, "certificate" if certificate else "nobody", "websocket" if websocket else "mqtt")
        if websocket:
            while b"\r\n\r\n" not in data:
                data += client.recv(65536)
            line, _, rest = data.partition(b"\r\n")
            target = line.split()[1].decode()
            wrong = signed_rightly(target)
            if wrong:
                refuse(client, "403 Forbidden", wrong)
                return
            data = b"GET /mqtt HTTP/1.1\r\n" + rest
        elif alpn != "mqtt" and not certificate:
            log("closed", "no certificate")
            return
        broker = socket.create_connection(("127.0.0.1", WS_BROKER if websocket else BROKER))
        pass_on(client, broker, data, not websocket, alpn)
    except OSError as error:
        log("ended", error)
    finally:
        if broker is not None:
            broker.close()
        client.close()


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{FOLDER}/good.pem", f"{FOLDER}/server.key")
    context.load_verify_locations(f"{FOLDER}/root.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["x-amzn-mqtt-ca", "mqtt"])
    listener = socket.create_server(("127.0.0.1", 0))
    log("port", listener.getsockname()[1])
    while True:
        raw, _ = listener.accept()
        threading.Thread(target=serve, args=(raw, context), daemon=True).start()


main()
