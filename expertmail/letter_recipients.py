"""To whom a letter goes: contacts of its customer, and addresses outside for a reason."""

from __future__ import annotations

from collections.abc import Sequence

from expertmail.letter_values import Letter, LetterRefused, RefusalKind
from outbound.compose import OutsideAddress
from outbound.model import MailKind
from outbound.store.suppression import refuse_suppressed
from outbound.store.untrusted import refuse_untrusted
from threads.model import Contact, Organisation
from threads.store import Connection
from threads.store.circumstances import phones, untrusted_recipient
from threads.store.errors import RefusedRecord
from threads.store.people import find_contacts, organisation


def recipient(
    conn: Connection, address: str, customer: Organisation, letter: Letter
) -> Contact | OutsideAddress:
    """The contact with that address at the letter's customer, or the address itself where the letter says why.

    LetterRefused for one outside without a reason, and for one that gets no such mail.
    """
    found = find_contacts(conn, address)
    mine = next((one for one in found if one.organisation_id == customer.id), None)
    if mine is not None:
        _refuse(conn, letter, address, (mine,))
        return mine
    if not letter.reference:
        raise LetterRefused(
            f"{address} is no contact of {customer.name}, and a mail on no thread goes to contacts only; add it first "
            "(expertmail contacts add).",
            RefusalKind.NOT_FOUND,
        )
    if not letter.outside.strip():
        raise LetterRefused(
            f"{address} is no contact of the customer of {letter.reference}; add it first (expertmail contacts add), "
            "or say why it has to go there (--outside REASON).",
            RefusalKind.NOT_FOUND,
        )
    _refuse(conn, letter, address, found)
    return OutsideAddress(address.strip(), letter.language)


def outside_of(conn: Connection, letter: Letter, customer: Organisation) -> tuple[str, ...]:
    """The addresses of a letter that are no contact of its customer."""
    return tuple(
        address
        for address in {one.strip().lower(): one for one in letter.to}.values()
        if all(one.organisation_id != customer.id for one in find_contacts(conn, address))
    )


def of_others(
    conn: Connection, letter: Letter, recipients: Sequence[Contact | OutsideAddress]
) -> tuple[str, ...]:
    """Notes on recipients outside who speak for another customer: a mail to the wrong customer is worse than none."""
    return tuple(
        f"{one.address} is a contact of {organisation(conn, contact.organisation_id).name}, "
        f"not of the customer of {letter.reference}"
        for one in recipients
        if isinstance(one, OutsideAddress)
        for contact in find_contacts(conn, one.address)[:1]
    )


def _refuse(conn: Connection, letter: Letter, address: str, known_as: Sequence[Contact]) -> None:
    """Send nobody's words to mailboxes that an intruder may read; say whom to call instead.

    ``known_as`` are the contacts whose address it is: the mark of any of their organisations covers it.
    """
    try:
        refuse_suppressed(conn, address)
        for contact_id in (None, *(one.id for one in known_as)):
            refuse_untrusted(conn, letter.kind, address, contact_id)
    except RefusedRecord as error:
        marked = [(one, untrusted_recipient(conn, address, one.id)) for one in known_as]
        one, name = next((pair for pair in marked if pair[1] is not None), (None, None))
        if letter.kind is MailKind.PORTAL_NOTICE or one is None:
            raise LetterRefused(str(error), RefusalKind.WITHHELD) from error
        calls = " or ".join(f"{c.name} ({c.phone})" for c in phones(conn, one.organisation_id))
        raise LetterRefused(
            f"The mail of {name} is marked untrusted. Write it in the portal, then: expertmail compose notice "
            f"{letter.reference or 'REF'} --to {address}; or call {calls or 'them on a number that you trust'}.",
            RefusalKind.WITHHELD,
        ) from error
