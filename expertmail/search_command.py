"""``expertmail search``: find messages by what they say, who wrote them, and what is attached."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from expertmail.desk import AsJson, Config, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.tables import MARK_STYLES, console, moment, plain, safe, say, show_json
from threads.model import Disposition
from threads.search_query import QueryError, read_query
from threads.search_snippet import Snippet
from threads.store.engine import Database
from threads.store.errors import StoreError
from threads.store.search import MAX_PAGE, PAGE, Filters, Hit, Order, Page, search
from threads.store.search_index import backlog, catch_up
from threads.store.thread import thread_by_reference
from verifier.report import Verdict

CATCH_UP_SECONDS: Final = 5.0
"""For taking in what came in last: some thousand messages, and the server has taken in what was before."""
_OUTSIDE: Final = {
    Disposition.HELD: "held",
    Disposition.TRIAGE: "triage",
    Disposition.DISCARDED: "discarded",
}
"""What stands in no conversation, and is shown so."""

_HELP: Final = """Find messages by subject, new text, addresses and attachments' names, the newest first.

Every word has to be there, in any order; "words in quotes" one after the other; begin* any word that begins so; -word must
not be there. Case and accents do not matter. Held mail and strangers' is searched too, and marked as such.
"""


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    # What is looked for may begin with a minus, and hold an h.
    settings = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
    app.command("search", help=_HELP, context_settings=settings)(search_)


def search_(
    words: Annotated[list[str], typer.Argument(metavar="WORDS…", help="What to look for.")],
    *,
    thread: Annotated[
        str | None, typer.Option(metavar="REF", help="Only on this thread, or held for it.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Received on this day (UTC) or later.")
    ] = None,
    before: Annotated[
        str | None, typer.Option(metavar="DATE", help="Received before this day (UTC).")
    ] = None,
    verdict: Annotated[Verdict | None, typer.Option(help="Only with this verdict.")] = None,
    best: Annotated[bool, typer.Option("--best", help="The best of the newest hits first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, metavar="N", help="So many a page.")] = PAGE,
    page: Annotated[
        str | None, typer.Option(metavar="NAME", help="A further page, as the one before named it.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Search; the help stands above."""
    window = _moment(since, "--since"), _moment(before, "--before")
    try:
        query = read_query(_typed(words))
        with open_desk(config) as desk:
            missing = _missing(desk.database)
            with desk.database.reading() as conn:
                filters = Filters(
                    None if thread is None else thread_by_reference(conn, thread).id,
                    *window,
                    None if verdict is None else verdict.value,
                )
                order = Order.BEST if best else Order.NEWEST
                found = search(conn, query, filters, order=order, limit=limit, cursor=page)
    except QueryError as error:
        raise FaultError(str(error), ExitCode.USAGE) from error
    if as_json:
        show_json(_json(found, missing))
    else:
        _show(found, missing)


def _typed(words: list[str]) -> str:
    """What was typed, in one line: what the shell took the quotes off is a phrase, unless it holds quotes itself."""
    return " ".join(_again(word) for word in words)


def _again(word: str) -> str:
    if '"' in word or " " not in word.strip():
        return word
    minus, rest = ("-", word[1:]) if word.startswith("-") else ("", word)
    return f'{minus}"{rest}"'


def _moment(written: str | None, name: str) -> datetime | None:
    if written is None:
        return None
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        raise typer.BadParameter(f"{name} takes a date such as 2026-11-25.") from None
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise typer.BadParameter(f"{name} takes a date such as 2026-11-25.") from None


def _missing(database: Database) -> int:
    """How many messages are not in the index even now; they are told, for what is shown is not all then."""
    try:
        if catch_up(database, CATCH_UP_SECONDS):
            return 0
    except StoreError:  # it cannot be written just now; it can be read all the same, or that is told next
        pass
    with database.reading() as conn:
        return backlog(conn).waiting


def _show(found: Page, missing: int) -> None:
    for hit in found.hits:
        _show_hit(hit)
    if not found.hits:
        say("Nothing is found.")
    if found.cursor is not None:
        say(f"There is more: --page {found.cursor}")
    if found.damaged:
        say(f"{found.damaged} more cannot be read; `expertmail db check` says more.")
    if missing:
        say(f"About {missing:,} messages are not in the index yet: the server is still taking them in.")


def _show_hit(hit: Hit) -> None:
    copy = hit.copy
    place = _OUTSIDE.get(copy.disposition, copy.disposition.value)
    marked = f"[{place}]" if copy.disposition in _OUTSIDE else ""
    head = [
        moment(copy.received_at), copy.id, hit.thread or "", marked, copy.verdict, copy.author or "(unreadable)"
    ]  # fmt: skip
    style = MARK_STYLES.get(copy.verdict, "red" if marked else "cyan")
    say("  ".join(part for part in head if part), style=style)
    say(f"    {copy.subject}", style="bold")
    if hit.snippet.text.strip():
        console().print(_marked(hit.snippet), soft_wrap=True)


def _marked(snippet: Snippet) -> Text:
    """The snippet with its hits in colour, which a pipe does not get."""
    line = Text("    ")
    end = 0
    for start, stop in snippet.hits:
        line.append(safe(snippet.text[end:start]))
        line.append(safe(snippet.text[start:stop]), style="bold yellow")
        end = stop
    line.append(safe(snippet.text[end:]))
    return line


def _json(found: Page, missing: int) -> dict[str, Any]:
    return {
        "hits": [
            {
                "id": hit.copy.id,
                "received_at": plain(hit.copy.received_at),
                "thread": hit.thread,
                "disposition": hit.copy.disposition.value,
                "outside": hit.copy.disposition in _OUTSIDE,
                "verdict": hit.copy.verdict,
                "author": hit.copy.author,
                "mail_from": hit.copy.mail_from,
                "rcpt_to": hit.copy.rcpt_to,
                "subject": hit.copy.subject,
                "snippet": hit.snippet.text,
                "marks": [list(place) for place in hit.snippet.hits],
            }
            for hit in found.hits
        ],
        "next": found.cursor,
        "damaged": found.damaged,
        "not_indexed": missing,
    }
