"""The demo's story, acted by real parts: every mail travels by SMTP, every outcome is read from the record."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import dkim

from expertmail.demo.scenes import (
    ACKNOWLEDGEMENT,
    CUSTOMER,
    REPLY,
    REPORT,
    REQUEST,
    SCENES,
    Scene,
    SceneOutcome,
)
from expertmail.demo.stage import LOOPBACK, Stage
from expertmail.desk import open_desk
from expertmail.faults import FaultError
from threads.store.read import judgements, stored_copy
from threads.store.thread import thread_by_id

HTTP_SECONDS = 20
TITLE = "Suspicious sign-ins to two mailboxes"
QUESTION = "Were the sign-ins of 1 March made by your staff?"
ANSWER = "No. Nobody of ours was travelling that day."
SUMS = "SHA256SUMS"

_COPY_ID = re.compile(r"\b[0-9A-Za-z]{26}(?:[-.][0-9]+)?\b")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was sent by whom, what came of it, why, and what should have."""

    title: str
    sender: str
    outcome: SceneOutcome | None
    expected: SceneOutcome
    why: str
    altered: bool = False  # the message is not the one that was made

    @property
    def right(self) -> bool:
        """Whether it came out as it should."""
        return self.outcome == self.expected and not self.altered


async def play(stage: Stage, world: Path) -> AsyncIterator[Row]:
    """Act the whole story, one row after the other."""
    sums = _sums(world)
    await stage.command(
        "contacts", "add", CUSTOMER, "--name", "Dana Reyes", "--org", "Contoso", "--domain", "contoso.test"
    )
    opened = await stage.command(
        "incidents", "open", "--org", "Contoso", "--title", TITLE, "--severity", "High"
    )
    incident: str = opened["reference"]

    mail, withheld = None, "no mail came"
    try:
        await stage.command("compose", "request", incident, "--to", CUSTOMER, "--question", QUESTION)
        mail = await stage.mailbox.wait_for(CUSTOMER, incident.encode())
    except FaultError as fault:
        withheld = fault.sentence
    yield await _sent(stage, "The experts ask a customer for context", mail, REQUEST, withheld)
    if mail is not None:
        yield await _reply(stage, world, mail)
    for scene in SCENES:
        known = len(stage.mailbox.mails)
        yield await _act(stage, world, scene, sums)
        if scene.expected.filed == "answered":
            found = await stage.mailbox.wait_for(CUSTOMER, b"\nSubject: Result of your verification", known)
            yield await _sent(stage, "… and gets the verdict by return mail", found, REPORT, "no mail came")
        elif scene.expected.thread == ACKNOWLEDGEMENT.thread:
            found = await stage.mailbox.wait_for(CUSTOMER, b"INQ-000001", known)
            yield await _sent(stage, "… which is acknowledged", found, ACKNOWLEDGEMENT, "no mail came")


def strangers_mail(stage: Stage) -> list[str]:
    """Whoever got mail without being the customer: nobody may."""
    return sorted({to for to, _ in stage.mailbox.mails if to != CUSTOMER})


def _sums(world: Path) -> Mapping[str, str]:
    """The digests of the samples as they were made; no verdict can tell a further change of what is broken already."""
    try:
        lines = (world / SUMS).read_text().splitlines()
    except OSError as error:
        raise FaultError(
            f"{world / SUMS} cannot be read ({error.strerror}); is it a folder of samples?"
        ) from error
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


async def _act(stage: Stage, world: Path, scene: Scene, sums: Mapping[str, str]) -> Row:
    try:
        raw = (world / scene.file).read_bytes()
    except OSError as error:
        raise FaultError(f"{world / scene.file} cannot be read ({error.strerror}).") from error
    row = await _deliver(stage, scene.title, raw, scene.mail_from, scene.rcpt_to, scene.expected)
    return replace(row, altered=hashlib.sha256(raw).hexdigest() != sums.get(scene.file))


