"""DKIM private keys in files that nobody else can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from outbound.errors import SigningError
from outbound.sign import SigningKey

RSA_BITS = 2048  # RFC 8301 3.2; a larger key does not fit into one UDP answer everywhere
_MODE = 0o600
# No PEM private key is larger.
_MAX_BYTES = 100_000


def generate_key(path: Path, *, kind: str = "rsa") -> SigningKey:
    """Make a new key (``rsa`` or ``ed25519``) and write it with mode 0600; SigningError if the file exists."""
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    elif kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        raise SigningError(f"A DKIM key is rsa or ed25519, not {kind}.")
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise SigningError(f"The DKIM key {path} exists already; it is not overwritten.") from None
    except OSError as error:
        raise SigningError(f"The DKIM key {path} cannot be written ({error.strerror}).") from error
    return SigningKey.from_pem(pem)


def load_key(path: Path) -> SigningKey:
    """Read a key; SigningError when it is missing, not a key, or others may read it."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise SigningError(f"The DKIM key {path} may be read by others; run chmod 600 {path}.")
            data = file.read(_MAX_BYTES)
    except OSError as error:
        raise SigningError(f"The DKIM key {path} cannot be read ({error.strerror}).") from error
    return SigningKey.from_pem(data)
