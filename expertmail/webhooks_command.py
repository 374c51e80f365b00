"""``expertmail webhooks``: programs that hear of each timeline entry at once."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from expertmail.channels import call_now
from expertmail.desk import AsJson, By, Config, Desk, acted, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.tables import moment, plain, say, show_json, show_table
from outbound.seal import Purpose, opened, sealed
from outbound.store.subscriber_events import counts, drop_untold, list_events, tell_again
from outbound.store.subscribers import (
    NewSubscriber,
    add_subscriber,
    change_address,
    change_secret,
    list_subscribers,
    pause,
    remove,
    resume,
    sealed_of,
    subscriber_named,
)
from outbound.subscriber import EventState, Sealed, Subscriber, SubscriberKind
from outbound.subscriber_calls import Call
from outbound.web_address import address_refusal
from outbound.webhook import SECRET_BYTES, body_of, fields_of, secret_text
from threads.store import Connection
from threads.store.people import list_organisations, organisation_named

MAX_LISTED: Final = 1_000
"""Events in one list."""

commands = typer.Typer(
    no_args_is_help=True, help="Let programs hear of each timeline entry, and see what they were told."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as portal-1.")]
Url = Annotated[str, typer.Argument(metavar="URL", help="Such as https://portal.example/hooks.")]
_KIND: Final = SubscriberKind.WEBHOOK


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.add_typer(commands, name="webhooks")


@commands.command()
def add(
    name: Name,
    url: Url,
    *,
    org: Annotated[
        list[str] | None,
        typer.Option(help="The only customer that it hears of; repeatable. Without it: all."),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Add one, and show its secret this once. It hears of what comes on timelines from now on."""
    host = _host(url)
    with open_desk(config) as desk:
        secret = secret_text(secrets.token_bytes(SECRET_BYTES))
        with desk.database.writing() as conn:
            whose = [organisation_named(conn, one) for one in org or ()]
            kept = Sealed(
                sealed(url, desk.world.console_key, Purpose.ADDRESS, name),
                sealed(secret, desk.world.console_key, Purpose.SECRET, name),
            )
            new = NewSubscriber(_KIND, name, host, kept)
            made = add_subscriber(conn, new, now(), by=actor(by), organisations=whose)
            names = ", ".join(one.name for one in whose) or "all customers"
            acted(conn, "webhook-added", by, made.name, f"at {host}, for {names}")
        if as_json:
            show_json({**_told(made, [one.name for one in whose]), "secret": secret})
            return
        say(secret)
        typer.echo(
            f"That is the secret of the webhook {made.name}; it is shown this once. Its receiver checks signatures with it.",
            err=True,
        )


@commands.command("list")
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """List them: where they are, whose entries they hear of, and how many entries wait or were given up."""
    with open_desk(config) as desk, desk.database.reading() as conn:
        names = {one.id: one.name for one in list_organisations(conn)}
        rows = [
            (one, sorted(names[id_] for id_ in one.organisations or () if id_ in names), counts(conn, one))
            for one in list_subscribers(conn, _KIND)
        ]
    if as_json:
        show_json([{**_told(one, whose), "entries": stand} for one, whose, stand in rows])
        return
    show_table(
        ("NAME", "HOST", "STATE", "CUSTOMERS", "WAIT", "GIVEN UP", "TOLD", "ADDED BY"),
        [
            (
                one.name,
                one.host,
                "in force" if one.paused is None else f"paused: {one.paused.reason}",
                "all" if one.organisations is None else ", ".join(whose) or "none any more",
                str(stand[EventState.WAITING] + stand[EventState.LEASED]),
                str(stand[EventState.DEAD]),
                str(stand[EventState.DELIVERED]),
                one.created_by,
            )
            for one, whose, stand in rows
        ],
        "There are no webhooks yet; add one with: expertmail webhooks add NAME URL",
    )


@commands.command()
def move(name: Name, url: Url, by: By = None, config: Config = None) -> None:
    """Call it at another address."""
    host = _host(url)
    with open_desk(config) as desk, desk.database.writing() as conn:
        one = subscriber_named(conn, name, _KIND)
        change_address(conn, one, host, sealed(url, desk.world.console_key, Purpose.ADDRESS, one.name))
        acted(conn, "webhook-moved", by, one.name, f"from {one.host} to {host}")
    say(f"The webhook {one.name} is called at {host} from now on.")


@commands.command()
def rotate(name: Name, by: By = None, config: Config = None) -> None:
    """Give it another secret, shown this once; for a day each call is signed with both."""
    with open_desk(config) as desk:
        secret = secret_text(secrets.token_bytes(SECRET_BYTES))
        with desk.database.writing() as conn:
            one = subscriber_named(conn, name, _KIND)
            kept = sealed(secret, desk.world.console_key, Purpose.SECRET, one.name)
            until = change_secret(conn, one, kept, now())
            acted(conn, "webhook-secret-changed", by, one.name, f"the old one until {moment(until)}")
        say(secret)
        typer.echo(
            f"That is the new secret of {one.name}. Until {moment(until)} calls are signed with the old one too.",
            err=True,
        )


