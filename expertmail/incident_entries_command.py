"""``expertmail incidents chat`` and ``call``: what was said elsewhere, put on the timeline by whoever heard or wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from expertmail.desk import By, Config, acted, actor, now, open_desk
from expertmail.tables import say
from threads.model import ActorKind, EntryKind, Mark
from threads.store.thread import append, thread_by_reference

Reference = Annotated[
    str, typer.Argument(metavar="REF", help="Such as INC-000001, INQ-000001 or SVC-000001.")
]
Who = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="The name of who said it, if not you.")
]

_MARKS: Final = {
    ActorKind.EXPERT: Mark.EXPERT,
    ActorKind.VIRTUAL_ASSISTANT: Mark.ASSISTANT,
    ActorKind.AUTOMATION: Mark.AUTOMATION,
    ActorKind.CUSTOMER: Mark.REPORTED,  # an expert writes down what was heard
}


def register(incidents: typer.Typer) -> None:
    """Put the commands below ``incidents``."""
    incidents.command("chat")(chat)
    incidents.command("call")(call)


def chat(
    reference: Reference,
    text: Annotated[str, typer.Argument(help="What was written.")],
    *,
    who: Annotated[
        ActorKind, typer.Option("--from", case_sensitive=False, help="Who wrote it.")
    ] = ActorKind.EXPERT,
    name: Who = None,
    by: By = None,
    config: Config = None,
) -> None:
    """Put a message of the portal's or Teams' chat on the timeline. A customer's is marked as reported."""
    _record(EntryKind.CHAT, reference, text, who, name, by=by, config=config)


def call(
    reference: Reference,
    text: Annotated[str, typer.Argument(help="What was said, in short.")],
    *,
    who: Annotated[
        ActorKind, typer.Option("--from", case_sensitive=False, help="Whose words these are.")
    ] = ActorKind.EXPERT,
    name: Who = None,
    by: By = None,
    config: Config = None,
) -> None:
    """Put a telephone call on the timeline. What a customer said is marked as reported."""
    _record(EntryKind.CALL, reference, text, who, name, by=by, config=config)


def _record(
    kind: EntryKind,
    reference: str,
    text: str,
    who: ActorKind,
    name: str | None,
    *,
    by: str | None,
    config: Path | None,
) -> None:
    with open_desk(config) as desk:
        with desk.database.writing() as conn:
            thread = thread_by_reference(conn, reference)
            speaker = name or (actor(by) if who is ActorKind.EXPERT else who.value)
            append(conn, thread.id, now(), kind, actor=speaker, mark=_MARKS[who], text=text)
            acted(
                conn,
                f"{kind}-recorded",
                by,
                thread.reference,
                f"of {speaker} ({who})",
                organisation_id=thread.organisation_id,
            )
        say(f"Put on {thread.reference} as a {kind} of {speaker}.")
