"""DKIM signing (RFC 6376) by dkimpy, with the private-key operation done by ``cryptography``. Pure.

dkimpy's own ``sign`` reads the clock and multiplies in pure Python (8 ms for RSA-2048). Here its header
builder is called with tags of ours, so the time is an argument, and with a key object whose ``sign`` is
``cryptography``'s. The bytes are those that plain dkimpy makes at the same time; a test holds both to it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import dkim
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, utils
from dkim.canonicalization import (
    CanonicalizationPolicy,
    correct_empty_body,
    strip_trailing_lines,
    strip_trailing_whitespace,
)

from outbound.errors import SigningError
from outbound.model import Rendered, Sender, Signed

# Fields that people or their programs see or act on. Each is named once more than it occurs, so that adding
# another one breaks the signature (RFC 6376 8.15); one that is absent cannot be added either.
SIGNED_FIELDS = (
    b"From",
    b"To",
    b"Cc",
    b"Subject",
    b"Date",
    b"Reply-To",
    b"Message-ID",
    b"In-Reply-To",
    b"References",
    b"MIME-Version",
    b"Content-Type",
    b"Content-Transfer-Encoding",
)
# Each of them occurs at most once in a message (RFC 5322 3.6, RFC 2045 3): a second one was smuggled in.
_ONCE = frozenset(name.lower() for name in SIGNED_FIELDS)
_MAX_LINE = 998  # RFC 5322 2.1.1; servers break longer ones, and the signature with them
# What a line may hold beside its CRLF: a tab, printable ASCII; in a header also UTF-8 (RFC 6532), for addresses.
_NOT_SEVEN_BIT = re.compile(rb"[^\t\x20-\x7e]")
_NOT_HEADER = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BLANKS = re.compile(rb"[\t ]{2,}|\t")
_FIELD_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]+(?=:)")  # RFC 5322 2.2
# RFC 8301 3.2: signers must use at least 1024 bits and should use 2048.
MIN_RSA_BITS = 1024
# A character string in a TXT record holds at most 255 octets (RFC 1035 3.3.14).
_TXT_STRING = 255

_PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key. Its repr and its text show the kind only."""

    _key: _PrivateKey = field(repr=False)

    @classmethod
    def from_pem(cls, pem: str | bytes) -> SigningKey:
        """Read an unencrypted PEM private key, RSA or Ed25519; SigningError for anything else."""
        data = pem.encode() if isinstance(pem, str) else pem
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # The library's text is dropped on purpose: it may quote the file.
            raise SigningError("The DKIM key is not an unencrypted PEM private key.") from None
        if isinstance(key, rsa.RSAPrivateKey):
            if key.key_size < MIN_RSA_BITS:
                raise SigningError(f"The DKIM key has {key.key_size} bits; it needs at least {MIN_RSA_BITS}.")
            return cls(key)
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return cls(key)
        raise SigningError("The DKIM key is neither RSA nor Ed25519.")

    @property
    def algorithm(self) -> bytes:
        """The value of the a= tag (RFC 6376 3.3, RFC 8463 3)."""
        return b"rsa-sha256" if isinstance(self._key, rsa.RSAPrivateKey) else b"ed25519-sha256"

    def sign(self, digest: bytes) -> Any:
        """Sign a SHA-256 digest. An object with the bytes in ``signature``, which is what dkimpy expects."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            # RFC 6376 3.3.1: PKCS #1 v1.5 over the digest that dkimpy has computed already.
            signature = self._key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
        else:
            signature = self._key.sign(digest)  # RFC 8463 3: PureEdDSA over the digest
        return SimpleNamespace(signature=signature)

    def public_text(self) -> tuple[str, str]:
        """The k= and p= tags of the key record (RFC 6376 3.6.1, RFC 8463 4)."""
        public = self._key.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            der = public.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            return "rsa", base64.b64encode(der).decode("ascii")
        bare = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return "ed25519", base64.b64encode(bare).decode("ascii")


def dns_record(key: SigningKey) -> str:
    """The text of the TXT record to publish at ``SELECTOR._domainkey.DOMAIN`` (RFC 6376 3.6.1)."""
    kind, public = key.public_text()
    return f"v=DKIM1; k={kind}; p={public}"


def zone_line(selector: str, domain: str, key: SigningKey, *, ttl: int = 3600) -> str:
    """The record as one line of a master file (RFC 1035 5.1), its text in strings of at most 255 octets."""
    text = dns_record(key)
    strings = " ".join(f'"{text[at : at + _TXT_STRING]}"' for at in range(0, len(text), _TXT_STRING))
    return f"{selector}._domainkey.{domain}. {ttl} IN TXT {strings}"


def relaxed_body(body: bytes) -> bytes:
    """The body in relaxed form (RFC 6376 3.4.4), of dkimpy's parts.

    But for the blanks: it puts one in the place of each that stands alone, which took as long as an Ed25519 signature.
    """
    blanks = _BLANKS.sub(b" ", strip_trailing_whitespace(body))
    form: bytes = correct_empty_body(strip_trailing_lines(blanks))
    return form


class _Signer(dkim.DKIM):  # type: ignore[misc]  # dkimpy has no type information
    """dkimpy's header builder with the time as an argument. One for a message: its body is hashed once."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self._policy = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
        self._body_hash = base64.b64encode(hashlib.sha256(relaxed_body(self.body)).digest())

    def set_message(self, message: bytes) -> None:
        """As dkimpy reads one, which takes the body apart and puts it together again; here CRLF alone ends lines."""
        head, blank, body = message.partition(b"\r\n\r\n")
        super().set_message(head + blank)
        self.body = body

    def header_at(self, domain: bytes, selector: str, key: SigningKey, at: datetime) -> bytes:
        names = _named(self.headers)
        tags = [
            (b"v", b"1"),
            (b"a", key.algorithm),
            (b"c", self._policy.to_c_value()),
            (b"d", domain),
            (b"i", b"@" + domain),
            (b"q", b"dns/txt"),
            (b"s", selector.encode("ascii")),
            (b"t", str(int(at.timestamp())).encode("ascii")),
            (b"h", b" : ".join(names)),
            (b"bh", self._body_hash),
            (b"b", b"0" * 60),  # dkimpy's placeholder, which decides where it folds
        ]
        self.hasher = hashlib.sha256
        # dkimpy calls ``pk.sign(digest).signature`` for this algorithm only; a= above says which it really is.
        self.signature_algorithm = b"ed25519-sha256"
        built: bytes = self.gen_header(tags, names, self._policy, b"DKIM-Signature", key)
        return b"DKIM-Signature: " + built


