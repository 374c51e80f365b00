"""DMARC (RFC 9989): whether an authenticated identifier aligns with the author, and which policy applies.

Names are plain text, A-labels, lower case, without a final dot, once they are past `a_label_name`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from enum import Enum, auto
from typing import Final, NamedTuple

import idna

from verifier.dmarc_record import DmarcRecord, Policy
from verifier.dmarc_walk import Walk, walk, walk_questions
from verifier.evidence import NOTHING, AnswerStatus, Ask, Check, Evidence, Question, ask
from verifier.report import AuthResult, DkimResult, DmarcResult, SpfResult

# A flood of signatures must not become a flood of questions; SPF is walked first. Over it: a temporary error.
MAX_ALIGNMENT_WALKS: Final = 10
# RFC 1035 2.3.4 allows 253; names that only the "_dmarc." prefix makes too long still walk. No U-label needs more.
_MAX_DOMAIN_TEXT: Final = 512


class DmarcOutcome(NamedTuple):
    """The result, and the indexes of passing DKIM signatures that align with the author.

    Where no record applies, or discovery failed, a signature by the author's very domain still counts as
    aligned here: that needs no DNS (RFC 9989 4.10.2).
    """

    result: DmarcResult
    aligned_dkim: frozenset[int] = frozenset()


class _Alignment(Enum):
    YES = auto()
    NO = auto()
    UNKNOWN = auto()  # a question that the answer needs failed for the moment, or the walks are used up


class Identifier(NamedTuple):
    """An identifier by its kind ("dkim" or "spf"), the signature's number (SPF: -1), its domain, and if it passed."""

    kind: str
    number: int
    domain: str
    passed: bool


class _Applied(NamedTuple):
    """The record that applies (RFC 9989 4.10.1), where it was found, and whether the author inherits it."""

    record: DmarcRecord
    domain: str
    inherited: bool


def a_label_name(domain: str) -> str | None:
    """A domain as walks compare it, or None for what is no domain name (RFC 5890 2.3.2.1, RFC 1035 2.3.1)."""
    name = domain.removesuffix(".").lower()
    if len(name) > _MAX_DOMAIN_TEXT:
        return None
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True, transitional=False).decode("ascii").lower()
        except (idna.IDNAError, UnicodeError):
            return None
    if not name or name[0] in ".[" or ".." in name or name[-1] == ".":
        return None
    return name


def author_questions(author_domains: Iterable[str] | None) -> frozenset[Question]:
    """What `check_dmarc` will ask in any case, for a driver's first round.

    Asked early they cannot be starved by a slow name server of whoever signed or sent the message.
    """
    names = {a_label_name(domain) for domain in author_domains or ()}
    if len(names) != 1:
        return frozenset()
    (name,) = names
    return frozenset(walk_questions(name)) if name else frozenset()


def check_dmarc(
    author_domains: tuple[str, ...] | None, dkim: tuple[DkimResult, ...], spf: SpfResult
) -> Check[DmarcOutcome]:
    """Evaluate DMARC. ``author_domains`` are those of the From mailboxes, None when the field is malformed.

    Result words: none, pass, fail, temperror, and permerror for a message without exactly one author domain,
    which RFC 9989 5.3.1 puts outside the protocol.
    """
    evidence = yield NOTHING
    names = set(map(a_label_name, author_domains or ()))
    author = names.pop() if len(names) == 1 else None
    if author is None:
        return DmarcOutcome(permerror(author_domains, names))
    evidence = yield from ask(evidence, walk_questions(author))
    authors = walk(author, evidence)
    identifiers = identifiers_of(dkim, spf)
    passed = [i for i in identifiers if i.passed]
    hits = [i for i in passed if i.domain == author]
    same = frozenset([i.number for i in hits if i.kind == "dkim"])

    own = authors.own()
    if own is None and authors.failed:
        # RFC 9989 5.3.6: without the whole walk neither the policy nor the organisation is known.
        return DmarcOutcome(DmarcResult(AuthResult.TEMPERROR, reason="discovery-failed"), same)
    applied = _discover(authors)
    if applied is None or applied.record.p is None:
        reason = "no-record" if applied is None else "record-without-policy"
        nothing = DmarcResult(AuthResult.NONE, org_domain=authors.organisation, reason=reason)
        return DmarcOutcome(nothing, same)

    policy: Policy | None
    if applied.inherited:
        evidence, policy = yield from _inherited_policy(author, applied.record, evidence)
        if policy is None:
            return DmarcOutcome(DmarcResult(AuthResult.TEMPERROR, reason="existence-unknown"), same)
    else:
        policy = applied.record.applying(inherited=False, exists=True)
    unsure = False
    if len(hits) < len(passed):
        others = [i for i in passed if i.domain != author]
        evidence, aligned = yield from _align(others, authors, applied.record, evidence)
        hits += [i for i, alignment in aligned.items() if alignment is _Alignment.YES]
        unsure = _Alignment.UNKNOWN in aligned.values()
    kinds = {i.kind for i in hits}
    by = tuple([kind for kind in KINDS if kind in kinds])
    organisation = authors.organisation
    result = DmarcResult(_PASS if hits else AuthResult.FAIL, policy, applied.domain, organisation, by)
    if not hits:
        # 5.3.6: what might have aligned must not count as a failure. Only now do unfinished checks matter.
        doubtful = [i for i in identifiers if not i.passed]
        evidence, unfinished = yield from _align(doubtful, authors, applied.record, evidence)
        if unsure or any(a is not _Alignment.NO for a in unfinished.values()):
            return DmarcOutcome(DmarcResult(AuthResult.TEMPERROR, reason="alignment-unknown"), same)
        result = result._replace(reason="no-aligned-identifier")
    return DmarcOutcome(result, frozenset([i.number for i in hits if i.kind == "dkim"]))


