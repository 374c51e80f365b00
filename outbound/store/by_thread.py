"""Our own mail as a part of a thread: its headers, and what goes along when an expert moves it to another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, func, select, update

from outbound.model import MailKind
from outbound.renamed_id import renamed_id
from outbound.schema import attempts, outgoing
from threads.store.values import MAX_ID, storable

HEADER_OCTETS: Final = 64 * 1024
"""Of one mail that are read for its references; our own headers are far smaller."""
_AT_ONCE: Final = 500  # values in one statement, which databases bound


def headers_of_thread(conn: Connection, thread_id: int) -> Mapping[str, bytes]:
    """The beginnings of the mails that we sent on a thread, by their Message-IDs."""
    header = func.substr(outgoing.c.raw, 1, HEADER_OCTETS).label("header")
    rows = conn.execute(select(outgoing.c.message_id, header).where(outgoing.c.thread_id == thread_id))
    return {row.message_id: bytes(row.header) for row in rows}


def requests_among(conn: Connection, message_ids: Sequence[str]) -> Mapping[str, str]:
    """What our requests for context said, by their Message-IDs, of the mails that are named (at most a thread's)."""
    found: dict[str, str] = {}
    for at in range(0, len(message_ids), _AT_ONCE):
        named = outgoing.c.message_id.in_(message_ids[at : at + _AT_ONCE])
        wanted = select(outgoing.c.message_id, outgoing.c.said).where(
            named, outgoing.c.kind == MailKind.REQUEST_FOR_CONTEXT.value
        )
        found |= {row.message_id: row.said for row in conn.execute(wanted)}
    return found


def follow_to_thread(conn: Connection, message_id: str, thread_id: int) -> tuple[str, ...]:
    """Let what comes of a mail of ours (a bounce, a failure) be told on ``thread_id`` from now on.

    Returns the Message-IDs by which smarthosts passed it on. A mail that is none of ours changes nothing.
    """
    name = storable(message_id.strip().removeprefix("<").removesuffix(">"), MAX_ID)
    ours = outgoing.c.message_id == name
    if not conn.execute(
        update(outgoing).where(ours, outgoing.c.next_hop.is_(None)).values(thread_id=thread_id)
    ).rowcount:
        return ()
    tries = select(attempts.c.host, attempts.c.reply).join(outgoing, outgoing.c.id == attempts.c.outgoing_id)
    renamed = (
        renamed_id(row.host, row.reply)
        for row in conn.execute(tries.where(ours, attempts.c.failure.is_(None)))
    )
    return tuple(dict.fromkeys(one for one in renamed if one is not None))