@commands.command("pause")
def pause_(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; whoever looks at the list sees it.")],
    by: By = None,
    config: Config = None,
) -> None:
    """Tell it nothing for now; what comes meanwhile waits."""
    with open_desk(config) as desk, desk.database.writing() as conn:
        one = subscriber_named(conn, name, _KIND)
        pause(conn, one, now(), by=actor(by), why=reason)
        acted(conn, "webhook-paused", by, one.name, reason)
    say(f"The webhook {one.name} is paused.")


@commands.command("resume")
def resume_(name: Name, by: By = None, config: Config = None) -> None:
    """Go on where it was."""
    with open_desk(config) as desk, desk.database.writing() as conn:
        one = subscriber_named(conn, name, _KIND)
        resume(conn, one)
        acted(conn, "webhook-resumed", by, one.name)
    say(f"The webhook {one.name} hears of entries again.")


@commands.command("remove")
def remove_(name: Name, by: By = None, config: Config = None) -> None:
    """Tell it nothing any more, also of what waits."""
    with open_desk(config) as desk, desk.database.writing() as conn:
        one = subscriber_named(conn, name, _KIND)
        left = drop_untold(conn, one, now())
        remove(conn, one, now(), by=actor(by))
        acted(conn, "webhook-removed", by, one.name, f"{left} entries untold")
    say(f"The webhook {one.name} is removed; {left} entries were not told.")


@commands.command()
def events(
    name: Name,
    *,
    state: Annotated[
        list[EventState] | None, typer.Option(help="Only those that stand so; repeatable.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """List what waits and what was given up, with the last answer."""
    wanted = tuple(state or (EventState.WAITING, EventState.LEASED, EventState.DEAD))
    with open_desk(config) as desk, desk.database.reading() as conn:
        one = subscriber_named(conn, name, _KIND)
        found = list_events(conn, one, wanted, MAX_LISTED)
    if as_json:
        show_json([plain(event) for event in found])
        return
    show_table(
        ("EVENT", "STATE", "TRIES", "MADE", "NEXT TRY", "LAST ANSWER"),
        [
            (
                event.event_id,
                event.state,
                str(event.tries),
                moment(event.made_at),
                moment(event.next_at) if event.state is EventState.WAITING else "",
                event.last_answer,
            )
            for event in found
        ],
        f"{one.name} was told everything.",
    )


@commands.command()
def retry(
    name: Name,
    event: Annotated[str | None, typer.Argument(metavar="EVENT", help="Its number, from `events`.")] = None,
    *,
    all_: Annotated[bool, typer.Option("--all", help="Everything that was given up.")] = False,
    by: By = None,
    config: Config = None,
) -> None:
    """Tell once more what was given up, under the same number."""
    if (event is None) is not all_:
        raise FaultError("Name one event, or say --all.", ExitCode.USAGE)
    with open_desk(config) as desk, desk.database.writing() as conn:
        one = subscriber_named(conn, name, _KIND)
        numbers = [event] if event else _given_up(conn, one)
        for number in numbers:
            tell_again(conn, one, number, now())
        acted(conn, "webhook-told-again", by, one.name, f"{len(numbers)} entries")
    say(f"{one.name} is told of {len(numbers)} {'entry' if len(numbers) == 1 else 'entries'} again.")


@commands.command("test")
def call_once(name: Name, config: Config = None) -> None:
    """Call it once with an event of type `test`, and say what it answers."""
    with open_desk(config) as desk:
        with desk.database.reading() as conn:
            one = subscriber_named(conn, name, _KIND)
            call = _test_call(conn, desk, one)
        answer = asyncio.run(call_now(desk.settings, call))
    if not answer.taken:
        raise FaultError(f"{one.name} did not take it: {answer.words}.", ExitCode.UNAVAILABLE)
    say(f"{one.name} took it: {answer.words}.")


def _test_call(conn: Connection, desk: Desk, one: Subscriber) -> Call:
    kept, key = sealed_of(conn, one), desk.world.console_key
    event = f"evt_{secrets.token_hex(16)}"
    body = body_of({"type": "test", "event": event})
    secret = opened(kept.secret, key, Purpose.SECRET, one.name)
    address = opened(kept.address, key, Purpose.ADDRESS, one.name)
    return Call(address, body, fields_of(event, body, [secret], now()))


def _given_up(conn: Connection, one: Subscriber) -> list[str]:
    return [event.event_id for event in list_events(conn, one, (EventState.DEAD,), MAX_LISTED)]


def _host(url: str) -> str:
    refused = address_refusal(url)
    if refused is not None:
        raise FaultError(refused, ExitCode.DATA)
    parts = urlsplit(url)
    return parts.hostname or ""


def _told(one: Subscriber, whose: list[str]) -> dict[str, object]:
    return {
        "name": one.name,
        "host": one.host,
        "organisations": None if one.organisations is None else whose,
        "created_at": one.created_at.isoformat(),
        "created_by": one.created_by,
        "paused": None if one.paused is None else one.paused.reason,
    }
