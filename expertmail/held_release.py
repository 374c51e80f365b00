"""Releasing held mail, for the command and the console alike, and whether a second person is asked."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from expertmail.gateway import mailboxes
from expertmail.relaying import border_of, route_of
from expertmail.settings import Settings
from expertmail.world import World
from smtp_gateway.relay_fields import UnfitError
from smtp_gateway.relay_release import release_to_next_hop
from threads.model import HeldItem
from threads.store import Connection, held
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord
from threads.store.held_requests import Wish
from threads.store.people import organisation
from threads.store.thread import open_inquiry, thread_by_id
from verifier.report import Verdict

_DOUBTED: Final = frozenset({Verdict.FORGED.value, Verdict.UNPROVEN.value})
"""Verdicts on mail that says it is from us, which is not proven."""


def asks_second(settings: Settings, item: HeldItem) -> bool:
    """Whether one person's release of that message is only a request."""
    match settings.held.second_person:
        case "always":
            return True
        case "claims":
            return item.copy.verdict in _DOUBTED
        case _:
            return False


def concerned(conn: Connection, wish: Wish) -> tuple[int, ...]:
    """The customers on whose thread the message would stand."""
    on = () if wish.thread_id is None else (thread_by_id(conn, wish.thread_id).organisation_id,)
    return on if wish.organisation_id is None else (*on, wish.organisation_id)


def release_one(
    conn: Connection, world: World, wish: Wish, at: datetime, *, by: str, detail: str = ""
) -> str:
    """Do what was wished, with its row in the audit trail; what was done, in a sentence. RefusedRecord where it cannot be done."""
    plain = wish.thread_id is None and wish.organisation_id is None and wish.contact_name is None
    if plain and (said := pass_on(conn, world, wish.copy_id, at, by=by, detail=detail)):
        return said
    item = held.held_item(conn, wish.copy_id)
    thread_id = wish.thread_id
    if wish.organisation_id is not None:
        whose = organisation(conn, wish.organisation_id)
        thread_id = open_inquiry(conn, whose.id, item.copy.subject, at, actor=by).id
    if wish.contact_name is None:
        held.release(conn, wish.copy_id, at, by=by, thread_id=thread_id)
    else:
        held.release_with_contact(conn, wish.copy_id, wish.contact_name, at, by=by, thread_id=thread_id)
    item = held.held_item(conn, wish.copy_id)
    filed = thread_by_id(conn, item.copy.thread_id or 0)
    made = "" if wish.contact_name is None else f"; {item.copy.author} made a contact"
    _audit(
        conn,
        wish.copy_id,
        f"filed on {filed.reference}{made}{detail}",
        at,
        by=by,
        whose=filed.organisation_id,
    )
    also = "" if wish.contact_name is None else f" {item.copy.author} is a contact from now on."
    return f"Filed on {filed.reference} as unverified.{also}"


def pass_on(
    conn: Connection, world: World, copy_id: str, at: datetime, *, by: str, detail: str = ""
) -> str | None:
    """Queue a held copy whose route relays for its next hop; None for any other copy."""
    item = held.held_item(conn, copy_id)
    route = route_of(mailboxes(world).resolve, item.copy.rcpt_to)
    if route is None or route.next_hop is None:
        return None
    try:
        release_to_next_hop(conn, copy_id, route.next_hop, border_of(world), at, by=by)
    except UnfitError as error:
        raise RefusedRecord(f"{copy_id} cannot be passed on: {error}.") from error
    _audit(conn, copy_id, f"to {route.next_hop}{detail}", at, by=by, whose=None)
    return f"Queued for {item.copy.rcpt_to}."


def _audit(conn: Connection, copy_id: str, detail: str, at: datetime, *, by: str, whose: int | None) -> None:
    record_act(conn, "mail-released", at, by=by, subject=copy_id, detail=detail, organisation_id=whose)
