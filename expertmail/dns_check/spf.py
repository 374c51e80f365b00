"""SPF of the operated domains and of the HELO name (RFC 7208): the record, what it costs, and whom it lets send."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from expertmail.dns_check.codes import Area, Code
from expertmail.dns_check.facts import Operated
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
from expertmail.dns_check.hosts import Survey, sending_addresses
from expertmail.dns_check.spf_record import SpfRecord, Term, is_spf, nearly_spf, read_spf, repaired
from verifier.evidence import NOTHING, Answer, AnswerStatus, Check, Question, Session, together
from verifier.report import AuthResult
from verifier.spf import check_spf

MAX_LOOKUPS: Final = 10  # RFC 7208 4.6.4
MAX_VOID_LOOKUPS: Final = 2  # RFC 7208 4.6.4
MAX_MX_NAMES: Final = 10  # RFC 7208 4.6.4
MAX_FOLLOWED: Final = 30  # terms that are followed at all: enough to tell how far a record is above the limit
LONG_RECORD: Final = 450  # RFC 7208 3.4: what surely fits into 512 octets


@dataclass(slots=True)
class _Cost:
    """What evaluating a record costs at most, while it is worked out."""

    lookups: int = 0
    followed: int = 0
    voids: list[str] = field(default_factory=list)
    faults: list[tuple[Code, Term, str]] = field(default_factory=list)
    open: list[Question] = field(default_factory=list)


class _Evaluated(NamedTuple):
    """The addresses that do not pass, each with its result, and whether a result was a temporary error."""

    refused: tuple[tuple[str, AuthResult], ...]
    unsure: bool


def check_spf_records(operated: Operated, found: Survey) -> Check[Findings]:
    """Check every operated domain's record, and that of the host name."""
    yield NOTHING
    senders = {operated.reply_domain, operated.sender_domain}
    checks = [_check_domain(operated, found, d, sends=d in senders) for d in operated.all_domains]
    if operated.hostname not in operated.all_domains:
        checks.append(_check_helo(operated, found))
    parts = yield from together(checks)
    return tuple(one for findings in parts for one in findings)


def _check_domain(operated: Operated, found: Survey, domain: str, *, sends: bool) -> Check[Findings]:
    question = Question.of(domain, "TXT")
    (answer,) = yield from fetch(question)
    if answer.temporary:
        return (unchecked(Area.SPF, domain, (question,)),)
    if answer.status is AnswerStatus.NXDOMAIN:
        return ()  # told once, with its MX record
    records = [text for text in answer.records if is_spf(text)]
    own = _own_terms(operated, found, domain)
    if not records:
        # The same as `dns show` tells, whether we send for the domain or not.
        return (_without_record(domain, answer, Published(domain, "TXT", repaired((), own, ending="-all"))),)
    own = own if sends else ()
    if len(records) > 1:
        return (_several(operated, found, domain, records, own),)
    record = read_spf(records[0])
    cost = _Cost()
    yield from _follow(domain, record, cost)
    broken = record.wrong or cost.faults or cost.lookups > MAX_LOOKUPS or len(cost.voids) > MAX_VOID_LOOKUPS
    evaluated = _Evaluated((), unsure=False)
    if sends and not broken and not cost.open:
        evaluated = yield from _evaluate(operated, found, f"postmaster@{domain}")
    if evaluated.refused:
        own = _networks(address for address, _ in evaluated.refused)
    elif (not broken and not record.is_open) or all(map(record.lists, sending_addresses(operated, found))):
        own = ()  # our addresses pass already
    right = (Published(domain, "TXT", _put_right(record, cost, own)),)
    findings = _of_record(domain, records[0], record, cost, right)
    if cost.open or evaluated.unsure:
        findings.append(unchecked(Area.SPF, domain, cost.open or (question,)))
    if evaluated.refused:
        text = f"{_listed(evaluated.refused)} may not send: {shown(records[0])}"
        findings.append(finding(Code.SPF_ADDRESS, domain, text, right))
    return tuple(findings) or (fine(Area.SPF, domain, shown(records[0])),)


