"""The decisions, row by row: what is refused before storing, and what becomes of an accepted copy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from smtp_gateway.plan import Arrived, Plan, may_be_answered, plan, refusal
from smtp_gateway.routes import OnForgery, OnTemperror, Route, RouteKind, RoutePolicy
from threads.model import (
    Assignee,
    Candidates,
    Contact,
    ContactKind,
    Disposition,
    MatchRule,
    MessageKind,
    Standing,
    StandingKind,
    State,
    Thread,
    ThreadKind,
    ThreadMatch,
)
from verifier.message import read_message
from verifier.report import (
    ArcResult,
    AuthorView,
    AuthResult,
    DkimResult,
    DmarcMode,
    DmarcResult,
    Effect,
    Reason,
    Report,
    SpfResult,
    Verdict,
)

AT = datetime(2026, 11, 25, tzinfo=UTC)
NOTHING = Report(
    verdict=Verdict.NO_CLAIM,
    sentence="",
    author=AuthorView("a@b.test", "b.test", None),
    claims=(),
    dkim=(),
    spf=SpfResult(AuthResult.NONE),
    dmarc=DmarcResult(AuthResult.NONE),
    arc=ArcResult(),
    reasons=(),
)
IMITATES = (Reason("imitates-domain", "", None, Effect.CONTRADICTS),)
FORGED = replace(NOTHING, verdict=Verdict.FORGED, reasons=IMITATES)
SIGNED = (DkimResult(0, AuthResult.PASS, None, "evil.test", "s", "rsa-sha256"),)
CONVERSATION = Route(RouteKind.QUERY)
DEFAULT = RoutePolicy()


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (NOTHING, None),
        (FORGED, "5.7.1"),
        (replace(FORGED, spf=SpfResult(AuthResult.PASS)), None),
        (replace(FORGED, dkim=SIGNED), None),
        (replace(FORGED, dkim=(SIGNED[0]._replace(testing=True),)), "5.7.1"),
        (replace(FORGED, dmarc=DmarcResult(AuthResult.TEMPERROR)), None),
        (replace(FORGED, spf=SpfResult(AuthResult.TEMPERROR)), None),
        (replace(NOTHING, dmarc=DmarcResult(AuthResult.FAIL, "reject")), None),
        (replace(NOTHING, verdict=Verdict.FORGED, dmarc=DmarcResult(AuthResult.FAIL, "reject")), None),
        (replace(NOTHING, author=None), "5.7.1"),
        (replace(NOTHING, author=None, spf=SpfResult(AuthResult.PASS)), None),
        (replace(FORGED, author=None, spf=SpfResult(AuthResult.PASS)), "5.7.1"),
        (replace(NOTHING, verdict=Verdict.UNPROVEN), None),
    ],
)
def test_a_refusal_takes_two_independent_reasons(report: Report, code: str | None) -> None:
    refused = refusal(report, CONVERSATION, DEFAULT, bounce=False)
    assert (refused.reply.enhanced if refused else None) == code


@pytest.mark.parametrize(("mode", "cited"), [(DmarcMode.RFC9989, "(RFC 9989)"), (DmarcMode.RFC7489, "(RFC 7489)")])
def test_a_refusal_cites_the_rfc_that_dmarc_was_evaluated_by(mode: DmarcMode, cited: str) -> None:
    report = replace(FORGED, dmarc=FORGED.dmarc._replace(mode=mode))
    refused = refusal(report, CONVERSATION, DEFAULT, bounce=False)
    assert refused is not None
    assert str(refused.reply).endswith(cited)


@pytest.mark.parametrize("kind", [RouteKind.VERIFY, RouteKind.POSTMASTER, RouteKind.ABUSE])
def test_other_routes_refuse_nothing_on_a_verdict(kind: RouteKind) -> None:
    strict = RoutePolicy(OnTemperror.DEFER, OnForgery.REJECT)
    for report in (
        FORGED,
        replace(NOTHING, author=None),
        replace(NOTHING, dmarc=DmarcResult(AuthResult.TEMPERROR)),
    ):
        assert refusal(report, Route(kind), strict, bounce=False) is None


def test_a_bounce_without_an_author_is_not_refused() -> None:
    assert refusal(replace(NOTHING, author=None), CONVERSATION, DEFAULT, bounce=True) is None


def test_a_route_may_hold_everything() -> None:
    assert refusal(FORGED, CONVERSATION, RoutePolicy(on_forgery=OnForgery.HOLD), bounce=False) is None


def test_missing_evidence_defers_only_where_the_route_says_so() -> None:
    report = replace(NOTHING, dmarc=DmarcResult(AuthResult.TEMPERROR))
    assert refusal(report, CONVERSATION, DEFAULT, bounce=False) is None
    deferred = refusal(report, CONVERSATION, RoutePolicy(on_temperror=OnTemperror.DEFER), bounce=False)
    assert deferred is not None
    assert (deferred.reply.code, deferred.reply.enhanced) == (451, "4.4.3")


THREAD = Thread(
    7, ThreadKind.INCIDENT, "INC-000007", "t", State.AWAITING_CUSTOMER, None, Assignee.CUSTOMER, 1, AT, AT
)
ALEX = Contact(3, 1, "a@b.test", "Alex", ContactKind.INCIDENT_NOTIFICATION)
KNOWN = Candidates({7: THREAD}, {}, {}, (ALEX,), (1,))
EMPTY = Candidates({}, {}, {})
ON_IT = ThreadMatch(7, MatchRule.REPLY_ADDRESS, "it was sent to the reply address")
NO_MATCH = ThreadMatch(None, MatchRule.NONE, "nothing")
CONFLICT = ThreadMatch(None, MatchRule.CONFLICT, "two threads")
CONTACT = Standing(StandingKind.CONTACT, "a contact", 3, 1)
LISTED = Standing(StandingKind.LISTED_DOMAIN, "a colleague", None, 1)
UNKNOWN = Standing(StandingKind.UNKNOWN, "a stranger")
UNPROVEN = Standing(StandingKind.UNAUTHENTICATED, "not proven")
FILED, HELD, TRIAGE, ANSWERED = Disposition.FILED, Disposition.HELD, Disposition.TRIAGE, Disposition.ANSWERED
AUTO = MessageKind.AUTO_REPLY


def arrived(
    kind: RouteKind = RouteKind.QUERY,
    what: MessageKind = MessageKind.HUMAN,
    report: Report = NOTHING,
    *,
    answerable: bool = True,
) -> Arrived:
    return Arrived(Route(kind), report, what, answerable)


@pytest.mark.parametrize(
    ("mail", "match", "standing", "candidates", "wanted"),
    [
        (arrived(), ON_IT, CONTACT, KNOWN, (FILED, 7, None, False, False, True)),
        (arrived(), ON_IT, LISTED, KNOWN, (FILED, 7, None, False, False, False)),
        (arrived(what=AUTO), ON_IT, CONTACT, KNOWN, (FILED, 7, None, False, False, False)),
        (arrived(what=MessageKind.BOUNCE), ON_IT, LISTED, KNOWN, (FILED, 7, None, False, False, False)),
        (arrived(), ON_IT, UNKNOWN, KNOWN, (HELD, 7, None, False, False, False)),
        (arrived(), ON_IT, UNPROVEN, KNOWN, (HELD, 7, None, False, False, False)),
        (arrived(), CONFLICT, CONTACT, KNOWN, (HELD, None, None, False, False, False)),
        (arrived(report=FORGED), ON_IT, CONTACT, KNOWN, (FILED, 7, None, False, False, True)),
        (arrived(report=FORGED), ON_IT, LISTED, KNOWN, (HELD, 7, None, False, False, False)),
        (arrived(), NO_MATCH, CONTACT, KNOWN, (FILED, None, ThreadKind.INQUIRY, True, False, False)),
        (arrived(), NO_MATCH, LISTED, KNOWN, (FILED, None, ThreadKind.INQUIRY, True, False, False)),
        (
            arrived(answerable=False),
            NO_MATCH,
            CONTACT,
            KNOWN,
            (FILED, None, ThreadKind.INQUIRY, False, False, False),
        ),
        (
            arrived(RouteKind.SERVICE),
            NO_MATCH,
            CONTACT,
            KNOWN,
            (FILED, None, ThreadKind.SERVICE, False, False, False),
        ),
        (arrived(what=AUTO), NO_MATCH, CONTACT, KNOWN, (HELD, None, None, False, False, False)),
        (
            arrived(),
            NO_MATCH,
            replace(CONTACT, organisation_id=None),
            KNOWN,
            (HELD, None, None, False, False, False),
        ),
        (arrived(), NO_MATCH, UNKNOWN, EMPTY, (TRIAGE, None, None, False, False, False)),
        (arrived(), NO_MATCH, UNPROVEN, EMPTY, (TRIAGE, None, None, False, False, False)),
        (arrived(), NO_MATCH, UNPROVEN, KNOWN, (HELD, None, None, False, False, False)),
        (arrived(report=FORGED), NO_MATCH, UNKNOWN, EMPTY, (HELD, None, None, False, False, False)),
        (arrived(RouteKind.VERIFY), NO_MATCH, CONTACT, KNOWN, (ANSWERED, None, None, False, True, False)),
        (arrived(RouteKind.VERIFY), ON_IT, CONTACT, KNOWN, (ANSWERED, None, None, False, True, False)),
        (
            arrived(RouteKind.VERIFY, answerable=False),
            NO_MATCH,
            CONTACT,
            KNOWN,
            (HELD, None, None, False, False, False),
        ),
        (arrived(RouteKind.VERIFY), NO_MATCH, LISTED, EMPTY, (TRIAGE, None, None, False, False, False)),
        (arrived(RouteKind.VERIFY), NO_MATCH, UNKNOWN, EMPTY, (TRIAGE, None, None, False, False, False)),
        (arrived(RouteKind.VERIFY), NO_MATCH, UNPROVEN, KNOWN, (HELD, None, None, False, False, False)),
        (arrived(RouteKind.ABUSE), NO_MATCH, CONTACT, KNOWN, (TRIAGE, None, None, False, False, False)),
        (arrived(RouteKind.POSTMASTER), NO_MATCH, UNPROVEN, EMPTY, (TRIAGE, None, None, False, False, False)),
    ],
)
def test_each_copy_has_its_place(
    mail: Arrived, match: ThreadMatch, standing: Standing, candidates: Candidates, wanted: tuple[object, ...]
) -> None:
    made: Plan = plan(mail, match, standing, candidates)
    got = (made.disposition, made.thread_id, made.opens, made.acknowledges, made.answers, made.resumes)
    assert got == wanted
    assert made.reason


@pytest.mark.parametrize(
    ("field", "allowed"),
    [
        ("X-Ordinary: yes", True),
        ("Auto-Submitted: no", True),
        ("Auto-Submitted: auto-replied (x)", False),
        ("Auto-Submitted: auto-generated; type=x", False),
        ("List-Unsubscribe: <mailto:x@y.test>", False),
        ("List-Id: x", False),
        ("Precedence: Bulk", False),
        ("Precedence: first-class", True),
        ("X-Auto-Response-Suppress: OOF, AutoReply", False),
    ],
)
def test_lists_and_robots_are_never_answered(field: str, allowed: bool) -> None:
    message = read_message(f"From: a@b.test\r\n{field}\r\n\r\nx\r\n".encode())
    own = frozenset({"experts.test"})
    assert may_be_answered(message, MessageKind.HUMAN, NOTHING, own, bounce=False) is allowed
    assert not may_be_answered(message, MessageKind.HUMAN, NOTHING, own, bounce=True)
    assert not may_be_answered(message, AUTO, NOTHING, own, bounce=False)


@pytest.mark.parametrize(
    "address",
    ["mailer-daemon@b.test", "No-Reply@b.test", "owner-list@b.test", "list-request@b.test", "x@experts.test"],
)
def test_robots_and_our_own_addresses_are_never_answered(address: str) -> None:
    report = replace(NOTHING, author=AuthorView(address, address.partition("@")[2], None))
    message = read_message(b"From: x\r\n\r\n")
    own = frozenset({"experts.test"})
    assert not may_be_answered(message, MessageKind.HUMAN, report, own, bounce=False)
