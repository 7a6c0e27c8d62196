"""tern.paho and TLS: tls_set(), and what is read of an ssl.SSLContext.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from broker import Broker
from certificates import make_certificates, mutual

import tern.paho.client as mqtt


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A folder with certificates."""
    made: Path = tmp_path_factory.mktemp("certificates")
    make_certificates(root, made)
    return made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Broker]:
    """A broker with TLS."""
    broker = Broker(tmp_path_factory.mktemp("tls"))
    broker.extra = mutual(folder)[:-1]
    with broker:
        yield broker


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Broker]:
    """A broker that wants certificates of its clients."""
    broker = Broker(tmp_path_factory.mktemp("mutual"))
    broker.extra = mutual(folder)
    with broker:
        yield broker


def connect(client: mqtt.Client, broker: Broker, host: str = "localhost") -> None:
    """There and back."""
    try:
        client.connect(host, broker.port)
        client.publish("tls", "x", 1).wait_for_publish(10)
    finally:
        client.disconnect()


def test_tls_set(plain: Broker, folder: Path) -> None:
    client = mqtt.Client()
    client.tls_set(str(folder / "ca.pem"))
    connect(client, plain)
    connect(client, plain, "127.0.0.1")


def test_a_server_that_nobody_vouches_for(plain: Broker) -> None:
    client = mqtt.Client()
    client.tls_set()
    with pytest.raises(ssl.SSLCertVerificationError):
        client.connect("localhost", plain.port)
    client = mqtt.Client()
    client.tls_set(cert_reqs=ssl.CERT_NONE)
    connect(client, plain)


def test_another_name(plain: Broker, folder: Path) -> None:
    client = mqtt.Client()
    client.tls_set(str(folder / "ca.pem"))
    with pytest.raises(ssl.SSLCertVerificationError):
        client.connect("127.1", plain.port)  # the same address by a name of its own
    client.tls_insecure_set(True)
    assert client.connect("127.1", plain.port) == mqtt.MQTT_ERR_SUCCESS
    client.disconnect()


def test_a_clients_certificate(strict: Broker, folder: Path) -> None:
    client = mqtt.Client()
    client.tls_set(str(folder / "ca.pem"), str(folder / "client.pem"), str(folder / "client.key"))
    connect(client, strict)
    client = mqtt.Client()
    client.tls_set(str(folder / "ca.pem"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        client.connect("localhost", strict.port)
        client.loop(1)


def context_of(folder: Path, **attributes: Any) -> ssl.SSLContext:
    """A context that trusts the test's authority."""
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    for name, value in attributes.items():
        setattr(context, name, value)
    return context


def test_a_context(plain: Broker, folder: Path) -> None:
    client = mqtt.Client()
    client.tls_set_context(context_of(folder))
    connect(client, plain)
    with pytest.raises(ValueError, match="already"):
        client.tls_set_context(context_of(folder))


def test_a_context_trusts_what_it_trusts_and_nobody_else(plain: Broker) -> None:
    client = mqtt.Client()
    client.tls_set_context()  # the system's authorities
    with pytest.raises(ssl.SSLCertVerificationError):
        client.connect("localhost", plain.port)


def test_a_context_that_takes_any_name(plain: Broker, folder: Path) -> None:
    client = mqtt.Client()
    client.tls_set_context(context_of(folder, check_hostname=False))
    connect(client, plain)


def test_a_context_that_verifies_nothing(plain: Broker) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = mqtt.Client()
    client.tls_set_context(context)
    connect(client, plain)


def test_a_context_that_trusts_nobody() -> None:
    with pytest.raises(ValueError, match="load_verify_locations"):
        mqtt.Client().tls_set_context(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def test_a_context_with_a_clients_certificate_names_tls_set(folder: Path) -> None:
    context = context_of(folder)
    context.load_cert_chain(folder / "client.pem", folder / "client.key")
    with pytest.raises(ValueError, match="call tls_set"):
        mqtt.Client().tls_set_context(context)


def test_alpn_of_a_context(folder: Path) -> None:
    context = context_of(folder)
    context.set_alpn_protocols(["mqtt", "x-amzn-mqtt-ca"])
    client = mqtt.Client()
    client.tls_set_context(context)
    assert client._tls is not None and client._tls.alpn == ["mqtt", "x-amzn-mqtt-ca"]
