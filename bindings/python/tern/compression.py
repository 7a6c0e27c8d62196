"""Compression of payloads with gzip, for clients and pools.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Awaitable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Optional, Union, overload

from ._check import (
    SIZE,
    U32,
    c_enum,
    c_flag,
    c_number,
    c_string,
    c_text,
    refuse,
    set_option,
    several,
)
from ._ffi import held
from .enums import CompressionForm, Decompression, Encoding
from .errors import make_error
from .requests import subscribe_flags

if TYPE_CHECKING:
    from . import aio
    from .client import Client


def _check_client(client: Any) -> None:
    if not hasattr(client, "_subscription_call"):
        refuse("client", "a tern.Client or a tern.aio.Client is needed", client)


class Compression:
    """What is compressed on its way out, and inflated on its way in.

    ::

        compression = tern.Compression(filters={"camera/#": tern.Encoding.NONE})
        with tern.Client("mqtt://localhost", compression=compression) as client:
            client.publish("report", long_text)

    Its settings are fixed. Any number of clients, pools and threads may share one, and each of
    them keeps what it needs of it.
    """

    def __init__(
        self,
        encoding: Encoding = Encoding.GZIP,
        *,
        filters: Union[Mapping[str, Encoding], Iterable[tuple[str, Encoding]]] = (),
        threshold: int = 100,
        level: int = 6,
        minimal_gain: int = 10,
        form: CompressionForm = CompressionForm.PROPERTY,
        decompression: Decompression = Decompression.AUTO,
        max_bytes: int = 16 << 20,
        max_ratio: int = 200,
        deliver_meta: bool = False,
    ) -> None:
        """encoding: of topics that no filter matches; Encoding.NONE only inflates what comes.
        filters: topic filters, each with an encoding; of several that match the last one counts.
        threshold: payloads larger than this are compressed (bytes). level: 1 (fast) to 9 (small).
        minimal_gain: what saves less stays as it is (percent, 0 to 99). form: how receivers are
        told. decompression: what is inflated. max_bytes, max_ratio: what a received payload may
        become, in all, and beyond 64 KiB as a multiple of its size. deliver_meta: handlers see
        meta messages, too.

        Raises UsageError and ValueError for values out of range, UnsupportedError where this
        build of libtern lacks zlib (or cJSON, for meta topics).
        """
        self.pointer = self._make()
        """The tern_compression of C, which lives as long as this."""
        self.form = CompressionForm(c_enum("form", CompressionForm, form))
        self._set("encoding", "set_default", c_enum("encoding", Encoding, encoding))
        for pair in filters.items() if isinstance(filters, Mapping) else filters:
            filter, rule = several("filters", pair, 2)
            number = c_enum("filters", Encoding, rule)
            self._set("filters", "add_filter", c_string("filters", filter), number)
        self._set("threshold", "set_threshold", c_number("threshold", threshold, SIZE))
        self._set("level", "set_level", c_number("level", level, 9))
        gain = c_number("minimal_gain", minimal_gain, 99)
        self._set("minimal_gain", "set_minimal_gain", gain)
        self._set("form", "set_form", int(self.form))
        number = c_enum("decompression", Decompression, decompression)
        self._set("decompression", "set_decompression", number)
        limits = c_number("max_bytes", max_bytes, SIZE), c_number("max_ratio", max_ratio, U32)
        self._set("max_bytes, max_ratio", "set_limits", *limits)
        self._set("deliver_meta", "set_deliver_meta", c_flag("deliver_meta", deliver_meta))

    def _make(self) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        rc = held.tern_compression_new(ctypes.byref(handle))
        if rc != 0:
            raise make_error(rc)
        weakref.finalize(self, held.tern_compression_unref, handle.value).atexit = False
        return handle

    def _set(self, name: str, function: str, *arguments: Any) -> None:
        set_option(f"compression.{name}", f"tern_compression_{function}", self.pointer, *arguments)

    @property
    def statistics(self) -> dict[str, int]:
        """Counters by name, over all clients that share it; bytes and messages."""
        result, value = {}, ctypes.c_uint64()
        for index in range(held.tern_compression_stat_count()):
            name = held.tern_compression_stat_name(index)
            if held.tern_compression_stat(self.pointer, name, ctypes.byref(value)) == 0:
                result[name.decode()] = value.value
        return result

    # ---- subscribing with meta topics ----

    @overload
    def subscribe(
        self,
        client: Client,
        filter: str,
        qos: int = 0,
        *,
        timeout: Optional[float] = 10.0,
        **flags: bool,
    ) -> list[int]: ...

    @overload
    def subscribe(
        self,
        client: aio.Client,
        filter: str,
        qos: int = 0,
        *,
        timeout: Optional[float] = 10.0,
        **flags: bool,
    ) -> Awaitable[list[int]]: ...

    def subscribe(
        self,
        client: Union[Client, aio.Client],
        filter: str,
        qos: int = 0,
        *,
        timeout: Optional[float] = 10.0,
        **flags: bool,
    ) -> Union[list[int], Awaitable[list[int]]]:
        """Subscribes a client made with it, and with meta topics to `<filter>/meta`, too.

        Returns the reason codes; of a tern.aio.Client an awaitable of them. The flags are those of
        tern.Client.subscribe(). With meta topics raises UsageError for `$share` filters, whose meta
        and payload could go to different clients, and for those that end in `/meta`.
        """
        bits = subscribe_flags(qos, flags)

        def ask(handle: Any, token: Any) -> int:
            raw = c_text("filter", filter)
            rc: int = held.tern_compression_subscribe(self.pointer, handle, raw, bits, token)
            return rc

        _check_client(client)
        return client._subscription_call(ask, "subscribe", timeout)

    @overload
    def unsubscribe(
        self, client: Client, filter: str, *, timeout: Optional[float] = 10.0
    ) -> list[int]: ...

    @overload
    def unsubscribe(
        self, client: aio.Client, filter: str, *, timeout: Optional[float] = 10.0
    ) -> Awaitable[list[int]]: ...

    def unsubscribe(
        self,
        client: Union[Client, aio.Client],
        filter: str,
        *,
        timeout: Optional[float] = 10.0,
    ) -> Union[list[int], Awaitable[list[int]]]:
        """Ends such a subscription; returns the reason codes, or an awaitable of them."""

        def ask(handle: Any, token: Any) -> int:
            raw = c_text("filter", filter)
            rc: int = held.tern_compression_unsubscribe(self.pointer, handle, raw, token)
            return rc

        _check_client(client)
        return client._subscription_call(ask, "unsubscribe", timeout)

    def __repr__(self) -> str:
        return f"<tern.Compression {self.form.name.lower()}>"


__all__ = ["Compression"]
