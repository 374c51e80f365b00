"""One thread: its head, its timeline, and what waits outside the conversation."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import looked_up, number_of, thread_for
from outbound.call_sheet import Outcome, Sheet
from outbound.store.call_sheets import (
    sheet_of,
)
from outbound.store.chat import chat_refusal
from threads.access import Permission
from threads.attachments import AttachedFile
from threads.model import (
    Assignee,
    Classification,
    DamagedCopy,
    EntryKind,
    HeldItem,
    Mark,
    Organisation,
    Severity,
    State,
    Task,
    TaskSource,
    TaskStatus,
    Thread,
    ThreadKind,
    TimelineEntry,
)
from threads.store import Connection
from threads.store.attachments import files_on
from threads.store.circumstances import phones
from threads.store.feed import copies_among
from threads.store.held import held_on
from threads.store.tasks import list_tasks
from threads.store.thread import thread_by_id, timeline_of
from threads.transitions import state_refusal, task_refusal

ENTRIES: Final = 100
"""Timeline entries on one page, the latest ones; a conversation seldom has more."""
NOT_KNOWN: Final = "not known"
"""What an incident turned out to be, where nobody found out: somebody says so, rather than nothing."""
_KEY_BYTES: Final = 16
MAX_SHOWN: Final = 6_000
"""Characters of one entry's new text and of its quoted text; the message's own page has all of it."""
_ICONS: Final = {
    EntryKind.MAIL_IN: "mail",
    EntryKind.MAIL_OUT: "mail",
    EntryKind.CHAT: "question",
    EntryKind.STATE: "gear",
    EntryKind.CALL: "phone",
    EntryKind.NOTE: "clip",
    EntryKind.EVENT: "gear",
}
_WORDS: Final = {
    EntryKind.MAIL_IN: "Mail that came in",
    EntryKind.MAIL_OUT: "Mail that we sent",
    EntryKind.CHAT: "Chat",
    EntryKind.STATE: "State",
    EntryKind.CALL: "Call",
    EntryKind.NOTE: "Note, for experts only",
    EntryKind.EVENT: "A machine's mail",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry as it is shown. ``copy_of``: the entry that this mail of ours carries, whose words stand there."""

    entry: TimelineEntry
    icon: str
    words: str
    text: str
    quoted: str
    cut: bool
    files: tuple[AttachedFile, ...]
    copy_of: int | None = None

    @property
    def outside(self) -> bool:
        """Whether nobody has proven who wrote this: it stands apart from the conversation."""
        return self.entry.mark is Mark.UNVERIFIED


def shown(
    entry: TimelineEntry, files: tuple[AttachedFile, ...], copies: Mapping[str, int] = MappingProxyType({})
) -> Shown:
    """An entry with its long texts cut; ``copies`` are the mails that carry what another entry says."""
    return Shown(
        entry,
        _ICONS[entry.kind],
        _WORDS[entry.kind],
        entry.text[:MAX_SHOWN],
        entry.quoted[:MAX_SHOWN],
        max(len(entry.text), len(entry.quoted)) > MAX_SHOWN,
        files,
        copies.get(entry.message_id or ""),
    )


@dataclass(frozen=True, slots=True)
class Found:
    """What the page shows."""

    thread: Thread
    customer: Organisation
    entries: tuple[Shown, ...]
    earlier: int | None
    tasks: tuple[Task, ...]
    outside: tuple[HeldItem | DamagedCopy, ...]
    telephones: tuple[Any, ...]
    about: str | None
    merged_into: str | None
    chat: bool
    sheet: Sheet | None


def find(conn: Connection, visit: Visit, reference: str, before: int | None) -> Found:
    """All of it; HTTPException 404 for a thread that is not to be seen."""
    thread, customer = thread_for(conn, visit, reference)
    entries = timeline_of(conn, thread.id, latest=ENTRIES + 1, before=before)
    page = entries[-ENTRIES:]
    files = files_on(conn, [one.copy_id for one in page if one.copy_id is not None])
    ours = [one.message_id for one in page if one.kind is EntryKind.MAIL_OUT and one.message_id]
    copies = copies_among(conn, ours)
    return Found(
        thread,
        customer,
        tuple(shown(one, files.get(one.copy_id or "", ()), copies) for one in page),
        page[0].id if len(entries) > ENTRIES else None,
        list_tasks(conn, thread.id),
        held_on(conn, thread.id),
        phones(conn, customer.id) if customer.untrusted else (),
        None if thread.about_id is None else thread_by_id(conn, thread.about_id).reference,
        None if thread.merged_into is None else thread_by_id(conn, thread.merged_into).reference,
        chat_refusal(conn, thread) is None,
        sheet_of(conn, thread, visit.now) if thread.kind is ThreadKind.INCIDENT else None,
    )


async def show(visit: Visit) -> Response:
    """The thread."""
    return await incident_page(visit)


async def incident_page(visit: Visit, *, trouble: str = "", status: int = 200) -> Response:
    """The thread's page; ``trouble`` is what was wrong with an act on it."""
    reference, before = visit.request.path_params["reference"], visit.query("before")
    found = await looked_up(
        visit, lambda conn: find(conn, visit, reference, number_of(before) if before else None)
    )
    thread = found.thread
    last = found.entries[-1].entry.id if found.entries else 0
    return await visit.page(
        "incident.html",
        status=status,
        trouble=trouble,
        typed=visit.form,
        acted=visit.request.url.path.rpartition("/")[2],
        f=found,
        thread=thread,
        customer=found.customer,
        version=f"{last} {thread.state} {len(found.outside)} {thread.updated_at.timestamp()}",
        may_work=visit.signed_in.may(Permission.WORK, thread.organisation_id),
        may_compose=visit.signed_in.may(Permission.COMPOSE, thread.organisation_id),
        states=[(one.value, one.value) for one in State if state_refusal(thread.state, one) is None],
        severities=[(one.value, one.value) for one in Severity],
        classifications=[
            ("", "not said"),
            *((one.value, one.value) for one in Classification),
            (NOT_KNOWN, NOT_KNOWN),
        ],
        assignees=[(one.value, one.value) for one in Assignee],
        sources=[
            (TaskSource.GUIDED_RESPONSE.value, "for the customer to do"),
            (TaskSource.MANAGED_RESPONSE.value, "done by the experts"),
        ],
        steps={
            task.number: [
                (one.value, one.value) for one in TaskStatus if task_refusal(task.status, one) is None
            ]
            for task in found.tasks
        },
        was=standing(thread),
        outcomes=[(one.value, one.value.replace("-", " ")) for one in Outcome],
        chat_key=secrets.token_hex(_KEY_BYTES),
    )


def standing(thread: Thread) -> str:
    """How a thread stands, as one text: a form that was made for another one is refused."""
    return "|".join(
        (
            thread.state.value,
            thread.severity.value if thread.severity else "",
            thread.classification.value if thread.classification else "",
            thread.assigned_to.value,
            thread.title,
        )
    )


PAGES: Final = (Page("GET", "/incidents/{reference}", "incident", Permission.READ, show),)
