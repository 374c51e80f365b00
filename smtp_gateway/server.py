"""The listener: accepts connections, counts them, and stops without losing a message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import structlog

from smtp_gateway.admission import Admission
from smtp_gateway.commands import Commands
from smtp_gateway.connection import PARTING_SECONDS
from smtp_gateway.envelope import Envelope
from smtp_gateway.gateway_settings import GatewaySettings
from smtp_gateway.listener import Acceptor, Listener, ListenError
from smtp_gateway.observer import NobodyWatching, Observer
from smtp_gateway.paths import Path
from smtp_gateway.protocol import GatewaySession
from smtp_gateway.quota import Quota
from smtp_gateway.reception import SPARE_FOR_ALL
from smtp_gateway.recipient_check import RecipientCheck
from smtp_gateway.replies import SmtpRefusal, SmtpReply
from smtp_gateway.routes import Mailboxes, Route
from smtp_gateway.shared_memory import Field, Slot

HANDSHAKE_SECONDS: Final = 1.0
"""How long a stop goes on answering connections that had begun: a round trip to any client."""
RETIRED_SECONDS: Final = 600.0
"""How long sessions of settings that were replaced may go on: as long as a client waits for the reply to its dot
(RFC 5321 4.5.3.2.6). Honest sessions are over in seconds."""

_log = structlog.get_logger("smtp_gateway")

Take = Callable[[Envelope], Awaitable[SmtpReply]]


class GatewayServer:
    """The SMTP side of the gateway. ``take`` judges and stores a message (see ``intake.MailIntake.take``)."""

    def __init__(
        self,
        settings: GatewaySettings,
        mailboxes: Mailboxes,
        take: Take,
        clock: Callable[[], datetime],
        observer: Observer | None = None,
        *,
        listener: Listener | None = None,
        check: RecipientCheck | None = None,
        among: Slot | None = None,
    ) -> None:
        """``listener``: sockets bound by somebody else, to be closed here; else the settings' address is bound.

        ``check`` asks next hops for the recipients of relayed mail. ``among``: this process' place among several.
        """
        self.settings = settings
        self._mailboxes = mailboxes
        self._take = take
        self._check = check
        self._clock = clock
        self._observer: Observer = observer or NobodyWatching()
        self._sessions: set[Commands] = set()
        self._works: set[asyncio.Task[SmtpReply]] = set()
        self._listener = listener
        self._among = among
        limits = settings.limits
        self._places = self._quota(limits.connections, Field.SESSIONS)
        self._tls_places = self._quota(limits.tls_connections, Field.TLS_SESSIONS)
        self._under_way = self._quota(limits.connections, Field.MESSAGES)
        self.memory = self._quota(limits.in_flight_bytes, Field.MEMORY_OCTETS)
        self.disk = self._quota(limits.spool_bytes, Field.DISK_OCTETS)
        self.spare = Quota(SPARE_FOR_ALL)
        self.admission = Admission(limits, None if among is None else among.admission)
        self._acceptor: Acceptor | None = None
        self._port = settings.port
        self._stopping = False
        self._awaited = False  # whether somebody waits for one of these
        self._quiet = asyncio.Event()  # no message is under way
        self._empty = asyncio.Event()  # no session is left

    def _quota(self, cap: int, field: Field) -> Quota:
        """A cap for this process, or for all that share memory."""
        return Quota(cap, None if self._among is None else self._among.tally(field))

    # -- what a session needs -----------------------------------------------------------------------
    def now(self) -> datetime:
        """The clock, UTC."""
        return self._clock()

    async def resolve(self, path: Path) -> Route:
        """Where a recipient leads; raises SmtpRefusal, also where its next hop does not know it."""
        route = self._mailboxes.resolve(path)
        if route.next_hop is not None and self._check is not None:
            refused = await self._check.refusal(str(path), route.next_hop)
            if refused is not None:
                raise SmtpRefusal(refused, "the next hop does not know it")
        return route

    async def take(self, envelope: Envelope) -> SmtpReply:
        """Judge and store a message."""
        return await self._take(envelope)

    def enter(self, session: Commands) -> bool:
        """Count a session in; False beyond the cap."""
        if not self._places.take(1):
            return False
        self._sessions.add(session)
        self._observer.connected()
        if self._stopping:
            session.stop()
        return True

    def leave(self, session: Commands) -> None:
        """Count a session out."""
        if session in self._sessions:
            self._sessions.discard(session)
            self._places.give(1)
            self._tls_places.give(session.in_tls)
            self._observer.disconnected()
        self._note_quiet()

    def enter_tls(self) -> bool:
        """Count a TLS session in; False beyond the cap."""
        return self._tls_places.take(1)

    @property
    def crowded(self) -> bool:
        """Whether as many messages are being worked on as sessions may be open.

        A client that resets its connection leaves its work behind; without this nothing would bound those.
        """
        return self._under_way.used_up

    def refused(self, stage: str, code: int) -> None:
        """Count a negative reply that no judged message heard."""
        self._observer.refused(stage, code)

    def keep(self, work: Awaitable[SmtpReply]) -> asyncio.Task[SmtpReply]:
        """Run work to its end, whether or not its session lives to see it."""
        task = asyncio.ensure_future(work)
        self._works.add(task)
        self._under_way.count(1)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[SmtpReply]) -> None:
        self._works.discard(task)
        self._under_way.give(1)
        if not task.cancelled():
            task.exception()  # its session tells and logs it; if that is gone, nobody need be told
        self._note_quiet()

    # -- life ---------------------------------------------------------------------------------------
    @property
    def port(self) -> int:
        """The port listened on, once started (the settings' port may be 0: any)."""
        return self._port

    @property
    def connections(self) -> int:
        """Sessions at this moment."""
        return len(self._sessions)

    async def start(self) -> None:
        """Take connections. Raises ListenError with what to do when that is not possible."""
        loop = asyncio.get_running_loop()
        bound = self._listener or Listener.bound(self.settings.host, self.settings.port)
        acceptor = Acceptor(bound, lambda: GatewaySession(self, loop), self._among)
        try:
            acceptor.start()
        except ListenError:
            bound.close()
            raise
        self._acceptor, self._port = acceptor, bound.port
        _log.info("listening", host=self.settings.host, port=self.port)

    async def retire(self, seconds: float = RETIRED_SECONDS) -> None:
        """Leave new connections to another server on the same sockets; let the sessions there are end by themselves."""
        if self._acceptor is None:
            return
        self._acceptor.close()
        await self._acceptor.begun()
        await self._until(self._empty, seconds)
        await self.stop()

    async def stop(self, handshakes: float = 0.0) -> None:
        """Let messages in the middle of DATA end, say 421 to everybody else, and close. No connection is reset.

        ``handshakes``: seconds for which connections that had begun are still answered.
        """
        if self._acceptor is None:
            return
        acceptor, self._acceptor = self._acceptor, None
        self._stopping = True
        acceptor.close_to_new()
        for session in tuple(self._sessions):
            session.stop()
        rest = asyncio.create_task(acceptor.end(handshakes))
        await self._until(self._quiet, self.settings.limits.drain_seconds)
        await rest
        for session in tuple(self._sessions):
            session.cut()
        if self._works:
            # Complete messages that are still being stored: their commit is worth any wait.
            await asyncio.wait(tuple(self._works))
        await self._until(self._empty, PARTING_SECONDS)

    async def _until(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for what ``_note_quiet`` sets, for a time."""
        self._awaited = True
        event.clear()
        self._note_quiet()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    def _note_quiet(self) -> None:
        """Tell ``stop`` once no session is left in the middle of a message, and once none is left at all."""
        if not self._awaited:  # looking at all sessions is too much for every message
            return
        if not self._works and not any(s.busy for s in self._sessions):
            self._quiet.set()
        if not self._sessions:
            self._empty.set()
