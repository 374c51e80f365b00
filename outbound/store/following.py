"""What of our own mail goes along when an expert moves it to another thread."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from outbound.renamed_id import renamed_id
from outbound.schema import attempts, outgoing
from threads.store.values import MAX_ID, storable


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
