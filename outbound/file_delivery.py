"""Delivery into a folder: the default, so that a first start can mail nobody by accident."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from outbound.delivery import Handover
from outbound.model import Delivery, Failure, Reply


@dataclass(frozen=True, slots=True)
class FileTransport:
    """Writes each mail to ``FOLDER/ID.eml``: whole or not at all, on disk before it counts as delivered."""

    folder: Path

    async def deliver(self, delivery: Delivery) -> Handover:
        """Write the file; a second try writes the same bytes to the same name.

        The folder is the operator's to know: what is answered here is shown to whoever sees the mail.
        """
        path = self.folder / f"{delivery.outgoing_id}.eml"
        try:
            await asyncio.to_thread(_write, path, delivery.raw)
        except OSError as error:
            text = f"the file {path.name} cannot be written ({error.strerror})"
            return Handover("files", Reply(0, text), Failure.LOCAL)
        return Handover("files", Reply(250, f"kept as the file {path.name}"), None, begun=True)

    async def close(self) -> None:
        """Nothing stays open."""


def _write(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name itself
    finally:
        os.close(folder)