def _put_right(record: SpfRecord, cost: _Cost, own: tuple[str, ...]) -> str:
    """One record that puts everything right which a record can: whoever else sends is kept."""
    ending = None
    if record.is_open:
        ending = "-all"
    elif record.is_neutral:
        ending = "~all"  # nobody knows yet who else sends
    dead = {*cost.voids, *(term.text for code, term, _ in cost.faults if code is Code.SPF_INCLUDE)}
    return repaired((record,), own, ending=ending, without=dead)


def _networks(addresses: Iterable[str]) -> tuple[str, ...]:
    """The terms that allow addresses."""
    return tuple(f"ip{6 if ':' in address else 4}:{address}" for address in addresses)


def _listed(refused: tuple[tuple[str, AuthResult], ...]) -> str:
    return ", ".join(f"{address} ({result})" for address, result in refused)


def _without_record(domain: str, answer: Answer, right: Published) -> Finding:
    meant = next(filter(nearly_spf, answer.records), None)
    if meant is not None:
        return finding(Code.SPF_NO_VERSION, domain, shown(meant), (right,))
    return finding(Code.SPF_MISSING, domain, "no SPF record", (right,))


def _several(
    operated: Operated, found: Survey, domain: str, texts: list[str], own: tuple[str, ...]
) -> Finding:
    records = tuple(map(read_spf, texts))
    addresses = sending_addresses(operated, found)
    listed = all(any(record.lists(address) for record in records) for address in addresses)
    whole = Published(domain, "TXT", repaired(records, () if listed else own))
    return finding(Code.SPF_SEVERAL, domain, f"{len(texts)} SPF records: {quoted(texts)}", (whole,))


def _own_terms(operated: Operated, found: Survey, domain: str) -> tuple[str, ...]:
    """What lets our own host send, as short and as lasting as it can be said."""
    addresses = sending_addresses(operated, found)
    if any(address not in found.host.addresses for address in addresses):
        return _networks(addresses)
    route = next((route for route in found.routes if route.domain == domain), None)
    if route is not None and operated.hostname in route.names:
        return ("mx",)
    return (f"a:{operated.hostname}",)


def _of_record(
    domain: str, text: str, record: SpfRecord, cost: _Cost, right: tuple[Published, ...]
) -> list[Finding]:
    """What is wrong with a record as it stands and as it is followed."""
    found: list[Finding] = []
    if record.wrong:
        wrong = f"not in the grammar: {quoted(record.wrong)}"
        found.append(finding(Code.SPF_SYNTAX, domain, wrong, right))
    for code, _, words in cost.faults:
        found.append(finding(code, domain, words, right if code is Code.SPF_INCLUDE else ()))
    if cost.lookups > MAX_LOOKUPS:
        more = "at least " if cost.followed >= MAX_FOLLOWED else ""
        words = f"{more}{cost.lookups} terms ask the DNS; {MAX_LOOKUPS} are allowed: {shown(text)}"
        found.append(finding(Code.SPF_LOOKUPS, domain, words))
    if cost.voids:
        code = Code.SPF_VOID_LOOKUPS if len(cost.voids) > MAX_VOID_LOOKUPS else Code.SPF_VOID
        own = {term.text for term in record.terms} & {*cost.voids}
        found.append(finding(code, domain, f"nothing is at {quoted(cost.voids)}", right if own else ()))
    if record.is_open:
        found.append(finding(Code.SPF_OPEN, domain, shown(text), right))
    elif record.is_neutral and not record.wrong:
        found.append(finding(Code.SPF_NEUTRAL, domain, shown(text), right))
    if record.has_more_after_all:
        found.append(finding(Code.SPF_AFTER_ALL, domain, shown(text), right))
    if any(term.name == "ptr" for term in record.terms):
        found.append(finding(Code.SPF_PTR, domain, shown(text), right))
    if len(text) > LONG_RECORD:
        found.append(finding(Code.SPF_LONG, domain, f"{len(text)} characters"))
    return found


