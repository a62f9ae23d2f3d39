"""The one thing every provider does."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from threadhub.agents.events import ProviderEvent
from threadhub.agents.providers.request import ModelRequest


class Provider(Protocol):
    """An adapter to a service that computes answers. Holds no state of a call: one may serve many calls at
    once.
    """

    @property
    def name(self) -> str:
        """The provider's name in an agent's settings."""
        ...

    def stream(self, request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        """Ask the model and yield what it says.

        Ends with exactly one Usage and then one Finished, or raises a ProviderError. Closing it early
        (`aclose`, best through `contextlib.aclosing`) or cancelling the task that reads it ends the
        connection at once.
        """
        ...
