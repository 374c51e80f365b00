"""The certificate of STARTTLS: chain, key, names, dates and strength, from the files' bytes (RFC 5280, RFC 9525)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from expertmail.dns_check.codes import Area, Code
from expertmail.dns_check.facts import Operated, TlsFiles
from expertmail.dns_check.finding import Finding, Findings, finding, fine, shown
from expertmail.dns_check.mta_sts_policy import enforced

RENEW_BEFORE: Final = timedelta(days=21)
"""Long enough for a person to notice, and later than authorities renew by themselves (30 days before the end)."""
MIN_RSA_BITS: Final = 2_048  # RFC 9325 4.5
MIN_EC_BITS: Final = 224  # RFC 9325 4.5; all curves in use have 256
MAX_CHAIN: Final = 10  # certificates that are looked at
_WEAK_HASHES: Final = frozenset({"md5", "sha1"})


@dataclass(frozen=True, slots=True)
class Chain:
    """The certificates of a file, the server's own first."""

    certificates: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        """The server's own."""
        return self.certificates[0]

    @property
    def self_signed(self) -> bool:
        """Whether nobody else vouches for it."""
        return len(self.certificates) == 1 and _issued_by(self.leaf, self.leaf)


def read_chain(tls: TlsFiles) -> Chain | str:
    """The chain; a string says why there is none."""
    if tls.certificate is None:
        return f"{tls.certificate_path} cannot be read"
    try:
        found = x509.load_pem_x509_certificates(tls.certificate)
        for certificate in found[:MAX_CHAIN]:
            certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return f"{tls.certificate_path} holds no PEM certificate that can be read"
    return Chain(tuple(found[:MAX_CHAIN]))


def check_certificate(operated: Operated, names: tuple[str, ...]) -> Findings:
    """Check the files for the names by which MX records lead to us."""
    tls, strict = operated.tls, enforced(operated)
    subject = operated.hostname
    if tls is None:
        if strict:
            text = f"no certificate, and the policy of {', '.join(strict)} demands one"
            return (finding(Code.MTA_STS_CERTIFICATE, subject, text),)
        return (finding(Code.CERTIFICATE_MISSING, subject, "smtp.tls_certificate is not set"),)
    chain = read_chain(tls)
    if isinstance(chain, str):
        return (finding(Code.CERTIFICATE_UNREADABLE, subject, chain),)
    findings = [
        *_check_key(subject, tls, chain),
        *_check_dates(operated, chain),
        *_check_names(subject, chain, names),
        *_check_issuers(subject, chain, strict),
        *_check_strength(subject, chain),
    ]
    until = f"until {chain.leaf.not_valid_after_utc:%Y-%m-%d}, for {_listed(chain.leaf)}"
    return tuple(findings) or (fine(Area.CERTIFICATE, subject, until),)


def _check_key(subject: str, tls: TlsFiles, chain: Chain) -> list[Finding]:
    if tls.key is None:
        return [finding(Code.CERTIFICATE_UNREADABLE, subject, f"{tls.key_path} cannot be read")]
    try:
        key = load_pem_private_key(tls.key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        text = f"{tls.key_path} holds no PEM private key without a passphrase"
        return [finding(Code.CERTIFICATE_UNREADABLE, subject, text)]
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) == chain.leaf.public_key().public_bytes(*form):
        return []
    return [finding(Code.CERTIFICATE_KEY, subject, f"{tls.key_path} is another certificate's key")]


def _check_dates(operated: Operated, chain: Chain) -> list[Finding]:
    for certificate in chain.certificates:
        ends, begins = certificate.not_valid_after_utc, certificate.not_valid_before_utc
        name = "it" if certificate is chain.leaf else f"the certificate above it, {_subject(certificate)},"
        if ends < operated.at:
            return [
                finding(Code.CERTIFICATE_EXPIRED, operated.hostname, f"{name} expired on {ends:%Y-%m-%d}")
            ]
        if begins > operated.at:
            text = f"{name} is valid from {begins:%Y-%m-%d %H:%M}Z on"
            return [finding(Code.CERTIFICATE_NOT_YET, operated.hostname, text)]
        if ends - operated.at < RENEW_BEFORE:
            return [
                finding(Code.CERTIFICATE_EXPIRES, operated.hostname, f"{name} expires on {ends:%Y-%m-%d}")
            ]
    return []


def _check_names(subject: str, chain: Chain, names: tuple[str, ...]) -> list[Finding]:
    missing = [name for name in names if not covers(chain.leaf, name)]
    if not missing:
        return []
    text = f"it is for {_listed(chain.leaf)}, and not for {', '.join(map(shown, missing))}"
    return [finding(Code.CERTIFICATE_NAME, subject, text)]


def _check_issuers(subject: str, chain: Chain, strict: tuple[str, ...]) -> list[Finding]:
    if chain.self_signed:
        if strict:
            text = f"self-signed, and the policy of {', '.join(strict)} demands one of a public authority"
            return [finding(Code.MTA_STS_CERTIFICATE, subject, text)]
        return [finding(Code.CERTIFICATE_SELF_SIGNED, subject, "self-signed")]
    for lower, upper in zip(chain.certificates, chain.certificates[1:], strict=False):
        if not _issued_by(lower, upper):
            text = f"{_subject(lower)} is followed by {_subject(upper)}, which did not issue it"
            return [finding(Code.CERTIFICATE_ORDER, subject, text)]
    if len(chain.certificates) == 1:
        text = f"the file holds it alone; its issuer is {shown(chain.leaf.issuer.rfc4514_string())}"
        return [finding(Code.CERTIFICATE_ALONE, subject, text)]
    return []


def _issued_by(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _check_strength(subject: str, chain: Chain) -> list[Finding]:
    for certificate in chain.certificates:
        key = certificate.public_key()
        weak = (isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS) or (
            isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < MIN_EC_BITS
        )
        if weak:
            text = f"the key of {_subject(certificate)} has {key.key_size} bits"  # type: ignore[union-attr]
            return [finding(Code.CERTIFICATE_WEAK, subject, text)]
        # A root's own signature is trusted for its place in the store and not for its hash.
        if certificate.subject != certificate.issuer and _hash(certificate) in _WEAK_HASHES:
            text = f"{_subject(certificate)} is signed with {_hash(certificate)}"
            return [finding(Code.CERTIFICATE_WEAK, subject, text)]
    return []


def _hash(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "unknown"
    return algorithm.name if algorithm is not None else "none"


def alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names that a certificate is for, in lower case; the common name does not count (RFC 9525 2)."""
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = held.value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ()
    return tuple(name.lower().rstrip(".") for name in names)


def covers(certificate: x509.Certificate, host: str) -> bool:
    """Whether a certificate is for a host; "*" stands for one whole label (RFC 9525 6.3)."""
    above = host.partition(".")[2]
    return any(name in {host, f"*.{above}"} for name in alternative_names(certificate))


def public_key_hash(certificate: x509.Certificate) -> str:
    """SHA-256 of the public key, in hexadecimal: what a TLSA 3 1 1 record holds (RFC 6698 2.1)."""
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def _listed(certificate: x509.Certificate) -> str:
    return ", ".join(map(shown, alternative_names(certificate)[:5])) or "no host name"


def _subject(certificate: x509.Certificate) -> str:
    return shown(certificate.subject.rfc4514_string() or "a certificate without a name")