def _follow(domain: str, record: SpfRecord, cost: _Cost) -> Check[None]:
    """Count what a record asks for at most: every term, and all that its includes and redirect name."""
    yield NOTHING
    for term in record.terms:
        redirects = term.name == "redirect" and record.ending is None
        if term.name not in {"include", "a", "mx", "ptr", "exists"} and not redirects:
            continue
        cost.lookups += 1
        cost.followed += 1
        if cost.followed >= MAX_FOLLOWED:
            return
        target = term.value.rstrip(".").lower() or domain
        if "%" in target or term.name == "ptr":
            continue  # depends on who sends
        if term.name == "include" or redirects:
            yield from _follow_policy(term, target, cost)
        else:
            yield from _follow_names(term, target, cost)


def _follow_policy(term: Term, target: str, cost: _Cost) -> Check[None]:
    question = Question.of(target, "TXT")
    (answer,) = yield from fetch(question)
    if answer.temporary:
        cost.open.append(question)
        return
    if not answer.records:
        cost.voids.append(term.text)
    records = [text for text in answer.records if is_spf(text)]
    if len(records) != 1:
        many = "several SPF records" if records else "no SPF record"
        cost.faults.append((Code.SPF_INCLUDE, term, f"{shown(term.text)} leads to {many}"))
        return
    inner = read_spf(records[0])
    if inner.wrong:
        bad = f"{shown(term.text)} leads to a record with an error, “{shown(inner.wrong[0])}”"
        cost.faults.append((Code.SPF_INCLUDE, term, bad))
        return
    yield from _follow(target, inner, cost)


def _follow_names(term: Term, target: str, cost: _Cost) -> Check[None]:
    types = {"a": ("A", "AAAA"), "mx": ("MX",), "exists": ("A",)}[term.name]
    questions = tuple(Question.of(target, rrtype) for rrtype in types)
    answers = yield from fetch(*questions)
    cost.open += [q for q, answer in zip(questions, answers, strict=True) if answer.temporary]
    if not any(answer.records or answer.temporary for answer in answers):
        cost.voids.append(term.text)
    if term.name == "mx" and len(answers[0].records) > MAX_MX_NAMES:
        words = f"{shown(term.text)} names {len(answers[0].records)} hosts; {MAX_MX_NAMES} are allowed"
        cost.faults.append((Code.SPF_MX_NAMES, term, words))


def _evaluate(operated: Operated, found: Survey, mail_from: str) -> Check[_Evaluated]:
    """Evaluate as receivers do, for each address that our mail leaves from."""
    addresses = sending_addresses(operated, found)
    results = yield from together(
        check_spf(Session(address, operated.hostname, mail_from), operated.hostname, operated.at)
        for address in addresses
    )
    words = tuple(zip(addresses, (result.result for result in results), strict=True))
    return _Evaluated(
        tuple(pair for pair in words if pair[1] not in {AuthResult.PASS, AuthResult.TEMPERROR}),
        any(word is AuthResult.TEMPERROR for _, word in words),
    )


def _check_helo(operated: Operated, found: Survey) -> Check[Findings]:
    name = operated.hostname
    question = Question.of(name, "TXT")
    (answer,) = yield from fetch(question)
    if answer.temporary:
        return (unchecked(Area.SPF, name, (question,)),)
    if not found.host.addresses or found.host.alias is not None:
        return ()  # told already, and a record would not help
    addresses = sending_addresses(operated, found)
    away = [a for a in addresses if a not in found.host.addresses]
    right = (Published(name, "TXT", repaired((), ("a", *_networks(away)), ending="-all")),)
    if not any(map(is_spf, answer.records)):
        return (finding(Code.SPF_HELO_MISSING, name, "the HELO name has no SPF record", right),)
    refused, unsure = yield from _evaluate(operated, found, "")
    if unsure:
        return (unchecked(Area.SPF, name, (question,)),)
    if refused:
        text = f"{_listed(refused)} by the record of the HELO name"
        return (finding(Code.SPF_HELO, name, text, right),)
    return (fine(Area.SPF, name, "the HELO name's record lets our mail pass"),)
