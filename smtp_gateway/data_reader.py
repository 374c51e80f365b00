"""Reads message data in chunks (RFC 5321 4.1.1.4, 4.5.2): bytes in, message out, no I/O.

Only ``CRLF . CRLF`` ends the data; every other combination of CR, LF and dot is content (and refused later),
so nothing can be smuggled past us to a next hop that is less strict. The cap is on the whole message, not on
its lines: a body line over 998 octets breaks RFC 5322 2.1.1 but harms nobody here, and refusing it loses mail.
Work is linear in the input, memory is bounded by the cap plus one chunk however long a line is.
"""

from __future__ import annotations

from enum import Enum, auto

from smtp_gateway.content import Content

_DOT = b"\r\n."
_END = b"\r\n.\r\n"
_PARTIAL_ENDS = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")
"""What may be the beginning of ``_END`` at the end of a chunk, longest first."""

DRAIN_FACTOR = 10
"""How many times the cap is read and thrown away in search of the end, so that an honest client hears 552 and does
not try again for days, before the connection is cut. BDAT's octets have the same bound."""


class DataState(Enum):
    """Where reading stands."""

    READING = auto()
    COMPLETE = auto()
    ENDLESS = auto()  # far over the cap and still no end: cut the connection


class DataReader:
    """Feed it chunks until :meth:`feed` says COMPLETE; then ``content`` is the message and ``rest`` follows its end."""

    def __init__(self, cap: int) -> None:
        """``cap`` is the largest message in octets, counted after dot-unstuffing."""
        self._most = cap * (1 + DRAIN_FACTOR)
        # The command line before the data ended with CRLF, so a dot in first place is already a lone one.
        self._held = b"\r\n"
        self._skip = len(self._held)
        self._seen = 0
        self.content = Content(cap)
        self.rest = b""
        self.state = DataState.READING

    def feed(self, chunk: bytes) -> DataState:
        """Take one chunk of any size, as it came from the wire."""
        if self.state is not DataState.READING:
            raise ValueError("the data has already ended")
        self._seen += len(chunk)
        data = self._held + chunk if self._held else chunk
        # Most mail has no line that begins with a dot: then there is no end here, and nothing to unstuff.
        dot = data.find(_DOT)
        end = data.find(_END, dot) if dot >= 0 else -1
        if end >= 0:
            self._take(data[: end + 2], stuffed=dot < end)
            self.rest = data[end + len(_END) :]
            self._held = b""
            self.state = DataState.COMPLETE
            return self.state
        held = next((part for part in _PARTIAL_ENDS if data.endswith(part)), b"")
        self._take(data[: len(data) - len(held)] if held else data, stuffed=dot >= 0)
        self._held = held
        if self._seen > self._most:
            self.content.give_up()
            self.state = DataState.ENDLESS
        return self.state

    def _take(self, piece: bytes, *, stuffed: bool) -> None:
        """Unstuff and keep a piece that is cut neither inside CRLF nor between CRLF and a dot."""
        unstuffed = piece.replace(_DOT, b"\r\n") if stuffed else piece
        if self._skip and unstuffed:
            unstuffed, self._skip = unstuffed[self._skip :], 0
        self.content.add_lines(piece, unstuffed=unstuffed)
