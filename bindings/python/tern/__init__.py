"""Tern: an MQTT 3.1.1 and 5 client, a C library with this package around it.

SPDX-License-Identifier: Apache-2.0
"""

from ._declarations import VERSION as __version__

__all__ = ["__version__"]
