"""A sound zone of the operated domains, faults to plant in it, and certificates; for the tests of `dns check`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from expertmail.dns_check.check import check_all
from expertmail.dns_check.codes import Severity
from expertmail.dns_check.facts import PROOF_DIGEST, KeyUse, Operated, OwnKey, TlsFiles
from expertmail.dns_check.finding import Finding
from outbound.sign import SigningKey, dns_record
from verifier.evidence import Absent, Answer, AnswerStatus, Evidence, Question, conclude
from verifier.zone import Zone, read_zone

# The command takes the machine's clock, so the certificates here are made for the day of the test.
AT = datetime.now(UTC).replace(microsecond=0)
MX = "mx.experts.test"
IPV4, IPV6 = "192.0.2.25", "2001:db8::25"
REVERSE4 = "25.2.0.192.in-addr.arpa"
REVERSE6 = "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
POLICY = "version: STSv1\nmode: enforce\nmx: mx.experts.test\nmax_age: 1209600\n"


def pem_of(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


RSA_KEY = SigningKey.from_pem(pem_of(rsa.generate_private_key(65537, 2048)))
OTHER_RSA_KEY = SigningKey.from_pem(pem_of(rsa.generate_private_key(65537, 2048)))
ED25519_KEY = SigningKey.from_pem(pem_of(ed25519.Ed25519PrivateKey.generate()))


def own_key(selector: str, key: SigningKey, use: KeyUse = KeyUse.SIGNS, bits: int | None = 2048) -> OwnKey:
    kind, _ = key.public_text()
    bits = bits if kind == "rsa" else None
    return OwnKey(selector, use, kind, bits, dns_record(key), key.sign(PROOF_DIGEST).signature)


def strings(text: str) -> str:
    """A TXT value as character-strings of a master file."""
    cut = [text[at : at + 200] for at in range(0, len(text), 200)] or [""]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in cut)


def sound() -> dict[str, list[str]]:
    """Owner and type -> records of a zone in which nothing is to be found."""
    zone = {
        "experts.test. SOA": [f"{MX}. postmaster.experts.test. 1 3600 600 86400 60"],
        "experts.test. NS": [f"{MX}."],
        f"{MX}. A": [IPV4],
        f"{MX}. AAAA": [IPV6],
        f"{MX}. TXT": ['"v=spf1 a -all"'],
        f"{REVERSE4}. PTR": [f"{MX}."],
        f"{REVERSE6}. PTR": [f"{MX}."],
        "s1._domainkey.experts.test. TXT": [strings(dns_record(RSA_KEY))],
        "_dmarc.experts.test. TXT": ['"v=DMARC1; p=reject; rua=mailto:postmaster@experts.test"'],
    }
    for domain in ("experts.test", "reply.experts.test"):
        zone[f"{domain}. MX"] = [f"10 {MX}."]
        zone[f"{domain}. TXT"] = [f'"v=spf1 ip4:{IPV4} ip6:{IPV6} -all"', '"something else"']
        zone[f"_mta-sts.{domain}. TXT"] = ['"v=STSv1; id=20261125100000"']
        zone[f"mta-sts.{domain}. A"] = ["192.0.2.80"]
        zone[f"_smtp._tls.{domain}. TXT"] = [f'"v=TLSRPTv1; rua=mailto:postmaster@{domain}"']
    return zone


def zone_text(changes: Mapping[str, list[str]] | None = None) -> str:
    """The sound zone with some record sets replaced; an empty list takes one away."""
    held = {**sound(), **(changes or {})}
    lines = [
        f"{owner} 300 IN {rrtype} {record}"
        for name, records in held.items()
        for owner, rrtype in [name.split(" ")]
        for record in records
    ]
    return "$ORIGIN .\n" + "\n".join(lines) + "\n"


class Authority:
    """A certificate authority with an intermediate one."""

    def __init__(self) -> None:
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = certificate("Root", self.root_key, "Root", self.root_key)
        self.intermediate = certificate("Intermediate", self.key, "Root", self.root_key)

    def issue(self, key: Any, **facts: Any) -> x509.Certificate:
        return certificate("mx", key, "Intermediate", self.key, **facts)


def certificate(
    subject: str,
    key: Any,
    issuer: str,
    signer: Any,
    *,
    names: tuple[str, ...] = (),
    begins: datetime = AT - timedelta(days=30),
    ends: datetime = AT + timedelta(days=60),
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if names:
        held = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(held, critical=False)
    return builder.sign(signer, hashes.SHA256())


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


AUTHORITY = Authority()
LEAF_KEY = ec.generate_private_key(ec.SECP256R1())
LEAF = AUTHORITY.issue(LEAF_KEY, names=(MX,))


def tls_files(certificates: bytes | None = None, key: bytes | None = None, **facts: Any) -> TlsFiles:
    """TLS files of a certificate with other facts, or of bytes."""
    leaf = AUTHORITY.issue(LEAF_KEY, **{"names": (MX,), **facts})
    return TlsFiles(
        "chain.pem",
        "key.pem",
        pem(leaf, AUTHORITY.intermediate) if certificates is None else certificates,
        pem_of(LEAF_KEY) if key is None else key,
    )


SOUND_TLS = TlsFiles("chain.pem", "key.pem", pem(LEAF, AUTHORITY.intermediate), pem_of(LEAF_KEY))

OPERATED = Operated(
    domains=("experts.test",),
    reply_domain="reply.experts.test",
    sender_domain="experts.test",
    hostname=MX,
    selector="s1",
    at=AT,
    keys=(own_key("s1", RSA_KEY),),
    tls=SOUND_TLS,
    policies={"": POLICY},
)


class Answers(Mapping[Question, Answer]):
    """A zone's answers, where some questions fail and answers may be validated (AD)."""

    def __init__(self, zone: Zone, failing: str | None = None, *, ad: bool = False) -> None:
        self.zone, self.failing, self.ad = zone, failing, ad

    def __getitem__(self, question: Question) -> Answer:
        if self.failing is not None and re.fullmatch(self.failing, f"{question.name} {question.type}"):
            return Answer(AnswerStatus.SERVFAIL)
        return replace(self.zone.answer(question), ad=self.ad)

    def __iter__(self) -> Iterator[Question]:
        return iter(())

    def __len__(self) -> int:
        return 1


def everything(
    changes: Mapping[str, list[str]] | None = None,
    failing: str | None = None,
    *,
    ad: bool = False,
    **facts: Any,
) -> tuple[Finding, ...]:
    """All findings about the sound zone with changes, for what is operated with other facts."""
    answers = Answers(read_zone(zone_text(changes)), failing, ad=ad)
    return conclude(check_all(replace(OPERATED, **facts)), Evidence(answers, absent=Absent.NXDOMAIN))


def found(*arguments: Any, **facts: Any) -> set[tuple[str, str]]:
    """Code and subject of all that is not as it should be."""
    return {
        (str(one.code), one.subject)
        for one in everything(*arguments, **facts)
        if one.severity is not Severity.OK
    }
