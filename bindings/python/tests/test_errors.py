"""Exceptions and enumerations are those of the C library.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import builtins
import copy
import ctypes
import pickle
import threading

import pytest
from broker import free_port

import tern
from tern import _declarations as declarations
from tern import enums, errors
from tern._ffi import c, callbacks, held, lib

ALL_CODES = [code for _, code, _, _ in declarations.ERRORS]
# Enumerations that are for the border alone, or that are flags.
NOT_PUBLIC = {"tern_error", "tern_feed_kind", "tern_feed_size", "tern_batch_flag"}
FLAGS = {
    "tern_flag": (enums.QoS, enums.PublishFlag, enums.SubscribeFlag),
}


@pytest.mark.parametrize("code", ALL_CODES)
def test_each_code_has_the_exception_of_its_class(code: int) -> None:
    error = errors.make_error(code)
    cls = enums.ErrorClass(held.tern_error_class_of(code))
    assert error.error_class == cls
    assert error.code == code
    assert error.name == held.tern_error_name(code).decode()
    assert error.detail == held.tern_strerror(code).decode()
    assert str(error) == f"{error.detail} [{error.name}]"
    assert isinstance(error, errors._BY_CLASS[cls.name])


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("INVALID", (tern.UsageError, ValueError)),
        ("UNSUPPORTED", (tern.UnsupportedError, tern.UsageError)),
        ("STATE", (tern.StateError, RuntimeError)),
        ("CLOSED", (tern.ClosedError, tern.StateError)),
        ("WOULD_DEADLOCK", (tern.WouldDeadlockError, tern.StateError)),
        ("NOMEM", (tern.OutOfMemoryError, tern.ResourceError, MemoryError)),
        ("OUTBOX_FULL", (tern.OutboxFullError, tern.ResourceError)),
        ("RESOLVE", (tern.NetworkError, ConnectionError, OSError)),
        ("TLS", (tern.TLSError, tern.NetworkError)),
        ("MALFORMED", (tern.ProtocolError,)),
        ("REFUSED", (tern.RefusedError,)),
        ("TIMEOUT", (tern.TimeoutError, builtins.TimeoutError)),
        ("EXPIRED", (tern.TimeoutError,)),
        ("CANCELLED", (tern.CancelledError,)),
    ],
)
def test_exceptions_are_python_s_own_where_there_is_one(
    name: str, kinds: tuple[type[BaseException], ...]
) -> None:
    error = errors.make_error(getattr(c, f"TERN_E_{name}"))
    assert isinstance(error, tern.TernError)
    for kind in kinds:
        assert isinstance(error, kind)


def test_a_code_of_a_newer_library_is_still_an_exception() -> None:
    error = errors.make_error(-4711)
    assert type(error) is tern.TernError
    assert error.error_class == enums.ErrorClass.NONE
    assert error.detail and error.name


@pytest.mark.parametrize("code", ALL_CODES)
def test_exceptions_go_to_other_processes_whole(code: int) -> None:
    error = errors.make_error(
        code,
        "connecting failed",
        reason_codes=[0, 0x87],
        reason_string="not you",
        hint="ask for rights",
        step=enums.Step.MQTT,
        os_error=111,
        peer="127.0.0.1:1883",
    )
    error.accepted = [1, 2]  # type: ignore[attr-defined]
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert twin.__dict__ == error.__dict__
        assert twin.args == error.args == ("connecting failed",)
        assert str(twin) == f"connecting failed [{error.name}]; ask for rights"


def test_the_reason_code_is_the_one_that_says_no() -> None:
    assert errors.make_error(c.TERN_E_REFUSED).reason_code is None
    assert errors.make_error(c.TERN_E_REFUSED, reason_codes=[1]).reason_code == 1
    assert errors.make_error(c.TERN_E_REFUSED, reason_codes=[1, 0x80, 0x87]).reason_code == 0x80


def test_check_gives_back_what_is_no_error() -> None:
    assert [errors.check(0), errors.check(1), errors.check(7, None)] == [0, 1, 7]
    with pytest.raises(tern.TimeoutError):
        errors.check(c.TERN_E_TIMEOUT)


def test_check_asks_the_client_for_its_words() -> None:
    client = ctypes.c_void_p()
    assert held.tern_client_new(ctypes.byref(client), None) == 0
    rc = held.tern_client_publish(client, b"a/#", b"x", 1, 0, None)
    with pytest.raises(tern.UsageError, match='publish: topic "a/#"') as caught:
        errors.check(rc, client)
    assert caught.value.name == "TERN_E_TOPIC"
    # Another error is the client's last: its words are not those of this one.
    with pytest.raises(tern.ClosedError, match="^the client is closing or closed"):
        errors.check(c.TERN_E_CLOSED, client)
    lib.tern_client_free(client)


def test_an_event_tells_step_peer_cause_and_hint() -> None:
    client = ctypes.c_void_p()
    told: list[errors.TernError] = []
    came = threading.Event()

    def on_event(_client: int, event: int, _user_data: int) -> None:
        error = errors.error_of_event(event)
        if held.tern_event_get_kind(event) == c.TERN_EVENT_CONNECT_FAILED and error is not None:
            told.append(error)
            came.set()

    handler = callbacks.tern_event_callback(on_event)
    assert held.tern_client_new(ctypes.byref(client), None) == 0
    url = f"mqtt://127.0.0.1:{free_port()}"
    assert held.tern_client_configure_url(client, url.encode()) == 0
    assert held.tern_client_set_event_handler(client, handler, None) == 0
    assert held.tern_client_connect(client, None) == 0
    assert came.wait(10)
    lib.tern_client_free(client)
    error = told[0]
    assert isinstance(error, tern.NetworkError)
    assert (error.name, error.step) == ("TERN_E_CONNECT", enums.Step.CONNECT)
    assert error.os_error != 0
    assert url in error.detail
    assert error.reason_codes == []


def test_a_token_tells_why_it_failed() -> None:
    client, token = ctypes.c_void_p(), ctypes.c_void_p()
    assert held.tern_client_new(ctypes.byref(client), None) == 0
    rc = held.tern_client_publish_token(client, b"a", None, 0, 1, ctypes.byref(token))
    assert rc == 0
    assert errors.error_of_token(token) is None
    lib.tern_client_free(client)
    assert isinstance(errors.error_of_token(token), tern.ClosedError)
    held.tern_token_unref(token)


def test_no_enumeration_is_missing() -> None:
    assert set(enums.ENUMS) | set(FLAGS) | NOT_PUBLIC == set(declarations.ENUMS)


@pytest.mark.parametrize("name", sorted(enums.ENUMS))
def test_members_are_those_of_the_headers(name: str) -> None:
    kind, prefix = enums.ENUMS[name]
    here = {member.name: member.value for member in kind}
    there = {key.removeprefix(prefix): value for key, value in declarations.ENUMS[name].items()}
    # A name may not begin with a digit in Python: VERSION_5 is V5 here.
    assert {name.removeprefix("V") if name[1:2].isdigit() else name for name in here} == set(there)
    assert sorted(here.values()) == sorted(there.values())
    assert kind.__doc__ and kind.__doc__ != enums.IntEnum.__doc__


@pytest.mark.parametrize("name", sorted(FLAGS))
def test_flags_are_those_of_the_headers(name: str) -> None:
    members = [member for kind in FLAGS[name] for member in kind]
    assert sorted(member.value for member in members) == sorted(declarations.ENUMS[name].values())


def test_a_member_says_its_name_as_the_library_does() -> None:
    for outcome in enums.Outcome:
        name = outcome.name.replace("_", " ")
        assert held.tern_outcome_name(outcome).decode().replace("_", " ").upper() == name
    for limit in enums.Limit:
        assert held.tern_limit_name(limit).decode().upper() == limit.name
    for kind in enums.EventKind:
        assert held.tern_event_kind_name(kind).decode() == kind.name


def test_the_package_s_names_are_all_there() -> None:
    assert len(set(tern.__all__)) == len(tern.__all__)
    for name in tern.__all__:
        assert hasattr(tern, name), name
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, tern.TernError):
            assert name in tern.__all__, name
    for kind, _ in enums.ENUMS.values():
        assert kind.__name__ in tern.__all__
