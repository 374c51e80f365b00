"""What the gateway tells whoever counts. The shell binds this to Prometheus; tests to a list."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Counters; each call is cheap and never raises."""

    def connected(self) -> None:
        """A client connected."""

    def disconnected(self) -> None:
        """A client is gone."""

    def refused(self, stage: str, code: int) -> None:
        """A negative reply was said that answers no judged message.

        ``stage``: greeting, the command's name in small letters, or command where it is none of SMTP's.
        """

    def accepted(self, disposition: str, verdict: str, seconds: float) -> None:
        """A copy was stored with that disposition and verdict, ``seconds`` after its last octet."""

    def ordered(self) -> None:
        """An automatic answer was ordered: whoever delivers has something to do."""

    def rejected(self, code: int) -> None:
        """A message was refused for good with that reply code."""

    def deferred(self, code: int) -> None:
        """A message was put off with that reply code."""


class NobodyWatching:
    """Counts nothing."""

    def connected(self) -> None:
        """Nothing."""

    def disconnected(self) -> None:
        """Nothing."""

    def refused(self, stage: str, code: int) -> None:
        """Nothing."""

    def accepted(self, disposition: str, verdict: str, seconds: float) -> None:
        """Nothing."""

    def ordered(self) -> None:
        """Nothing."""

    def rejected(self, code: int) -> None:
        """Nothing."""

    def deferred(self, code: int) -> None:
        """Nothing."""
