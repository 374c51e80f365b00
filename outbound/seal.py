"""Addresses and secrets of subscribers as they are stored: AES-256-GCM under a key that is a file.

The sealed text is bound to its purpose and its row, so that one put into another row opens nothing.
"""

from __future__ import annotations

import secrets
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from outbound.errors import SealError

_NONCE_BYTES: Final = 12


class Purpose(StrEnum):
    """What is sealed."""

    ADDRESS = "address"
    SECRET = "secret"


def sealed(text: str, key: bytes, purpose: Purpose, name: str) -> bytes:
    """What is stored of a text of the subscriber ``name``."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, text.encode(), _bound(purpose, name))


def opened(stored: bytes, key: bytes, purpose: Purpose, name: str) -> str:
    """The text again; SealError where the key is another one, or the row was changed."""
    try:
        nonce, text = stored[:_NONCE_BYTES], stored[_NONCE_BYTES:]
        return _cipher(key).decrypt(nonce, text, _bound(purpose, name)).decode()
    except (InvalidTag, ValueError) as error:
        raise SealError(
            f"The {purpose} of {name} cannot be read with this console.key; give it anew, or restore the key."
        ) from error


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=b"expertmail subscribers 1").derive(key))


def _bound(purpose: Purpose, name: str) -> bytes:
    return f"{purpose} {name}".encode()
