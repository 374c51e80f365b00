"""DKIM key records of the keys that sign, and of those about to (RFC 6376 3.6, RFC 8463)."""

from __future__ import annotations

from typing import Final

from expertmail.dns_check.codes import Area, Code
from expertmail.dns_check.facts import PROOF_DIGEST, KeyUse, Operated, OwnKey
from expertmail.dns_check.finding import (
    Finding,
    Findings,
    Published,
    fetch,
    finding,
    fine,
    quoted,
    shown,
    unchecked,
)
from verifier.dkim_key import BadKey, Key, read_key
from verifier.dkim_reason import DkimReason
from verifier.evidence import NOTHING, Answer, Check, Question, together

SHORT_RSA_BITS: Final = 2_048  # RFC 8301 3.2: signers should use at least these

_CODES: Final = {
    DkimReason.KEY_REVOKED: Code.DKIM_REVOKED,
    DkimReason.KEY_TYPE: Code.DKIM_TYPE,
    DkimReason.KEY_HASH: Code.DKIM_RESTRICTED,
    DkimReason.KEY_SERVICE: Code.DKIM_RESTRICTED,
    DkimReason.WEAK_KEY: Code.DKIM_OTHER_KEY,  # ours is longer: our own signing refuses such a key
}


def check_keys(operated: Operated) -> Check[Findings]:
    """Check the record of every key; that of an earlier one may be gone."""
    yield NOTHING
    parts = yield from together(_check_key(operated, key) for key in operated.keys)
    findings = [one for part in parts for one in part]
    for selector, why in operated.unusable_keys:
        findings.append(finding(Code.DKIM_NO_KEY, _name(operated, selector), why))
    there = {*(key.selector for key in operated.keys), *(selector for selector, _ in operated.unusable_keys)}
    if operated.selector not in there:
        name = _name(operated, operated.selector)
        text = f"there is no key {operated.selector}; run `expertmail keys generate {operated.selector}`"
        findings.append(finding(Code.DKIM_NO_KEY, name, text))
    return tuple(findings)


def _name(operated: Operated, selector: str) -> str:
    return f"{selector}._domainkey.{operated.sender_domain}"


def _check_key(operated: Operated, key: OwnKey) -> Check[Findings]:
    name = _name(operated, key.selector)
    question = Question.of(name, "TXT")
    (answer,) = yield from fetch(question)
    if answer.temporary:
        return (unchecked(Area.DKIM, name, (question,)),)
    right = (Published(name, "TXT", key.record),)
    code, found = _fault(key, answer)
    if key.use is KeyUse.PREVIOUS:
        return (_earlier(name, answer, code, found),)
    findings: list[Finding] = []
    if code is not None:
        findings.append(finding(code, name, found, right))
    if key.bits is not None and key.bits < SHORT_RSA_BITS:
        text = f"the private key has {key.bits} bits; `expertmail keys rotate` makes a longer one"
        findings.append(finding(Code.DKIM_SHORT_KEY, name, text))
    return tuple(findings) or (fine(Area.DKIM, name, f"published; the key {_use(key)}"),)


def _use(key: OwnKey) -> str:
    return "signs" if key.use is KeyUse.SIGNS else "is the next one"


def _earlier(name: str, answer: Answer, code: Code | None, found: str) -> Finding:
    if code is Code.DKIM_MISSING or code is Code.DKIM_REVOKED:
        return fine(Area.DKIM, name, "an earlier key; its record is gone or revoked")
    if code is None:
        return fine(Area.DKIM, name, "an earlier key, still published; take it away a week after the change")
    return finding(Code.DKIM_PREVIOUS, name, f"{found} ({len(answer.records)} records)")


def _fault(  # noqa: PLR0911 - a table: the first line that fits
    key: OwnKey, answer: Answer
) -> tuple[Code | None, str]:
    """What is wrong with the records at a key's name, and what was found."""
    if not answer.records:
        return Code.DKIM_MISSING, f"no TXT record; the key {_use(key)}"
    text = shown(answer.records[0])
    if len(answer.records) > 1:
        return (
            Code.DKIM_SEVERAL,
            f"{len(answer.records)} TXT records: {quoted(answer.records)}",
        )
    published = read_key(answer.records[0])
    if isinstance(published, BadKey):
        return _CODES.get(published.reason, Code.DKIM_SYNTAX), f"{published.detail}: {text}"
    if published.type != key.kind:
        return Code.DKIM_TYPE, f"the key is {key.kind}, and the record says {published.type}: {text}"
    if not _fits(published, key):
        return Code.DKIM_OTHER_KEY, f"another public key than that of the private one: {text}"
    if published.testing:
        return Code.DKIM_TESTING, f"t=y in: {text}"
    return None, ""


def _fits(published: Key, key: OwnKey) -> bool:
    return published.verifies(key.proof, PROOF_DIGEST)
