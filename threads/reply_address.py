"""Reply addresses that name a thread and a contact and cannot be made up: ``r+TOKEN@reply.example``.

TOKEN is base32 (RFC 4648 6, lower case, no padding) of 20 bytes: key id (1), thread id (5), contact id
(4, 0 for none) and the first 80 bits of an HMAC-SHA-256 over them and the domain. Mail programs change the
case of local parts, so case does not matter. The token says where a mail belongs, never who wrote it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from threads.model import ReplyToken

_PREFIX = "r+"
_TOKEN = re.compile("[a-z2-7]{32}", re.ASCII)
_THREAD_BYTES = 5
_CONTACT_BYTES = 4
_NAMED_BYTES = 1 + _THREAD_BYTES + _CONTACT_BYTES
# 80 bits: guessing one address takes 2^79 tries over SMTP, and the local part stays well under the 64
# octets of RFC 5321 4.5.3.1.1.
_MAC_BYTES = 10
# A shorter secret could be searched for offline by anybody who holds one address.
MIN_KEY_BYTES = 16
# Longer addresses are not ours; RFC 5321 4.5.3.1.3 allows 256 octets with the angle brackets.
_MAX_ADDRESS = 254


@dataclass(frozen=True, slots=True)
class ReplyAddresses:
    """Makes and reads reply addresses of ``domain``. The first key signs, all of them are accepted.

    ValueError for no key, or one under 16 bytes.
    """

    keys: Sequence[bytes] = field(repr=False)
    domain: str

    def __post_init__(self) -> None:
        """Refuse secrets that are none."""
        if not self.keys or any(len(key) < MIN_KEY_BYTES for key in self.keys):
            raise ValueError(f"a reply key has at least {MIN_KEY_BYTES} bytes, and at least one is needed")

    def mint(self, thread_id: int, contact_id: int | None = None) -> str:
        """The address to which answers about a thread come, for one contact or for nobody in particular."""
        key = self.keys[0]
        named = (
            _key_id(key)
            + thread_id.to_bytes(_THREAD_BYTES, "big")
            + (contact_id or 0).to_bytes(_CONTACT_BYTES, "big")
        )
        token = base64.b32encode(named + self._mac(key, named)).decode().lower()
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
        named, mac = decoded[:_NAMED_BYTES], decoded[_NAMED_BYTES:]
        # Every key is tried, so that the time taken does not tell which one signed or whether any did.
        genuine = [
            hmac.compare_digest(self._mac(key, named), mac) and named[:1] == _key_id(key) for key in self.keys
        ]
        if not any(genuine):
            return None
        contact = int.from_bytes(named[1 + _THREAD_BYTES :], "big")
        return ReplyToken(int.from_bytes(named[1 : 1 + _THREAD_BYTES], "big"), contact or None)

    def _mac(self, key: bytes, named: bytes) -> bytes:
        text = b"expertmail reply address 1\0" + self.domain.lower().encode() + b"\0" + named
        return hmac.new(key, text, hashlib.sha256).digest()[:_MAC_BYTES]


def _key_id(key: bytes) -> bytes:
    """One byte that tells which key signed, without telling anything of the key."""
    return hmac.new(key, b"expertmail reply key id", hashlib.sha256).digest()[:1]
