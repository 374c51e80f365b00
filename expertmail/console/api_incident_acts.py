"""What is done on a thread besides saying where it stands, over HTTP: notes, calls, moving mail, splitting and merging."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, Field, model_validator

from expertmail.console.api_forms import Line, StrictForm, Text
from expertmail.console.api_incidents import brief
from expertmail.console.api_once import RacedError, once
from expertmail.console.api_operation import MAX_ROW, Call, Operation, Told
from expertmail.console.api_work import content_digest, key_digest, thread_for
from expertmail.console.pages.incident_moves import MAX_MAILS
from expertmail.incident_moves import move_one, open_beside
from outbound.call_sheet import Outcome
from outbound.store.calls import (
    record_call as call_contact,
)
from threads.api_token import Scope
from threads.model import EntryKind, Mark, Thread
from threads.store import Connection
from threads.store.api_requests import done_before, note_done
from threads.store.audit import record_act
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.moving import merge_threads
from threads.store.people import list_contacts
from threads.store.thread import add_note, append, thread_by_id

MAX_MESSAGE_ID: Final = 998
"""Characters: a line of mail has no more (RFC 5322 2.1.1)."""


class NewNote(StrictForm):
    """A note for experts, which customers never see."""

    text: Text


class NewCall(StrictForm):
    """A telephone call: what was said, and by whom; without a name by whoever notes it.

    With the number of the ``contact`` who was called and the ``outcome`` it counts on the call sheet.
    """

    text: Text | None = None
    name: Line | None = None
    contact: Annotated[int, Field(ge=1, lt=MAX_ROW)] | None = None
    outcome: Annotated[Outcome, Field(strict=False)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> NewCall:
        if (self.contact is None) != (self.outcome is None):
            raise ValueError("'contact' and 'outcome' go together: who was called, and what became of it")
        if self.contact is not None and self.name is not None:
            raise ValueError("leave the name out where a contact was called")
        if self.text is None and self.outcome in {None, Outcome.REACHED}:
            raise ValueError("say what was said")
        return self


class NewMove(StrictForm):
    """Mails, as the timeline's `mail` names them, that belong on another thread, or on a new one of that title.

    With ``across`` the other thread may be another customer's; what came in stands there as unverified.
    """

    mails: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE_ID)]],
        Field(min_length=1, max_length=MAX_MAILS),
    ]
    to: Line | None = None
    title: Line | None = None
    across: bool = False

    @model_validator(mode="after")
    def _one_place(self) -> NewMove:
        if (self.to is None) == (self.title is None):
            raise ValueError("name the thread they belong to, or give a title for a new one")
        return self


class NewMerge(StrictForm):
    """The thread that goes on for this one."""

    into: Line


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the audit trail: about which thread, and what."""

    act: str
    thread: Thread
    detail: str = ""


_Act = Callable[[Connection, Thread], tuple[Thread, list[_Row]]]
"""Does something on a thread; the thread that is answered, and what the audit trail says."""


def _on_thread(call: Call, operation: str, form: BaseModel, act: _Act) -> Told:
    """Do it once for each key; the answer to a repetition says how the thread stands by then."""
    reference = call.path["reference"]
    kept = key_digest(call.token, operation, call.key)
    digest = content_digest(form, reference.strip().upper())

    def work() -> Told:
        with call.database.writing() as conn:
            thread, _ = thread_for(conn, reference, call.token)
            before = done_before(conn, kept, digest)
            if before is not None:
                made = thread_by_id(conn, before.thread_id)
                return Told(brief(*thread_for(conn, made.reference, call.token)), again=True)
            made, rows = act(conn, thread)
            if not note_done(conn, kept, digest, made.id, call.now):
                raise RacedError
            _audit(conn, call, rows)
            return Told(brief(*thread_for(conn, made.reference, call.token)))

    return once(work)


def note(call: Call, form: NewNote) -> Told:
    """Add a note."""

    def act(conn: Connection, thread: Thread) -> tuple[Thread, list[_Row]]:
        add_note(conn, thread.id, form.text, call.now, actor=call.by)
        return thread, [_Row("note-added", thread)]

    return _on_thread(call, "note", form, act)


