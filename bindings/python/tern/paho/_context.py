"""Reads an ssl.SSLContext, so that Tern connects by what it says.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import ctypes
import platform
import ssl
import sys
import sysconfig
from typing import Any, Optional

from ..enums import TLSVerification, TLSVersion
from ..options import TLS


def tls_of(context: ssl.SSLContext) -> TLS:
    """Tern's options for what a context trusts and verifies.

    Raises ValueError where the context has a client certificate, which nobody can read out of it,
    and where it is to verify but trusts nobody.
    """
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"tls_set_context: an ssl.SSLContext is needed, not {context!r}")
    inside = _Inside.of(context)
    if inside is not None and inside.has_certificate:
        raise ValueError(
            "tls_set_context: the context has a client certificate, and a key cannot be read out "
            "of an SSLContext: call tls_set(ca_certs=..., certfile=..., keyfile=...) instead"
        )
    minimum = context.minimum_version
    tls = TLS(
        alpn=inside.alpn if inside is not None and inside.alpn else None,
        minimum_version=TLSVersion.V1_3 if minimum == ssl.TLSVersion.TLSv1_3 else None,
    )
    if context.verify_mode == ssl.CERT_NONE:
        tls.verification = TLSVerification.NOTHING
        return tls
    tls.verification = TLSVerification.FULL if context.check_hostname else TLSVerification.CHAIN
    authorities = context.get_ca_certs(binary_form=True)
    if not authorities:
        raise ValueError(
            "tls_set_context: the context verifies the server but has no authorities that can "
            "be read (those of a folder cannot): load_verify_locations() with a file, or tls_set()"
        )
    tls.ca = "".join(ssl.DER_cert_to_PEM_cert(one) for one in authorities)
    return tls


class _Inside:
    """What the C structure of a context has and no method gives: see _of() for when it is read."""

    def __init__(self, has_certificate: bool, alpn: list[str]) -> None:
        self.has_certificate = has_certificate
        self.alpn = alpn

    @classmethod
    def of(cls, context: ssl.SSLContext) -> Optional[_Inside]:
        """Reads it where the interpreter is one whose structure is known; else None.

        Since 3.8 the structure begins with the object's head, the SSL_CTX, the ALPN protocols
        and their length. Before anything is believed, the verify mode that OpenSSL tells of that
        SSL_CTX has to be the context's own.
        """
        known = platform.python_implementation() == "CPython" and sys.version_info < (3, 15)
        if not known or sysconfig.get_config_var("Py_GIL_DISABLED"):
            return None
        functions = _functions()
        if functions is None:
            return None
        verify_mode, certificate = functions
        fields = _Fields.from_address(id(context) + object.__basicsize__)
        if not fields.ctx or verify_mode(fields.ctx) & 3 != _MODES[context.verify_mode]:
            return None
        protocols = ctypes.string_at(fields.alpn, fields.alpn_length) if fields.alpn else b""
        return cls(certificate(fields.ctx) is not None, list(_split(protocols)))


_MODES = {ssl.CERT_NONE: 0, ssl.CERT_OPTIONAL: 1, ssl.CERT_REQUIRED: 3}


class _Fields(ctypes.Structure):
    """The first fields of a context, behind the object's head."""

    _fields_ = [
        ("ctx", ctypes.c_void_p),
        ("alpn", ctypes.c_void_p),
        ("alpn_length", ctypes.c_uint),
    ]


def _functions() -> Optional[tuple[Any, Any]]:
    """The functions of the very OpenSSL that the module _ssl is linked with."""
    import _ssl

    path = getattr(_ssl, "__file__", None)
    if path is None:  # built into the interpreter
        return None
    try:
        library = ctypes.CDLL(path)
        mode, certificate = library.SSL_CTX_get_verify_mode, library.SSL_CTX_get0_certificate
    except (OSError, AttributeError):
        return None
    mode.argtypes = certificate.argtypes = [ctypes.c_void_p]
    mode.restype, certificate.restype = ctypes.c_int, ctypes.c_void_p
    return mode, certificate


def _split(protocols: bytes) -> list[str]:
    """ALPN names, each behind a byte with its length."""
    names = []
    while protocols:
        size = protocols[0]
        names.append(protocols[1 : 1 + size].decode("ascii", "replace"))
        protocols = protocols[1 + size :]
    return names
