"""Hostile and broken mail that others published, on every page that shows it: no script runs, nothing is asked elsewhere, nothing is too wide.

FULL=1 looks at all of them, else at a sample.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from tests.console.browsing import PHONE, Window
from tests.console.place import Person, Place, now
from tests.console.test_verify_page import multipart
from tests.threads.conftest import arrival, filing
from threads.access import Role
from threads.attachments import attached_files
from threads.model import Disposition, Thread
from threads.reading import read
from threads.store import open_incident
from threads.store.attachments import files_of, store_files
from threads.store.intake import store_message
from verifier.message import read_message
from verifier.parts import walk

FULL = bool(os.environ.get("FULL"))
MALFORMED = 150 if FULL else 6
ACTIVE = 300 if FULL else 8
LOOKED_THROUGH = 16 if FULL else 1
"""Of 16 messages so many are asked how malformed they are: that takes longest."""
TOGETHER = 10
"""Messages of one form of the verify page."""
FIELD = re.compile(rb"(?:\xef\xbb\xbf|>?From |\s*[!-9;-~]+[ \t]*:)")  # the first line of a message
NO_MAIL = frozenset({".json", ".cfg", ".list", ".html", ".htm", ".mbox", ".py", ".sh", ".yml", ".tnef"})
DOES = re.compile(
    rb"<(?:script|svg|style|meta|link|base|form|iframe|object|embed|math)\b|\bon(?:load|error|click|mouseover)\s*="
    rb"|(?:data|javascript|vbscript):[^\s]",
    re.IGNORECASE,
)
"""What would do something in a page that took it for its own."""
RAN = """[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames().filter(n => n.startsWith('on')))
    .concat([...document.querySelectorAll('script:not([src]), base, object, embed, form[action^="http"], meta[http-equiv="refresh" i]')]
    .map(e => e.tagName))"""


@dataclass(frozen=True)
class Public:
    """A message that somebody published."""

    name: str
    raw: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def does_something(self) -> bool:
        """Whether a text part of it, decoded, holds what would do something."""
        if DOES.search(self.raw):
            return True
        parts = message_from_bytes(self.raw).walk()
        texts = (part.get_payload(decode=True) for part in parts if part.get_content_maintype() == "text")
        return any(DOES.search(one) for one in texts if isinstance(one, bytes))

    @property
    def faults(self) -> int:
        """How many things are wrong with it, as Python's parser and ours count them."""
        parts = message_from_bytes(self.raw).walk()
        return sum(len(part.defects) for part in parts) + len(read(self.raw).flags)


def published(folder: Path) -> Iterator[Public]:
    for path in sorted((folder / "mail").rglob("*")):
        if path.is_file() and path.suffix not in NO_MAIL and path.name != "SOURCE.txt":
            raw = path.read_bytes()
            if FIELD.match(raw):
                yield Public(str(path.relative_to(folder)), raw)


def chosen(folder: Path) -> list[Public]:
    """Those that do something, and the most malformed ones; always the same ones, whatever order files are in."""
    known = sorted({one.digest: one for one in published(folder)}.values(), key=lambda one: one.digest)
    active = [one for one in known if DOES.search(one.raw) or (FULL and one.does_something)][:ACTIVE]
    others = [one for one in known if int(one.digest[-1], 16) < LOOKED_THROUGH and one not in active]
    broken = sorted(others, key=lambda one: (-one.faults, one.digest))[:MALFORMED]
    return active + broken


@pytest.fixture(scope="module")
def mail(shared_data: Path) -> list[Public]:
    found = chosen(shared_data)
    assert len(found) > (200 if FULL else 10)
    return found


def intercepted(seen: Window) -> None:
    """Nothing leaves the browser but for our server, and what tries to is noted; so are dialogs."""

    def stop(route: Any) -> None:
        seen.strange.append(f"asked {route.request.url}")
        route.abort()

    def dismiss(dialog: Any) -> None:
        seen.strange.append(f"dialog {dialog.message}")
        dialog.dismiss()

    seen.context.route(lambda url: not url.startswith((seen.url + "/", "data:", "about:", "blob:")), stop)
    seen.page.on("dialog", dismiss)


