"""DMARC as RFC 7489 had it: organisational domains by the public suffix list, policy at one of two names.

For receivers who still go by the older RFC. What differs from RFC 9989 (``verifier.dmarc``): no tree walk, several
records end the discovery, and np, psd and t are unknown. pct is read and told, and no sampling (6.6.4) is done: the
policy is the published one, for a verdict must be the same each time that a message is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from verifier.dmarc import KINDS, DmarcOutcome, Identifier, a_label_name, identifiers_of, permerror
from verifier.dmarc_7489_record import Record7489, parse_7489
from verifier.dmarc_walk import record_question
from verifier.evidence import NOTHING, Check, Evidence, Question, ask
from verifier.report import AuthResult, DkimResult, DmarcMode, DmarcResult, SpfResult

_MODE: Final = DmarcMode.RFC7489
_NONE: Final = AuthResult.NONE
_PASS: Final = AuthResult.PASS
_FAIL: Final = AuthResult.FAIL
_TEMPERROR: Final = AuthResult.TEMPERROR


class PublicSuffixes(NamedTuple):
    """A public suffix list that is loaded: its ``version`` as one word, and who is responsible for a name.

    ``organisation`` takes a domain in A-labels and gives its organisational domain (RFC 7489 3.2): the public suffix and
    one label more, or the name itself where it is a public suffix. It never raises.
    """

    version: str
    organisation: Callable[[str], str]


class _Found(NamedTuple):
    """Discovery's end (6.6.3): the record that applies and its domain, or why there is none."""

    record: Record7489 | None
    domain: str
    reason: str | None = None
    failed: bool = False  # a DNS answer was not to be had


def author_questions_7489(
    author_domains: Iterable[str] | None, suffixes: PublicSuffixes
) -> frozenset[Question]:
    """What `check_dmarc_7489` may ask, for a driver's first round: the author's record and its organisation's."""
    names = {a_label_name(domain) for domain in author_domains or ()}
    name = names.pop() if len(names) == 1 else None
    return frozenset(_questions(name, suffixes.organisation(name))) if name else frozenset()


def check_dmarc_7489(
    author_domains: tuple[str, ...] | None,
    dkim: tuple[DkimResult, ...],
    spf: SpfResult,
    suffixes: PublicSuffixes,
) -> Check[DmarcOutcome]:
    """Evaluate DMARC by RFC 7489 6.6. Arguments and results are those of ``verifier.dmarc.check_dmarc``.

    A message without exactly one author domain is permerror: 6.6.1 leaves it to the receiver.
    """
    evidence = yield NOTHING
    names = set(map(a_label_name, author_domains or ()))
    author = names.pop() if len(names) == 1 else None
    if author is None:
        return DmarcOutcome(permerror(author_domains, names)._replace(mode=_MODE))
    organisation = suffixes.organisation(author)
    evidence = yield from ask(evidence, _questions(author, organisation))
    found = _discover(author, organisation, evidence)
    identifiers = identifiers_of(dkim, spf)
    same = _numbers(i for i in identifiers if i.passed and i.domain == author)
    record = found.record
    policy = None if record is None else record.applying(inherited=found.domain != author)
    if record is None or policy is None:
        if found.failed:
            return DmarcOutcome(DmarcResult(_TEMPERROR, reason=found.reason, mode=_MODE), same)
        reason = found.reason or "record-without-policy"
        return DmarcOutcome(DmarcResult(_NONE, org_domain=organisation, reason=reason, mode=_MODE), same)

    aligned = [i for i in identifiers if _aligns(i, author, organisation, record, suffixes)]
    hits = [i for i in aligned if i.passed]
    if not hits and aligned:
        # 6.6.2: what might have passed but for a temporary error must not count as a failure.
        return DmarcOutcome(DmarcResult(_TEMPERROR, reason="alignment-unknown", mode=_MODE), same)
    kinds = {i.kind for i in hits}
    result = DmarcResult(
        _PASS if hits else _FAIL,
        policy,
        found.domain,
        organisation,
        tuple([kind for kind in KINDS if kind in kinds]),
        None if hits else "no-aligned-identifier",
        _MODE,
        record.percent,
    )
    return DmarcOutcome(result, _numbers(hits))


def _questions(author: str, organisation: str) -> tuple[Question, ...]:
    """Both names at once: a second round would cost more than an answer that is not needed."""
    both = (record_question(author), record_question(organisation) if organisation != author else None)
    return tuple([question for question in both if question is not None])


def _discover(author: str, organisation: str, evidence: Evidence) -> _Found:
    """Policy discovery (6.6.3): at the author's domain, and if nothing is there at its organisation's.

    The organisation's answer does not matter where the author's own domain has any record, not even if it failed.
    """
    for name in dict.fromkeys((author, organisation)):
        question = record_question(name)
        answer = None if question is None else evidence.get(question)
        if question is not None and (answer is None or answer.temporary):
            return _Found(None, name, reason="discovery-failed", failed=True)
        texts = () if answer is None else answer.records
        records = [record for record in map(parse_7489, texts) if record is not None]
        if len(records) > 1:
            return _Found(None, name, reason="several-records")  # step 5
        if records:
            return _Found(records[0], name)
    return _Found(None, organisation, reason="no-record")


def _aligns(
    identifier: Identifier, author: str, organisation: str, record: Record7489, suffixes: PublicSuffixes
) -> bool:
    """Identifier alignment (3.1.1, 3.1.2): the same name, or in relaxed mode the same organisational domain."""
    if identifier.domain == author:
        return True
    strict = record.strict_dkim if identifier.kind == "dkim" else record.strict_spf
    return not strict and suffixes.organisation(identifier.domain) == organisation


def _numbers(identifiers: Iterable[Identifier]) -> frozenset[int]:
    """The numbers of the DKIM signatures among identifiers."""
    return frozenset([i.number for i in identifiers if i.kind == "dkim"])
