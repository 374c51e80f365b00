"""Settings read anew while mail goes on: which of them can change, and how the old ones make room."""

from __future__ import annotations

import asyncio
from typing import Final

from expertmail.faults import ExitCode, FaultError
from expertmail.generation import Generation
from expertmail.settings import Settings

# Other records, keys and secrets: half of a gateway on each would lose mail.
ANOTHER_GATEWAY: Final = ("data_dir", "database.url")
# Decided once, when the process begins.
ONLY_AT_THE_START: Final = (
    "smtp.host",
    "smtp.port",
    "smtp.workers",
    "smtp.user",
    "console.host",
    "console.port",
)


def changed(old: Settings, new: Settings, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``names`` whose values differ."""
    return tuple(name for name in names if _value(old, name) != _value(new, name))


def refuse_another_gateway(old: Settings, new: Settings) -> None:
    """Raise FaultError where the new settings name other data."""
    if other := changed(old, new, ANOTHER_GATEWAY):
        raise FaultError(
            f"{other[0]} has changed, and names another gateway's data; stop and start for that.",
            ExitCode.CONFIG,
        )


def _value(settings: Settings, name: str) -> object:
    value: object = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


class Generations:
    """The generation in force, and those that serve the last of their clients."""

    def __init__(self, first: Generation) -> None:
        self.current = first
        self._retiring: dict[asyncio.Task[None], Generation] = {}
        self._asked_before = 0

    async def replace(self, new: Generation) -> None:
        """Let ``new`` have what comes from now on. Raises FaultError; then everything is as before."""
        await new.start()
        old, self.current = self.current, new
        task = old.retire()
        self._retiring[task] = old
        task.add_done_callback(self._ended)

    def asked(self) -> int:
        """Questions sent to name servers, by all generations so far."""
        present = (self.current, *self._retiring.values())
        return self._asked_before + sum(one.judging.resolver.sent for one in present)

    async def stop(self, handshakes: float = 0.0) -> None:
        """Drain and end all of them."""
        await asyncio.gather(
            self.current.stop(handshakes), *(one.stop() for one in tuple(self._retiring.values()))
        )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._asked_before += self._retiring.pop(task).judging.resolver.sent
