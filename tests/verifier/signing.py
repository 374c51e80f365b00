"""Keys and signatures for tests: dkimpy signs what it can, and what it cannot is signed by hand."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from verifier.canonical import Canonicalization, hash_body, relaxed_value
from verifier.dkim import check_dkim
from verifier.evidence import Absent, Answer, AnswerStatus, Evidence, Question, conclude
from verifier.message import read_message
from verifier.report import DkimResult

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
GOOD = (
    b"From: Alice <alice@example.com>\r\nTo: bob@example.net\r\nSubject: hi\r\n"
    b"Date: Thu, 14 Jan 2026 15:00:01 -0800\r\nMessage-ID: <1@example.com>\r\n\r\nHello  world \r\n"
)
HEADERS = "from:to:subject:date:message-id"


STORED_BITS = 1_024
STORED_KEY = Path(__file__).parents[1] / "cases" / "key.pem"  # what was signed with it is kept as files


@lru_cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """The key of that size: the stored one, so that the same bytes come out each time, or one made for this run."""
    if bits != STORED_BITS:
        return rsa.generate_private_key(65537, bits)
    key = serialization.load_pem_private_key(STORED_KEY.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@lru_cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a key of the tests").digest())


@lru_cache
def rsa_record(bits: int = 2048) -> str:
    der = (
        rsa_key(bits)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()


def ed_record() -> str:
    raw = ed_key().public_key().public_bytes_raw()
    return "v=DKIM1; k=ed25519; p=" + base64.b64encode(raw).decode()


def pem() -> bytes:
    return rsa_key(2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def zone(**records: str) -> Evidence:
    """Closed evidence: keys of example.com by selector, "rsa" and "ed" among them."""
    keys = {"rsa": rsa_record(), "ed": ed_record(), **records}
    return Evidence(
        {
            Question.of(f"{selector}._domainkey.example.com", "TXT"): Answer(
                AnswerStatus.ANSWER, (text,), 300
            )
            for selector, text in keys.items()
        },
        absent=Absent.NXDOMAIN,
    )


def signed(raw: bytes = GOOD, *, extra: str = "", bits: int = 2048, **tags: str | None) -> bytes:
    """``raw`` under a relaxed/relaxed signature; a tag given as None is left out, ``extra`` goes before b=."""
    message = read_message(raw)
    body = hash_body(raw, message.body_start, Canonicalization.RELAXED)
    algorithm = tags.get("a") or "rsa-sha256"
    all_tags: dict[str, str | None] = {
        "v": "1",
        "a": algorithm,
        "c": "relaxed/relaxed",
        "d": "example.com",
        "s": "ed" if algorithm.startswith("ed") else "rsa",
        "h": HEADERS,
        "bh": base64.b64encode(body.digest).decode(),
    }
    all_tags.update(tags)
    text = "; ".join(f"{name}={value}" for name, value in all_tags.items() if value is not None)
    unsigned = f" {text}; {extra}b=".encode("latin-1")
    chosen = b""
    left = {name: list(message.named(name)) for name in {f.lower for f in message.fields}}
    for name in "".join((all_tags["h"] or "").lower().split()).encode().split(b":"):
        if left.get(name):
            chosen += name + b":" + relaxed_value(left[name].pop().value) + b"\r\n"
    data = chosen + b"dkim-signature:" + relaxed_value(unsigned)
    if algorithm.startswith("ed"):
        value = ed_key().sign(hashlib.sha256(data).digest())
    else:
        value = rsa_key(bits).sign(data, padding.PKCS1v15(), hashes.SHA256())
    return b"DKIM-Signature:" + unsigned + base64.b64encode(value) + b"\r\n" + raw


def results(raw: bytes, evidence: Evidence | None = None, at: datetime = AT) -> tuple[DkimResult, ...]:
    return conclude(check_dkim(read_message(raw), at), zone() if evidence is None else evidence)


def result(raw: bytes, evidence: Evidence | None = None, at: datetime = AT) -> DkimResult:
    return results(raw, evidence, at)[0]