def _named(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """The h= list: each field as often as it occurs, and once more (RFC 6376 5.4.2)."""
    present = [name.lower().strip() for name, _ in headers]
    return tuple(name.lower() for name in SIGNED_FIELDS for _ in range(present.count(name.lower()) + 1))


@dataclass(frozen=True, slots=True)
class SecondKey:
    """The key of the second signature (RFC 8463 3): Ed25519, under a selector of its own."""

    selector: str
    key: SigningKey

    def __post_init__(self) -> None:
        """Refuse a second RSA key, which would prove nothing more."""
        if self.key.algorithm != b"ed25519-sha256":
            raise SigningError(f"The key {self.selector} is to make the second signature and is not Ed25519.")


def sign(
    mail: Rendered, sender: Sender, key: SigningKey, at: datetime, second: SecondKey | None = None
) -> Signed:
    """Prepend DKIM-Signatures (relaxed/relaxed) made at ``at``; nothing below them changes.

    The one with ``key`` stands on top, since some verifiers look at the first alone; neither covers the other. Raises
    SigningError for what ``fit_to_sign`` refuses, and when dkimpy refuses the message.
    """
    fit_to_sign(mail.raw)
    domain = sender.domain.encode("ascii")
    try:
        signer = _Signer(mail.raw)
        head = signer.header_at(domain, sender.selector, key, at)
        if second is not None:
            head += signer.header_at(domain, second.selector, second.key, at)
    except (dkim.DKIMException, UnicodeError, ValueError, IndexError) as error:
        raise SigningError("The mail could not be signed.") from error
    selector = sender.selector if second is None else f"{sender.selector} {second.selector}"
    return Signed(raw=head + mail.raw, rendered=mail, selector=selector)


def fit_to_sign(raw: bytes) -> None:
    """Refuse what a server on the way would change, or what a variable smuggled in. Raises SigningError.

    The last thing before a signature, whatever composed the mail: CRLF alone ends lines, of at most 998 octets; no control
    character; the body is 7-bit; no signed field stands there twice; every line of the header is a field or goes on
    with one.
    """
    head, blank, body = raw.partition(b"\r\n\r\n")
    if not blank or not head:
        raise SigningError("The mail has no header, or no body.")
    if _NOT_SEVEN_BIT.search(body.replace(b"\r\n", b"")):
        raise SigningError("The body of the mail is not 7-bit text with CRLF line ends, so it is not signed.")
    if max(map(len, raw.split(b"\r\n"))) > _MAX_LINE:
        raise SigningError(f"The mail holds a line of over {_MAX_LINE} octets, so it is not signed.")
    if b"from" not in _names(head):
        raise SigningError("The mail has no author, so it is not signed.")


def _names(head: bytes) -> set[bytes]:
    """The names of a header's fields, in lower case. Raises SigningError for a line that is none."""
    seen: set[bytes] = set()
    for line in head.split(b"\r\n"):
        if _NOT_HEADER.search(line):
            raise SigningError("The header of the mail holds a control character, so it is not signed.")
        if line[:1] in (b" ", b"\t"):
            if not seen or not line.strip():
                raise SigningError("The header of the mail begins or goes on with a blank line.")
            continue
        found = _FIELD_NAME.match(line)
        if found is None:
            raise SigningError("The header of the mail holds a line that is no field, so it is not signed.")
        name = found[0].lower()
        if name in seen and name in _ONCE:
            raise SigningError(f"The mail has the field {name.decode()} twice, so it is not signed.")
        seen.add(name)
    return seen
