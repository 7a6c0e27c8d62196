"""What a cloud service is to a client's core.

SPDX-License-Identifier: Apache-2.0
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional, Protocol


class Service(Protocol):
    """Makes clients that fit a service."""

    asks: bool
    """It asks for something before each attempt itself."""

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raises TypeError for options that are the service's own to set."""

    def new_client(
        self,
        client: Any,
        owner: Any,
        prepare: Callable[[Any, Any], None],
    ) -> tuple[int, Any]:
        """Makes a client of C in `client`; `prepare` sets a client's and a connection's options.

        Returns the result, and what has to live as long as the client.
        """

    def explain(self, event: Any) -> Optional[str]:
        """What an event of C means at this service; None where it is nothing special."""
