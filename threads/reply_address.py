"""Reply addresses that name a thread and a contact and cannot be made up: ``r+TOKEN@reply.example``.

TOKEN is base32 (RFC 4648 6, lower case, no padding) of 25 bytes: key id (1), thread id (5), contact id (4, 0 for none), the
day on which it was made (2, days since 2020-01-01) and the first 104 bits of an HMAC-SHA-256 over them and the domain. Mail
programs change the case of local parts, so case does not matter. The token says where a mail belongs, never who wrote it.

Addresses without a day (20 bytes, a MAC of 80 bits) were made by earlier versions; they are read for as long as their key is.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from threads.model import ReplyToken

_PREFIX: Final = "r+"
_TOKEN: Final = re.compile("[a-z2-7]{32}(?:[a-z2-7]{8})?", re.ASCII)
_THREAD_BYTES: Final = 5
_CONTACT_BYTES: Final = 4
_NAMED_BYTES: Final = 1 + _THREAD_BYTES + _CONTACT_BYTES
_DAY_BYTES: Final = 2  # until 2199
_FIRST_DAY: Final = date(2020, 1, 1)
# 80 bits: guessing one address takes 2^79 tries over SMTP. 104 fill up the last character of base32, so that no two
# texts are the same token, and the local part stays well under the 64 octets of RFC 5321 4.5.3.1.1.
_MAC_BYTES: Final = 10
_DATED_MAC_BYTES: Final = 13
_DATED_BYTES: Final = _NAMED_BYTES + _DAY_BYTES + _DATED_MAC_BYTES
# A shorter secret could be searched for offline by anybody who holds one address.
MIN_KEY_BYTES: Final = 16
# Longer addresses are not ours; RFC 5321 4.5.3.1.3 allows 256 octets with the angle brackets.
_MAX_ADDRESS: Final = 254


@dataclass(frozen=True, slots=True)
class ReplyAddresses:
    """Makes and reads reply addresses of ``domain``. The first key signs, all of them are accepted.

    So a key is retired in two steps: put a new one before it, and take it away when the addresses that it made have had
    their time (``threads.signals.ADDRESS_LIFETIME``). ValueError for no key, or one under 16 bytes.
    """

    keys: Sequence[bytes] = field(repr=False)
    domain: str
    _ids: tuple[bytes, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse secrets that are none."""
        if not self.keys or any(len(key) < MIN_KEY_BYTES for key in self.keys):
            raise ValueError(f"a reply key has at least {MIN_KEY_BYTES} bytes, and at least one is needed")
        object.__setattr__(self, "_ids", tuple(map(_key_id, self.keys)))

    def mint(self, thread_id: int, contact_id: int | None = None, on: date | None = None) -> str:
        """The address to which answers about a thread come, for one contact or for nobody in particular.

        ``on`` is today (UTC): the address has its time from then on. Without it the address is of the older form.
        """
        named = (
            self._ids[0]
            + thread_id.to_bytes(_THREAD_BYTES, "big")
            + (contact_id or 0).to_bytes(_CONTACT_BYTES, "big")
        )
        if on is not None:
            named += (on - _FIRST_DAY).days.to_bytes(_DAY_BYTES, "big")
        token = base64.b32encode(named + self._mac(self.keys[0], named)).decode().lower()
        return f"{_PREFIX}{token}@{self.domain.lower()}"

    def read(self, address: str) -> ReplyToken | None:
        """What one of our addresses says, or None for any other text. Never raises."""
        if len(address) > _MAX_ADDRESS or not address.isascii():
            return None
        local, at, domain = address.lower().rpartition("@")
        if not at or domain != self.domain.lower() or not local.startswith(_PREFIX):
            return None
        token = local.removeprefix(_PREFIX)
        if not _TOKEN.fullmatch(token):
            return None
        decoded = base64.b32decode(token.upper())
        dated = len(decoded) == _DATED_BYTES
        end = _NAMED_BYTES + (_DAY_BYTES if dated else 0)
        named, mac = decoded[:end], decoded[end:]
        # Every key is tried, so that the time taken does not tell which one signed or whether any did.
        genuine = False
        for key, key_id in zip(self.keys, self._ids, strict=True):
            genuine |= hmac.compare_digest(self._mac(key, named) + key_id, mac + named[:1])
        if not genuine:
            return None
        contact = int.from_bytes(named[1 + _THREAD_BYTES : _NAMED_BYTES], "big")
        made_on = _FIRST_DAY + timedelta(int.from_bytes(named[_NAMED_BYTES:], "big")) if dated else None
        return ReplyToken(int.from_bytes(named[1 : 1 + _THREAD_BYTES], "big"), contact or None, made_on)

    def _mac(self, key: bytes, named: bytes) -> bytes:
        dated = len(named) > _NAMED_BYTES
        purpose = b"expertmail reply address 2\0" if dated else b"expertmail reply address 1\0"
        text = purpose + self.domain.lower().encode() + b"\0" + named
        return hmac.digest(key, text, "sha256")[: _DATED_MAC_BYTES if dated else _MAC_BYTES]


def _key_id(key: bytes) -> bytes:
    """One byte that tells which key signed, without telling anything of the key."""
    return hmac.digest(key, b"expertmail reply key id", "sha256")[:1]
