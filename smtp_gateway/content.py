"""The octets of one message while they arrive: counted, hashed and looked through, whatever brings them. No I/O.

DATA and BDAT both feed one of these. Work is linear in the input; what is kept is bounded by the cap, and
``take`` hands it on, so that a large message need not stay in memory until it is complete.
"""

from __future__ import annotations

import hashlib

_CR = b"\r"


class Content:
    """A message in the making. ``size`` counts all octets, kept or not."""

    def __init__(self, cap: int) -> None:
        """``cap`` is the largest message in octets."""
        self._cap = cap
        self._hash = hashlib.sha256()
        self._parts: list[bytes] = []
        self._open_cr = False  # the last octet so far is a CR, whose LF may follow
        self.size = 0
        self.held = 0
        self.bare_control = False
        self.bare_lf = False
        self.given_up = False

    def add(self, piece: bytes) -> None:
        """Take octets that may be cut anywhere, even between CR and LF."""
        text = piece
        if self._open_cr and piece:
            text = _CR + piece  # looked at again with what follows; it has been kept already
            self._open_cr = False
        if text.endswith(_CR):
            text = text[:-1]
            self._open_cr = True
        self._look(text)
        self._keep(piece)

    def add_lines(self, piece: bytes, *, unstuffed: bytes) -> None:
        """Take a piece of DATA that does not end between CR and LF: as it came, and without its stuffed dots."""
        self._look(piece)
        self._keep(unstuffed)

    def _look(self, text: bytes) -> None:
        # Only whole line ends come out as they were: that is seen five times as fast as CR and LF are counted.
        if b"\0" not in text and text.replace(b"\r", b"").replace(b"\n", b"\r\n") == text:
            return
        rest = text.replace(b"\r\n", b"")
        if b"\r" in rest or b"\0" in rest:
            self.bare_control = True
        if b"\n" in rest:
            self.bare_lf = True

    def _keep(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.lost:
            self._forget()
            return
        self._hash.update(piece)
        self._parts.append(piece)
        self.held += len(piece)

    @property
    def too_large(self) -> bool:
        """Whether the cap is passed."""
        return self.size > self._cap

    @property
    def lost(self) -> bool:
        """Whether the message cannot be taken, so that nothing of it is kept."""
        return self.given_up or self.bare_control or self.size > self._cap

    @property
    def digest(self) -> bytes:
        """SHA-256 of all octets; of use only where nothing was thrown away."""
        return self._hash.digest()

    def end(self) -> None:
        """No more octets come: a CR at the end had no LF."""
        if self._open_cr:
            self.bare_control = True
            self._forget()

    def take(self) -> bytes:
        """What was kept since the last time, which is kept here no longer."""
        octets = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._forget()
        return octets

    def give_up(self) -> None:
        """Keep nothing any more; the octets that still come are only counted."""
        self.given_up = True
        self._forget()

    def _forget(self) -> None:
        self._parts.clear()
        self.held = 0
