"""The second factor: time-based codes (RFC 6238), their secret sealed by a key that is a file, and recovery codes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import secrets
from datetime import datetime
from typing import Final

import pyotp
import segno
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

STEP_SECONDS: Final = 30
EITHER_WAY: Final = 1
"""Steps: clocks differ, and typing takes time (RFC 6238 5.2)."""
RECOVERY_CODES: Final = 10
_NONCE_BYTES: Final = 12
_ISSUER: Final = "expertmail"
_GROUP: Final = 5


def new_secret() -> str:
    """160 random bits in base32, as RFC 4226 4 recommends."""
    return pyotp.random_base32()


def address_of(secret: str, name: str) -> str:
    """What an authenticator reads (otpauth://)."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)


def picture_of(address: str) -> str:
    """The same as a QR code, as a data: URL of an SVG, black on white."""
    out = io.BytesIO()
    segno.make(address, error="m").save(
        out, kind="svg", scale=4, border=4, dark="#000", light="#fff", xmldecl=False
    )
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The number of the 30 seconds for which that is the code; None where it is none of those around now."""
    typed = code.replace(" ", "")
    if not (typed.isascii() and typed.isdecimal()):
        return None
    codes = pyotp.TOTP(secret)
    today = int(now.timestamp()) // STEP_SECONDS
    for step in range(today - EITHER_WAY, today + EITHER_WAY + 1):
        if hmac.compare_digest(codes.generate_otp(step), typed):
            return step
    return None


def sealed(secret: str, key: bytes, account_id: int) -> bytes:
    """The secret as it is stored: AES-256-GCM, bound to the account."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(_key(key)).encrypt(nonce, secret.encode(), str(account_id).encode())


def opened(stored: bytes, key: bytes, account_id: int) -> str | None:
    """The secret; None where the key is another one, or the row was changed."""
    try:
        nonce, text = stored[:_NONCE_BYTES], stored[_NONCE_BYTES:]
        return AESGCM(_key(key)).decrypt(nonce, text, str(account_id).encode()).decode()
    except (InvalidTag, ValueError):
        return None


def new_recovery_codes() -> tuple[str, ...]:
    """Codes of 50 random bits, in two groups."""
    plain = (
        base64.b32encode(secrets.token_bytes(7)).decode().lower()[: 2 * _GROUP] for _ in range(RECOVERY_CODES)
    )
    return tuple(f"{one[:_GROUP]}-{one[_GROUP:]}" for one in plain)


def recovery_digest(code: str, account_id: int) -> str:
    """What is stored of a recovery code, however it was typed."""
    plain = "".join(one for one in code.lower() if one.isalnum())
    return hashlib.sha256(
        f"expertmail recovery code 1 {account_id} {plain}".encode("utf-8", "replace")
    ).hexdigest()


def _key(key: bytes) -> bytes:
    return hashlib.sha256(b"expertmail second factor 1\0" + key).digest()
