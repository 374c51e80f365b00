"""Which files a path of the command line means: itself, or those of a folder that may be messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from expertmail.faults import ExitCode, FaultError

MAX_FILES: Final = 100_000  # in one folder, subfolders included

_MESSAGE_SUFFIXES: Final = frozenset({".eml", ".mbox", ".mbx", ".mime", ".txt", ".msg", ""})


def files_in(folder: Path, shown: str) -> Iterator[Path]:
    """Files of a folder and its subfolders that may be messages, by name; hidden ones are passed over.

    Raises FaultError (exit code 66) for a folder that holds none, or too many: after as many as are allowed.
    """
    found = 0
    for inside in sorted(
        p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in _MESSAGE_SUFFIXES
    ):
        if any(part.startswith(".") for part in inside.relative_to(folder).parts):
            continue
        found += 1
        if found > MAX_FILES:
            raise FaultError(
                f"{shown} holds more than {MAX_FILES} files; name smaller folders.", ExitCode.NO_INPUT
            )
        yield inside
    if not found:
        raise FaultError(f"{shown} holds no .eml, .msg, .mbox or .txt file.", ExitCode.NO_INPUT)
