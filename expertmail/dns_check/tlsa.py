"""TLSA records of the names by which mail comes to us (RFC 7672, RFC 6698), and CAA (RFC 8659)."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from expertmail.dns_check.certificate import Chain, covers, public_key_hash, read_chain
from expertmail.dns_check.codes import Area, Code
from expertmail.dns_check.facts import Operated
from expertmail.dns_check.finding import Finding, Findings, Published, fetch, finding, fine, quoted, unchecked
from verifier.evidence import NOTHING, Answer, Check, Question, together

_TLSA: Final = re.compile(r"([0-9]{1,3}) ([0-9]{1,3}) ([0-9]{1,3}) ([0-9A-Fa-f ]+)\Z")
_ISSUE: Final = re.compile(r'[0-9]{1,3} issue "?([^"]*)"?\Z', re.IGNORECASE)
_HASHES: Final = {1: hashlib.sha256, 2: hashlib.sha512}
_TRUST_ANCHOR, _END_ENTITY = 2, 3  # RFC 7672 3.1: the only usages that count for mail


class Association(NamedTuple):
    """A TLSA record (RFC 6698 2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


def read_tlsa(record: str) -> Association | None:
    """Read the presentation form; None for one that holds no association."""
    match = _TLSA.match(record)
    if match is None:
        return None
    digits = match[4].replace(" ", "")
    if len(digits) % 2:
        return None
    return Association(int(match[1]), int(match[2]), int(match[3]), bytes.fromhex(digits))


def is_usable(one: Association) -> bool:
    """Whether senders of mail can use an association at all."""
    known = one.selector in {0, 1} and one.matching in {0, 1, 2}
    return known and one.usage in {_TRUST_ANCHOR, _END_ENTITY}


def fits(one: Association, chain: Chain, name: str) -> bool:
    """Whether an association vouches for the chain that a server shows."""
    if one.usage == _END_ENTITY:
        return _holds(one, chain.leaf)
    # RFC 7672 3.2.3: with a trust anchor the name has to fit as well.
    return any(_holds(one, upper) for upper in chain.certificates[1:]) and covers(chain.leaf, name)


def _holds(one: Association, certificate: x509.Certificate) -> bool:
    if one.selector == 0:
        data = certificate.public_bytes(Encoding.DER)
    else:
        data = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return one.data == (data if one.matching == 0 else _HASHES[one.matching](data).digest())


def check_tlsa(operated: Operated, names: tuple[str, ...]) -> Check[Findings]:
    """Check the TLSA records of our MX names; having none is fine."""
    yield NOTHING
    parts = yield from together(_check_name(operated, name) for name in names)
    return tuple(one for findings in parts for one in findings)


def _check_name(operated: Operated, name: str) -> Check[Findings]:
    owner = f"_25._tcp.{name}"
    question = Question.of(owner, "TLSA")
    (answer,) = yield from fetch(question)
    if answer.temporary:
        return (unchecked(Area.TLSA, owner, (question,)),)
    if not answer.records:
        return ()
    if operated.tls is None:
        text = f"{quoted(answer.records)}, and no certificate is set"
        return (finding(Code.TLSA_WITHOUT_TLS, owner, text),)
    chain = read_chain(operated.tls)
    # A file that cannot be read is told with the certificate.
    return () if isinstance(chain, str) else (_judged(owner, answer, chain, name),)


def _judged(owner: str, answer: Answer, chain: Chain, name: str) -> Finding:
    right = (Published(owner, "TLSA", f"3 1 1 {public_key_hash(chain.leaf)}"),)
    usable = [one for one in map(read_tlsa, answer.records) if one is not None and is_usable(one)]
    listed = quoted(answer.records)
    if not usable:
        return finding(Code.TLSA_UNUSABLE, owner, listed, right)
    if not any(fits(one, chain, name) for one in usable):
        return finding(Code.TLSA_MISMATCH, owner, f"none matches the certificate: {listed}", right)
    return fine(Area.TLSA, owner, listed) if answer.ad else finding(Code.TLSA_UNSIGNED, owner, listed)


def check_caa(operated: Operated) -> Check[Findings]:
    """Tell where CAA records forbid every authority; the closest name with any decides (RFC 8659 3)."""
    yield NOTHING
    if operated.tls is None:
        return ()
    labels = operated.hostname.split(".")
    names = [".".join(labels[at:]) for at in range(len(labels))]
    questions = tuple(Question.of(name, "CAA") for name in names)
    answers = yield from fetch(*questions)
    for name, question, answer in zip(names, questions, answers, strict=True):
        if answer.temporary:
            return (unchecked(Area.CAA, operated.hostname, (question,)),)
        if answer.records:
            issuers = [
                match[1].partition(";")[0].strip() for match in map(_ISSUE.match, answer.records) if match
            ]
            if issuers and not any(issuers):
                return (finding(Code.CAA_FORBIDS, name, quoted(answer.records)),)
            return ()
    return ()