async def _reply(stage: Stage, world: Path, request: bytes) -> Row:
    """The customer presses Reply: the answer goes where the request's Reply-To says, signed by the customer's server."""
    asked = message_from_bytes(request, policy=policy.default)
    answer = EmailMessage(policy=policy.SMTP)
    answer["From"] = f"Dana Reyes <{CUSTOMER}>"
    answer["To"] = str(asked["Reply-To"])
    answer["Subject"] = f"Re: {asked['Subject']}"
    answer["Date"] = datetime.now(UTC)
    answer["Message-ID"] = f"<reply.{hashlib.sha256(request).hexdigest()[:16]}@contoso.test>"
    answer["In-Reply-To"] = str(asked["Message-ID"])
    answer["References"] = str(asked["Message-ID"])
    answer.set_content(f"{ANSWER}\n\nOn Mon, 2 Mar 2026 at 09:00, Defender Experts wrote:\n> {QUESTION}\n")
    raw = answer.as_bytes()
    key = (world / "sample-key-contoso.test-c1.pem").read_bytes()
    fields = [name.lower().encode() for name in answer]
    signature = dkim.sign(
        raw, b"c1", b"contoso.test", key, canonicalize=(b"relaxed", b"relaxed"), include_headers=fields
    )
    to = asked["Reply-To"].addresses[0].addr_spec
    row = await _deliver(stage, "The customer's reply", bytes(signature) + raw, CUSTOMER, to, REPLY)
    shown = await stage.command("incidents", "show", "INC-000001")
    said = [
        entry
        for entry in shown["timeline"]
        if entry["mark"] == "verified" and entry["text"].strip() == ANSWER
    ]
    if said:
        return row
    return Row(
        row.title, row.sender, None, row.expected, f"its words are not on the timeline as verified. {row.why}"
    )


async def _deliver(  # noqa: PLR0917 - an envelope, what it is called and what has to come of it
    stage: Stage, title: str, raw: bytes, mail_from: str, rcpt_to: str, expected: SceneOutcome
) -> Row:
    domain = mail_from.rpartition("@")[2]
    try:
        async with aiosmtplib.SMTP(
            hostname=LOOPBACK, port=stage.smtp_port, local_hostname=f"mx.{domain}", start_tls=False
        ) as client:
            _, said = await client.sendmail(mail_from, [rcpt_to], raw)
    except aiosmtplib.SMTPResponseException as refused:
        report = await asyncio.to_thread(_judged_by_console, stage, raw)
        filed = "refused" if str(refused.message).startswith("5.7.1") else f"{refused.code} {refused.message}"
        why = f"{refused.code} {refused.message}"
        return Row(title, mail_from, _outcome(report, filed, None), expected, why)
    except (aiosmtplib.SMTPException, OSError) as error:
        return Row(title, mail_from, None, expected, f"not delivered: {error}")
    found = _COPY_ID.search(str(said))
    if found is None:
        return Row(title, mail_from, None, expected, f"the answer names no message: {said}")
    return await asyncio.to_thread(_recorded, stage, title, found.group(), expected)


def _recorded(stage: Stage, title: str, copy_id: str, expected: SceneOutcome) -> Row:
    with open_desk(stage.config) as desk, desk.database.reading() as conn:
        copy = stored_copy(conn, copy_id)
        report = json.loads(judgements(conn, copy_id)[-1].report)
        thread = None if copy.thread_id is None else thread_by_id(conn, copy.thread_id).reference
    why = copy.reason
    telling = [r["text"] for r in report["reasons"] if r["effect"] in ("contradicts", "proves")]
    if report["verdict"] != "no-claim" and telling:
        why = telling[0]
    return Row(title, copy.mail_from, _outcome(report, copy.disposition.value, thread), expected, why)


async def _sent(stage: Stage, title: str, mail: bytes | None, expected: SceneOutcome, otherwise: str) -> Row:
    """Our own mail as it lies in the customer's mailbox, judged as a customer would."""
    sender = expected.author or ""
    if mail is None:
        return Row(title, sender, None, expected, otherwise)
    report = await asyncio.to_thread(_judged_by_console, stage, mail)
    subject = str(message_from_bytes(mail, policy=policy.default)["Subject"])
    thread = re.search(r"\[((?:INC|INQ|SVC)-\d{6})\]", subject)
    return Row(title, sender, _outcome(report, "delivered", thread and thread.group(1)), expected, subject)


def _judged_by_console(stage: Stage, raw: bytes) -> dict[str, Any]:
    connection = http.client.HTTPConnection(LOOPBACK, stage.console_port, timeout=HTTP_SECONDS)
    try:
        connection.request("POST", "/api/v1/verify", raw, {"Content-Type": "message/rfc822"})
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return answer


def _outcome(report: Mapping[str, Any], filed: str, thread: str | None) -> SceneOutcome:
    return SceneOutcome(
        verdict=report["verdict"],
        author=report["author"] and report["author"]["address"],
        dkim=tuple(f"{d['result']} {d['reason'] or ''}".strip() for d in report["dkim"]),
        aligned_by=tuple(report["dmarc"]["aligned_by"]),
        filed=filed,
        thread=thread,
        inner=tuple(inner["verdict"] for inner in report["inner"]),
    )
