"""Makes certificates for a test: an authority, a server for localhost, a client.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

import subprocess
from pathlib import Path

_EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def make_certificates(root: Path, folder: Path) -> None:
    """Writes ca.pem, server.pem, server.key, client.pem and client.key."""
    subprocess.run([root / "samples/make-certificates.sh", folder], check=True)
    _openssl(
        folder, "req", *_EC, "-keyout", "client.key", "-out", "client.csr", "-subj", "/CN=client"
    )
    issuer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "7"]
    _openssl(folder, "x509", "-req", "-in", "client.csr", *issuer, "-out", "client.pem")


def mutual(folder: Path) -> list[str]:
    """Lines of mosquitto's configuration for TLS with clients' certificates."""
    return [
        "allow_anonymous true",
        f"cafile {folder}/ca.pem",
        f"certfile {folder}/server.pem",
        f"keyfile {folder}/server.key",
        "require_certificate true",
    ]


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
