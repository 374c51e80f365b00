"""What every ``compose`` command does with its letter: show it, or put it in the queue and tell what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from expertmail.desk import Desk, now
from expertmail.faults import ExitCode, FaultError
from expertmail.letters import Letter, LetterRefused, Posted, RefusalKind, compose_letter, post_letter
from expertmail.own_mail import html_of, text_of
from expertmail.tables import say, show_json
from outbound.model import DeliveryState, Rendered

_WORDS = {
    DeliveryState.WITHHELD: "withheld",
    DeliveryState.AWAITING_APPROVAL: "awaiting approval (expertmail approvals list)",
}
_CODES = {
    RefusalKind.NOT_FOUND: ExitCode.NO_INPUT,
    RefusalKind.BAD_DATA: ExitCode.DATA,
    RefusalKind.CONFLICT: ExitCode.DATA,
    RefusalKind.WITHHELD: ExitCode.DATA,
}


@dataclass(frozen=True, slots=True)
class Sight:
    """What is shown instead of sending."""

    text: bool = False
    html: Path | None = None
    raw: bool = False

    @property
    def wanted(self) -> bool:
        """Whether anything is."""
        return self.text or self.raw or self.html is not None


def write(desk: Desk, letter: Letter, sight: Sight, *, as_json: bool) -> None:
    """Show a letter, or post it. Raises FaultError."""
    try:
        if sight.wanted:
            composed = compose_letter(desk.world, desk.database, letter, now())
            _note(composed.notes)
            _show(composed.mails, sight, as_json=as_json)
            return
        posted = asyncio.run(post_letter(desk.world, desk.database, letter, now()))
    except LetterRefused as error:
        raise FaultError(error.sentence, _CODES[error.kind]) from error
    _note(posted.notes)
    _tell(posted, as_json=as_json)


def _note(notes: Sequence[str]) -> None:
    for line in notes:
        typer.echo(f"Note: {line}", err=True)


def _tell(posted: Posted, *, as_json: bool) -> None:
    numbers = ", ".join(str(one.number) for one in posted.mails)
    if posted.known and not as_json:
        say(f"That request was queued before as mail {numbers}; nothing is sent again.")
        return
    if as_json:
        show_json(
            [
                {
                    "number": one.number,
                    "to": one.address,
                    "message_id": one.message_id,
                    "state": one.state.value,
                    "verdict": one.verdict,
                    "reason": one.reason,
                    "known": posted.known,
                }
                for one in posted.mails
            ]
        )
    else:
        for one in posted.mails:
            word = _WORDS.get(one.state, "queued")
            say(f"Mail {one.number} to {one.address} is {word}: {one.subject}")
    withheld = [one for one in posted.mails if one.withheld]
    if withheld and not posted.known:
        raise FaultError(
            f"Our own verifier does not call the mail genuine, so it is not sent: {withheld[0].reason}. "
            "Repair that, then: expertmail outbox retry NUMBER",
            ExitCode.CONFIG,
        )


def _show(mails: Sequence[Rendered], sight: Sight, *, as_json: bool) -> None:
    if sight.html is not None:
        try:
            sight.html.write_text(html_of(mails[0].raw) or "", encoding="utf-8")
        except OSError as error:
            raise FaultError(
                f"{sight.html} cannot be written ({error.strerror}).", ExitCode.CANNOT_CREATE
            ) from error
        say(f"The HTML of the mail to {mails[0].rcpt_to} is in {sight.html}.")
    if sight.raw:
        for mail in mails:
            typer.echo(mail.raw.decode("ascii", "surrogateescape"), nl=False)
    if not sight.text:
        return
    if as_json:
        show_json(
            [
                {
                    "to": m.rcpt_to,
                    "subject": m.subject,
                    "text": text_of(m.raw),
                    "raw": m.raw.decode(),
                    "disclosure": m.disclosure.words,
                }
                for m in mails
            ]
        )
        return
    for mail in mails:
        say(f"To:      {mail.rcpt_to}\nSubject: {mail.subject}\n({mail.disclosure.words})\n")
        say(text_of(mail.raw))
