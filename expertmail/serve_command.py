"""``expertmail serve``: everything in one start."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import typer

from expertmail import logs, service_manager
from expertmail.console.invitations import console_url, first_link, keep_first_link
from expertmail.console.server import listening
from expertmail.desk import Config, now, opened
from expertmail.faults import ExitCode, FaultError
from expertmail.freed_memory import keep_what_is_freed
from expertmail.privileges import drop_privileges
from expertmail.reload import refuse_another_gateway
from expertmail.serve import Sockets, Start, serve
from expertmail.service_manager import handed_over
from expertmail.settings import Settings, load
from expertmail.tables import say
from expertmail.worker_processes import Forked, forked_server
from expertmail.world import SAMPLE_CUSTOMER, World, open_world
from smtp_gateway.listener import Listener, ListenError


def register(app: typer.Typer) -> None:
    """Put the command on an app."""
    app.command("serve")(serve_)


def serve_(config: Config = None) -> None:
    """Start gateway, delivery and console, and run until Ctrl-C or SIGTERM; SIGHUP reads the settings anew.

    Without settings everything stays on this machine: data in ./var, SMTP on 127.0.0.1:2525, the console on
    127.0.0.1:8025, and mail goes to files in var/outbox only.
    """
    settings = load(config)
    logs.configure(settings.log)
    with _sockets(settings) as sockets:
        drop_privileges(settings.smtp.user)
        forked = _forked(settings, sockets)
        keep_what_is_freed()
        world = open_world(settings)
        with opened(settings) as database:
            start = Start(world, database, sockets, lambda: _reread(config, settings), forked)
            asyncio.run(
                serve(start, lambda smtp, console: _announce(start, sockets.smtp.host, smtp, console))
            )


def _forked(settings: Settings, sockets: Sockets) -> Forked | None:
    """What workers are forked from: before this process has opened anything that a copy of it could spoil."""
    if settings.smtp.workers == 1:
        return None
    try:
        return forked_server((*sockets.smtp.sockets, sockets.console))
    except OSError as error:
        raise FaultError(f"No worker can be started ({error.strerror}).", ExitCode.UNAVAILABLE) from error


def _reread(config: Path | None, first: Settings) -> World:
    """Settings and files as they are now. Raises FaultError."""
    settings = load(config)
    refuse_another_gateway(first, settings)
    return open_world(settings)


@contextmanager
def _sockets(settings: Settings) -> Iterator[Sockets]:
    """Bind what the service manager has not handed over."""
    given = handed_over()
    try:
        if given.smtp:
            smtp = Listener.inherited(given.smtp, ours=False)
        else:
            smtp = Listener.bound(settings.smtp.host, settings.smtp.port)
    except ListenError as error:
        raise FaultError(f"{str(error).rstrip('.')} (smtp.port).") from error
    with ExitStack() as stack:
        stack.callback(smtp.close)
        if given.console:
            console = stack.enter_context(socket.socket(fileno=given.console[0]))
            console.setblocking(False)  # noqa: FBT003 - the socket interface has no name for it
        else:
            console = stack.enter_context(listening(settings.console.host, settings.console.port))
        yield Sockets(smtp, console)


_STDOUT: Final = 1


def _announce_first_link(link: str | None, folder: Path) -> None:
    """Show the link to whoever has started it; a service manager's journal, which others read, gets the name of the file that holds it."""
    seen = not service_manager.keeps(_STDOUT)
    try:
        path = keep_first_link(folder, None if seen else link)
    except OSError as error:
        say(f"         The file of the first account's link cannot be written ({error.strerror}).")
        if not seen:
            return
    if link is not None:
        where = f"at\n         {link}" if seen else f"by the link in\n         {path.absolute()}"
        say(f"         Nobody has an account yet. Make the first one, once and within a day, {where}")


def _announce(start: Start, smtp_host: str, smtp_port: int, console_port: int) -> None:
    """What listens where, and what to do next."""
    world = start.world
    settings = world.settings
    for made in world.made:
        say(f"Made the {made}.")
    tls = "with STARTTLS" if settings.smtp.tls_certificate else "without STARTTLS (no certificate is set)"
    say(f"SMTP     {smtp_host}:{smtp_port}, {tls}, for {', '.join(settings.mail.domains)}")
    say(f"Console  http://{settings.console.host}:{console_port}/readyz, /metrics, POST /api/v1/verify")
    say(f"Pages    {console_url(settings, console_port)}")
    _announce_first_link(first_link(start.database, settings, now(), console_port), settings.data_dir)
    ways = {
        "files": f"files in {world.outbox}; nobody is mailed",
        "smarthost": f"through {settings.delivery.smarthost}:{settings.delivery.smarthost_port}",
        "mx": "to the recipients' own servers",
    }
    say(f"Delivery {ways[settings.delivery.mode]}")
    say(f"Data     {settings.data_dir.absolute()}")
    say()
    if settings.delivery.mode == "files":
        say("Next, in a second terminal in this folder:")
        say(
            f"  expertmail contacts add alice@{SAMPLE_CUSTOMER} --name Alice --org Contoso --domain {SAMPLE_CUSTOMER}"
        )
        say('  expertmail incidents open --org Contoso --title "Odd sign-ins"')
        say(
            f'  expertmail compose request INC-000001 --to alice@{SAMPLE_CUSTOMER} --question "Was this you?"'
        )
        say("  expertmail incidents show INC-000001")
    else:
        say("Next: publish the records of `expertmail dns show`, then send a message to yourself.")
