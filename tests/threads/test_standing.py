"""Who may speak on a thread."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from threads.model import (
    Assignee,
    Candidates,
    Contact,
    ContactKind,
    Mark,
    StandingKind,
    State,
    Strength,
    Thread,
    ThreadKind,
)
from threads.standing import may_speak
from verifier.reason_codes import ReasonCode
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
INCIDENT = Thread(
    1, ThreadKind.INCIDENT, "INC-000001", "x", State.ACTIVE, None, Assignee.UNASSIGNED, 1, AT, AT
)
ALEX = Contact(10, 1, "alex@contoso.test", "Alex", ContactKind.INCIDENT_NOTIFICATION)
OTHERS_ALEX = replace(ALEX, id=20, organisation_id=2)
NOBODY = Candidates({}, {}, {})
CONTACT = replace(NOBODY, contacts=(ALEX,))
LISTED = replace(NOBODY, domain_organisations=(1,))

AUTHOR = AuthorView("alex@contoso.test", "contoso.test", "Alex")
DKIM_PASS = DmarcResult(AuthResult.PASS, aligned_by=("dkim", "spf"))
SPF_ONLY = DmarcResult(AuthResult.PASS, aligned_by=("spf",))
NO_DMARC = DmarcResult(AuthResult.NONE)


def signature(domain: str, result: AuthResult = AuthResult.PASS, *, testing: bool = False) -> DkimResult:
    return DkimResult(0, result, None, domain, "s", "rsa-sha256", testing=testing)


def report(
    dmarc: DmarcResult = DKIM_PASS,
    *,
    dkim: tuple[DkimResult, ...] = (),
    spf: SpfResult | None = None,
    author: AuthorView | None = AUTHOR,
    reasons: tuple[Reason, ...] = (),
) -> Report:
    return Report(
        Verdict.NO_CLAIM,
        "",
        author,
        (),
        dkim,
        spf or SpfResult(AuthResult.NONE),
        dmarc,
        ArcResult(),
        reasons,
    )


LIVE_SPF = SpfResult(AuthResult.PASS, "contoso.test", "mailfrom", "192.0.2.1", "session")


@pytest.mark.parametrize(
    ("why", "judged", "candidates", "kind", "strength"),
    [
        ("a contact with an aligned signature", report(), CONTACT, StandingKind.CONTACT, Strength.STRONG),
        ("a contact by SPF alone", report(SPF_ONLY), CONTACT, StandingKind.CONTACT, Strength.WEAK),
        ("a colleague of a contact", report(), LISTED, StandingKind.LISTED_DOMAIN, Strength.STRONG),
        ("a stranger who is authenticated", report(), NOBODY, StandingKind.UNKNOWN, Strength.STRONG),
        (
            "a contact of another customer",
            report(),
            replace(NOBODY, contacts=(OTHERS_ALEX,), domain_organisations=(2,)),
            StandingKind.UNKNOWN,
            Strength.STRONG,
        ),
        (
            "a contact of both",
            report(),
            replace(NOBODY, contacts=(OTHERS_ALEX, ALEX)),
            StandingKind.CONTACT,
            Strength.STRONG,
        ),
        (
            "DMARC failed",
            report(DmarcResult(AuthResult.FAIL)),
            CONTACT,
            StandingKind.UNAUTHENTICATED,
            Strength.NONE,
        ),
        ("no proof", report(NO_DMARC), CONTACT, StandingKind.UNAUTHENTICATED, Strength.NONE),
        (
            "no DMARC record, own signature",
            report(NO_DMARC, dkim=(signature("contoso.test"),)),
            CONTACT,
            StandingKind.CONTACT,
            Strength.STRONG,
        ),
        (
            "no DMARC record, a parent's signature",
            report(NO_DMARC, dkim=(signature("test"),)),
            CONTACT,
            StandingKind.UNAUTHENTICATED,
            Strength.NONE,
        ),
        (
            "no DMARC record, a key under test",
            report(NO_DMARC, dkim=(signature("contoso.test", testing=True),)),
            CONTACT,
            StandingKind.UNAUTHENTICATED,
            Strength.NONE,
        ),
        (
            "no DMARC record, SPF of the own domain",
            report(NO_DMARC, spf=LIVE_SPF),
            CONTACT,
            StandingKind.CONTACT,
            Strength.WEAK,
        ),
        (
            "SPF of another envelope sender",
            report(NO_DMARC, spf=replace(LIVE_SPF, domain="evil.test")),
            CONTACT,
            StandingKind.UNAUTHENTICATED,
            Strength.NONE,
        ),
        (
            "SPF of the HELO name",
            report(NO_DMARC, spf=replace(LIVE_SPF, scope="helo")),
            CONTACT,
            StandingKind.UNAUTHENTICATED,
            Strength.NONE,
        ),
        (
            "DNS gave no answer",
            report(DmarcResult(AuthResult.TEMPERROR)),
            CONTACT,
            StandingKind.UNAUTHENTICATED,
            Strength.NONE,
        ),
        ("no single author", report(author=None), CONTACT, StandingKind.UNAUTHENTICATED, Strength.NONE),
        (
            "several authors",
            report(reasons=(Reason(ReasonCode.SEVERAL_AUTHORS, "", None, Effect.CONTRADICTS),)),
            CONTACT,
            StandingKind.UNAUTHENTICATED,
            Strength.NONE,
        ),
    ],
)
def test_standing(
    why: str, judged: Report, candidates: Candidates, kind: StandingKind, strength: Strength
) -> None:
    standing = may_speak(judged, candidates, INCIDENT)
    assert (standing.kind, standing.strength) == (kind, strength), why
    assert standing.reason


def test_a_contact_is_verified_and_a_colleague_is_not_listed() -> None:
    assert may_speak(report(), CONTACT, INCIDENT).mark is Mark.VERIFIED
    assert may_speak(report(), LISTED, INCIDENT).mark is Mark.NOT_LISTED
    assert may_speak(report(), NOBODY, INCIDENT).mark is Mark.UNVERIFIED


def test_on_a_thread_the_contact_of_its_own_organisation_is_named() -> None:
    standing = may_speak(report(), replace(NOBODY, contacts=(OTHERS_ALEX, ALEX)), INCIDENT)
    assert (standing.contact_id, standing.organisation_id) == (10, 1)


def test_without_a_thread_an_author_of_several_organisations_needs_a_decision() -> None:
    standing = may_speak(report(), replace(NOBODY, contacts=(OTHERS_ALEX, ALEX)), None)
    assert standing.kind is StandingKind.CONTACT
    assert standing.organisation_id is None


def test_without_a_thread_the_author_stands_for_the_own_organisation() -> None:
    assert may_speak(report(), CONTACT, None).organisation_id == 1
    assert may_speak(report(), LISTED, None).organisation_id == 1


GMAIL = replace(ALEX, address="alex@gmail.com")
BY_FORM = replace(NOBODY, mailbox_contacts=(GMAIL,))
TAGGED = AuthorView("a.lex+soc@gmail.com", "gmail.com", "Alex")


@pytest.mark.parametrize(
    ("why", "judged", "candidates", "kind"),
    [
        ("a form that nobody else can have", report(author=TAGGED), BY_FORM, StandingKind.CONTACT),
        ("the same by SPF of shared servers alone", report(SPF_ONLY, author=TAGGED), BY_FORM, StandingKind.UNKNOWN),
        (
            "the same without any proof",
            report(DmarcResult(AuthResult.FAIL), author=TAGGED),
            BY_FORM,
            StandingKind.UNAUTHENTICATED,
        ),
        (
            "a sub-address at a domain of which only its own server knows",
            report(author=AuthorView("alex+soc@msp.test", "msp.test", None)),
            replace(NOBODY, mailbox_contacts=(replace(ALEX, address="alex@msp.test"),)),
            StandingKind.UNKNOWN,
        ),
        (
            "the same at a verified domain: a colleague, no more",
            report(author=AuthorView("alex+soc@contoso.test", "contoso.test", None)),
            replace(LISTED, mailbox_contacts=(ALEX,)),
            StandingKind.LISTED_DOMAIN,
        ),
        (
            "a form of another customer's contact",
            report(author=TAGGED),
            replace(NOBODY, mailbox_contacts=(replace(GMAIL, organisation_id=2),)),
            StandingKind.UNKNOWN,
        ),
    ],
)  # fmt: skip
def test_another_form_of_a_contacts_address(
    why: str, judged: Report, candidates: Candidates, kind: StandingKind
) -> None:
    standing = may_speak(judged, candidates, INCIDENT)
    assert standing.kind is kind, why
    assert standing.contact_id == (10 if kind is StandingKind.CONTACT else None)


def test_it_is_said_which_contact_an_address_may_only_be_like() -> None:
    judged = report(author=AuthorView("alex+soc@msp.test", "msp.test", None))
    alike = replace(NOBODY, mailbox_contacts=(replace(ALEX, address="alex@msp.test"),))
    assert "nor is it proven to be the mailbox of alex@msp.test" in may_speak(judged, alike, INCIDENT).reason
    assert "another form of alex@gmail.com" in may_speak(report(author=TAGGED), BY_FORM, INCIDENT).reason
