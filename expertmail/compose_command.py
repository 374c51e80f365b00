"""``expertmail compose``: write to a customer. Composed, signed, judged by our own verifier, then queued."""

from __future__ import annotations

from typing import Annotated

import typer

from expertmail import compose_kinds_command, compose_write_command
from expertmail.compose_desk import Sight, write
from expertmail.compose_facts import UNNAMED
from expertmail.compose_options import (
    BreakGlass,
    Key,
    Language,
    Outside,
    Preview,
    PreviewHtml,
    PreviewRaw,
    Recipients,
    Reference,
    SendAfter,
    SendBefore,
    Terms,
    TestTo,
)
from expertmail.desk import AsJson, By, Config, open_desk
from outbound.model import MailKind, Value

commands = typer.Typer(no_args_is_help=True, help="Write to a customer.")

OPENING = "We are investigating this incident and need your help with the following."


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    compose_write_command.register(commands)
    compose_kinds_command.register(commands)
    app.add_typer(commands, name="compose")


@commands.command()
def request(
    reference: Reference,
    *,
    to: Recipients,
    question: Annotated[list[str], typer.Option(help="What you need to know, one line; repeatable.")],
    text: Annotated[str, typer.Option(help="What stands before the questions.")] = OPENING,
    outside: Outside = None,
    language: Language = "en",
    preview: Preview = False,
    preview_html: PreviewHtml = None,
    preview_raw: PreviewRaw = False,
    key: Key = None,
    break_glass: BreakGlass = None,
    test_to: TestTo = None,
    send_after: SendAfter = None,
    send_before: SendBefore = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Ask for the context that an investigation needs. The thread then awaits the customer."""
    words: dict[str, Value] = {"opening": text, "questions": tuple(question), "expert": by or UNNAMED}
    terms = Terms(outside, language, key, break_glass, test_to, send_after, send_before, by)
    sight = Sight(preview, preview_html, preview_raw)
    with open_desk(config) as desk:
        write(desk, terms.letter(MailKind.REQUEST_FOR_CONTEXT, reference, to, words), sight, as_json=as_json)


@commands.command()
def reply(
    reference: Reference,
    *,
    to: Recipients,
    text: Annotated[str, typer.Option(help="What you answer.")],
    outside: Outside = None,
    language: Language = "en",
    preview: Preview = False,
    preview_html: PreviewHtml = None,
    preview_raw: PreviewRaw = False,
    key: Key = None,
    break_glass: BreakGlass = None,
    test_to: TestTo = None,
    send_after: SendAfter = None,
    send_before: SendBefore = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Answer what a customer asked."""
    words: dict[str, Value] = {"text": text, "expert": by or UNNAMED}
    terms = Terms(outside, language, key, break_glass, test_to, send_after, send_before, by)
    sight = Sight(preview, preview_html, preview_raw)
    with open_desk(config) as desk:
        write(desk, terms.letter(MailKind.REPLY, reference, to, words), sight, as_json=as_json)


@commands.command()
def notice(
    reference: Reference,
    *,
    to: Recipients,
    outside: Outside = None,
    language: Language = "en",
    preview: Preview = False,
    preview_html: PreviewHtml = None,
    preview_raw: PreviewRaw = False,
    key: Key = None,
    break_glass: BreakGlass = None,
    test_to: TestTo = None,
    send_after: SendAfter = None,
    send_before: SendBefore = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Tell a contact to see the portal, and nothing else: for a customer whose mail somebody else may read."""
    terms = Terms(outside, language, key, break_glass, test_to, send_after, send_before, by)
    sight = Sight(preview, preview_html, preview_raw)
    with open_desk(config) as desk:
        write(desk, terms.letter(MailKind.PORTAL_NOTICE, reference, to, {}), sight, as_json=as_json)
