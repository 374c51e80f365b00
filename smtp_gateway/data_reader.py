"""Reads message data in chunks (RFC 5321 4.1.1.4, 4.5.2): bytes in, message out, no I/O.

Only ``CRLF . CRLF`` ends the data; every other combination of CR, LF and dot is content (and refused later),
so nothing can be smuggled past us to a next hop that is less strict. The cap is on the whole message, not on
its lines: a body line over 998 octets breaks RFC 5322 2.1.1 but harms nobody here, and refusing it loses mail.
Work is linear in the input, memory is bounded by the cap plus one chunk however long a line is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum, auto

_END = b"\r\n.\r\n"
_PARTIAL_ENDS = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")
"""What may be the beginning of ``_END`` at the end of a chunk, longest first."""

DRAIN_FACTOR = 2
"""How many times the cap is read and thrown away in search of the end before the connection is cut."""


class DataState(Enum):
    """Where reading stands."""

    READING = auto()
    COMPLETE = auto()
    ENDLESS = auto()  # far over the cap and still no end: cut the connection


@dataclass(frozen=True, slots=True)
class Received:
    """One message's data: ``raw`` after dot-unstuffing, or why there is none; ``rest`` follows the end.

    ``digest`` is the SHA-256 of ``raw``. ``raw`` is empty when one of the three flags is set.
    """

    raw: bytes
    digest: bytes
    size: int
    too_large: bool
    bare_control: bool
    given_up: bool
    rest: bytes


class DataReader:
    """Feed it chunks until :meth:`feed` says COMPLETE, then take :meth:`result`."""

    def __init__(self, cap: int) -> None:
        """``cap`` is the largest message in octets, counted after dot-unstuffing."""
        self._cap = cap
        self._parts: list[bytes] = []
        # The command line before the data ended with CRLF, so a dot in first place is already a lone one.
        self._held = b"\r\n"
        self._skip = len(self._held)
        self._size = 0
        self._seen = 0
        self._bare = False
        self._given_up = False
        self._hash = hashlib.sha256()
        self._rest = b""
        self.state = DataState.READING

    def feed(self, chunk: bytes) -> DataState:
        """Take one chunk of any size, as it came from the wire."""
        if self.state is not DataState.READING:
            raise ValueError("the data has already ended")
        self._seen += len(chunk)
        data = self._held + chunk if self._held else chunk
        end = data.find(_END)
        if end >= 0:
            self._take(data[: end + 2])
            self._rest = data[end + len(_END) :]
            self._held = b""
            self.state = DataState.COMPLETE
            return self.state
        held = next((part for part in _PARTIAL_ENDS if data.endswith(part)), b"")
        self._take(data[: len(data) - len(held)] if held else data)
        self._held = held
        if self._seen > self._cap * (1 + DRAIN_FACTOR):
            self._parts.clear()
            self.state = DataState.ENDLESS
        return self.state

    def _take(self, piece: bytes) -> None:
        """Unstuff and keep a piece that is cut neither inside CRLF nor between CRLF and a dot."""
        ends = piece.count(b"\r\n")
        if piece.count(b"\r") != ends or piece.count(b"\n") != ends or b"\0" in piece:
            self._bare = True
        content = piece.replace(b"\r\n.", b"\r\n")
        if self._skip and content:
            content, self._skip = content[self._skip :], 0
        self._size += len(content)
        if self._size > self._cap or self._bare or self._given_up:
            self._parts.clear()
            return
        self._hash.update(content)
        self._parts.append(content)

    @property
    def held(self) -> int:
        """Octets kept so far."""
        return self._size if self._parts else 0

    def give_up(self) -> None:
        """Keep nothing any more; read on only to find the end."""
        self._given_up = True
        self._parts.clear()

    def result(self) -> Received:
        """What was received; only after COMPLETE."""
        if self.state is not DataState.COMPLETE:
            raise ValueError("the data has not ended yet")
        too_large = self._size > self._cap
        raw = b"" if too_large or self._bare or self._given_up else b"".join(self._parts)
        self._parts.clear()
        return Received(
            raw, self._hash.digest(), self._size, too_large, self._bare, self._given_up, self._rest
        )
