"""Held mail and the outbox."""

from __future__ import annotations

import secrets

from tests.console.examples import Example
from tests.console.place import Place, now
from threads.model import Disposition
from threads.store.held_requests import Wish, ask_release, open_request
from threads.store.read import list_copies


def held_id(place: Place) -> str:
    """A message that waits for Contoso's incident."""
    for _ in range(2):
        with place.database.reading() as conn:
            waiting = list_copies(conn, thread_id=place.incident.id, disposition=Disposition.HELD)
        if waiting:
            return waiting[0].id
        to = place.reply_address(place.incident)
        raw = (
            f"From: Eve <eve@stranger.test>\r\nTo: {to}\r\nSubject: About your incident\r\n"
            f"Message-ID: <{secrets.token_hex(6)}@stranger.test>\r\n\r\nLet me in.\r\n"
        )
        place.mail(raw.encode(), mail_from="eve@stranger.test", to=to)
    raise AssertionError("nothing waits")


def of(rest: str):
    return lambda place: f"/held/{held_id(place)}{rest}"


def asked(place: Place) -> str:
    copy_id = held_id(place)
    with place.database.writing() as conn:
        if open_request(conn, copy_id) is None:
            ask_release(conn, Wish(copy_id), now(), by="somebody")
    return f"/held/{copy_id}/consent"


def mail_number(place: Place) -> int:
    """A mail of ours to Contoso."""
    if "mail" not in place.made:
        place.served.run(
            "compose",
            "request",
            place.incident.reference,
            "--to",
            place.alice.address,
            "--question",
            "Was it you?",
        )
        place.made["mail"] = str(place.served.json("outbox", "list")[0]["outgoing_id"])
    return int(place.made["mail"])


def mail(rest: str = ""):
    return lambda place: f"/outbox/{mail_number(place)}{rest}"


EXAMPLES: tuple[Example, ...] = (
    Example("held", lambda _: "/held", "all"),
    Example("held-message", of(""), "contoso"),
    Example("held-release", of("/release"), "contoso"),
    Example("held-discard", of("/discard"), "contoso"),
    Example("held-discard-several", lambda _: "/held/discard", "contoso", lambda p: {"id": [held_id(p)]}),
    Example("held-consent", asked, "contoso", lambda _: {"word": "refuse"}),
    Example("outbox", lambda _: "/outbox", "all"),
    Example("outbox-mail", mail(), "contoso"),
    Example("outbox-html", mail("/html"), "contoso"),
    Example("outbox-download", mail("/mail.eml"), "contoso"),
    Example("outbox-retry", mail("/retry"), "contoso"),
    Example("outbox-cancel", mail("/cancel"), "contoso"),
)
