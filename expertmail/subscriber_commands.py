"""What ``expertmail webhooks`` and ``expertmail teams`` do alike: list, move, pause, resume, remove, and see what was told."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from expertmail.desk import AsJson, By, Config, acted, actor, now, open_desk
from expertmail.faults import ExitCode, FaultError
from expertmail.subscriber_acts import given_up, go_on_telling, pause_telling, tell_each_again
from expertmail.tables import moment, plain, say, show_json, show_table
from outbound.seal import Purpose, sealed
from outbound.store.subscriber_events import counts, drop_untold, list_events
from outbound.store.subscribers import (
    change_address,
    list_subscribers,
    remove,
    subscriber_named,
)
from outbound.subscriber import EventState, Subscriber, SubscriberKind
from outbound.web_address import address_refusal
from threads.store.people import list_organisations

MAX_LISTED: Final = 1_000
"""Events in one list."""

Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as portal-1.")]
Url = Annotated[str, typer.Argument(metavar="URL", help="Such as https://portal.example/hooks.")]

_WORDS: Final = {SubscriberKind.WEBHOOK: "webhook", SubscriberKind.TEAMS: "Teams channel"}


def host_of(url: str) -> str:
    """The host of an address; FaultError for one that is never called."""
    refused = address_refusal(url)
    if refused is not None:
        raise FaultError(refused, ExitCode.DATA)
    return urlsplit(url).hostname or ""


def told_of(one: Subscriber, whose: list[str]) -> dict[str, object]:
    """A subscriber for programs, without what is secret."""
    return {
        "name": one.name,
        "host": one.host,
        "organisations": None if one.organisations is None else whose,
        "created_at": one.created_at.isoformat(),
        "created_by": one.created_by,
        "paused": None if one.paused is None else one.paused.reason,
    }


def register_shared(commands: typer.Typer, kind: SubscriberKind) -> None:
    """Put them on the group of one kind."""
    _register_list(commands, kind)
    _register_acts(commands, kind)
    _register_events(commands, kind)


def _register_list(commands: typer.Typer, kind: SubscriberKind) -> None:
    word, group = _WORDS[kind], "webhooks" if kind is SubscriberKind.WEBHOOK else "teams"

    @commands.command("list")
    def list_(as_json: AsJson = False, config: Config = None) -> None:
        """List them: where they are, whose entries they hear of, and how many entries wait or were given up."""
        with open_desk(config) as desk, desk.database.reading() as conn:
            names = {one.id: one.name for one in list_organisations(conn)}
            rows = [
                (
                    one,
                    sorted(names[id_] for id_ in one.organisations or () if id_ in names),
                    counts(conn, one),
                )
                for one in list_subscribers(conn, kind)
            ]
        if as_json:
            show_json([{**told_of(one, whose), "entries": stand} for one, whose, stand in rows])
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
            f"There is no {word} yet; add one with: expertmail {group} add NAME URL",
        )


def _register_acts(commands: typer.Typer, kind: SubscriberKind) -> None:
    word = _WORDS[kind]

    @commands.command()
    def move(name: Name, url: Url, by: By = None, config: Config = None) -> None:
        """Call it at another address."""
        host = host_of(url)
        with open_desk(config) as desk, desk.database.writing() as conn:
            one = subscriber_named(conn, name, kind)
            change_address(conn, one, host, sealed(url, desk.world.console_key, Purpose.ADDRESS, one.name))
            acted(conn, f"{kind}-moved", by, one.name, f"from {one.host} to {host}")
        say(f"The {word} {one.name} is called at {host} from now on.")

    @commands.command("pause")
    def pause_(
        name: Name,
        reason: Annotated[str, typer.Option(help="Why; whoever looks at the list sees it.")],
        by: By = None,
        config: Config = None,
    ) -> None:
        """Tell it nothing for now; what comes meanwhile waits."""
        with open_desk(config) as desk, desk.database.writing() as conn:
            one = subscriber_named(conn, name, kind)
            pause_telling(conn, one, now(), by=actor(by), why=reason)
        say(f"The {word} {one.name} is paused.")

    @commands.command("resume")
    def resume_(name: Name, by: By = None, config: Config = None) -> None:
        """Go on where it was."""
        with open_desk(config) as desk, desk.database.writing() as conn:
            one = subscriber_named(conn, name, kind)
            go_on_telling(conn, one, now(), by=actor(by))
        say(f"The {word} {one.name} hears of entries again.")

    @commands.command("remove")
    def remove_(name: Name, by: By = None, config: Config = None) -> None:
        """Tell it nothing any more, also of what waits."""
        with open_desk(config) as desk, desk.database.writing() as conn:
            one = subscriber_named(conn, name, kind)
            left = drop_untold(conn, one, now())
            remove(conn, one, now(), by=actor(by))
            acted(conn, f"{kind}-removed", by, one.name, f"{left} entries untold")
        say(f"The {word} {one.name} is removed; {left} entries were not told.")


def _register_events(commands: typer.Typer, kind: SubscriberKind) -> None:
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
            one = subscriber_named(conn, name, kind)
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
        event: Annotated[
            str | None, typer.Argument(metavar="EVENT", help="Its number, from `events`.")
        ] = None,
        *,
        all_: Annotated[bool, typer.Option("--all", help="Everything that was given up.")] = False,
        by: By = None,
        config: Config = None,
    ) -> None:
        """Tell once more what was given up, under the same number."""
        if (event is None) is not all_:
            raise FaultError("Name one event, or say --all.", ExitCode.USAGE)
        with open_desk(config) as desk, desk.database.writing() as conn:
            one = subscriber_named(conn, name, kind)
            numbers = [event] if event else given_up(conn, one)
            tell_each_again(conn, one, numbers, now(), by=actor(by))
        say(f"{one.name} is told of {len(numbers)} {'entry' if len(numbers) == 1 else 'entries'} again.")
