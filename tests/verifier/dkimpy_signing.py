"""Messages of many makes signed with dkimpy, and dkimpy's word on what became of them.

dkimpy's own ``sign`` writes no x=, no part of a body into l=, and takes the time from the clock: its ``gen_header``
signs whatever tags it is given, over its own canonical forms.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Final
from unittest import mock

import dkim
import nacl.encoding
import nacl.signing
from cryptography.hazmat.primitives import serialization
from dkim.canonicalization import CanonicalizationPolicy
from dkim.crypto import HASH_ALGORITHMS, parse_pem_private_key

from tests.verifier.signing import AT, ed_key, ed_record, rsa_key, rsa_record

BITS: Final = 1_024  # the least that is accepted: dkimpy signs in pure Python
KEYS: Final = {b"rsa._domainkey.example.com.": rsa_record(BITS), b"ed._domainkey.example.com.": ed_record()}
NOW: Final = int(AT.timestamp())
_SPARE: Final = (
    b"X-One",
    b"x-two",
    b"Reply-To",
    b"Received",
    b"MIME-Version",
    b"List-Id",
    b"Content-Type",
    b"Received",
)
_WORDS: Final = (
    b"a",
    b"bc",
    b"b=",
    b"; b=x",
    b"(c)",
    b"\xc3\xa9",
    b"=?utf-8?q?x?=",
    b"<a@b>",
    b",",
    b"x" * 70,
)
BLANKS: Final = (b" ", b"  ", b"\t", b" \t ", b"\r\n ", b"\r\n\t", b" \r\n  ")
_LINES: Final = (
    b"",
    b"a",
    b"a b",
    b"a  b",
    b" a",
    b"a ",
    b"a\t",
    b"\t",
    b"  ",
    b".",
    b"\xe2\x82\xac",
    b"From x",
)


@contextmanager
def clock() -> Iterator[None]:
    """dkimpy's clock at ``AT``."""
    with mock.patch.object(dkim, "time", SimpleNamespace(time=lambda: NOW)):
        yield


def verdict_of_dkimpy(raw: bytes, index: int) -> bool | None:
    """Whether dkimpy passes a signature; None where it ends with an exception that is none of its own."""
    try:
        return bool(dkim.DKIM(raw, minkey=1024).verify(idx=index, dnsfunc=_record))
    except dkim.DKIMException:
        return False
    except Exception:  # noqa: BLE001 - IndexError and more, which is no word on the message
        return None


def _record(name: bytes, timeout: float = 0) -> bytes | None:
    found = KEYS.get(name)
    return None if found is None else found.encode()


def message(chance: random.Random) -> bytes:
    """A message of example.com with odd blanks, repeated names and a body of any end."""
    fields = [
        b"From:" + _value(chance, b"Alice <alice@example.com>"),
        b"Subject:" + _value(chance),
        b"To: bob@example.net",
    ]
    fields += [chance.choice(_SPARE) + b":" + _value(chance) for _ in range(chance.randrange(6))]
    chance.shuffle(fields)
    return b"".join(field + b"\r\n" for field in fields) + b"\r\n" + _body(chance)


def _value(chance: random.Random, text: bytes | None = None) -> bytes:
    words = (
        [chance.choice(_WORDS) for _ in range(chance.randrange(1, 5))] if text is None else text.split(b" ")
    )
    joined = b"".join(chance.choice(BLANKS) + word for word in words)
    # A line of blanks alone may end the header for some; it is in no signed mail.
    return chance.choice((b"", b" ", b"\t")) + joined + chance.choice((b"", b"", b"", b" ", b"\t"))


def _body(chance: random.Random) -> bytes:
    kind = chance.randrange(10)
    if kind == 0:
        return b""
    if kind == 1:
        return b"\r\n" * chance.randrange(1, 5)
    body = b"\r\n".join(chance.choice(_LINES) for _ in range(chance.randrange(1, 9)))
    return body + b"\r\n" * chance.choice((0, 1, 1, 1, 2, 3))


@lru_cache
def _private(*, edwards: bool) -> Any:
    if edwards:
        return nacl.signing.SigningKey(
            base64.b64encode(ed_key().private_bytes_raw()), encoder=nacl.encoding.Base64Encoder
        )
    return parse_pem_private_key(
        rsa_key(BITS).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )


def signed_by_dkimpy(raw: bytes, chance: random.Random) -> bytes:
    """``raw`` under one signature with the tags of chance: most as senders write them, some as none should."""
    names = [b"from", b"subject"]
    names += [chance.choice((b"to", b"x-one", b"x-two", b"from", b"received", b"reply-to", b"date", b"none-such"))
              for _ in range(chance.randrange(5))]  # fmt: skip
    if chance.random() < 0.03:
        names = [name for name in names if name != b"from"]
    chance.shuffle(names)
    cased = [name if chance.random() < 0.6 else chance.choice((name.upper(), name.title())) for name in names]
    edwards = chance.random() < 0.4
    algorithm = b"ed25519-sha256" if edwards else b"rsa-sha1" if chance.random() < 0.05 else b"rsa-sha256"
    method = chance.choice(
        (b"relaxed/relaxed", b"relaxed/simple", b"simple/relaxed", b"simple/simple", b"relaxed", b"simple")
    )
    signer = dkim.DKIM(raw, signature_algorithm=algorithm)
    policy = CanonicalizationPolicy.from_c_value(method)
    body = policy.canonicalize_body(signer.body)
    tags = [
        (b"v", b"1"),
        (b"a", algorithm),
        (b"c", method),
        (b"d", b"example.com"),
        (b"s", b"ed" if edwards else b"rsa"),
    ]
    if method == b"simple" and chance.random() < 0.3:
        del tags[2]
    if chance.random() < 0.3:
        tags.append(
            (
                b"i",
                chance.choice(
                    (
                        b"@example.com",
                        b"a@example.com",
                        b"a@sub.example.com",
                        b"@EXAMPLE.com",
                        b"@other.example",
                    )
                ),
            )
        )
    tags += _times(chance)
    if chance.random() < 0.2:
        length = chance.choice((len(body), len(body) // 2, 0, len(body) + 7))
        tags.append((b"l", str(length).encode()))
        body = body[:length]
    chance.shuffle(tags)
    signer.hasher = HASH_ALGORITHMS[algorithm]
    digest = signer.hasher(body).digest()
    tags += [
        (b"h", chance.choice((b":", b" : ", b": ")).join(cased)),
        (b"bh", base64.b64encode(digest)),
        (b"b", b""),
    ]
    value = signer.gen_header(tags, names, policy, b"DKIM-Signature", _private(edwards=edwards))
    return b"DKIM-Signature: " + value + raw


def _times(chance: random.Random) -> list[tuple[bytes, bytes]]:
    kind = chance.randrange(12)
    hour = 3_600
    pairs = {
        0: [(b"t", NOW - hour)],
        1: [(b"t", NOW - hour), (b"x", NOW + hour)],
        2: [(b"x", NOW + hour)],
        3: [(b"t", NOW - 90 * hour), (b"x", NOW - chance.choice((1, 5, 20, 80)) * hour)],
        4: [(b"t", NOW + chance.choice((1, 5, 20, 30)) * hour)],
        5: [(b"t", NOW - hour), (b"x", NOW - hour - chance.choice((0, 1, 100_000)))],
    }.get(kind, [])
    return [(name, str(number).encode()) for name, number in pairs]
