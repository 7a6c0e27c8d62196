"""The client behind publish.multiple() and subscribe.callback().

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ssl
from typing import Any, Optional

from . import MQTTException
from .client import Client, ConnectFlags
from .enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from .properties import Properties
from .reasoncodes import ReasonCode


class HelperClient(Client):
    """A client that can wait for the broker's yes."""

    refused: Optional[ReasonCode] = None
    accepted = False

    def wait_for_connack(self) -> None:
        """Calls callbacks until the broker has said yes; raises MQTTException where it says no."""
        while not self.accepted and self.refused is None:
            rc = self.loop(1.0)
            if rc != MQTTErrorCode.MQTT_ERR_SUCCESS and self.refused is None:
                raise MQTTException(f"connect: {rc.name}")
        if self.refused is not None:
            raise MQTTException(str(self.refused))

    def judge(self, reason: ReasonCode) -> None:
        """Takes the broker's answer."""
        self.accepted = not reason.is_failure
        self.refused = reason if reason.is_failure else None


def helper_client(
    client_id: str,
    clean_session: Optional[bool],
    protocol: MQTTProtocolVersion,
    transport: str,
    will: Optional[dict[str, Any]],
    auth: Optional[dict[str, Any]],
    tls: Any,
    proxy_args: Optional[dict[str, Any]],
) -> HelperClient:
    """A client with what the helpers are given."""
    client = HelperClient(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=None if protocol == MQTTProtocolVersion.MQTTv5 else clean_session,
        protocol=protocol,
        transport=transport,
        reconnect_on_failure=False,
    )
    client.on_connect = _on_connect
    if proxy_args is not None:
        client.proxy_set(**proxy_args)
    if auth:
        if not auth.get("username"):
            raise KeyError("The 'username' key was not found, this is required for auth")
        client.username_pw_set(auth["username"], auth.get("password"))
    if will is not None:
        client.will_set(**will)
    if isinstance(tls, dict):
        insecure = tls.get("insecure", False)
        client.tls_set(**{name: value for name, value in tls.items() if name != "insecure"})
        if insecure:
            client.tls_insecure_set(True)
    elif isinstance(tls, ssl.SSLContext):
        client.tls_set_context(tls)
    return client


def _on_connect(
    client: HelperClient, _: Any, flags: ConnectFlags, reason: ReasonCode, properties: Properties
) -> None:
    client.judge(reason)
