"""Asks our own records about a message, where what they say can matter, and reads the answer."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType

from verifier.canonical import BodyHashes
from verifier.claims import Claims
from verifier.dkim import check_dkim
from verifier.dkim_reason import DkimReason
from verifier.evidence import (
    NOTHING,
    Absent,
    Answer,
    AnswerStatus,
    Check,
    Evidence,
    Question,
    Session,
    SessionOrigin,
    ask_own_records,
    conclude,
)
from verifier.message import Message
from verifier.own_records import (
    MAX_ASKED,
    ArchivedKey,
    OwnRecords,
    RecordsQuestion,
    passing_signatures,
    question_about_sent,
    signature_hash,
)
from verifier.record_findings import (
    NOTHING_FOUND,
    ArchivedProof,
    RecordFindings,
    recorded_under,
    replays_in,
    sent_match,
)
from verifier.report import AuthResult, DkimResult

_OWN_SESSION = (SessionOrigin.LIVE, SessionOrigin.STORED)


def check_records(  # noqa: PLR0917 - what a verdict depends on
    message: Message,
    bodies: BodyHashes,
    at: datetime,
    session: Session | None,
    claims: Claims,
    dkim: tuple[DkimResult, ...],
    number: int,
) -> Check[RecordFindings]:
    """What our own records say. Nothing is asked where it cannot matter.

    What we sent and which keys were seen matters for an author of a protected domain, and which signatures came in
    before in a session of ours.
    """
    yield NOTHING
    ours = claims.owner is not None and not claims.imitations
    live = session is not None and session.origin in _OWN_SESSION
    passing = passing_signatures(dkim) if live else ()
    if not ours and not passing:
        return NOTHING_FOUND
    without_key = _without_key(claims, dkim) if ours else ()
    question = question_about_sent(number, message, bodies) if ours else RecordsQuestion(number)
    question = question._replace(
        signatures=tuple(dict.fromkeys((*passing, *map(signature_hash, without_key))))[:MAX_ASKED],
        keys=tuple(dict.fromkeys(_key_name(result) for result in without_key)),
    )
    records = yield from ask_own_records(question)
    return RecordFindings(
        sent_match(message, question, records) if ours else None,
        replays_in(message, dkim, session.rcpt_to, at, records) if passing and session is not None else (),
        _archived(message, bodies, at, without_key, records),
    )


def published_keys(dkim: tuple[DkimResult, ...], evidence: Evidence) -> tuple[tuple[str, str], ...]:
    """The key records, by name, that signatures which hold were checked by: for the archive of keys."""
    found: dict[str, str] = {}
    for result in dkim:
        if result.result is AuthResult.PASS:
            answer = evidence.get(Question.of(_key_name(result), "TXT"))
            if answer is not None and len(answer.records) == 1:  # of several, which one it was is not told
                found[_key_name(result)] = answer.records[0]
    return tuple(found.items())


def _without_key(claims: Claims, dkim: tuple[DkimResult, ...]) -> tuple[DkimResult, ...]:
    """Signatures of the claimed identity whose key DNS does not hold; a revoked key is held (RFC 6376 3.6.1 p=)."""
    owner = claims.owner
    return tuple(
        r for r in dkim if r.reason == DkimReason.NO_KEY and owner is not None and owner.signs(r.domain)
    )[:MAX_ASKED]


def _key_name(result: DkimResult) -> str:
    return f"{result.selector}._domainkey.{result.domain}"


def _archived(
    message: Message,
    bodies: BodyHashes,
    at: datetime,
    without_key: tuple[DkimResult, ...],
    records: OwnRecords,
) -> ArchivedProof | None:
    """The best signature that holds by an archived key: one that was recorded in time before one that was not."""
    found = [
        ArchivedProof(result.position, key, recorded_under(key, result, records))
        for result in without_key
        for key in records.keys
        if key.name == _key_name(result) and _holds(message, bodies, at, result, key)
    ]
    return min(found, key=lambda proof: proof.recorded is None, default=None)


def _holds(message: Message, bodies: BodyHashes, at: datetime, result: DkimResult, key: ArchivedKey) -> bool:
    """Whether the signature is acceptable by that key, all else as it is."""
    answer = Answer(AnswerStatus.ANSWER, (key.record,))
    evidence = Evidence(MappingProxyType({Question.of(key.name, "TXT"): answer}), absent=Absent.NXDOMAIN)
    again = conclude(check_dkim(message, at, bodies), evidence)[result.position]
    return again.result is AuthResult.PASS and again.acceptable