def faults_of(seen: Window, path: str, name: str) -> list[str]:
    """What is wrong with a page, with all that is folded opened and each frame loaded."""
    page = seen.go(path)
    page.evaluate("[...document.querySelectorAll('details')].forEach(one => { one.open = true; })")
    for frame in page.locator("iframe").all():
        frame.scroll_into_view_if_needed()
    for inner in page.frames:
        inner.wait_for_load_state("load")
    found = []
    if wide := seen.wider_than_the_window():
        found.append(f"too wide: {wide}")
    for frame in page.frames:
        found += [f"has {one}" for one in frame.evaluate(RAN)]
    found += seen.strange
    seen.strange.clear()
    return [f"{name} on {path}: {one}" for one in found]


def judged(place: Place, person: Person, mail: Sequence[Public]) -> Iterator[tuple[str, list[str]]]:
    """Put through the verify page: the answers' paths, with each message's report."""
    for begin in range(0, len(mail), TOGETHER):
        some = [(f"{one.digest[:8]}.eml", one.raw) for one in mail[begin : begin + TOGETHER]]
        body, kind = multipart(*some, token=person.token)
        answer = place.ask("POST", "/verify", body, person=person, headers={"Content-Type": kind})
        assert answer.status == 303, answer.text
        path = answer.headers["location"]
        reports = [
            place.ask("GET", f"{path}/{number}/verdict.json", person=person)
            for number in range(1, len(some) + 1)
        ]
        assert {one.status for one in reports} == {200}
        yield path, [one.text for one in reports]


def filed(place: Place, thread: Thread, one: Public, report: str) -> str:
    """On record as the gateway would have it if it took such a message; the copy's id."""
    reading = read(one.raw)
    message = read_message(one.raw)
    made = arrival(
        one.raw,
        copy_id=secrets.token_hex(8),
        received_at=now(),
        message_id=reading.message_id,
        subject=reading.subject,
        author=reading.author,
        kind=reading.kind,
        verdict=json.loads(report)["verdict"],
        report=report,
    )
    kept = filing(Disposition.FILED, thread_id=thread.id, text=reading.body.new[:2_000])
    with place.database.writing() as conn:
        copy_id = store_message(conn, made, kept).id
        store_files(conn, one.digest, attached_files(message, walk(message)))
    return copy_id


def no_file_opens(place: Place, person: Person, copy_id: str) -> list[str]:
    with place.database.reading() as conn:
        files = files_of(conn, copy_id)
    found = []
    for one in files[:3]:
        answer = place.ask("GET", f"/messages/{copy_id}/files/{one.number}", person=person)
        headers = answer.headers
        if answer.status != 200:
            found.append(f"file {one.number} of {copy_id}: {answer.status}")
        elif (
            not headers["content-disposition"].startswith("attachment;")
            or headers["content-type"] != "application/octet-stream"
            or headers["x-content-type-options"] != "nosniff"
        ):
            found.append(f"file {one.number} of {copy_id} might be opened by the browser")
    return found


def test_public_hostile_mail_does_nothing_on_any_page(
    place: Place, window: Callable[..., Window], mail: list[Public]
) -> None:
    person = place.person(*Role, name="reads.all")
    seen = window(person, size=PHONE)
    intercepted(seen)
    faults: list[str] = []
    at = 0
    for answer, reports in judged(place, person, mail):
        some = mail[at : at + len(reports)]
        at += len(reports)
        faults += faults_of(seen, answer, f"verify {[one.name for one in some]}")
        with place.database.writing() as conn:
            thread = open_incident(conn, place.contoso.id, f"Hostile mail up to {at}", now())
        for one, report in zip(some, reports, strict=True):
            copy_id = filed(place, thread, one, report)
            for path in (f"/messages/{copy_id}", f"/messages/{copy_id}/source"):
                faults += faults_of(seen, path, one.name)
            if place.ask("GET", f"/messages/{copy_id}/html", person=person).status == 200:
                faults += faults_of(seen, f"/messages/{copy_id}/html", one.name)
            faults += no_file_opens(place, person, copy_id)
        faults += faults_of(seen, f"/incidents/{thread.reference}", f"the thread of {len(some)}")
    assert faults == []
