"""Which messages are an organisation's: those on its threads, and those of its people that are on nobody else's thread.

What is on a thread of another organisation is that one's record, whatever became of it, and what another one's legal hold
covers is nobody's to erase. Whoever is a contact of two may have written for either: what is on no thread of theirs goes with
the last of them.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal, not_, or_, select

from threads.schema import (
    contacts,
    expired_messages,
    messages,
    organisation_domains,
    organisations,
    relayed_messages,
    threads,
)

_HOLDERS: Final = organisations.alias("holders")
_HELD: Final = threads.alias("held_threads")


def threads_of(organisation_id: int) -> Select[Any]:
    """The numbers of its threads."""
    return select(threads.c.id).where(threads.c.organisation_id == organisation_id)


def copies_of(organisation_id: int) -> ColumnElement[bool]:
    """Of ``messages``: those that go with the organisation; none that a legal hold covers."""
    return _goes_with(organisation_id, messages.c.thread_id, messages.c.author, messages.c.mail_from)


def traces_of(organisation_id: int) -> ColumnElement[bool]:
    """Of ``expired_messages``."""
    table = expired_messages
    return _goes_with(organisation_id, table.c.thread_id, table.c.author, table.c.mail_from)


def relayed_of(organisation_id: int) -> ColumnElement[bool]:
    """Of ``relayed_messages``."""
    theirs = _only_by_people_of(organisation_id, relayed_messages.c.author, relayed_messages.c.mail_from)
    return and_(theirs, not_(on_legal_hold(relayed_messages.c.author)))


def of_another(organisation_id: int, thread_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a thread is of another organisation that is still there. Never null."""
    return exists().where(
        threads.c.id == thread_id,
        threads.c.organisation_id != organisation_id,
        organisations.c.id == threads.c.organisation_id,
        organisations.c.erased_at.is_(None),
    )


def _goes_with(
    organisation_id: int,
    thread_id: ColumnElement[Any],
    author: ColumnElement[Any],
    mail_from: ColumnElement[Any],
) -> ColumnElement[bool]:
    theirs = _only_by_people_of(organisation_id, author, mail_from)
    return and_(
        or_(
            thread_id.in_(threads_of(organisation_id)),
            and_(theirs, not_(of_another(organisation_id, thread_id))),
        ),
        not_(on_legal_hold(author, thread_id)),
    )


def contact_of_another(organisation_id: int, address: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether an address is a contact's of another organisation that is still there. Never null."""
    return exists().where(
        contacts.c.address_key == func.lower(address),
        contacts.c.organisation_id != organisation_id,
        organisations.c.id == contacts.c.organisation_id,
        organisations.c.erased_at.is_(None),
    )


def _only_by_people_of(
    organisation_id: int, author: ColumnElement[Any], mail_from: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Whether one of the addresses is a contact's, or of a domain that the organisation has verified. Never null.

    And nobody else's contact wrote it, by its author or, where none can be read, its envelope.
    """
    mine = select(literal(organisation_id))
    verified = organisation_domains.c.verified.is_(True)
    theirs = or_(*(_address_of(mine, address, verified) for address in (author, mail_from)))
    return and_(theirs, not_(contact_of_another(organisation_id, func.coalesce(author, mail_from))))


def _address_of(
    whose: Select[Any], address: ColumnElement[Any], *domains: ColumnElement[bool]
) -> ColumnElement[bool]:
    """``domains`` narrows which domains count; a legal hold asks for any, for it has to keep what it may be about."""
    lowered = func.lower(address)
    return or_(
        exists().where(contacts.c.organisation_id.in_(whose), contacts.c.address_key == lowered),
        exists().where(
            organisation_domains.c.organisation_id.in_(whose),
            lowered.like("%@" + organisation_domains.c.domain),
            *domains,
        ),
    )


def on_legal_hold(
    author: ColumnElement[Any], thread_id: ColumnElement[Any] | None = None
) -> ColumnElement[bool]:
    """Whether a message is of an organisation on which there is a legal hold, by its thread or its author. Never null.

    It may be asked in a query that joins threads and organisations itself.
    """
    held = select(_HOLDERS.c.id).where(_HOLDERS.c.hold_at.is_not(None))
    if thread_id is None:
        return _address_of(held, author)
    of_thread = exists().where(_HELD.c.id == thread_id, _HELD.c.organisation_id.in_(held))
    return or_(of_thread, _address_of(held, author))


def mail_on_legal_hold(
    address: ColumnElement[Any], contact_id: ColumnElement[Any], thread_id: ColumnElement[Any] | None = None
) -> ColumnElement[bool]:
    """Whether a legal hold covers mail of ours by its thread, its recipient or the contact it was meant for. Never null."""
    to_contact = exists().where(
        contacts.c.id == contact_id,
        organisations.c.id == contacts.c.organisation_id,
        organisations.c.hold_at.is_not(None),
    )
    return or_(on_legal_hold(address, thread_id), to_contact)
