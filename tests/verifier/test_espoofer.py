"""The sender-spoofing cases of espoofer: none is ever genuine; the untouched control is."""

from __future__ import annotations

import base64
import json

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.verifier.judging import judged, txt
from verifier.evidence import Evidence, Session, SessionOrigin
from verifier.identity import Identity
from verifier.report import Verdict

PROTECTED = (
    Identity(
        "legitimate",
        display_names=("Legitimate",),
        domains=("legitimate.com", "example.com"),
        addresses=("admin@legitimate.com", "admin@example.com"),
        signing_domains=("legitimate.com", "example.com"),
    ),
)


def key_pair() -> tuple[bytes, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


@pytest.fixture(scope="module")
def keys() -> tuple[tuple[bytes, str], tuple[bytes, str]]:
    """The legitimate domain's key and the attacker's."""
    return key_pair(), key_pair()


def zone(keys: tuple[tuple[bytes, str], tuple[bytes, str]]) -> Evidence:
    (_, good), (_, evil) = keys
    return txt(
        {
            "selector._domainkey.legitimate.com": good,
            "selector._domainkey.attack.com": evil,
            "selector._domainkey.example.com": evil,
            "legitimate.com": "v=spf1 ip4:192.0.2.1 -all",
            "attack.com": "v=spf1 ip4:203.0.113.5 -all",
            "33.attack.com": "v=spf1 ip4:203.0.113.5 -all",
            "helo.attack.com": "v=spf1 ip4:203.0.113.5 -all",
            "example.com": "v=spf1 ip4:203.0.113.5 -all",
            "_dmarc.legitimate.com": "v=DMARC1; p=reject",
            "_dmarc.example.com": "v=DMARC1; p=reject",
        }
    )


def signed(raw: bytes, pem: bytes, domain: str, selector: str = "selector") -> bytes:
    head = dkim.sign(
        raw,
        selector.encode(),
        domain.encode(),
        pem,
        include_headers=[
            b"from",
            b"to",
            b"subject",
            b"date",
            b"message-id",
            b"content-type",
            b"mime-version",
        ],
        canonicalize=(b"relaxed", b"relaxed"),
    )
    return head + raw


def attacked(case: dict[str, object], keys: tuple[tuple[bytes, str], tuple[bytes, str]]) -> bytes:
    """The case's message, signed as it says: over the header that the case names, with the attacker's key."""
    raw = base64.b64decode(str(case["message_b64"]))
    how = case["dkim"]
    assert isinstance(how, dict)
    if not how:
        return raw
    # dkimpy refuses odd names: sign with plain ones, then write the odd ones in, as the attacker's tool does.
    plain = signed(raw, keys[1][0], "attack.com")
    odd = plain.replace(b"d=attack.com", b"d=" + str(how["d"]).encode(), 1)
    return odd.replace(b"s=selector", b"s=" + str(how["s"]).encode(), 1)


@pytest.mark.parametrize("origin", [SessionOrigin.LIVE, SessionOrigin.SUPPLIED, None])
def test_no_case_is_genuine_and_the_control_is(shared_data, keys, origin: SessionOrigin | None) -> None:
    cases = json.loads((shared_data / "espoofer" / "cases.json").read_text("utf-8"))
    assert len(cases) == 22
    messages = []
    for case in cases:
        session = None
        if origin is not None:
            session = Session("203.0.113.5", case["helo"], case["mailfrom"].strip("<>"), (), origin)
        messages.append((attacked(case, keys), zone(keys), session))
    # What the attackers can have signed for their own domain changes nothing.
    messages += [
        (signed(raw, keys[1][0], "attack.com"), known, session) for raw, known, session in messages[:2]
    ]
    control = base64.b64decode(cases[0]["message_b64"])
    messages.append((signed(control, keys[0][0], "legitimate.com"), zone(keys), None))
    reports = judged(messages, PROTECTED)
    verdicts = [report.verdict for report in reports]
    assert verdicts[-1] is Verdict.GENUINE
    proven = [
        c["id"]
        for c, v in zip(cases, verdicts, strict=False)
        if v in (Verdict.GENUINE, Verdict.AUTHENTIC_UNPINNED)
    ]
    assert not proven
    if origin is SessionOrigin.LIVE:
        quiet = [c["id"] for c, v in zip(cases, verdicts, strict=False) if v is not Verdict.FORGED]
        # client_a3 is an account of the very service: SPF of its own domain passes, and nothing proves the author.
        assert quiet == ["client_a3"]
