"""What attackers make of a genuine message, or instead of one. They have a domain, a key and a policy of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from tests.cases.genuine import ADDRESS, BITS, DOMAIN, EVIL, METHODS, sent
from tests.verifier.signing import signed
from verifier.canonical import Canonicalization, hash_body
from verifier.message import read_message
from verifier.report import Verdict

FORGED: Final = frozenset({Verdict.FORGED})
UNPROVEN: Final = frozenset({Verdict.UNPROVEN})
NOT_PROVEN: Final = frozenset({Verdict.FORGED, Verdict.UNPROVEN})
NOTHING: Final = frozenset({Verdict.NO_CLAIM})


class Attack(NamedTuple):
    """``verdicts``: the right ones; genuine is in none of them."""

    make: Callable[[bytes], bytes]
    verdicts: frozenset[Verdict]


def _unsigned(raw: bytes) -> bytes:
    message = read_message(raw)
    kept = b"".join(field.raw for field in message.fields if field.lower != b"dkim-signature")
    return kept + b"\r\n" + raw[message.body_start :]


def _from(raw: bytes, value: bytes) -> bytes:
    """The same message by another author, without its signature."""
    return re.sub(
        rb"(?m)^From: [^\r]*\r\n(?:[ \t][^\r]*\r\n)*",
        lambda _: b"From: " + value + b"\r\n",
        _unsigned(raw),
        count=1,
    )


def _names(raw: bytes, *without: bytes) -> str:
    lowered = dict.fromkeys(f.lower for f in read_message(raw).fields)
    return ":".join(name.decode() for name in lowered if name not in without)


def _by(raw: bytes, domain: str, **tags: str) -> bytes:
    """Signed by a domain with the key that every domain here has."""
    return signed(raw, bits=BITS, d=domain, **{"h": _names(raw), "s": "rsa", **tags})


def _evil(value: bytes) -> Callable[[bytes], bytes]:
    def make(raw: bytes) -> bytes:
        return _by(_from(raw, value), EVIL)

    return make


def _own(change: Callable[[bytes], bytes], *without: bytes, **tags: str) -> Callable[[bytes], bytes]:
    """A weak signature of the real sender's, and what it lets through."""

    def make(raw: bytes) -> bytes:
        plain = _unsigned(raw)
        return change(_by(plain, DOMAIN, **{"h": _names(plain, *without), **tags}))

    return make


def _l_tag(raw: bytes) -> bytes:
    """The whole body is covered and nothing below it, so that the signature holds by the protocol."""
    plain = _unsigned(raw)
    body = hash_body(plain, read_message(plain).body_start, Canonicalization.RELAXED)
    return _by(plain, DOMAIN, l=str(body.length)) + b"Pay to account 12345.\r\n"


def _insert(field: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: field + raw


def _same(raw: bytes) -> bytes:
    return raw


def _as_plain(raw: bytes) -> bytes:
    return re.sub(rb"(?m)^(DKIM-Signature: v=1; a=)rsa-sha256", rb"\1ed25519-sha256", raw, count=1).replace(
        b"s=rsa", b"s=ed", 1
    )


ATTACKS: Final = {
    "second From above": Attack(_insert(b"From: Boss <boss@evil.test>\r\n"), NOT_PROVEN),
    "second From below": Attack(lambda raw: raw.replace(b"\r\nSubject:", b"\r\nFrom: boss@evil.test\r\nSubject:", 1), NOT_PROVEN),
    "body replaced": Attack(lambda raw: raw[: read_message(raw).body_start] + b"Click here.\r\n", UNPROVEN),
    "text appended after l=": Attack(_l_tag, UNPROVEN),
    "From not signed": Attack(_own(_same, b"from"), UNPROVEN),
    "Subject not signed, and changed": Attack(_own(lambda raw: raw.replace(b"\r\nSubject: ", b"\r\nSubject: URGENT ", 1), b"subject"), UNPROVEN),
    "second Subject above the signed one": Attack(_insert(b"Subject: Urgent\r\n"), UNPROVEN),
    "second Content-Type": Attack(_insert(b"Content-Type: text/html\r\n"), UNPROVEN),
    "Reply-To not signed, and added": Attack(_own(_insert(b"Reply-To: boss@evil.test\r\n"), b"reply-to"), UNPROVEN),
    "signature expired": Attack(_own(_same, t="1000000000", x="1000000001"), UNPROVEN),
    "key revoked": Attack(_own(_same, s="revoked"), UNPROVEN),
    "key in test mode": Attack(_own(_same, s="testing"), UNPROVEN),
    "key for the exact domain only": Attack(_own(_same, s="exact", i=f"@sub.{DOMAIN}"), UNPROVEN),
    "key of another type": Attack(_as_plain, UNPROVEN),
    "SHA-1": Attack(lambda raw: sent(_unsigned(raw), METHODS[0], algorithm=b"rsa-sha1").raw, UNPROVEN),
    "no signature": Attack(_unsigned, UNPROVEN),
    "signed by somebody else": Attack(lambda raw: _by(_unsigned(raw), EVIL), UNPROVEN),
    "display name": Attack(_evil(b"Defender Experts <boss@evil.test>"), FORGED),
    "display name in other letters": Attack(_evil(b"=?utf-8?q?D=D0=B5fender_=D0=95xperts?= <boss@evil.test>"), FORGED),
    "display name with an invisible letter": Attack(_evil(b"=?utf-8?q?Defender_Ex=E2=80=8Bperts?= <boss@evil.test>"), FORGED),
    "address in the display name": Attack(_evil(f'"{ADDRESS}" <boss@evil.test>'.encode()), FORGED),
    "address in a comment": Attack(_evil(f"boss@evil.test ({ADDRESS})".encode()), FORGED),
    "look-alike domain": Attack(lambda raw: _by(_from(raw, b"a <a@expert5.test>"), "expert5.test"), FORGED),
    "look-alike in other letters": Attack(lambda raw: _by(_from(raw, b"a <a@xn--xperts-9ua.test>"), "xn--xperts-9ua.test"), FORGED),
    "subdomain trick": Attack(_evil(f"a <a@{DOMAIN}.evil.test>".encode()), FORGED),
    "group": Attack(_evil(b"Defender Experts: boss@evil.test;"), FORGED),
    "two authors": Attack(_evil(f"{ADDRESS}, boss@evil.test".encode()), FORGED),
    "source route": Attack(_evil(f"<@evil.test:{ADDRESS}>".encode()), FORGED),
    "encoded address": Attack(_evil(b"=?utf-8?q?defender-experts=40experts=2Etest?= <boss@evil.test>"), FORGED),
    "NUL in the author": Attack(_evil(ADDRESS.encode() + b"\0@evil.test"), FORGED),
    "blank before the colon": Attack(lambda raw: raw.replace(b"\r\nFrom:", b"\r\nFrom :", 1), NOT_PROVEN),
    "bare line feed before the author": Attack(lambda raw: raw.replace(b"\r\nFrom:", b"\r\nX: y\nFrom:", 1), NOT_PROVEN),
    "another author below the same signature": Attack(lambda raw: re.sub(rb"(?m)^From: [^\r]*", b"From: Anna <anna@evil.test>", raw, count=1), NOTHING),
}  # fmt: skip
