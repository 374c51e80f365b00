"""How a session begins: who is it, may it come in, does it wait for its turn (RFC 5321 3.1, 4.3.1)."""

from __future__ import annotations

import asyncio

from smtp_gateway import replies
from smtp_gateway.admission import origin_of
from smtp_gateway.message_data import MessageData
from smtp_gateway.proxy_protocol import V2_MAX, ProxyHeader, ProxyHeaderError, read_header
from smtp_gateway.replies import SmtpReply

PROXY_SECONDS = 5.0
"""For the PROXY header, which a proxy sends at once."""


class Greeting(MessageData):
    """The first word."""

    _counted = False
    _admitted = False

    async def _greeting(self) -> SmtpReply:
        """220, or why not. Raises ConnectionResetError where nothing is to be said."""
        gateway, settings = self._gateway, self._gateway.settings
        self._counted = gateway.enter(self)
        if not self._counted:
            return replies.TOO_MANY_CONNECTIONS
        if settings.is_proxy(self._peer.ip):
            await self._believe_proxy()
        refused = self._refused_by_count()
        if refused is not None:
            self._log.info("refused", reply=str(replies.TOO_MANY_FROM_YOU), cause=refused)
            return replies.TOO_MANY_FROM_YOU
        if await self._talks_early():
            self._log.info("refused", reply=str(replies.EARLY_TALKER))
            return replies.EARLY_TALKER
        self._log.debug("connected")
        return SmtpReply(220, None, f"{self.hostname} ESMTP")

    async def _believe_proxy(self) -> None:
        """Take the client's address from the header that a proxy of ours must send first."""
        try:
            async with asyncio.timeout(PROXY_SECONDS):
                header = await self._proxy_header()
        except (TimeoutError, ProxyHeaderError) as error:
            # Not a word: whoever speaks to us as a proxy and is none learns nothing (section 2 of the protocol).
            self._log.warning("no PROXY header", cause=str(error) or "too late")
            raise ConnectionResetError("no PROXY header") from error
        if header.address is not None:
            self._become(header.address, header.port)

    async def _proxy_header(self) -> ProxyHeader:
        data = b""
        while (header := read_header(data)) is None:
            more = await self._reader.read(V2_MAX)
            if not more:
                raise ProxyHeaderError("truncated")
            data += more
        self._unread[:0] = data[header.length :]
        return header

    def _refused_by_count(self) -> str | None:
        self._origin = origin_of(self._peer.ip, self._limits.unlimited)
        if self._origin is None:
            return None
        refused = self._gateway.admission.connect(self._origin, self.loop.time())
        self._admitted = refused is None
        return refused

    async def _talks_early(self) -> bool:
        """Whether the client speaks before it is greeted, as programs do that never read a reply."""
        # One turn of the loop reads what is here already, without any delay for those who wait; and our own never wait.
        await asyncio.sleep(0 if self._origin is None else self._limits.greeting_seconds)
        return bool(self._unread)

    def lost(self) -> None:
        """Count the session out. A message that was complete goes on being stored."""
        if self._admitted and self._origin is not None:
            self._admitted = False
            self._gateway.admission.disconnect(self._origin)
        if self._counted:
            self._counted = False
            self._gateway.leave(self)
