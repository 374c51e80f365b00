"""Automatic mail that is approved once for all: given and taken back, for the command and the console alike."""

from __future__ import annotations

from datetime import datetime

from expertmail.post_room import office_of, terms_of
from expertmail.world import World
from outbound.model import MailKind
from outbound.store.standing_approvals import approve_standing, withdraw_standing
from threads.store import Connection
from threads.store.audit import record_act


def give_standing(conn: Connection, world: World, kind: MailKind, at: datetime, *, by: str) -> str:
    """Approve a kind in the version of its words, and by the route, of today; what was done, in a sentence. RefusedRecord."""
    route = terms_of(world.settings).route
    version = office_of(world).templates.get(kind, "en").version if kind.templated else 0
    approve_standing(conn, kind, version, route, at, actor=by)
    record_act(
        conn, "standing-approval", at, by=by, subject=kind.value, detail=f"version {version}, by {route}"
    )
    return f"Automatic {kind.value} mail, version {version}, is approved while delivery is by {route}."


def take_standing(conn: Connection, kind: MailKind, at: datetime, *, by: str) -> str:
    """Take a kind's approval back; what follows from that, in a sentence. RefusedRecord where there is none."""
    held = withdraw_standing(conn, kind, at, actor=by)
    record_act(
        conn,
        "standing-withdrawn",
        at,
        by=by,
        subject=kind.value,
        detail=f"{len(held)} mails wait for a person",
    )
    return (
        f"Automatic {kind.value} mail has no standing approval any more; {len(held)} mails wait for a person."
    )
