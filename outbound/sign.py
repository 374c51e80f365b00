"""DKIM signing (RFC 6376) by dkimpy, with the private-key operation done by ``cryptography``. Pure.

dkimpy's own ``sign`` reads the clock and multiplies in pure Python (8 ms for RSA-2048). Here its header
builder is called with tags of ours, so the time is an argument, and with a key object whose ``sign`` is
``cryptography``'s. The bytes are those that plain dkimpy makes at the same time; a test holds both to it.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import dkim
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, utils
from dkim.canonicalization import CanonicalizationPolicy

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
    b"Message-ID",
    b"Reply-To",
    b"In-Reply-To",
    b"References",
    b"Sender",
    b"Auto-Submitted",
    b"MIME-Version",
    b"Content-Type",
    b"Content-Transfer-Encoding",
)
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


class _Signer(dkim.DKIM):  # type: ignore[misc]  # dkimpy has no type information
    """dkimpy's header builder with the time as an argument."""

    def header_at(self, sender: Sender, key: SigningKey, at: datetime) -> bytes:
        policy = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
        domain = sender.domain.encode("ascii")
        names = _named(self.headers)
        body_hash = base64.b64encode(hashlib.sha256(policy.canonicalize_body(self.body)).digest())
        tags = [
            (b"v", b"1"),
            (b"a", key.algorithm),
            (b"c", policy.to_c_value()),
            (b"d", domain),
            (b"i", b"@" + domain),
            (b"q", b"dns/txt"),
            (b"s", sender.selector.encode("ascii")),
            (b"t", str(int(at.timestamp())).encode("ascii")),
            (b"h", b" : ".join(names)),
            (b"bh", body_hash),
            (b"b", b"0" * 60),  # dkimpy's placeholder, which decides where it folds
        ]
        self.hasher = hashlib.sha256
        # dkimpy calls ``pk.sign(digest).signature`` for this algorithm only; a= above says which it really is.
        self.signature_algorithm = b"ed25519-sha256"
        built: bytes = self.gen_header(tags, names, policy, b"DKIM-Signature", key)
        return b"DKIM-Signature: " + built


def _named(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """The h= list: each field as often as it occurs, and once more (RFC 6376 5.4.2)."""
    present = [name.lower().strip() for name, _ in headers]
    return tuple(name.lower() for name in SIGNED_FIELDS for _ in range(present.count(name.lower()) + 1))


def sign(mail: Rendered, sender: Sender, key: SigningKey, at: datetime) -> Signed:
    """Prepend a DKIM-Signature (relaxed/relaxed) made at ``at``; nothing below it changes.

    Raises SigningError when dkimpy refuses the message.
    """
    try:
        head = _Signer(mail.raw).header_at(sender, key, at)
    except (dkim.DKIMException, UnicodeError, ValueError, IndexError) as error:
        raise SigningError("The mail could not be signed.") from error
    return Signed(raw=head + mail.raw, rendered=mail, selector=sender.selector)