def record_call(call: Call, form: NewCall) -> Told:
    """Record a call."""

    def act(conn: Connection, thread: Thread) -> tuple[Thread, list[_Row]]:
        text = form.text or ""
        if form.contact is not None and form.outcome is not None:
            theirs = list_contacts(conn, thread.organisation_id)
            one = next((each for each in theirs if each.id == form.contact), None)
            if one is None:
                raise RefusedRecord("There is no such contact of this customer.")
            call_contact(conn, thread, one, form.outcome, text, call.now, by=call.by)
            return thread, []
        speaker, mark = (call.by, Mark.EXPERT) if form.name is None else (form.name, Mark.REPORTED)
        append(conn, thread.id, call.now, EntryKind.CALL, actor=speaker, mark=mark, text=text)
        return thread, [_Row("call-recorded", thread, f"of {speaker} ({mark.actor_kind})")]

    return _on_thread(call, "call", form, act)


def move(call: Call, form: NewMove) -> Told:
    """Move mails; all of them or none."""

    def act(conn: Connection, thread: Thread) -> tuple[Thread, list[_Row]]:
        if form.to is not None:
            there, word = _named(conn, call, form.to), "mail-moved"
        else:
            there = open_beside(conn, thread, form.title or "", thread.kind, call.now, by=call.by)
            word = "thread-split"
        try:
            moved = [
                move_one(conn, one, there, call.now, by=call.by, source=thread, across=form.across)
                for one in form.mails
            ]
        except UnknownRecord as error:
            raise RefusedRecord("One of these mails is not on this thread.") from error
        rows = [_Row(word, one.target, f"from {one.source.reference}: entry {one.entry_id}") for one in moved]
        return there, rows

    return _on_thread(call, "move", form, act)


def merge(call: Call, form: NewMerge) -> Told:
    """Let another thread go on for this one."""
    with call.database.writing() as conn:
        source, customer = thread_for(conn, call.path["reference"], call.token, as_named=True)
        target = _named(conn, call, form.into)
        merged = merge_threads(conn, source, target, call.now, by=call.by)
        _audit(conn, call, [_Row("thread-merged", merged, f"into {target.reference}")])
        return Told(brief(thread_by_id(conn, target.id), customer.name))


def _named(conn: Connection, call: Call, reference: str) -> Thread:
    """The other thread; RefusedRecord for one that is not there for the token."""
    try:
        return thread_for(conn, reference, call.token, as_named=True)[0]
    except UnknownRecord as error:
        raise RefusedRecord(f"There is no thread {reference[:40]} that this token may touch.") from error


def _audit(conn: Connection, call: Call, rows: list[_Row]) -> None:
    for one in rows:
        record_act(
            conn,
            one.act,
            call.now,
            by=call.by,
            subject=one.thread.reference,
            detail=one.detail,
            organisation_id=one.thread.organisation_id,
        )


_ON: Final = "/incidents/{reference}"
OPERATIONS: Final = (
    Operation(
        "POST",
        f"{_ON}/notes",
        "add-note",
        Scope.WRITE_INCIDENTS,
        "Add a note for experts.",
        NewNote,
        note,
        {201: ("It is on the timeline.", "Incident")},
        refusals=(409,),
        key=True,
    ),
    Operation(
        "POST",
        f"{_ON}/calls",
        "record-call",
        Scope.WRITE_INCIDENTS,
        "Record a telephone call; with `contact` and `outcome` it counts on the call sheet.",
        NewCall,
        record_call,
        {201: ("It is on the timeline.", "Incident")},
        refusals=(409,),
        key=True,
    ),
    Operation(
        "POST",
        f"{_ON}/moves",
        "move-mails",
        Scope.WRITE_INCIDENTS,
        "Move mails to another thread (`to`; with `across` also another customer's), or split them off to a new one (`title`).",
        NewMove,
        move,
        {201: ("The thread where they are now.", "Incident")},
        refusals=(409,),
        key=True,
    ),
    Operation(
        "POST",
        f"{_ON}/merge",
        "merge-incident",
        Scope.WRITE_INCIDENTS,
        "Let another thread of the same customer go on for this one; it cannot be undone.",
        NewMerge,
        merge,
        {200: ("The thread that goes on.", "Incident")},
        refusals=(409,),
    ),
)
