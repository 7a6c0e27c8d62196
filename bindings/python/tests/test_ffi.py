"""Loading the library, and calling it through ctypes.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Optional

import pytest
from broker import Broker

from tern._ffi import c, callbacks, held, lib

TIMEOUT_MS = 10_000


def python(code: str, cwd: Optional[Path] = None, **environment: str) -> str:
    """Runs a program in an interpreter of its own; what it said of errors."""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ended.stderr


@pytest.fixture
def later_version(tmp_path: Path) -> Path:
    """A folder with a copy of the package that needs a libtern of version 77.1."""
    found = Path(sys.modules["tern"].__file__ or "").parent
    copy = tmp_path / "tern"
    copy.mkdir()
    for name in ("_declarations.py", "_library.py", "_ffi.py"):
        (copy / name).write_bytes((found / name).read_bytes())
    (copy / "__init__.py").write_bytes(b"")
    declarations = copy / "_declarations.py"
    text = declarations.read_text("utf-8")
    declarations.write_text(text + '\nVERSION = "77.1.0"\n', "utf-8")
    return tmp_path


def new_client(url: str) -> ctypes.c_void_p:
    """A client that is told where to connect, and has not connected yet."""
    client = ctypes.c_void_p()
    assert held.tern_client_new(ctypes.byref(client), None) == 0
    assert held.tern_client_configure_url(client, url.encode()) == 0
    return client


def test_a_library_that_is_not_there_is_named() -> None:
    said = python("import tern._ffi", TERN_LIBRARY="/nowhere/libtern.so")
    assert "ImportError: tern: TERN_LIBRARY=/nowhere/libtern.so: cannot be loaded" in said
    assert "Install a wheel" in said


def test_a_library_that_is_another_is_refused() -> None:
    said = python("import tern._ffi", TERN_LIBRARY="libc.so.6")
    assert "ImportError: tern: TERN_LIBRARY=libc.so.6: is not libtern" in said


def test_a_library_of_another_version_is_refused(later_version: Path) -> None:
    library = lib.__dict__["_library"]._name
    said = python("import tern._ffi", later_version, TERN_LIBRARY=library)
    assert f"TERN_LIBRARY={library}: is version " in said
    assert "needs 77.1.x" in said


def test_a_library_inside_the_package_goes_before_the_systems(later_version: Path) -> None:
    inside = later_version / "tern" / "_lib"
    inside.mkdir()
    (inside / "libtern.so.77").write_bytes(b"not a library")
    said = python("import tern._ffi", later_version, TERN_LIBRARY="")
    assert f"the library inside the package, {inside / 'libtern.so.77'}: cannot be loaded" in said


def test_no_library_at_all_says_where_it_looked(later_version: Path) -> None:
    said = python("import tern._ffi", later_version, TERN_LIBRARY="")
    assert "TERN_LIBRARY (not set)" in said
    assert f"{later_version / 'tern' / '_lib'} (no libtern.so*)" in said
    assert "libtern.so.77" in said


def test_names_that_are_not_there_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no public function tern_nothing"):
        lib.tern_nothing  # noqa: B018
    with pytest.raises(AttributeError, match="no constant TERN_NOTHING"):
        c.TERN_NOTHING  # noqa: B018
    with pytest.raises(AttributeError, match="no callback type tern_nothing"):
        callbacks.tern_nothing  # noqa: B018


def test_what_waits_is_not_to_be_had_with_the_lock() -> None:
    with pytest.raises(AttributeError, match="call lib.tern_client_connect_wait"):
        held.tern_client_connect_wait  # noqa: B018
    assert lib.tern_client_connect_wait is lib.tern_client_connect_wait


@pytest.mark.parametrize("wrong", ["text", 1.5, object(), []])
def test_arguments_of_the_wrong_type_are_refused(wrong: object) -> None:
    with pytest.raises(ctypes.ArgumentError):
        held.tern_filter_matches(wrong, b"a")
    with pytest.raises(ctypes.ArgumentError):
        held.tern_strerror(wrong)


def test_handles_text_numbers_and_null() -> None:
    message = ctypes.c_void_p()
    payload = b"\0binary\0"
    assert held.tern_message_new(ctypes.byref(message), b"a/b", payload, len(payload), 1) == 0
    assert held.tern_message_set_content_type(message, b"text/plain") == 0
    assert held.tern_message_add_user_property(message, b"name", b"value") == 0
    assert held.tern_message_topic(message) == b"a/b"
    length = held.tern_message_payload_length(message)
    assert ctypes.string_at(held.tern_message_payload(message), length) == payload
    size = ctypes.c_size_t()
    address = held.tern_message_content_type(message, ctypes.byref(size))
    assert ctypes.string_at(address, size.value) == b"text/plain"
    assert held.tern_message_response_topic(message, None) is None
    texts = [ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_void_p(), ctypes.c_size_t()]
    assert held.tern_message_user_property(message, 0, *map(ctypes.byref, texts)) == 0
    assert ctypes.string_at(texts[2].value or 0, texts[3].value) == b"value"
    held.tern_message_unref(message)
    held.tern_message_unref(None)


def test_many_messages_from_arrays(broker: Broker) -> None:
    client = new_client(broker.url)
    count = 3
    topics = (ctypes.c_char_p * count)(b"many/a", b"many/b", b"many/c")
    payloads = (ctypes.c_char_p * count)(b"1", b"22", b"333")
    lengths = (ctypes.c_size_t * count)(1, 2, 3)
    ids = (ctypes.c_uint64 * count)()
    accepted = ctypes.c_size_t()
    rc = held.tern_client_publish_many(
        client, topics, payloads, lengths, count, c.TERN_QOS_1, ids, ctypes.byref(accepted)
    )
    assert (rc, accepted.value) == (0, count)
    assert list(ids) == [ids[0], ids[0] + 1, ids[0] + 2]
    assert lib.tern_client_connect_wait(client, TIMEOUT_MS) == 0
    assert lib.tern_client_flush_wait(client, TIMEOUT_MS) == 0
    lib.tern_client_free(client)


def test_a_message_there_and_back_through_a_callback(broker: Broker) -> None:
    client = new_client(broker.url)
    came = threading.Event()
    seen: list[tuple[bytes, bytes, int]] = []

    def on_message(_client: int, message: int, user_data: int) -> None:
        payload = held.tern_message_payload(message)
        size = held.tern_message_payload_length(message)
        seen.append((held.tern_message_topic(message), ctypes.string_at(payload, size), user_data))
        came.set()

    handler = callbacks.tern_message_callback(on_message)
    assert held.tern_client_set_filter_handler(client, b"round/+", handler, 4711) == 0
    assert lib.tern_client_connect_wait(client, TIMEOUT_MS) == 0
    assert lib.tern_client_subscribe_wait(client, b"round/+", c.TERN_QOS_1, TIMEOUT_MS) == 0
    rc = lib.tern_client_publish_wait(client, b"round/trip", b"\0x", 2, c.TERN_QOS_1, TIMEOUT_MS)
    assert rc == 0
    assert came.wait(10)
    assert seen == [(b"round/trip", b"\0x", 4711)]
    assert held.tern_client_set_filter_handler(client, b"round/+", None, None) == 0
    lib.tern_client_free(client)


def test_a_function_of_the_library_can_be_a_callback() -> None:
    feed = ctypes.c_void_p()
    options = ctypes.c_void_p()
    client = ctypes.c_void_p()
    assert held.tern_feed_new(ctypes.byref(feed)) == 0
    assert held.tern_client_options_new(ctypes.byref(options)) == 0
    manual = c.TERN_DISPATCH_MANUAL
    assert held.tern_client_options_set_dispatch(options, manual) == 0
    level = c.TERN_LOG_DEBUG
    assert held.tern_client_options_set_log(options, level, lib.tern_feed_log, feed) == 0
    assert held.tern_client_new(ctypes.byref(client), options) == 0
    assert held.tern_feed_attach(feed, client) == 0
    held.tern_client_options_free(options)
    held.tern_feed_log(c.TERN_LOG_INFO, b"a line", feed)
    records, data = ctypes.c_void_p(), ctypes.c_void_p()
    count, length = ctypes.c_size_t(), ctypes.c_size_t()
    places = map(ctypes.byref, (records, count, data, length))
    assert lib.tern_feed_read(feed, 0, *places) == 0
    assert b"a line" in ctypes.string_at(data.value or 0, length.value)
    lib.tern_client_free(client)
    held.tern_feed_free(feed)


def test_other_threads_run_while_a_call_of_lib_waits() -> None:
    client = new_client("mqtt://127.0.0.1:1")
    token = ctypes.c_void_p()
    rc = held.tern_client_publish_token(client, b"a", None, 0, 0, ctypes.byref(token))
    assert rc == 0
    answers: list[int] = []
    waiter = threading.Thread(
        target=lambda: answers.append(lib.tern_token_wait(token, 20_000)), daemon=True
    )
    waiter.start()
    # This line is reached at all only because the waiting thread gave the interpreter's lock up.
    lib.tern_client_free(client)
    waiter.join(30)
    assert answers == [c.TERN_E_CLOSED]
    held.tern_token_unref(token)
