"""The decisions, row by row: what becomes of an accepted copy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from smtp_gateway.plan import Arrived, Plan, may_be_answered, plan
from smtp_gateway.route_policy import Action, Treatment
from smtp_gateway.routes import Route, RouteKind
from threads.machine_mail import EVENTS
from threads.model import (
    Assignee,
    Candidates,
    Contact,
    ContactKind,
    Disposition,
    MatchRule,
    MessageKind,
    Signal,
    SignalStrength,
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


PROVEN = replace(ON_IT, signals=(Signal(MatchRule.REPLY_ADDRESS, "reply address", 7, strength=SignalStrength.PROOF),))
HINTED = replace(ON_IT, signals=(Signal(MatchRule.SUBJECT_TAG, "INC-000007", 7),))


@pytest.mark.parametrize("what", sorted(EVENTS))
@pytest.mark.parametrize(
    ("match", "standing", "report", "event"),
    [
        (PROVEN, UNPROVEN, NOTHING, True),
        (PROVEN, UNKNOWN, NOTHING, True),
        (PROVEN, CONTACT, NOTHING, True),
        (HINTED, CONTACT, NOTHING, True),
        (HINTED, LISTED, NOTHING, True),
        (HINTED, CONTACT, FORGED, True),
        # What anybody can write, or what poses as us, says nothing of a contact.
        (HINTED, UNPROVEN, NOTHING, False),
        (HINTED, UNKNOWN, NOTHING, False),
        (PROVEN, UNPROVEN, FORGED, False),
        (HINTED, LISTED, FORGED, False),
        (CONFLICT, CONTACT, NOTHING, False),
        (NO_MATCH, CONTACT, NOTHING, False),
    ],
)
def test_a_machines_mail_is_an_event_where_a_proof_or_its_author_ties_it_and_held_elsewhere(
    what: MessageKind, match: ThreadMatch, standing: Standing, report: Report, event: bool
) -> None:
    decided = plan(arrived(what=what, report=report), match, standing, KNOWN)
    assert (decided.disposition, decided.event) == ((FILED, True) if event else (HELD, False))
    assert not decided.resumes


def test_a_persons_or_an_invitations_words_are_no_event() -> None:
    for what in (MessageKind.HUMAN, MessageKind.CALENDAR):
        assert not plan(arrived(what=what), PROVEN, CONTACT, KNOWN).event


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


@pytest.mark.parametrize("standing", [CONTACT, LISTED, UNKNOWN])
def test_what_the_route_holds_is_held_whoever_wrote_it_and_keeps_its_thread(standing: Standing) -> None:
    held = replace(arrived(), treatment=Treatment(Action.HOLD, "the route's rule"))
    assert plan(held, ON_IT, standing, KNOWN) == Plan(HELD, "the route's rule", 7)


def test_what_the_route_marks_goes_its_way_and_says_so() -> None:
    marked = replace(arrived(), treatment=Treatment(Action.TAG, "the route's rule"))
    planned = plan(marked, ON_IT, CONTACT, KNOWN)
    assert (planned.disposition, planned.thread_id) == (FILED, 7)
    assert planned.reason.endswith("; marked: the route's rule")


@pytest.mark.parametrize("kind", [RouteKind.POSTMASTER, RouteKind.ABUSE])
def test_a_role_mailbox_holds_nothing_back(kind: RouteKind) -> None:
    held = replace(arrived(kind), treatment=Treatment(Action.HOLD, "a rule"))
    assert plan(held, NO_MATCH, UNKNOWN, EMPTY).disposition is TRIAGE


RESOLVED = replace(THREAD, state=State.RESOLVED, assigned_to=Assignee.UNASSIGNED)
ACTIVE = replace(THREAD, state=State.ACTIVE)


@pytest.mark.parametrize(
    ("thread", "mail", "standing", "resumes"),
    [
        (RESOLVED, arrived(), CONTACT, True),
        (RESOLVED, arrived(), LISTED, True),
        (RESOLVED, replace(arrived(), returned=True), CONTACT, False),
        (RESOLVED, arrived(what=AUTO), CONTACT, False),
        (RESOLVED, arrived(what=MessageKind.BOUNCE), CONTACT, False),
        (RESOLVED, arrived(what=MessageKind.DELAY), CONTACT, False),
        (RESOLVED, arrived(what=MessageKind.DISPOSITION), CONTACT, False),
        (RESOLVED, arrived(what=MessageKind.CALENDAR), CONTACT, False),
        (RESOLVED, arrived(), UNKNOWN, False),
        (RESOLVED, arrived(), UNPROVEN, False),
        (THREAD, replace(arrived(), returned=True), CONTACT, False),
        (ACTIVE, arrived(), CONTACT, False),
    ],
)
def test_a_persons_words_reopen_and_a_robots_do_not(
    thread: Thread, mail: Arrived, standing: Standing, resumes: bool
) -> None:
    assert plan(mail, ON_IT, standing, replace(KNOWN, threads={7: thread})).resumes is resumes
