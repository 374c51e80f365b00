"""The listener: accepts connections, counts them, and stops without losing a message."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog

from smtp_gateway.envelope import Envelope
from smtp_gateway.gateway_settings import GatewaySettings
from smtp_gateway.observer import NobodyWatching, Observer
from smtp_gateway.paths import Path
from smtp_gateway.protocol import GatewaySession
from smtp_gateway.replies import SmtpReply
from smtp_gateway.routes import Mailboxes, Route

BACKLOG = 512
"""Connections that the kernel holds for us in a burst."""

_log = structlog.get_logger("smtp_gateway")

Take = Callable[[Envelope], Awaitable[SmtpReply]]


class ListenError(Exception):
    """The gateway cannot listen; the text is one sentence for a person."""


class GatewayServer:
    """The SMTP side of the gateway. ``take`` judges and stores a message (see ``intake.MailIntake.take``)."""

    def __init__(
        self,
        settings: GatewaySettings,
        mailboxes: Mailboxes,
        take: Take,
        clock: Callable[[], datetime],
        observer: Observer | None = None,
    ) -> None:
        self.settings = settings
        self._mailboxes = mailboxes
        self._take = take
        self._clock = clock
        self._observer: Observer = observer or NobodyWatching()
        self._sessions: set[GatewaySession] = set()
        self._works: set[asyncio.Task[SmtpReply]] = set()
        self._tls_sessions = 0
        self._in_flight = 0
        self._server: asyncio.Server | None = None
        self._quiet: asyncio.Event | None = None

    # -- what a session needs -----------------------------------------------------------------------
    def now(self) -> datetime:
        """The clock, UTC."""
        return self._clock()

    def resolve(self, path: Path) -> Route:
        """Where a recipient leads; raises SmtpRefusal."""
        return self._mailboxes.resolve(path)

    async def take(self, envelope: Envelope) -> SmtpReply:
        """Judge and store a message."""
        return await self._take(envelope)

    def enter(self, session: GatewaySession) -> bool:
        """Count a session in; False beyond the cap."""
        if len(self._sessions) >= self.settings.limits.connections:
            return False
        self._sessions.add(session)
        self._observer.connected()
        return True

    def leave(self, session: GatewaySession) -> None:
        """Count a session out."""
        if session in self._sessions:
            self._sessions.discard(session)
            self._tls_sessions -= session.in_tls
            self._observer.disconnected()
        self._note_quiet()

    def enter_tls(self) -> bool:
        """Count a TLS session in; False beyond the cap."""
        if self._tls_sessions >= self.settings.limits.tls_connections:
            return False
        self._tls_sessions += 1
        return True

    def reserve(self, octets: int) -> bool:
        """Count octets of a message in; False when those in memory would be too many."""
        if self._in_flight + octets > self.settings.limits.in_flight_bytes:
            return False
        self._in_flight += octets
        return True

    def release(self, octets: int) -> None:
        """Count them out."""
        self._in_flight -= octets

    @property
    def crowded(self) -> bool:
        """Whether as many messages are being worked on as sessions may be open.

        A client that resets its connection leaves its work behind; without this nothing would bound those.
        """
        return len(self._works) >= self.settings.limits.connections

    def keep(self, work: Awaitable[SmtpReply]) -> asyncio.Task[SmtpReply]:
        """Run work to its end, whether or not its session lives to see it."""
        task = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[SmtpReply]) -> None:
        self._works.discard(task)
        if not task.cancelled():
            task.exception()  # its session tells and logs it; if that is gone, nobody need be told
        self._note_quiet()

    # -- life ---------------------------------------------------------------------------------------
    @property
    def port(self) -> int:
        """The port listened on, once started (the settings' port may be 0: any)."""
        if self._server is None:
            return self.settings.port
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """Sessions at this moment."""
        return len(self._sessions)

    async def start(self) -> None:
        """Listen. Raises ListenError with what to do when that is not possible."""
        loop = asyncio.get_running_loop()
        where = f"{self.settings.host}:{self.settings.port}"
        try:
            self._server = await loop.create_server(
                lambda: GatewaySession(self, loop),
                self.settings.host,
                self.settings.port,
                backlog=BACKLOG,
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ListenError(
                    f"SMTP cannot listen on {where}: the port is in use; choose another."
                ) from error
            if error.errno == errno.EACCES:
                raise ListenError(
                    f"SMTP cannot listen on {where}: a port under 1024 needs privileges; choose another."
                ) from error
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such address"
            raise ListenError(f"SMTP cannot listen on {where}: {reason}.") from error
        _log.info("listening", host=self.settings.host, port=self.port)

    async def stop(self) -> None:
        """Take no new connection, let messages in the middle of DATA end, then close what is left."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for session in tuple(self._sessions):
            session.stop()
        self._quiet = asyncio.Event()
        self._note_quiet()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.limits.drain_seconds):
                await self._quiet.wait()
        for session in tuple(self._sessions):
            session.cut()
        if self._works:
            # Complete messages that are still being stored: their commit is worth any wait.
            await asyncio.wait(tuple(self._works))

    def _note_quiet(self) -> None:
        """Tell ``stop`` once no session is left in the middle of a message."""
        if self._quiet is not None and not self._works and not any(s.busy for s in self._sessions):
            self._quiet.set()
