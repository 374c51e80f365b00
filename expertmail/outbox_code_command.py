"""``expertmail outbox code``: which mail of ours bears a code that somebody read out or wrote."""

from __future__ import annotations

from typing import Annotated

import typer

from expertmail.desk import AsJson, By, Config, acted, actor, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.tables import moment, say, show_facts, show_json
from outbound.mail_code import MailCodes, plain_code
from outbound.store.codes import mail_of_code
from outbound.store.outbox import organisation_of_mail


def code(
    written: Annotated[
        str, typer.Argument(metavar="CODE", help="As it stands in the mail; case and hyphens do not matter.")
    ],
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Tell which mail of ours bears a code. It says nothing of the mail that somebody has in hand: codes can be copied."""
    plain = plain_code(written)
    if plain is None:
        raise FaultError(
            "That is no code of ours: one character or more is wrong, or it is not whole.", ExitCode.DATA
        )
    with open_desk(config) as desk:
        keys = MailCodes(tuple(desk.world.replies.keys)).keys_of(plain)
        with desk.database.writing() as conn:
            found = mail_of_code(conn, keys)
            subject = "no mail" if found is None else f"mail {found.outgoing_id}"
            whose = None if found is None else organisation_of_mail(conn, found.outgoing_id)
            acted(conn, "code-looked-up", actor(by), subject, organisation_id=whose)
    if found is None:
        raise FaultError("No mail of ours bears that code.", ExitCode.NO_INPUT)
    if as_json:
        show_json(found)
        return
    show_facts(
        {
            "number": str(found.outgoing_id),
            "kind": found.kind.value,
            "written": moment(found.written),
            "to": found.rcpt_to,
            "subject": found.subject,
            "reference": found.reference,
            "state": found.state.value,
        }
    )
    say("A code can be copied: this is the mail that was sent with it, whatever somebody has in hand.")
