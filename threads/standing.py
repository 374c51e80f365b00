"""May this author speak on that thread? Pure; whichever rule found the thread (``match``).

Only an authenticated author speaks: DMARC passed for the author domain, or a DKIM or SPF pass for exactly
that domain where no DMARC policy says otherwise. The envelope sender is never the author. An author who is
a contact of the thread's organisation is verified, one from a verified domain of it is "not listed", and
everybody else has to wait for an expert. Another form of a contact's address is that contact only where ``mailbox_name``
says that nobody else can have it, and only by a signature: SPF of a provider's shared servers does not tell its users apart.
"""

from __future__ import annotations

from threads.mailbox_name import same_mailbox
from threads.model import Candidates, Contact, Standing, StandingKind, Strength, Thread
from verifier.reason_codes import ReasonCode
from verifier.report import AuthResult, Report

# The organisation publishes no usable DMARC record, or it could not be had: an exact match decides.
_NO_DMARC_WORD = frozenset({AuthResult.NONE, AuthResult.PERMERROR, AuthResult.TEMPERROR})

# A From field that two mail programs may read as two authors proves none of them.
_NOT_ONE_AUTHOR = frozenset({ReasonCode.SEVERAL_AUTHORS, ReasonCode.MALFORMED_AUTHOR})


def authentication(report: Report) -> tuple[Strength, str]:
    """How the author's domain is proven: STRONG by a signature, WEAK by the sending host alone, or NONE.

    The text says why, for a person.
    """
    if report.author is None or not _NOT_ONE_AUTHOR.isdisjoint(reason.code for reason in report.reasons):
        return Strength.NONE, "it has no single, well-formed author"
    if report.dmarc.result is AuthResult.PASS:
        if "dkim" in report.dmarc.aligned_by:
            return Strength.STRONG, "DMARC passed by an aligned signature"
        return Strength.WEAK, "DMARC passed by SPF alone, which shared senders weaken"
    if report.dmarc.result not in _NO_DMARC_WORD:
        return Strength.NONE, "DMARC failed for the author's domain"
    return _exact(report, report.author.domain.lower())


def _exact(report: Report, domain: str) -> tuple[Strength, str]:
    """What proves exactly ``domain`` where DMARC has no word to say."""
    for signature in report.dkim:
        passed = signature.result is AuthResult.PASS and not signature.testing
        if passed and (signature.domain or "").lower() == domain:
            return Strength.STRONG, "a signature of the author's own domain passed"
    spf = report.spf
    live = spf.scope == "mailfrom" and spf.source == "session"
    if live and spf.result is AuthResult.PASS and (spf.domain or "").lower() == domain:
        return Strength.WEAK, "SPF alone passed for the author's own domain"
    if report.dmarc.result is AuthResult.TEMPERROR:
        return Strength.NONE, "the DNS answers that could prove the author were not to be had"
    return Strength.NONE, "nothing proves the author's domain"


def may_speak(report: Report, candidates: Candidates, thread: Thread | None) -> Standing:
    """The author's standing on ``thread``, or with None: as a customer who writes anew.

    ``candidates`` was asked for with the report's author. Without a thread ``organisation_id`` names the
    author's organisation, or is None when the author stands for several; then a person has to choose.
    """
    strength, why = authentication(report)
    author = report.author
    if author is None or strength is Strength.NONE:
        return Standing(StandingKind.UNAUTHENTICATED, f"not authenticated: {why}")
    contacts = _of_thread(candidates.contacts, thread)
    unsure = ""
    if not contacts:
        alike = _of_thread(candidates.mailbox_contacts, thread)
        contacts = [
            c for c in alike if strength is Strength.STRONG and same_mailbox(author.address, c.address)
        ]
        if contacts:
            why = f"{why}; another form of {contacts[0].address}"
        elif alike:
            unsure = f" (nor is it proven to be the mailbox of {alike[0].address})"
    if contacts:
        chosen: Contact | None = contacts[0]
        organisation: int | None = contacts[0].organisation_id
        if len({c.organisation_id for c in contacts}) > 1:
            chosen = organisation = None
            why = f"{why}; a contact of several organisations"
        return Standing(
            StandingKind.CONTACT,
            f"{author.address} is a contact; {why}",
            None if chosen is None else chosen.id,
            organisation,
            strength,
        )
    organisations = [
        o for o in candidates.domain_organisations if thread is None or o == thread.organisation_id
    ]
    if organisations:
        only = organisations[0] if len(set(organisations)) == 1 else None
        return Standing(
            StandingKind.LISTED_DOMAIN,
            f"{author.domain} is a verified domain of the customer, but {author.address} is no contact{unsure}; {why}",
            None,
            only,
            strength,
        )
    whose = "anybody on record" if thread is None else f"the organisation of {thread.reference}"
    return Standing(
        StandingKind.UNKNOWN,
        f"{author.address} does not belong to {whose}{unsure}; {why}",
        strength=strength,
    )


def _of_thread(contacts: tuple[Contact, ...], thread: Thread | None) -> list[Contact]:
    return [c for c in contacts if thread is None or c.organisation_id == thread.organisation_id]