def permerror(author_domains: tuple[str, ...] | None, names: set[str | None]) -> DmarcResult:
    """The result for a message without exactly one author domain; ``names`` are the domains as compared."""
    reason = "several-author-domains" if len(names) > 1 else "malformed-author"
    if author_domains is not None and not author_domains:
        reason = "no-author-domain"
    return DmarcResult(AuthResult.PERMERROR, reason=reason)


def identifiers_of(dkim: tuple[DkimResult, ...], spf: SpfResult) -> list[Identifier]:
    """What may align, SPF first: passes, and checks that ended in a temporary error (RFC 9989 4.4, 5.3.6).

    A pass for a HELO identity of its own does not count; the one that stands in for an empty reverse path is
    the MAIL FROM identity (RFC 7208 2.4). A key in test mode (RFC 6376 3.6.1 t=y) counts as no signature.
    """
    identifiers: list[Identifier] = []
    if spf.domain and spf.result in _USEFUL and (spf.scope == "mailfrom" or spf.null_path):
        name = a_label_name(spf.domain)
        if name:
            identifiers.append(Identifier("spf", -1, name, spf.result is _PASS))
    for signature in dkim:
        if signature.domain and signature.result in _USEFUL and not signature.testing:
            name = a_label_name(signature.domain)
            if name:
                identifiers.append(Identifier("dkim", signature.position, name, signature.result is _PASS))
    return identifiers


KINDS: Final = ("dkim", "spf")
_PASS: Final = AuthResult.PASS  # read once: a look at an Enum class takes as long as a call
_USEFUL: Final = frozenset({AuthResult.PASS, AuthResult.TEMPERROR})


def _discover(authors: Walk) -> _Applied | None:
    """Policy discovery (RFC 9989 4.10.1): at the author, at its organisation, at its public suffix."""
    own = authors.own()
    if own is not None:
        return _Applied(own, authors.start, inherited=False)
    organisation = authors.organisation
    record = authors.at(organisation)
    if record is not None:
        return _Applied(record, organisation, inherited=True)
    suffix = authors.suffix
    return _Applied(suffix[1], suffix[0], inherited=True) if suffix else None


def _inherited_policy(
    author: str, record: DmarcRecord, evidence: Evidence
) -> Generator[frozenset[Ask], Evidence, tuple[Evidence, Policy | None]]:
    """The policy after sp, np and t; None when it hangs on whether the author exists and that is not known."""
    if_there = record.applying(inherited=True, exists=True)
    if_not = record.applying(inherited=True, exists=False)
    if if_there is if_not:
        return evidence, if_there
    # RFC 9989 3.2.13, RFC 8020: only NXDOMAIN means "does not exist". A CNAME to nowhere answers NXDOMAIN to
    # an A question too, though its own name exists; asking for the CNAME tells them apart.
    for rrtype in ("A", "CNAME"):
        question = Question(author + ".", rrtype)
        evidence = yield from ask(evidence, (question,))
        answer = evidence.get(question)
        if answer is None or answer.temporary:
            return evidence, None
        if answer.status is not AnswerStatus.NXDOMAIN:
            return evidence, if_there
    return evidence, if_not


def _align(
    identifiers: list[Identifier], authors: Walk, record: DmarcRecord, evidence: Evidence
) -> Generator[frozenset[Ask], Evidence, tuple[Evidence, dict[Identifier, _Alignment]]]:
    """Alignment of each identifier (RFC 9989 4.4.1, 4.4.2, 4.10.2); all walks that this needs are asked at once."""
    aligned: dict[Identifier, _Alignment] = {}
    walks: dict[str, list[Identifier]] = {}
    highest: str | None = None  # worked out when first needed: most mail is signed by the author's own domain
    for identifier in identifiers:
        strict = record.strict_dkim if identifier.kind == "dkim" else record.strict_spf
        if identifier.domain == authors.start:
            aligned[identifier] = _Alignment.YES
            continue
        if highest is None:
            highest = authors.possible_organisation()
        if strict or not _at_or_below(identifier.domain, highest):
            aligned[identifier] = _Alignment.NO
        elif authors.failed:
            aligned[identifier] = _Alignment.UNKNOWN
        elif identifier.domain in walks or len(walks) < MAX_ALIGNMENT_WALKS:
            walks.setdefault(identifier.domain, []).append(identifier)
        else:
            aligned[identifier] = _Alignment.UNKNOWN
    if walks:
        evidence = yield from ask(evidence, {q for domain in walks for q in walk_questions(domain)})
    for domain, alike in walks.items():
        other = walk(domain, evidence)
        if other.failed:
            verdict = _Alignment.UNKNOWN
        else:
            verdict = _Alignment.YES if other.organisation == authors.organisation else _Alignment.NO
        aligned.update(dict.fromkeys(alike, verdict))
    return evidence, aligned


def _at_or_below(name: str, above: str) -> bool:
    return name == above or name.endswith("." + above)
