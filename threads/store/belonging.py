"""Which messages are an organisation's: those on its threads, and those of its people that are nobody else's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal, not_, or_, select

from threads.model import Disposition
from threads.schema import (
    contacts,
    expired_messages,
    messages,
    organisation_domains,
    organisations,
    relayed_messages,
    threads,
)


def threads_of(organisation_id: int) -> Select[Any]:
    """The numbers of its threads."""
    return select(threads.c.id).where(threads.c.organisation_id == organisation_id)


def copies_of(organisation_id: int) -> ColumnElement[bool]:
    """Of ``messages``: on a thread of its, or by its people and not filed on another's: what is filed there is that one's record."""
    elsewhere = exists().where(
        threads.c.id == messages.c.thread_id, threads.c.organisation_id != organisation_id
    )
    theirs = _by_people_of(organisation_id, messages.c.author, messages.c.mail_from)
    return or_(
        messages.c.thread_id.in_(threads_of(organisation_id)),
        and_(theirs, not_(and_(messages.c.disposition == Disposition.FILED.value, elsewhere))),
    )


def traces_of(organisation_id: int) -> ColumnElement[bool]:
    """Of ``expired_messages``."""
    return or_(
        expired_messages.c.thread_id.in_(threads_of(organisation_id)),
        _by_people_of(organisation_id, expired_messages.c.author, expired_messages.c.mail_from),
    )


def relayed_of(organisation_id: int) -> ColumnElement[bool]:
    """Of ``relayed_messages``."""
    return _by_people_of(organisation_id, relayed_messages.c.author, relayed_messages.c.mail_from)


def _by_people_of(organisation_id: int, *addresses: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether one of the addresses is a contact's, or of a domain that the organisation has. Never null."""
    return or_(*(_address_of(select(literal(organisation_id)), address) for address in addresses))


def _address_of(whose: Select[Any], address: ColumnElement[Any]) -> ColumnElement[bool]:
    lowered = func.lower(address)
    return or_(
        exists().where(contacts.c.organisation_id.in_(whose), contacts.c.address_key == lowered),
        exists().where(
            organisation_domains.c.organisation_id.in_(whose),
            lowered.like("%@" + organisation_domains.c.domain),
        ),
    )


def on_legal_hold(
    author: ColumnElement[Any], thread_id: ColumnElement[Any] | None = None
) -> ColumnElement[bool]:
    """Whether a message is of an organisation on which there is a legal hold, by its thread or its author. Never null."""
    held = select(organisations.c.id).where(organisations.c.hold_at.is_not(None))
    if thread_id is None:
        return _address_of(held, author)
    of_thread = exists().where(threads.c.id == thread_id, threads.c.organisation_id.in_(held))
    return or_(of_thread, _address_of(held, author))
