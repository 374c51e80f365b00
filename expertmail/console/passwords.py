"""Passwords: argon2id (RFC 9106), and what is no password. Each hash takes memory, so two are made at one time."""

from __future__ import annotations

import threading
import unicodedata
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

SHORTEST: Final = 12
"""Characters. Length is what counts (NIST SP 800-63B 3.1.1.2 asks for 15 where there is no second factor, 8 where there is one)."""
LONGEST: Final = 1_000
"""Characters: a sentence fits, and hashing it costs nothing."""
LONGEST_TYPED: Final = 4 * LONGEST
"""Characters that are looked at: a letter and its accents may come apart."""
FEWEST_KINDS: Final = 5
"""Different characters: a password of one key held down is guessed first."""
AT_ONE_TIME: Final = 2
"""Hashes: each takes 64 MiB while it is made (RFC 9106 4, the second recommended option)."""
_COMMON: Final = (
    "password",
    "passwort",
    "qwertyuiop",
    "1234567890",
    "administrator",
    "letmein",
    "welcome",
    "expertmail",
)
_LEAST_OTHER: Final = 6  # characters beside a common word

_hasher: Final = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
_places: Final = threading.BoundedSemaphore(AT_ONE_TIME)


def prepared(password: str) -> str:
    """The password as it is compared: the same however a keyboard makes its letters (OpaqueString, RFC 8265 4.2).

    Every kind of blank is a plain one, and letters are composed (NFC); nothing that people see as different is made the same.
    """
    plain = "".join(" " if unicodedata.category(one) == "Zs" else one for one in password)
    return unicodedata.normalize("NFC", plain)


def password_refusal(password: str, name: str) -> str | None:
    """Why that cannot be the password of the account of that name, as a sentence; None if it can."""
    password = prepared(password)
    if any(unicodedata.category(one) == "Cc" for one in password):  # RFC 8264 9.11
        return "A password is one line of letters, digits, signs and blanks."
    if len(password) < SHORTEST:
        return f"A password has at least {SHORTEST} characters; a short sentence is easy to keep in mind."
    if len(password) > LONGEST:
        return f"A password has at most {LONGEST:,} characters."
    plain = password.lower()
    if len(set(plain)) < FEWEST_KINDS:
        return f"A password has at least {FEWEST_KINDS} different characters."
    for word in (*_COMMON, *(part for part in name.lower().replace("@", ".").split(".") if len(part) > 3)):  # noqa: PLR2004
        if word in plain and len(plain) - len(word) < _LEAST_OTHER:
            return "That is one of the first that anybody tries: it is little more than a common word, or your name."
    return None


def hash_password(password: str) -> str:
    """What is stored of a password; takes some 0.1 s, so call it in a thread."""
    with _places:
        return _hasher.hash(prepared(password))


def is_password(stored: str | None, password: str) -> bool:
    """Whether it is the right one. Takes as long where there is none (``stored`` None): names cannot be told apart by that."""
    with _places:
        try:
            _hasher.verify(stored or _nobodys(), prepared(password[:LONGEST_TYPED])[:LONGEST])
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether it was made with other parameters than are used today."""
    return _hasher.check_needs_rehash(stored)


@cache
def _nobodys() -> str:
    return _hasher.hash("nobody's")
