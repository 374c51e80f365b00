"""Genuine messages of many makes, signed by dkimpy for the protected sender: the same ones each time."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from functools import cache
from types import SimpleNamespace
from typing import Final
from unittest import mock

import dkim
from cryptography.hazmat.primitives import serialization

from tests.verifier.signing import rsa_key, rsa_record
from verifier.identity import Identity

DOMAIN: Final = "experts.test"
ADDRESS: Final = f"defender-experts@{DOMAIN}"
EVIL: Final = "evil.test"
PROTECTED: Final = (
    Identity(
        "experts",
        display_names=("Defender Experts",),
        domains=(DOMAIN,),
        addresses=(ADDRESS,),
        signing_domains=(DOMAIN,),
    ),
)
METHODS: Final = ("relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple")
BITS: Final = 1_024  # the least that is accepted, so that thousands are signed in seconds; the stored key
SIGNED_AT: Final = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)

_SIGNED: Final = (
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"reply-to",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
)
_SUBJECTS: Final = (
    "[INC-000123] We need more information: sign-ins from two countries",
    "Reminder: an incident waits for your answer",
    "Résumé des opérations de la semaine",
    "インシデントの追加情報のお願い",
    "Your weekly summary of what the experts saw, what they did, and what they would like you to look at next",
)
_WORDS: Final = (
    "the",
    "account",
    "signed",
    "in",
    "from",
    "a",
    "device",
    "that",
    "was",
    "not",
    "seen",
    "before",
    "please",
    "confirm",
    "whether",
    "this",
    "was",
    "expected",
)


@dataclass(frozen=True, slots=True)
class Genuine:
    """A message as it left its sender, and how its header and body were canonicalised."""

    raw: bytes
    header_method: str
    body_method: str


@cache
def pem() -> bytes:
    """The sender's private key."""
    return rsa_key(BITS).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def zone() -> dict[str, str]:
    """TXT records by name: the sender's, and the attacker's who has a domain, a key and a policy of his own."""
    key = rsa_record(BITS)
    records = {
        f"rsa._domainkey.{name}": key for name in (DOMAIN, EVIL, "expert5.test", "xn--xperts-9ua.test")
    }
    records |= {f"_dmarc.{name}": "v=DMARC1; p=reject" for name in (DOMAIN, EVIL, "expert5.test")}
    records[f"revoked._domainkey.{DOMAIN}"] = "v=DKIM1; k=rsa; p="
    records[f"testing._domainkey.{DOMAIN}"] = key.replace("v=DKIM1;", "v=DKIM1; t=y;")
    records[f"exact._domainkey.{DOMAIN}"] = key.replace("v=DKIM1;", "v=DKIM1; t=s;")
    records[f"ed._domainkey.{DOMAIN}"] = key  # an RSA key where a= may say Ed25519
    return records


def genuine(number: int) -> Genuine:
    """The message of that number."""
    chance = random.Random(number)
    mail = EmailMessage(policy=SMTPUTF8 if number % 11 == 10 else SMTP)
    mail["From"] = Address("Defender Experts" if number % 2 else "", *ADDRESS.split("@"))
    mail["To"] = Address("Dana Reyes", "dana.reyes", "contoso.test")
    if number % 3 == 0:
        mail["Cc"] = "soc@contoso.test, it@contoso.test"
    mail["Subject"] = chance.choice(_SUBJECTS)
    mail["Date"] = f"Wed, 25 Nov 2026 {chance.randrange(10):02}:00:00 +0000"
    mail["Message-ID"] = f"<{number}.{chance.getrandbits(48):x}@{DOMAIN}>"
    if number % 4 == 0:
        mail["Reply-To"] = f"reply+{number}@reply.{DOMAIN}"
    text = "".join(f"{' '.join(chance.choices(_WORDS, k=9))}.\n" for _ in range(chance.randrange(2, 12)))
    mail.set_content(
        f"Hello,\n\n{text}\nDefender Experts\n", cte=chance.choice(("7bit", "quoted-printable", "base64"))
    )
    if number % 2 == 0:
        mail.add_alternative(f"<html><body><p>{text}</p></body></html>\n", subtype="html")
    if number % 5 == 0:
        mail.add_attachment(
            chance.randbytes(200), maintype="application", subtype="octet-stream", filename="log.bin"
        )
    for part in mail.walk():
        if part.is_multipart():
            part.set_boundary(f"=_{number}_{chance.getrandbits(40):x}")
    raw = mail.as_bytes()
    names = list(_SIGNED) + ([b"from", b"subject"] if number % 7 == 0 else [])  # now and then oversigned
    return sent(raw, METHODS[number % len(METHODS)], names)


def sent(
    raw: bytes, method: str, names: list[bytes] | None = None, algorithm: bytes = b"rsa-sha256"
) -> Genuine:
    """A message as its sender's server signs it by dkimpy, whose clock stands still: the same bytes each time."""
    header, _, body = method.partition("/")
    with mock.patch.object(dkim, "time", SimpleNamespace(time=SIGNED_AT.timestamp)):
        field: bytes = dkim.sign(
            raw,
            b"rsa",
            DOMAIN.encode(),
            pem(),
            canonicalize=(header.encode(), body.encode()),
            signature_algorithm=algorithm,
            include_headers=names or list(_SIGNED),
        )
    return Genuine(field + raw, header, body)
