"""DKIM private keys, and what stands of their rotation, in files that nobody else can read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
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
        with _written_beside(path, pem) as whole:
            os.link(whole, path)  # a name for the whole file or none, and never over another one
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


@contextlib.contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """A file of mode 0600 with this content beside ``path``, on the disk; it is gone after the block unless renamed."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield beside
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        beside.unlink(missing_ok=True)


def write_state(path: Path, text: str) -> None:
    """Put a text in a file's place, whole or not at all. Raises SigningError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _written_beside(path, text.encode()) as whole:
            whole.replace(path)
    except OSError as error:
        raise SigningError(f"{path} cannot be written ({error.strerror}).") from error


def read_state(path: Path) -> str | None:
    """The text of such a file; None where there is none. Raises SigningError, also where others may write it."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o022:
                raise SigningError(f"{path} may be written by others; run chmod 600 {path}.")
            return file.read(_MAX_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SigningError(f"{path} cannot be read ({error.strerror}).") from error


def remove_key(path: Path) -> None:
    """Remove a private key that signs no more; one that is gone already is fine. Raises SigningError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise SigningError(f"The DKIM key {path} cannot be removed ({error.strerror}).") from error


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let nobody else change keys in this folder during the block; SigningError when somebody is at it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, _MODE)
    except OSError as error:
        raise SigningError(f"The folder {folder} cannot be written ({error.strerror}).") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SigningError("Somebody else is changing the keys at this moment; try again.") from None
        yield
    finally:
        os.close(lock)
