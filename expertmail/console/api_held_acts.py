"""What is done with mail that waits, over HTTP: releasing, discarding, and the second person's consent."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator
from starlette.exceptions import HTTPException

from expertmail.console.api_forms import Line, Number, StrictForm
from expertmail.console.api_held import asked_json, item_of
from expertmail.console.api_operation import Call, Json, Operation, Told
from expertmail.console.api_work import customer_of, thread_for
from expertmail.held_release import asks_second, concerned, release_one
from threads.api_token import Scope
from threads.model import HeldItem
from threads.store import Connection, held
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.held_requests import Wish, ask_release, decide_request, open_request


class Release(StrictForm):
    """Where a message is filed: on a thread, on a new inquiry of a customer, or where it was recognised to belong."""

    to: Line | None = None
    organisation: Line | None = None
    contact: Line | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Release:
        if self.to is not None and self.organisation is not None:
            raise ValueError("'to' and 'organisation' exclude each other")
        return self


class Discard(StrictForm):
    """Why it is put aside."""

    reason: Line = "discarded by an expert"


class Consent(StrictForm):
    """The second person's word on the release of that number, as it was shown."""

    request: Annotated[Number, Field(description="The number in `asked`.")]
    word: Literal["consent", "refuse"]


def release(call: Call, form: Release) -> Told:
    """File it, or ask for that where a second person has to consent; making its author a contact needs that scope too."""
    if form.contact is not None and Scope.WRITE_CONTACTS not in call.token.scopes:
        raise HTTPException(
            403, f"Making somebody a contact needs the scope {Scope.WRITE_CONTACTS.value} as well."
        )
    world = call.outgoing.world
    with call.database.writing() as conn:
        item, whose = item_of(conn, call)
        wish = _wish(conn, call, item, form)
        if not asks_second(world.settings, item):
            said = release_one(conn, world, wish, call.now, by=call.by)
            return Told(_decision(conn, item, said))
        ask_release(conn, wish, call.now, by=call.by)
        _audit(conn, call, "release-asked", item, whose)
        said = "Asked for; another person has to consent."
        return Told(_decision(conn, item, said), status=202)


def discard(call: Call, form: Discard) -> Told:
    """Put it aside."""
    with call.database.writing() as conn:
        item, whose = item_of(conn, call)
        held.discard(conn, item.copy.id, form.reason, call.now, by=call.by)
        _audit(conn, call, "mail-discarded", item, whose, form.reason)
        return Told(_decision(conn, item, "It is put aside."))


def consent(call: Call, form: Consent) -> Told:
    """The second person's word; a token is one person, and never that one who asked."""
    consents, world = form.word == "consent", call.outgoing.world
    with call.database.writing() as conn:
        item, whose = item_of(conn, call)
        asked = open_request(conn, item.copy.id)
        if asked is None:
            raise RefusedRecord("Nobody has asked for a release of this message.")
        call.refuse_own(asked.asked_by)
        if not all(map(call.token.may_touch, concerned(conn, asked.wish))):
            raise RefusedRecord("It would go on a thread that this token may not touch.")
        found = decide_request(
            conn, item.copy.id, call.now, consents=consents, by=call.by, shown=form.request
        )
        by = f", asked for by {found.asked_by}"
        if consents:
            said = release_one(conn, world, found.wish, call.now, by=call.by, detail=by)
        else:
            said = "It waits on."
            _audit(conn, call, "release-refused", item, whose, by.removeprefix(", "))
        return Told(_decision(conn, item, said))


def _wish(conn: Connection, call: Call, item: HeldItem, form: Release) -> Wish:
    """What is asked for; each thread and customer in it is there for the token."""
    try:
        thread = None if form.to is None else thread_for(conn, form.to, call.token)[0].id
        customer = None if form.organisation is None else customer_of(conn, form.organisation, call.token).id
    except UnknownRecord as error:
        raise RefusedRecord("There is no such thread or customer that this token may file on.") from error
    return Wish(item.copy.id, thread, customer, form.contact)


def _decision(conn: Connection, item: HeldItem, said: str) -> Json:
    """What is so by now."""
    after = held.held_item(conn, item.copy.id)
    return {
        "id": after.copy.id,
        "disposition": after.copy.disposition,
        "thread": after.thread_reference,
        "said": said,
        "asked": asked_json(open_request(conn, item.copy.id)),
    }


def _audit(  # noqa: PLR0917 -- one call, each argument a different thing
    conn: Connection, call: Call, act: str, item: HeldItem, whose: int | None, detail: str = ""
) -> None:
    record_act(conn, act, call.now, by=call.by, subject=item.copy.id, detail=detail, organisation_id=whose)


_ON: Final = "/held/{id}"
OPERATIONS: Final = (
    Operation(
        "POST",
        f"{_ON}/release",
        "release-held",
        Scope.DECIDE_HELD,
        "File it on a thread, marked as unverified; where a second person has to consent, ask for that. "
        "`contact` makes its author one by that name, and needs `contacts:write` as well.",
        Release,
        release,
        {200: ("It is filed.", "HeldDecision"), 202: ("It is asked for.", "HeldDecision")},
        refusals=(409,),
        wakes=True,
    ),
    Operation(
        "POST",
        f"{_ON}/discard",
        "discard-held",
        Scope.DECIDE_HELD,
        "Put it aside.",
        Discard,
        discard,
        {200: ("It is put aside.", "HeldDecision")},
        refusals=(409,),
    ),
    Operation(
        "POST",
        f"{_ON}/consent",
        "consent-held",
        Scope.DECIDE_APPROVALS,
        "Consent to a release that another one asked for, or refuse it.",
        Consent,
        consent,
        {200: ("It is decided.", "HeldDecision")},
        refusals=(409,),
        wakes=True,
    ),
)
