"""To whom a letter goes: contacts of its customer, and addresses outside for a reason."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from expertmail.letter_values import Letter, LetterRefused, RefusalKind
from outbound.compose import OutsideAddress
from outbound.header import spellings, wire_key
from outbound.model import MailKind
from outbound.store.suppression import refuse_suppressed
from outbound.store.untrusted import refuse_untrusted
from threads.model import Contact, ContactKind, Organisation
from threads.store import Connection
from threads.store.circumstances import phones, untrusted_recipient
from threads.store.errors import RefusedRecord
from threads.store.people import find_contacts, organisation


def recipient(
    conn: Connection, address: str, customer: Organisation, letter: Letter, ours: Collection[str]
) -> Contact | OutsideAddress:
    """The contact with that address at the letter's customer, or the address itself where the letter says why.

    ``ours`` are our own domains, in A-labels. LetterRefused for one outside without a reason, for one that is in them or below,
    and for one that gets no such mail.
    """
    found = _contacts_at(conn, address)
    mine = [one for one in found if one.organisation_id == customer.id]
    if mine:
        # One address may be a contact of each kind, with a language and a TLP for each: the mail's own kind says which.
        chosen = min(mine, key=lambda one: one.kind is not _addressed(letter))
        _refuse(conn, letter, address, customer, (chosen,))
        return chosen
    if _is_ours(address, ours):
        # It would come back to the gateway, as mail of nobody's; or it was meant to be a test, and would be none.
        raise LetterRefused(
            f"{address} is an address of ours and no contact of {customer.name}; to see the mail there, name the contact in "
            "--to and the address of ours in --test-to (over HTTP: test_to).",
            RefusalKind.BAD_DATA,
        )
    if not letter.reference:
        raise LetterRefused(
            f"{address} is no contact of {customer.name}, and a mail on no thread goes to contacts only; add it first "
            "(expertmail contacts add).",
            RefusalKind.NOT_FOUND,
        )
    if not letter.outside.strip():
        raise LetterRefused(
            f"{address} is no contact of the customer of {letter.reference}; add it first (expertmail contacts add), "
            "or say why it has to go there (--outside REASON; over HTTP: outside).",
            RefusalKind.NOT_FOUND,
        )
    _refuse(conn, letter, address, customer, found)
    return OutsideAddress(address.strip(), letter.language)


def outside_of(conn: Connection, letter: Letter, customer: Organisation) -> tuple[str, ...]:
    """The addresses of a letter that are no contact of its customer."""
    return tuple(
        address
        for address in {wire_key(one): one.strip() for one in letter.to}.values()
        if all(one.organisation_id != customer.id for one in _contacts_at(conn, address))
    )


def of_others(
    conn: Connection, letter: Letter, recipients: Sequence[Contact | OutsideAddress]
) -> tuple[str, ...]:
    """Notes on recipients outside who speak for another customer: a mail to the wrong customer is worse than none.

    Of a customer of whom the writer may not hear there is none.
    """
    told: list[str] = []
    for one in recipients:
        if isinstance(one, OutsideAddress):
            known = [c.organisation_id for c in _contacts_at(conn, one.address)]
            told += [
                f"{one.address} is a contact of {organisation(conn, whose).name}, not of the customer of {letter.reference}"
                for whose in [whose for whose in known if letter.may_tell_of(whose)][:1]
            ]
    return tuple(told)


def _is_ours(address: str, ours: Collection[str]) -> bool:
    """Whether an address is in one of the domains or below, however its own domain is written."""
    written = (form.rpartition("@")[2].lower().rstrip(".") for form in spellings(address))
    return any(domain == one or domain.endswith(f".{one}") for domain in written for one in ours)


def _contacts_at(conn: Connection, address: str) -> tuple[Contact, ...]:
    """The contacts with an address, however its domain is written there and here: who is known is nobody outside."""
    return tuple(one for form in spellings(address) for one in find_contacts(conn, form))


def _addressed(letter: Letter) -> ContactKind:
    """The kind of contact that a letter is for; whom a contact-added mail welcomes, its writer may say."""
    if letter.kind is MailKind.CONTACT_ADDED and letter.words.get("role") == ContactKind.SERVICE_REVIEW:
        return ContactKind.SERVICE_REVIEW
    service = letter.kind is MailKind.SERVICE_REVIEW
    return ContactKind.SERVICE_REVIEW if service else ContactKind.INCIDENT_NOTIFICATION


def _refuse(
    conn: Connection, letter: Letter, address: str, customer: Organisation, known_as: Sequence[Contact]
) -> None:
    """Send nobody's words to mailboxes that an intruder may read; say whom to call instead.

    ``known_as`` are the contacts whose address it is: the mark of any of their organisations covers it. A writer who may not
    hear of all customers is told why only where that is about the letter's own.
    """
    try:
        for one_form in spellings(address):
            refuse_suppressed(conn, one_form)
            for contact_id in (None, *(one.id for one in known_as)):
                refuse_untrusted(conn, letter.kind, one_form, contact_id)
    except RefusedRecord as error:
        marked = [(one, untrusted_recipient(conn, address, one.id)) for one in known_as]
        own = [name in (None, customer.name) for one, name in marked if one.organisation_id == customer.id]
        if letter.customers is not None and not (own and all(own)):
            raise LetterRefused(untold(address), RefusalKind.WITHHELD) from error
        one, name = next((pair for pair in marked if pair[1] is not None), (None, None))
        if letter.kind is MailKind.PORTAL_NOTICE or one is None:
            raise LetterRefused(str(error), RefusalKind.WITHHELD) from error
        calls = " or ".join(f"{c.name} ({c.phone})" for c in phones(conn, one.organisation_id))
        raise LetterRefused(
            f"The mail of {name} is marked untrusted. Write it in the portal, then: expertmail compose notice "
            f"{letter.reference or 'REF'} --to {address}; or call {calls or 'them on a number that you trust'}.",
            RefusalKind.WITHHELD,
        ) from error


def untold(address: str) -> str:
    """What is said of any address that gets no mail, whosever it is, to a writer who may not hear of all customers."""
    return f"{address} gets no mail from here at present; ask the experts why."
