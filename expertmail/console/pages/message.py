"""One stored message: what it says, why it is where it is, how it was judged, its files and its source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Page, Visit
from expertmail.console.pages.reading import copy_for, looked_up, number_of
from expertmail.console.pages.security import MAIL_FRAME_HEADERS, PAGE_HEADERS
from threads.access import Permission
from threads.attachments import AttachedFile
from threads.harmless_html import harmless_page
from threads.mailbox_name import forwarded_for
from threads.model import Judgement, MatchRecord, StoredCopy, Thread
from threads.reading import read
from threads.store import Connection
from threads.store.attachments import files_of, octets_of_file
from threads.store.errors import UnknownRecord
from threads.store.match_records import match_record, references_to
from threads.store.read import judgements, raw_message

SHOWN_SOURCE: Final = 200_000
"""Octets of the source on its page; the download has all of it."""
SHOWN_TEXT: Final = 200_000
"""Characters of the text."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the page shows."""

    copy: StoredCopy
    thread: Thread | None
    size: int
    new: str
    quoted: str
    flags: tuple[str, ...]
    has_html: bool
    files: tuple[AttachedFile, ...]
    record: MatchRecord | None
    references: Mapping[int, str]
    judgement: Judgement | None
    report: Mapping[str, Any] | None


def find(conn: Connection, visit: Visit) -> Found:
    """All of it; HTTPException 404 for a message that is not to be seen."""
    copy, thread = copy_for(conn, visit, visit.request.path_params["id"])
    raw = raw_message(conn, copy.id)
    reading = read(raw)
    record = match_record(conn, copy.id)
    judged = judgements(conn, copy.id)
    return Found(
        copy,
        thread,
        len(raw),
        reading.body.new[:SHOWN_TEXT],
        reading.body.quoted[:SHOWN_TEXT],
        tuple(one.value for one in reading.flags),
        harmless_page(raw) is not None,
        files_of(conn, copy.id),
        record,
        references_to(conn, () if record is None else (record,)),
        judged[-1] if judged else None,
        _loaded(judged[-1].report) if judged else None,
    )


async def show(visit: Visit) -> Response:
    """The message."""
    found = await looked_up(visit, lambda conn: find(conn, visit))
    return await visit.page(
        "message.html",
        f=found,
        copy=found.copy,
        thread=found.thread,
        forwarded=forwarded_for(found.copy.mail_from) or "",
    )


async def show_source(visit: Visit) -> Response:
    """The octets as they came, as text."""

    def work(conn: Connection) -> tuple[StoredCopy, bytes]:
        copy, _ = copy_for(conn, visit, visit.request.path_params["id"])
        return copy, raw_message(conn, copy.id)

    copy, raw = await looked_up(visit, work)
    return await visit.page(
        "message_source.html",
        copy=copy,
        size=len(raw),
        cut=len(raw) > SHOWN_SOURCE,
        source=raw[:SHOWN_SOURCE].decode("utf-8", "replace").replace("\r\n", "\n"),
    )


async def download(visit: Visit) -> Response:
    """The octets as they came, to save; no browser opens them."""

    def work(conn: Connection) -> tuple[str, bytes]:
        copy, _ = copy_for(conn, visit, visit.request.path_params["id"])
        return copy.id, raw_message(conn, copy.id)

    name, raw = await looked_up(visit, work)
    return saved(raw, f"{name}.eml")


async def download_file(visit: Visit) -> Response:
    """An attached file, to save; what it is called is decided by us, since a sender's name may be anything."""
    number = number_of(visit.request.path_params["number"])

    def work(conn: Connection) -> tuple[str, bytes]:
        copy, _ = copy_for(conn, visit, visit.request.path_params["id"])
        return copy.id, octets_of_file(conn, copy.id, number)

    name, octets = await looked_up(visit, work)
    return saved(octets, f"{name}-{number}.bin")


async def show_html(visit: Visit) -> Response:
    """The HTML of a message, made harmless, for a sandboxed frame."""

    def work(conn: Connection) -> str:
        copy, _ = copy_for(conn, visit, visit.request.path_params["id"])
        page = harmless_page(raw_message(conn, copy.id))
        if page is None:
            raise UnknownRecord("It has no HTML.")
        return page

    page = await looked_up(visit, work)
    return Response(page, headers=dict(MAIL_FRAME_HEADERS), media_type="text/html; charset=utf-8")


def saved(octets: bytes, name: str) -> Response:
    """Octets that a browser saves and never shows."""
    headers = {**PAGE_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(octets, headers=headers, media_type="application/octet-stream")


def _loaded(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


async def show_evidence(visit: Visit) -> Response:
    """What the message was judged by when it came, as `expertmail replay` takes it."""

    def work(conn: Connection) -> tuple[str, str]:
        copy, _ = copy_for(conn, visit, visit.request.path_params["id"])
        judged = judgements(conn, copy.id)
        if not judged:
            raise HTTPException(404)
        return copy.id, judged[-1].evidence

    name, text = await looked_up(visit, work)
    return saved(text.encode(), f"{name}-evidence.json")


_ON: Final = "/messages/{id}"
PAGES: Final = (
    Page("GET", _ON, "message", Permission.READ, show),
    Page("GET", f"{_ON}/source", "message-source", Permission.READ, show_source),
    Page("GET", f"{_ON}/message.eml", "message-download", Permission.READ, download),
    Page("GET", f"{_ON}/html", "message-html", Permission.READ, show_html),
    Page("GET", f"{_ON}/evidence.json", "message-evidence", Permission.READ, show_evidence),
    Page("GET", f"{_ON}/files/{{number}}", "message-file", Permission.READ, download_file),
)
