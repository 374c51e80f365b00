"""``expertmail compose``: write to a customer. Composed, signed, judged by our own verifier, then queued."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from expertmail import compose_kinds_command
from expertmail.compose_desk import Sight, write
from expertmail.compose_facts import UNNAMED
from expertmail.desk import AsJson, By, Config, actor, open_desk
from expertmail.letters import Letter
from outbound.model import MailKind, Value

commands = typer.Typer(no_args_is_help=True, help="Write to a customer.")

OPENING = "We are investigating this incident and need your help with the following."

Reference = Annotated[str, typer.Argument(metavar="REF", help="The thread to write on, such as INC-000001.")]
Recipients = Annotated[
    list[str], typer.Option("--to", metavar="ADDRESS", help="A contact of the thread's customer; repeatable.")
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


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    compose_kinds_command.register(commands)
    app.add_typer(commands, name="compose")


@commands.command()
def request(
    reference: Reference,
    *,
    to: Recipients,
    question: Annotated[list[str], typer.Option(help="What you need to know, one line; repeatable.")],
    text: Annotated[str, typer.Option(help="What stands before the questions.")] = OPENING,
    preview: Preview = False,
    preview_html: PreviewHtml = None,
    preview_raw: PreviewRaw = False,
    key: Key = None,
    break_glass: BreakGlass = None,
    test_to: TestTo = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Ask for the context that an investigation needs. The thread then awaits the customer."""
    with open_desk(config) as desk:
        words: dict[str, Value] = {"opening": text, "questions": tuple(question), "expert": by or UNNAMED}
        letter = Letter(
            MailKind.REQUEST_FOR_CONTEXT,
            reference,
            tuple(to),
            words,
            actor(by),
            key,
            break_glass or "",
            test_to,
        )
        write(desk, letter, Sight(text=preview, html=preview_html, raw=preview_raw), as_json=as_json)


@commands.command()
def reply(
    reference: Reference,
    *,
    to: Recipients,
    text: Annotated[str, typer.Option(help="What you answer.")],
    preview: Preview = False,
    preview_html: PreviewHtml = None,
    preview_raw: PreviewRaw = False,
    key: Key = None,
    break_glass: BreakGlass = None,
    test_to: TestTo = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Answer what a customer asked."""
    with open_desk(config) as desk:
        words: dict[str, Value] = {"text": text, "expert": by or UNNAMED}
        letter = Letter(
            MailKind.REPLY, reference, tuple(to), words, actor(by), key, break_glass or "", test_to
        )
        write(desk, letter, Sight(text=preview, html=preview_html, raw=preview_raw), as_json=as_json)


@commands.command()
def notice(
    reference: Reference,
    *,
    to: Recipients,
    preview: Preview = False,
    preview_html: PreviewHtml = None,
    preview_raw: PreviewRaw = False,
    key: Key = None,
    break_glass: BreakGlass = None,
    test_to: TestTo = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Tell a contact to see the portal, and nothing else: for a customer whose mail somebody else may read."""
    with open_desk(config) as desk:
        letter = Letter(
            MailKind.PORTAL_NOTICE, reference, tuple(to), {}, actor(by), key, break_glass or "", test_to
        )
        write(desk, letter, Sight(text=preview, html=preview_html, raw=preview_raw), as_json=as_json)
