"""What pools are made of, and how C's calls get to them.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Optional

from ._check import SIZE, c_enum, c_number, c_text, instance, milliseconds, set_option
from ._ffi import c, callbacks, held
from ._foreign import SHIFT, find, log_event
from .enums import PoolPolicy
from .errors import ClosedError, make_error
from .event import read_event

if TYPE_CHECKING:
    from .pool import Pool

#: Options of a client that a pool's members do not have, and why.
NOT_HERE = {
    "client_id": "members have a client_id_prefix",
    "log_level": "C's records come from threads that may not wait for Python",
    "receive_limit": "a pool has handlers, and no receive()",
    "credentials": "a pool's members are asked nothing",
    "service": "a service limits clients, not pools",
}


@callbacks.tern_message_callback  # type: ignore[untyped-decorator]
def on_message(client: int, message: int, number: int) -> None:
    pool = find(number)
    if pool is not None:
        pool._on_message(client, message, number & ((1 << SHIFT) - 1))


@callbacks.tern_pool_event_callback  # type: ignore[untyped-decorator]
def on_event(_pool: int, member: int, event: int, number: int) -> None:
    pool = find(number)
    if pool is not None:
        told = read_event(event)
        log_event(told, f"member {member}: ")
        pool._call(pool.on_event, member, told)


@callbacks.tern_pool_delivery_callback  # type: ignore[untyped-decorator]
def on_delivery(
    _pool: int, first: int, last: int, outcome: int, cause: int, reason: int, number: int
) -> None:
    pool = find(number)
    if pool is not None:
        pool._on_delivery(first, last, (outcome, cause, reason))


@callbacks.tern_timer_callback  # type: ignore[untyped-decorator]
def on_timer(_client: int, _due: int, number: int) -> None:
    pool = find(number)
    if pool is not None:
        pool._passed.pop(number & ((1 << SHIFT) - 1)).open()


class Member:
    """Through whom a message came. It holds its pool weakly, as the pool holds it."""

    def __init__(self, pool: Pool, client: int) -> None:
        self._pool = weakref.ref(pool)
        self._client = client

    def ack(self, number: int) -> None:
        pool = self._pool()
        if pool is None or pool._closed:
            raise ClosedError(c.TERN_E_CLOSED)
        if number != 0 and not pool._manual:
            raise make_error(c.TERN_E_STATE, "ack: the pool acknowledges by itself")
        rc = held.tern_client_ack_number(self._client, number, 0)
        if rc != 0:
            raise make_error(rc)


def set_pool_options(
    pointer: Any,
    members: int,
    policy: PoolPolicy,
    client_id_prefix: Optional[str],
    unhealthy_after: float,
    move_early: bool,
    loop: Any,
) -> None:
    """Sets what is the pool's own."""

    def call(name: str, *arguments: Any) -> None:
        set_option(name, f"tern_pool_options_set_{name}", pointer, *arguments)

    call("members", c_number("members", members, SIZE))
    call("policy", c_enum("policy", PoolPolicy, policy))
    if client_id_prefix is not None:
        call("client_id_prefix", c_text("client_id_prefix", client_id_prefix))
    delay = milliseconds("unhealthy_after", unhealthy_after)
    call("failover", delay, int(bool(move_early)))
    if loop is not None:
        call("loop", instance("loop", "Loop", loop).pointer)
