"""Which post in a Teams channel is which incident's."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from outbound.schema import teams_posts
from outbound.subscriber import Subscriber
from threads.store.statements import insert_or_keep


def post_of(conn: Connection, one: Subscriber, thread_id: int) -> str | None:
    """The number of a thread's post in a channel; None where it has none yet."""
    table = teams_posts
    query = select(table.c.post_id).where(table.c.subscriber_id == one.id, table.c.thread_id == thread_id)
    return conn.execute(query).scalar()


def keep_post(conn: Connection, one: Subscriber, thread_id: int, post: str, at: datetime) -> None:
    """Replies go below that post from now on; the first one stays."""
    row = {"subscriber_id": one.id, "thread_id": thread_id, "post_id": post, "at": at}
    insert_or_keep(conn, teams_posts, row)


def thread_of_post(conn: Connection, one: Subscriber, post: str) -> int | None:
    """The id of the thread whose post that is; None where it is none of ours."""
    table = teams_posts
    query = select(table.c.thread_id).where(table.c.subscriber_id == one.id, table.c.post_id == post)
    return conn.execute(query).scalar()
