"""The chat of an incident over HTTP: what a portal writes there, and what it reads from any entry on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, model_validator
from starlette.exceptions import HTTPException

from expertmail.chat_acts import chat_recorded
from expertmail.console.api_forms import Line, QueryForm, StrictForm, Text
from expertmail.console.api_work import thread_for
from outbound.store.chat import chat_refusal
from threads.api_token import ApiToken
from threads.chat import MAX_NAME, MAX_NUMBER, ChatMessage, entry_name, is_ours, source_of
from threads.model import ActorKind
from threads.store import Connection
from threads.store.engine import Database
from threads.store.errors import RefusedRecord
from threads.store.feed import MAX_ENTRIES, SharedEntry, entries_after, latest_of, shared_entry
from threads.store.people import find_contacts

MAX_WAIT: Final = 30
"""Seconds for which a request waits for news: proxies give up after a minute."""
STREAM_SECONDS: Final = 300
"""Seconds that a stream lasts at most; who goes on sends its token again, which may have been revoked."""
MAX_ADDRESS: Final = 320
"""Characters: 64 before the at sign, 255 after it (RFC 5321 4.5.3.1)."""
_MAX_FILES: Final = 100

Json = dict[str, Any]


def _speaker(word: str) -> str:
    if word not in (ActorKind.CUSTOMER.value, ActorKind.EXPERT.value):
        raise ValueError("it is customer or expert")
    return word


class NewChatMessage(StrictForm):
    """A message of the portal's chat. `id` is the portal's own number of it; `address` a contact's, where a customer wrote it.

    `attachments` is there to be refused: files take another way.
    """

    id: Annotated[Line, Field(min_length=1, max_length=MAX_NUMBER)]
    from_: Annotated[
        str, Field(alias="from", json_schema_extra={"enum": ["customer", "expert"]}), AfterValidator(_speaker)
    ]
    name: Annotated[Line, Field(min_length=1, max_length=MAX_NAME)]
    text: Text
    address: Annotated[str, Field(min_length=3, max_length=MAX_ADDRESS)] | None = None
    attachments: Annotated[list[Any], Field(max_length=_MAX_FILES, default_factory=list)]

    @model_validator(mode="after")
    def _address_of_a_customer(self) -> NewChatMessage:
        if self.address is not None and self.from_ != ActorKind.CUSTOMER.value:
            raise ValueError("'address' is of a customer's contact; leave it out where an expert writes")
        return self


class ReadChat(QueryForm):
    """Entries after that number; where there is none yet, wait so many seconds for it."""

    after: Annotated[int, Field(ge=0, lt=2**31)] = 0
    wait: Annotated[int, Field(ge=0, le=MAX_WAIT)] = 0


class FollowChat(QueryForm):
    """Entries after that number (or after the one in Last-Event-ID), for so many seconds."""

    after: Annotated[int, Field(ge=0, lt=2**31)] = 0
    seconds: Annotated[int, Field(ge=1, le=STREAM_SECONDS)] = STREAM_SECONDS


@dataclass(frozen=True, slots=True)
class ChatPage:
    """Entries as they are shown, where to go on, and the thread's last entry that was seen, shown or not."""

    thread_id: int
    reference: str
    state: str
    entries: tuple[SharedEntry, ...]
    next: int
    seen: int

    @property
    def json(self) -> Json:
        """The answer."""
        shown = [entry_json(one) for one in self.entries]
        return {"reference": self.reference, "state": self.state, "entries": shown, "next": self.next}


def write(
    database: Database, token: ApiToken, reference: str, form: NewChatMessage, *, files_go: str, now: datetime
) -> tuple[Json, bool]:
    """Put a message on the timeline; what is answered, and whether it was there before.

    ``files_go``: where files go instead. HTTPException 422 for attachments; RefusedRecord where there is no chat, for an echo, and
    for who is no contact.
    """
    with database.writing() as conn:
        thread, customer = thread_for(conn, reference, token)
        if form.attachments:
            raise HTTPException(422, no_files(files_go))
        _refuse(conn, reference, token)
        if is_ours(form.id):
            raise RefusedRecord(
                f"{form.id} is a number of ours: the message came from here, and is an echo. Nothing was added."
            )
        if form.address is not None and not any(
            one.organisation_id == customer.id for one in find_contacts(conn, form.address)
        ):
            raise RefusedRecord(f"{form.address[:80]} is no contact of this customer; leave the address out.")
        speaker = ActorKind(form.from_)
        message = ChatMessage(
            source_of(token.name), form.id, speaker, form.name, form.text, contact=form.address is not None
        )
        put = chat_recorded(conn, thread, message, reference, now, by=token.name)
        entry = shared_entry(conn, put.entry_id)
        if entry is None:
            raise RefusedRecord("That message was put elsewhere meanwhile; nothing was added.")
        return entry_json(entry), put.again


def read(
    database: Database, token: ApiToken, reference: str, after: int, most: int = MAX_ENTRIES
) -> ChatPage:
    """The first entries after a number. A mail that carries what another entry says is left out: that one is shown."""
    with database.reading() as conn:
        thread, _ = _refuse(conn, reference, token)
        # First: what is committed between the two questions is then found again, and never passed by.
        seen = latest_of(conn, [thread.id]).get(thread.id, 0)
        entries = entries_after(conn, thread.id, after, most)
    last = entries[-1].id if entries else 0
    return ChatPage(
        thread.id,
        thread.reference,
        thread.state.value,
        tuple(one for one in entries if one.copy_of is None),
        max(after, last, seen if len(entries) < most else 0),
        seen,
    )


def _refuse(conn: Connection, reference: str, token: ApiToken) -> Any:
    thread, customer = thread_for(conn, reference, token)
    why = chat_refusal(conn, thread)
    if why is not None:
        raise RefusedRecord(why)
    return thread, customer


def there_is_a_chat(database: Database, token: ApiToken, reference: str) -> None:
    """See that the token may write there: UnknownRecord, RefusedRecord."""
    with database.reading() as conn:
        _refuse(conn, reference, token)


def no_files(files_go: str) -> str:
    """What is said to who sends a file."""
    where = f"send them here: {files_go}" if files_go else "ask the experts how to send them"
    return f"The chat takes no attachments; {where}"


def entry_json(one: SharedEntry) -> Json:
    """An entry. `id` is our number of it for others, `number` the one to go on after."""
    return {
        "id": entry_name(one.id),
        "number": one.id,
        "at": one.at.isoformat(),
        "kind": one.kind,
        "from": one.mark.actor_kind,
        "name": one.actor,
        "mark": one.mark,
        "text": one.text,
        "cut": one.cut,
        "source": one.source,
        "external": one.external_id,
    }
