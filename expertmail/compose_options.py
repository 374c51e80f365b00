"""The options that all ``compose`` commands share, and what they say of a letter together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from expertmail.compose_words import moment_typed
from expertmail.desk import actor
from expertmail.faults import ExitCode, FaultError
from expertmail.letters import Letter
from outbound.errors import ComposeError
from outbound.model import MailKind, Value

Reference = Annotated[str, typer.Argument(metavar="REF", help="The thread to write on, such as INC-000001.")]
Recipients = Annotated[
    list[str], typer.Option("--to", metavar="ADDRESS", help="A contact of the customer; repeatable.")
]
Outside = Annotated[
    str | None,
    typer.Option(
        metavar="REASON", help="Why the mail goes to an address that is no contact of the customer, too."
    ),
]
Language = Annotated[
    str, typer.Option(metavar="CODE", help="In which language an address outside gets the mail.")
]
Preview = Annotated[bool, typer.Option("--preview", help="Show the mail; nothing is queued.")]
PreviewHtml = Annotated[
    Path | None,
    typer.Option(
        "--preview-html", metavar="FILE", help="Write the first mail's HTML there; nothing is queued."
    ),
]
PreviewRaw = Annotated[
    bool, typer.Option("--preview-raw", help="Print the mails' bytes before signing; nothing is queued.")
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key", help="Idempotency key: the same request with it never sends twice, another one is refused."
    ),
]
BreakGlass = Annotated[
    str | None,
    typer.Option(
        "--break-glass", metavar="REASON", help="Send without a second person; it is reviewed afterwards."
    ),
]
TestTo = Annotated[
    str | None,
    typer.Option(
        "--test-to",
        metavar="ADDRESS",
        help="Send the mail to this address of ours instead, marked as a test.",
    ),
]
SendAfter = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Not before this time, such as 2026-12-01T09:00+01:00."),
]
SendBefore = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Not after this time; what is not sent by then waits for a person."),
]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the shared options say of a letter."""

    outside: str | None
    language: str
    key: str | None
    break_glass: str | None
    test_to: str | None
    send_after: str | None
    send_before: str | None
    by: str | None
    org: str | None = None

    def letter(self, kind: MailKind, reference: str, to: list[str], words: Mapping[str, Value]) -> Letter:
        """The letter of a command. Raises FaultError for a time that is none."""
        return Letter(
            kind,
            reference,
            tuple(to),
            words,
            actor(self.by),
            self.key,
            self.break_glass or "",
            self.test_to,
            _reason(self.outside),
            self.language,
            _moment(self.send_after, "--send-after"),
            _moment(self.send_before, "--send-before"),
            self.org or "",
        )


@contextmanager
def typed() -> Iterator[None]:
    """Read what a person typed; FaultError in the same words where it is not fit."""
    try:
        yield
    except ComposeError as error:
        raise FaultError(str(error), ExitCode.DATA) from error


def _reason(outside: str | None) -> str:
    if outside is not None and not outside.strip():
        raise FaultError("Say why the mail goes outside, for those who read it later.", ExitCode.DATA)
    return outside or ""


def _moment(text: str | None, name: str) -> datetime | None:
    if text is None:
        return None
    with typed():
        return moment_typed(text, name)
