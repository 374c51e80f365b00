"""The outbox page by page and what went out, counted: the same on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert

from outbound.model import DeliveryState, MailKind
from outbound.schema import attempts, deliveries, outgoing
from outbound.store.outbox_pages import outbox_page
from outbound.store.report_counts import Sent, delivery_seconds, sent_since
from tests.threads.both_engines import made_record, record_on_server, world_of_each  # noqa: F401 -- fixtures
from tests.threads.conftest import AT, World
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads import store
from threads.store.errors import RefusedRecord

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def write(
    world: World,
    number: int,
    *,
    thread_id: int | None = None,
    contact_id: int | None = None,
    state: str = "sent",
    kind: str = MailKind.REQUEST_FOR_CONTEXT.value,
    next_hop: str | None = None,
    took: timedelta | None = SECOND,
    at=AT,
) -> int:
    """A mail of ours with its delivery, as the queue keeps it, and one try where it ``took`` some time."""
    with world.database.writing() as conn:
        made = conn.execute(
            insert(outgoing)
            .values(
                idempotency_key=f"k{number}", raw=b"x", sha256="0" * 64, message_id=f"m{number}@experts.test",
                kind=kind, template_version=1, language="en", selector="s1", thread_id=thread_id,
                contact_id=contact_id, mail_from="", rcpt_to=f"p{number}@contoso.test", subject=f"S{number}",
                said="", actor="Ana", created_at=at, next_hop=next_hop,
            )
            .returning(outgoing.c.id)
        ).scalar_one()  # fmt: skip
        conn.execute(
            insert(deliveries).values(outgoing_id=made, state=state, attempts=1, last_reply="", updated_at=at)
        )
        for failure, after in (("temporary", SECOND), (None, took)):
            if after is not None:
                conn.execute(
                    insert(attempts).values(
                        outgoing_id=made, started_at=at, finished_at=at + after, host="mx", tls=True,
                        code=250, reply="ok", failure=failure,
                    )
                )  # fmt: skip
    return int(made)


def subjects(world: World, organisations, **narrower) -> list[str]:
    with world.database.reading() as conn:
        return [getattr(one, "subject", "") for one in outbox_page(conn, organisations, **narrower).items]


def test_the_outbox_is_narrowed_and_paged_and_shows_whose_mail_it_is(world: World) -> None:
    with world.database.writing() as conn:
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        bob = store.add_contact(conn, fabrikam.id, "bob@fabrikam.test", "Bob", AT)
    contoso, incident = world.contoso.id, world.incident.id
    write(world, 0, thread_id=incident, contact_id=bob.id)  # its thread says whose it is
    write(world, 1, contact_id=bob.id)
    write(world, 2)
    write(world, 3, thread_id=incident, state="failed")
    write(world, 4, contact_id=world.alex.id)
    assert subjects(world, None) == ["S4", "S3", "S2", "S1", "S0"]
    assert subjects(world, {contoso}) == ["S4", "S3", "S0"]
    assert subjects(world, {fabrikam.id}) == ["S1"]
    assert subjects(world, ()) == []
    assert subjects(world, None, organisation_id=contoso) == ["S4", "S3", "S0"]
    assert subjects(world, {fabrikam.id}, organisation_id=contoso) == []
    assert subjects(world, None, thread_id=incident) == ["S3", "S0"]
    assert subjects(world, None, state=DeliveryState.FAILED) == ["S3"]
    assert subjects(world, None, recipient="P2@CONTOSO.test") == ["S2"]
    assert subjects(world, None, recipient="\x00'%") == []
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        with world.database.reading() as conn:
            page = outbox_page(conn, None, cursor=cursor, limit=2)
        seen += [getattr(one, "subject", "") for one in page.items]
        cursor = page.cursor or ""
    assert (seen, cursor) == (["S4", "S3", "S2", "S1", "S0"], "")
    for odd in ("x", "-1", "1.5", "9" * 11, "2147483648", "١"):
        with world.database.reading() as conn, pytest.raises(RefusedRecord):
            outbox_page(conn, None, cursor=odd)
    assert len(subjects(world, None, cursor="2147483647")) == 5


def test_what_went_out_is_counted_with_the_time_that_it_took(world: World) -> None:
    contoso, incident = world.contoso.id, world.incident.id
    write(world, 0, thread_id=incident, took=3 * SECOND)
    write(world, 1, contact_id=world.alex.id, took=2 * SECOND)
    write(world, 2, took=None, state="failed")
    write(world, 3, next_hop="mx.contoso.test")  # relayed mail is not ours
    write(world, 4, thread_id=incident, at=AT - DAY)
    with world.database.reading() as conn:
        assert sent_since(conn, AT, None) == (
            Sent("request-for-context", "failed", 1),
            Sent("request-for-context", "sent", 2),
        )
        assert sent_since(conn, AT, {contoso}) == (Sent("request-for-context", "sent", 2),)
        assert sent_since(conn, AT, ()) == ()
        assert delivery_seconds(conn, AT, None) == (2.0, 3.0)
        assert delivery_seconds(conn, AT, {contoso + 9}) == ()
