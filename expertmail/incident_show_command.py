"""``expertmail incidents show``: a thread, its timeline or its tree, why each mail is on it, and what waits outside."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from expertmail.conversation_view import match_json, say_match, say_outside, say_tree, tree_json, tree_of
from expertmail.desk import AsJson, Config, open_desk
from expertmail.held_listing import damaged_json
from expertmail.orgs_command import say_telephones
from expertmail.tables import MARK_STYLES, moment, plain, say, show_facts, show_json, show_table
from threads.chat import entry_name
from threads.model import DamagedCopy, EntryKind, HeldItem, Mark, Task, Thread, TimelineEntry
from threads.store.circumstances import phones
from threads.store.feed import copies_among
from threads.store.held import held_on
from threads.store.match_records import match_records, references_to
from threads.store.people import organisation
from threads.store.tasks import list_tasks
from threads.store.thread import thread_by_id, thread_by_reference, timeline_of


def register(commands: typer.Typer) -> None:
    """Put the command among those of ``incidents``."""
    commands.command("show")(show)


def show(
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="Such as INC-000001, INQ-000001 or SVC-000001.")
    ],
    *,
    quoted: Annotated[bool, typer.Option("--quoted", help="Show quoted text as well.")] = False,
    why: Annotated[
        bool,
        typer.Option("--why", help="Say of each mail that came in what named this thread, and what else."),
    ] = False,
    tree: Annotated[
        bool, typer.Option("--tree", help="Show the mails as they answer each other, a line for each.")
    ] = False,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Show a thread and its timeline: who said what, and how far that is proven."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        thread = thread_by_reference(conn, reference, as_named=True)
        customer = organisation(conn, thread.organisation_id)
        entries, tasks = timeline_of(conn, thread.id), list_tasks(conn, thread.id)
        about = _reference(conn, thread.about_id)
        merged_into = _reference(conn, thread.merged_into)
        callable_ = phones(conn, customer.id) if customer.untrusted else ()
        outside = held_on(conn, thread.id)
        records = match_records(conn, thread.id) if why or as_json else {}
        references = references_to(conn, records.values())
        branches = tree_of(conn, thread.id, entries) if tree else ()
        ours = [one.message_id for one in entries if one.kind is EntryKind.MAIL_OUT and one.message_id]
        copies = copies_among(conn, ours)
    if as_json:
        matches = {name: match_json(record, references) for name, record in records.items()}
        show_json(
            {
                **plain(thread),
                "organisation": customer.name,
                "mail_untrusted": customer.untrusted is not None,
                "about": about,
                "merged_into": merged_into,
                "tasks": plain(tasks),
                "timeline": [
                    {
                        **plain(one),
                        "actor_kind": one.mark.actor_kind.value,
                        "copy_of": copies.get(one.message_id or ""),
                        "match": matches.get(one.copy_id or ""),
                    }
                    for one in entries
                ],
                "outside": [_outside_json(one) for one in outside],
                **({"tree": tree_json(branches)} if tree else {}),
            }
        )
        return
    _show_head(thread, customer.name, about, merged_into)
    if customer.untrusted:
        say(f"The mail of {customer.name} is untrusted: {customer.untrusted.reason}", style="red")
        say_telephones(customer, callable_)
    _show_tasks(tasks)
    if tree:
        say()
        say_tree(branches, entries)
    else:
        for entry in entries:
            _show_entry(entry, quoted=quoted, copy_of=copies.get(entry.message_id or ""))
            record = records.get(entry.copy_id or "")
            if record is not None:
                say_match(record, references)
    say_outside(outside, thread.reference)


def _reference(conn: Any, thread_id: int | None) -> str | None:
    return None if thread_id is None else thread_by_id(conn, thread_id).reference


def _outside_json(one: HeldItem | DamagedCopy) -> dict[str, Any]:
    if isinstance(one, DamagedCopy):
        return damaged_json(one)
    copy = one.copy
    return {
        "id": copy.id,
        "received_at": plain(copy.received_at),
        "author": copy.author,
        "subject": copy.subject,
        "reason": copy.reason,
    }


def _show_head(thread: Thread, customer: str, about: str | None, merged_into: str | None) -> None:
    say(f"{thread.reference}  {thread.title}", style="bold")
    show_facts(
        {
            "merged into": merged_into or "",
            "customer": customer,
            "state": thread.state.value,
            "severity": thread.severity.value if thread.severity else "",
            "classification": thread.classification.value if thread.classification else "",
            "assigned to": thread.assigned_to.value,
            "about": about or "",
            "opened": moment(thread.opened_at),
            "content removed": moment(thread.emptied_at),
        }
    )


def _show_tasks(tasks: tuple[Task, ...]) -> None:
    if not tasks:
        return
    say()
    show_table(
        ("TASK", "STATUS", "SOURCE", "SINCE", "BY", "WHAT"),
        [
            (
                str(one.number),
                one.status.value,
                one.source.value,
                moment(one.updated_at),
                one.updated_by,
                one.title,
            )
            for one in tasks
        ],
        "",
    )


def _show_entry(entry: TimelineEntry, *, quoted: bool, copy_of: int | None = None) -> None:
    say()
    name = entry.copy_id or (f"<{entry.message_id}>" if entry.message_id else "")
    known_as = f"  {name}" if name else ""
    judged = f"  {entry.verdict}" if entry.verdict else ""
    say(
        f"{moment(entry.at)}  {entry.kind.value}  {entry.actor}  [{entry.mark.value}]{judged}{known_as}",
        style=MARK_STYLES.get(entry.mark.value, "cyan"),
    )
    # Released mail stands apart from what is proven, line by line: nobody takes it for a part of the conversation.
    apart = entry.mark is Mark.UNVERIFIED
    if apart:
        say("    ! outside the conversation: nobody has proven who wrote this", style="red")
    if copy_of is not None:
        say(f"    (carries what was written in the chat, {entry_name(copy_of)})", style="dim")
        return
    margin = "    ! " if apart else "    "
    for line in entry.text.splitlines():
        say(f"{margin}{line}")
    if not entry.quoted:
        return
    lines = entry.quoted.splitlines()
    if quoted:
        for line in lines:
            say(f"{margin}> {line}", style="dim")
    else:
        say(f"{margin}(and {len(lines)} quoted lines; --quoted shows them)", style="dim")
