"""Fills a place with an ordinary week: questions, answers, strangers, one of whom is hostile, tasks and notes, and a dozen more incidents."""

from __future__ import annotations

import secrets
from datetime import timedelta
from email.header import Header

from tests.console.place import Place, now
from threads import store
from threads.model import Assignee, Severity, TaskSource
from threads.store.tasks import add_task

TITLES = (
    "Impossible travel of two administrators",
    "Ransomware note on a file server",
    "Consent given to an unknown application",
    "Mailbox rule that hides invoices",
    "Credential dumping on a domain controller",
    "Phishing wave with a false sign-in page",
    "Beaconing to a new domain every five minutes",
    "Mass download from a team site",
    "Shadow copies deleted on three hosts",
    "Sign-ins by a service account at night",
    "Unusual OAuth token use from a hosting network",
    "Very long title: " + "an alert that names every host it has seen, " * 6,
)


def fill(place: Place) -> None:
    """Do it; the mail is on record when this returns, for 250 says so."""
    people = place.served
    people.run(
        "compose", "request", place.incident.reference, "--to", place.alice.address,
        "--question", "Was the sign-in from Lagos at 03:12 UTC yours?", "--question", "Who else knows the password?",
    )  # fmt: skip
    with place.database.writing() as conn:
        severities = list(Severity)
        for number, title in enumerate(TITLES):
            whose = (place.contoso, place.fabrikam)[number % 2]
            at = now() - timedelta(hours=7 * (len(TITLES) - number))
            store.open_incident(
                conn, whose.id, title, at, severity=severities[number % len(severities)],
                assigned_to=tuple(Assignee)[number % len(Assignee)], actor="mia.lang",
            )  # fmt: skip
        add_task(
            conn,
            place.incident,
            "Reset the password of svc-backup",
            TaskSource.GUIDED_RESPONSE,
            now(),
            by="mia.lang",
        )
        store.add_note(
            conn, place.incident.id, "Called the SOC: they have seen it, too.", now(), actor="mia.lang"
        )
    place.answer(
        place.incident,
        place.alice,
        "Hello,\n\nno, that was not me. I was asleep, and my phone shows a prompt that I refused.\n\nAlice\n\n"
        "On Fri, Nov 27, 2026 at 9:00 AM Defender Experts <defender-experts@experts.test> wrote:\n"
        "> Was the sign-in from Lagos at 03:12 UTC yours?\n> Who else knows the password?\n",
    )
    for author, name, subject, to, text in (
        ("eve@stranger.test", "Eve", "A question about your service", "query@experts.test", "Do you also watch small firms?"),
        ("alice.adams@webmail.test", "Alice Adams", "Re: your question", place.reply_address(place.incident, place.alice),
         "It was me after all, please close the incident."),
        ("mallory@evil.test", encoded("\u202eeciohC <img src=x onerror=alert(1)>"), encoded("<script>alert(1)</script> \u2066invoice\u2069"),
         place.reply_address(place.incident), "<b>hello</b>"),
    ):  # fmt: skip
        raw = (
            f"From: {name} <{author}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n"
            f"Message-ID: <{secrets.token_hex(8)}@{author.partition('@')[2]}>\r\n"
            f"Date: {now():%a, %d %b %Y %H:%M:%S +0000}\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
        ).encode()
        place.mail(raw, mail_from="bounce@stranger.test", to=to)


def encoded(text: str) -> str:
    """As an encoded word (RFC 2047)."""
    return Header(text, "utf-8", maxlinelen=500).encode()
