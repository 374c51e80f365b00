"""Automatic mail that is approved once for all, over HTTP: the list, giving and taking back."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from expertmail.console.api_forms import StrictForm
from expertmail.console.api_operation import Call, Json, Nothing, Operation, Told
from expertmail.console.api_schema import TEXT, TIME, list_, object_
from expertmail.standing_acts import give_standing, take_standing
from outbound.model import MailKind
from outbound.store.standing_approvals import list_standing
from threads.api_token import Scope
from threads.store import Connection
from threads.store.errors import UnknownRecord


class Standing(StrictForm):
    """A kind of automatic mail, and whether its approval is given or withdrawn."""

    kind: Annotated[MailKind, Field(strict=False)]
    word: Literal["give", "withdraw"]


def list_all(call: Call, form: Nothing) -> Told:
    """Those in force."""
    del form
    with call.database.reading() as conn:
        return Told({"standing": _json(conn)})


def stand(call: Call, form: Standing) -> Told:
    """Approve automatic mail of a kind from now on, or take that back; for a token for all customers, whose mail it is."""
    if call.token.organisations is not None:
        raise UnknownRecord("Everybody's mail is not there for this token.")
    with call.database.writing() as conn:
        if form.word == "give":
            give_standing(conn, call.outgoing.world, form.kind, call.now, by=call.by)
        else:
            take_standing(conn, form.kind, call.now, by=call.by)
        return Told({"standing": _json(conn)})


def _json(conn: Connection) -> list[Json]:
    return [
        {
            "kind": one.kind,
            "version": one.template_version,
            "route": one.route,
            "approver": one.approver,
            "at": one.at.isoformat(),
        }
        for one in list_standing(conn)
    ]


SCHEMAS: Final[Json] = {
    "StandingApprovals": object_(
        {
            "standing": list_(
                object_(
                    {
                        "kind": TEXT,
                        "version": {"type": "integer"},
                        "route": TEXT,
                        "approver": TEXT,
                        "at": TIME,
                    }
                )
            )
        }
    )
}
_PATH: Final = "/approvals/standing"
OPERATIONS: Final = (
    Operation(
        "GET",
        _PATH,
        "list-standing",
        Scope.READ_OUTBOX,
        "Which automatic mail is approved once for all.",
        Nothing,
        list_all,
        {200: ("Those in force.", "StandingApprovals")},
    ),
    Operation(
        "POST",
        _PATH,
        "stand-for-mail",
        Scope.DECIDE_APPROVALS,
        "Approve automatic mail of a kind from now on, in the version of its words and by the route of today, or take that back; "
        "for tokens for all customers.",
        Standing,
        stand,
        {200: ("Those in force.", "StandingApprovals")},
        refusals=(404, 409),
        wakes=True,
    ),
)
