"""One DKIM-Signature field, read strictly (RFC 6376 3.5, RFC 8463 2, RFC 8301)."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

import idna

from verifier.address_domain import a_label
from verifier.canonical import Canonicalization, relaxed_value
from verifier.dkim_reason import DkimError, DkimReason
from verifier.message import Field
from verifier.tag_list import TagListError, read_tags, without_blanks

SHA256_OCTETS: Final = 32
MAX_DOMAIN: Final = 253  # octets, RFC 1035 2.3.4
MAX_LABEL: Final = 63
_MAX_TIME_DIGITS: Final = 12  # RFC 6376 3.5 t=, x=
_MAX_LENGTH_DIGITS: Final = 76  # RFC 6376 3.5 l=

# RFC 6376 3.5 takes sub-domain from RFC 5321, which has no underscore; selectors with one are in wide use.
_SELECTOR: Final = re.compile(
    rb"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)
_DOMAIN: Final = re.compile(
    rb"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+"
)
_HEADER_LIST: Final = bytes(c for c in range(33, 127) if c != ord(";"))  # names (RFC 5322 3.6.8) and colons
_QUOTED: Final = re.compile(rb"=([0-9A-F]{2})")
_SIGNATURE_TAGS: Final = (b"v", b"a", b"b", b"bh", b"d", b"h", b"s")
_METHODS: Final = {
    b"simple": Canonicalization.SIMPLE,
    b"relaxed": Canonicalization.RELAXED,
}
_BOTH_RELAXED: Final = (Canonicalization.RELAXED, Canonicalization.RELAXED)
# The value of a=, with the type of key that it needs (RFC 6376 3.3, RFC 8463 3).
_ALGORITHMS: Final = {
    b"rsa-sha256": ("rsa-sha256", "rsa"),
    b"ed25519-sha256": ("ed25519-sha256", "ed25519"),
}


class Signature(NamedTuple):
    """What a signature says. Names are lower case; ``headers`` in the order of h=; times in Unix seconds."""

    field: Field
    algorithm: str
    key_type: str
    domain: str
    selector: str
    headers: tuple[bytes, ...]
    header_method: Canonicalization
    body_method: Canonicalization
    body_hash: bytes
    signature: bytes
    identity_domain: str
    length: int | None
    time: int | None
    expires: int | None

    @property
    def key_name(self) -> str:
        """Where the key is published (RFC 6376 3.6.2.1), without the final dot."""
        return f"{self.selector}._domainkey.{self.domain}"

    def unsigned_form(self, *, odd_blanks: bool) -> bytes:
        """The field as it was signed: without the value of b= and without its line end (RFC 6376 3.7)."""
        value = without_signature(self.field.value)
        if self.header_method is _BOTH_RELAXED[0]:
            return self.field.lower + b":" + relaxed_value(value, odd_blanks=odd_blanks)
        head, _, _ = self.field.line.partition(b":")
        return head + b":" + value


def without_signature(value: bytes) -> bytes:
    """A field's value with the value of its b= taken out (RFC 6376 3.7)."""
    specs = value.split(b";")
    for number in range(len(specs) - 1, -1, -1):
        name, equals, _ = specs[number].partition(b"=")
        if name.strip() == b"b":
            specs[number] = name + equals
            break
    return b";".join(specs)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose signature it says it is, as far as that can be read from a field that may be malformed."""

    domain: str | None = None
    selector: str | None = None
    algorithm: str | None = None


def origin_of(field: Field) -> Origin:
    """d=, s= and a= for a report, each only if it is well formed."""
    try:
        tags = read_tags(field.value, utf8=True)
    except TagListError:
        return Origin()
    domain, selector = _a_labels(tags.get(b"d", b"")), _a_labels(tags.get(b"s", b""))
    algorithm = tags.get(b"a", b"").lower()
    return Origin(
        domain.decode().lower() if _is_name(_DOMAIN, domain) else None,
        selector.decode().lower() if _is_name(_SELECTOR, selector) else None,
        algorithm.decode() if algorithm in (b"rsa-sha256", b"ed25519-sha256", b"rsa-sha1") else None,
    )


def read_signature(field: Field) -> Signature:
    """Read the field; raises ``DkimError`` (RFC 6376 6.1.1). Unknown tags are ignored (3.2)."""
    try:
        tags = read_tags(field.value, utf8=True)
    except TagListError as error:
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, str(error)) from error
    get = tags.get
    if not all(map(get, _SIGNATURE_TAGS)):
        missing = next(name for name in _SIGNATURE_TAGS if not tags.get(name))
        raise DkimError(DkimReason.MISSING_TAG, f"the signature has no {missing.decode()}=")
    if tags[b"v"] != b"1":
        raise DkimError(DkimReason.UNSUPPORTED_VERSION, "v= is not 1")
    domain, selector = read_names(tags[b"d"], tags[b"s"])
    headers = _headers(tags[b"h"])
    identity = _identity_domain(get(b"i"), domain)
    if get(b"q", b"dns/txt") != b"dns/txt":
        _check_query(tags[b"q"])
    header_method, body_method = read_methods(get(b"c"))
    time, expires = read_times(tags)
    length = _number(tags, b"l", _MAX_LENGTH_DIGITS) if b"l" in tags else None
    algorithm, key_type = read_algorithm(tags[b"a"])
    body_hash = read_base64(tags[b"bh"], "bh=")
    if len(body_hash) != SHA256_OCTETS:
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, "bh= is no SHA-256 hash")
    signature = read_base64(tags[b"b"], "b=")
    return Signature(
        field,
        algorithm,
        key_type,
        domain,
        selector,
        headers,
        header_method,
        body_method,
        body_hash,
        signature,
        identity,
        length,
        time,
        expires,
    )


def _a_labels(name: bytes) -> bytes:
    """A name with U-labels in A-labels (RFC 5891 4.4); one that is not valid in IDNA2008 stays, and is refused."""
    if len(name) > MAX_DOMAIN:
        return name
    labels = [label if label.isascii() else _a_label(label) for label in name.split(b".")]
    return b".".join(labels)


def _a_label(label: bytes) -> bytes:
    try:
        return a_label(label.decode("utf-8")).encode()
    except (idna.IDNAError, UnicodeError, ValueError, IndexError):
        return label


def _is_name(pattern: re.Pattern[bytes], name: bytes) -> bool:
    if len(name) > MAX_DOMAIN or not pattern.fullmatch(name):
        return False
    return len(name) <= MAX_LABEL or max(map(len, name.split(b"."))) <= MAX_LABEL


def read_names(domain: bytes, selector: bytes) -> tuple[str, str]:
    """RFC 6376 3.5 d=, s=; U-labels (RFC 8616 4) become A-labels, which is how keys are published and names compared."""
    if not (domain.isascii() and selector.isascii()):
        domain, selector = _a_labels(domain), _a_labels(selector)
    if not _is_name(_DOMAIN, domain) or not _is_name(_SELECTOR, selector):
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, "d= or s= is no domain name")
    if len(domain) + len(selector) + len("._domainkey.") > MAX_DOMAIN:
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, "the key's name is longer than a domain name may be")
    return domain.decode().lower(), selector.decode().lower()


def read_algorithm(value: bytes) -> tuple[str, str]:
    """RFC 6376 3.5 a=, RFC 8463 3; rsa-sha1 must not be verified (RFC 8301 3.1)."""
    algorithm = value.lower()
    known = _ALGORITHMS.get(algorithm)
    if known is not None:
        return known
    if algorithm == b"rsa-sha1":
        raise DkimError(DkimReason.WEAK_ALGORITHM, "signed with rsa-sha1, which proves nothing any more")
    raise DkimError(DkimReason.UNSUPPORTED_ALGORITHM, "a= names an unknown algorithm")


def _headers(value: bytes) -> tuple[bytes, ...]:
    """RFC 6376 3.5 h=: names that do not occur are allowed, an empty one is not; From must be there."""
    names = read_field_names(value)
    if not all(names):
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, "h= is no list of field names")
    if b"from" not in names:
        raise DkimError(DkimReason.FROM_NOT_SIGNED, "the signature does not cover From")
    return names


def read_field_names(value: bytes) -> tuple[bytes, ...]:
    """The names of a list such as h=, lower case, in order; empty ones are kept."""
    listed = without_blanks(value).lower()
    if listed.translate(None, _HEADER_LIST):
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, "h= is no list of field names")
    return tuple(listed.split(b":"))


def _identity_domain(value: bytes | None, domain: str) -> str:
    """RFC 6376 3.5 i=: the domain part is d= or below it. The value is in dkim-quoted-printable (2.11)."""
    if value is None or (value[1:] == domain.encode() and value[:1] == b"@"):
        return domain
    plain = _QUOTED.sub(lambda hexed: bytes((int(hexed[1], 16),)), without_blanks(value))
    _, at, name = plain.rpartition(b"@")
    if not name.isascii():
        name = _a_labels(name)
    if not at or not _is_name(_DOMAIN, name):
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, "i= is no identity")
    identity = name.decode().lower()
    if identity != domain and not identity.endswith("." + domain):
        raise DkimError(DkimReason.IDENTITY_MISMATCH, "the domain of i= is not that of d= or below it")
    return identity


def _check_query(value: bytes) -> None:
    """RFC 6376 3.5 q=: unknown methods and options are ignored; "dns/txt" must be among them."""
    methods = [method.strip().lower() for method in value.split(b":")]
    if b"dns/txt" not in methods:
        raise DkimError(DkimReason.UNSUPPORTED_QUERY, "q= does not name dns/txt")


def read_methods(value: bytes | None) -> tuple[Canonicalization, Canonicalization]:
    """RFC 6376 3.5 c=: "simple" where nothing is said. Literals of its grammar know no case (RFC 5234 2.3)."""
    if value is None:
        return Canonicalization.SIMPLE, Canonicalization.SIMPLE
    if value == b"relaxed/relaxed":  # nearly all mail
        return _BOTH_RELAXED
    header, _, body = value.lower().partition(b"/")
    try:
        return _METHODS[header.strip()], _METHODS[body.strip() or b"simple"]
    except KeyError as error:
        raise DkimError(DkimReason.UNSUPPORTED_CANONICALIZATION, "c= names an unknown method") from error


def read_times(tags: dict[bytes, bytes]) -> tuple[int | None, int | None]:
    """t= and x= in Unix seconds (RFC 6376 3.5)."""
    time = _number(tags, b"t", _MAX_TIME_DIGITS) if b"t" in tags else None
    expires = _number(tags, b"x", _MAX_TIME_DIGITS) if b"x" in tags else None
    if time is not None and expires is not None and expires <= time:
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, "x= is not later than t=")  # RFC 6376 3.5 x=
    return time, expires


def _number(tags: dict[bytes, bytes], name: bytes, digits: int) -> int:
    value = tags[name]
    if not value.isdigit() or len(value) > digits:
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, f"{name.decode()}= is no number")
    return int(value)


def read_base64(value: bytes, tag: str) -> bytes:
    """The octets of a base64 value, folding apart; ``tag`` is for the error."""
    try:
        return binascii.a2b_base64(value.replace(b" ", b"").replace(b"\t", b""), strict_mode=True)
    except binascii.Error as error:
        raise DkimError(DkimReason.SIGNATURE_SYNTAX, f"{tag} is no base64") from error
