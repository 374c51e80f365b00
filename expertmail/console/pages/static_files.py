"""Style, script and icons: files of ours, read once, each under an address that changes with its content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

TYPES: Final = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icons.svg": "image/svg+xml",
}


@cache
def contents() -> Mapping[str, bytes]:
    """Each file by its name."""
    folder = files("expertmail.console") / "static"
    return {name: (folder / name).read_bytes() for name in TYPES}


@cache
def address(name: str) -> str:
    """Where a file is found."""
    return f"/static/{hashlib.sha256(contents()[name]).hexdigest()[:16]}/{name}"
