"""Reading SMTP replies (RFC 5321 4.2.1)."""

from __future__ import annotations

import asyncio


async def read_reply(reader: asyncio.StreamReader) -> tuple[int, str]:
    """One reply: its code and its lines joined. Raises RuntimeError when the server hangs up."""
    lines: list[str] = []
    while True:
        line = (await reader.readline()).decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            raise RuntimeError("the server closed the connection")
        lines.append(line[4:])
        if line[3:4] != "-":
            return int(line[:3]), " ".join(lines)
