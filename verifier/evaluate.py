"""The whole verdict on a message: authentication, claims and attached messages, as one check.

What DKIM, SPF and DMARC miss at the start is asked for in one round; attached messages are judged side by
side with the message that carries them, without a session, and never decide its verdict.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from verifier.address import AuthorField
from verifier.arc import check_arc
from verifier.arc_results import vouched_for
from verifier.author import AuthorRefusal, author_of
from verifier.border_results import border_results
from verifier.canonical import BodyHashes
from verifier.claims import Claims, Protection, claims_of, protection_of
from verifier.dkim import check_dkim
from verifier.dmarc import author_questions, check_dmarc
from verifier.dmarc_7489 import PublicSuffixes, author_questions_7489, check_dmarc_7489
from verifier.evidence import (
    MAX_OWN_OPINIONS,
    Ask,
    Check,
    Evidence,
    Opinion,
    OpinionQuestion,
    Question,
    Session,
    SessionOrigin,
    ask,
    together,
)
from verifier.identity import Identity
from verifier.mentions import mentions_of
from verifier.message import Message, read_message
from verifier.microsoft_365 import microsoft_fields
from verifier.parts import Part, attached_messages, walk
from verifier.proofs import Proofs
from verifier.reasons import by_rfc7489
from verifier.rebuilt import uncheckable_seals, uncheckable_signatures, without_signatures
from verifier.received_walk import Boundary, boundary_of
from verifier.record_check import check_records
from verifier.record_findings import NOTHING_FOUND, ArchivedProof, flagged
from verifier.report import AuthorView, DkimResult, DmarcMode, Report, SpfResult
from verifier.spf import check_spf
from verifier.verdict import candidates, decide

EVALUATOR_VERSION: Final = (
    "3"  # stored beside each verdict; raised whenever the same evidence may judge otherwise
)

_SUPPLIED: Final = SessionOrigin.SUPPLIED
MAX_INNER: Final = 8  # attached messages judged in one message; analysts attach one or two
MAX_INNER_DEPTH: Final = 2  # messages inside attached messages; each level is hashed again


@dataclass(frozen=True, slots=True)
class Context:
    """What a verdict depends on beside the message. ``at`` is the clock (UTC), ``receiver`` our host name.

    With ``suffixes`` DMARC is evaluated by RFC 7489 and that list, without by RFC 9989, which needs none: one field, so that
    no mode is ever without what it goes by.
    """

    identities: tuple[Identity, ...]
    at: datetime
    session: Session | None = None
    receiver: str = "localhost"
    supplied: tuple[str, ...] = ()  # of "evidence", "clock", "session": what a user supplied
    rebuilt: frozenset[bytes] = frozenset()  # the messages, this one or in it, that are not as they were sent
    suffixes: PublicSuffixes | None = None
    saved: bool = True  # False for a message that stands in one which came in by a session of ours

    @property
    def dmarc_mode(self) -> DmarcMode:
        """By which RFC DMARC is evaluated."""
        return DmarcMode.RFC9989 if self.suffixes is None else DmarcMode.RFC7489


def judge(message: Message, context: Context, parts: tuple[Part, ...] | None = None) -> Check[Report]:
    """The verdict on a message, its attached messages in ``inner``; ``parts`` if walked already. Never raises."""
    return _judge(message, context, protection_of(context.identities), 0, 0, parts=parts)


def _judge(
    message: Message,
    context: Context,
    protection: Protection,
    number: int,
    depth: int,
    *,
    parts: tuple[Part, ...] | None = None,
) -> Check[Report]:
    """``number`` tells messages apart: child k of message n is n * MAX_INNER + k + 1, as in a heap."""
    parts = walk(message) if parts is None else parts
    attached = attached_messages(message, parts, MAX_INNER) if depth < MAX_INNER_DEPTH else ()
    own = _judge_alone(message, parts, context, protection, number)
    if not attached:
        return (yield from own)
    inside = replace(
        context,
        session=None,
        supplied=tuple(s for s in context.supplied if s != "session"),
        saved=_saved(context),
    )
    inner = [
        _judge(read_message(raw), inside, protection, number * MAX_INNER + place + 1, depth + 1)
        for place, raw in enumerate(attached)
    ]
    report, *reports = yield from together([own, *inner])
    return replace(report, inner=tuple(reports))


def _judge_alone(
    message: Message, parts: tuple[Part, ...], context: Context, protection: Protection, number: int
) -> Check[Report]:
    author = author_of(message)
    domains = _domains(author)
    claims = claims_of(message, author, protection)
    bodies = BodyHashes(message)
    suffixes = context.suffixes
    early = author_questions(domains) if suffixes is None else author_questions_7489(domains, suffixes)
    checks: list[Check[Any]] = [
        check_dkim(message, context.at, bodies),
        check_spf(context.session, context.receiver, context.at),
        check_arc(message, context.at, bodies),
        _prefetch(early),
    ]
    dkim, spf, arc, _ = yield from together(checks)
    rebuilt = bool(context.rebuilt) and message.raw in context.rebuilt
    if rebuilt:
        dkim, arc = uncheckable_signatures(dkim), uncheckable_seals(arc)
    if suffixes is None:
        outcome = yield from check_dmarc(domains, dkim, spf)
    else:
        outcome = yield from check_dmarc_7489(domains, dkim, spf, suffixes)
    if outcome.aligned_dkim:
        dkim = tuple([r._replace(aligned=True) if r.position in outcome.aligned_dkim else r for r in dkim])
    dmarc = without_signatures(outcome.result) if rebuilt else outcome.result
    findings = NOTHING_FOUND
    if not rebuilt and (claims.owner is not None or context.session is not None):
        findings = yield from check_records(
            message, bodies, context.at, context.session, claims, dkim, number
        )
        dkim = flagged(dkim, findings.replays)
    opinions: dict[int, Opinion] = {}
    if claims.owner is not None:
        opinions = yield from _opinions(message, claims, dkim, number, findings.archived)
    view = _view(author)
    if arc.hops and claims.owner is not None:
        trusted = vouched_for(arc, claims.owner.trusted_sealers, None if view is None else view.domain)
        arc = replace(arc, trusted=trusted)
    boundary: Boundary | None = None
    if claims.claims and _saved(context):
        boundary = _boundary(message, context, claims, protection)
        if boundary is not None:
            spf = yield from _reconstructed(boundary, context)
    proofs = Proofs(
        claims=claims,
        author=view,
        dkim=dkim,
        spf=spf,
        dmarc=dmarc,
        arc=arc,
        origin=None if context.session is None else context.session.origin,
        opinions=opinions,
        mentions=mentions_of(message, parts, claims, protection),
        supplied=context.supplied,
        border=_border(message, claims, protection),
        boundary=None if boundary is None else boundary.host,
        microsoft=microsoft_fields(message) if claims.claims and _saved(context) else (),
        findings=findings,
        rebuilt=rebuilt,
    )
    decision = decide(proofs)
    return Report(
        verdict=decision.verdict,
        sentence=decision.sentence,
        author=proofs.author,
        claims=claims.claims,
        dkim=dkim,
        spf=spf,
        dmarc=dmarc,
        arc=arc,
        reasons=decision.reasons if suffixes is None else by_rfc7489(decision.reasons),
        supplied=context.supplied,
    )


def _border(message: Message, claims: Claims, protection: Protection) -> tuple[str, tuple[str, ...]] | None:
    """What the border servers noted that the claimed identities trust."""
    trusted = _trusted_hosts(claims, protection)
    return border_results(message, trusted) if trusted else None


def _trusted_hosts(claims: Claims, protection: Protection) -> tuple[str, ...]:
    """The border servers that the claimed identities trust, by their authserv-ids."""
    claimed = (protection.named(claim.identity) for claim in claims.claims)
    return tuple({name for one in claimed if one is not None for name in one.trusted_authserv_ids})


def _saved(context: Context) -> bool:
    """Whether a message is judged as one that somebody saved: no session of ours brought it, or what it stands in."""
    return context.saved and (context.session is None or context.session.origin is _SUPPLIED)


def _boundary(message: Message, context: Context, claims: Claims, protection: Protection) -> Boundary | None:
    """Where the message came in by its own header, if nobody says by which session."""
    trusted = _trusted_hosts(claims, protection) if context.session is None else ()
    return boundary_of(message, trusted) if trusted else None


def _reconstructed(boundary: Boundary, context: Context) -> Check[SpfResult]:
    """SPF by what the header says of the session. DMARC was worked out without it, so it can decide nothing."""
    found = yield from check_spf(boundary.session, boundary.host, context.at)
    return replace(found, source="reconstructed")


def _prefetch(questions: Iterable[Question]) -> Check[None]:
    """Ask early for what DMARC is certain to need, so that it shares the first round."""
    evidence = yield frozenset()
    yield from ask(evidence, questions)


def _opinions(
    message: Message,
    claims: Claims,
    dkim: tuple[DkimResult, ...],
    number: int,
    archived: ArchivedProof | None,
) -> Generator[frozenset[Ask], Evidence, dict[int, Opinion]]:
    """The second implementation's word on signatures that would prove the claim, until one is confirmed."""
    words: dict[int, Opinion] = {}
    wanted: list[tuple[int, tuple[str, str] | None]] = [(r.position, None) for r in candidates(claims, dkim)]
    if archived is not None and archived.recorded is not None:
        wanted.append((archived.position, (archived.key.name + ".", archived.key.record)))
    for position, archived_key in wanted:
        key = number * MAX_OWN_OPINIONS + position
        question = OpinionQuestion(key, message.raw if number else None, archived_key)
        evidence = yield frozenset()
        word = evidence.opinion(key)
        while word is None:
            evidence = yield frozenset((question,))
            word = evidence.opinion(key)
        words[position] = word
        if word is Opinion.PASS:
            break
    return words


def _domains(author: AuthorField | AuthorRefusal) -> tuple[str, ...] | None:
    if isinstance(author, AuthorRefusal):
        return None
    return tuple(dict.fromkeys(mailbox.domain for mailbox in author.mailboxes))


def _view(author: AuthorField | AuthorRefusal) -> AuthorView | None:
    """The one author; several, or none that can be read, are told in the reasons."""
    if isinstance(author, AuthorRefusal) or len(author.mailboxes) != 1:
        return None
    mailbox = author.mailboxes[0]
    return AuthorView(mailbox.address, mailbox.domain, mailbox.display)
