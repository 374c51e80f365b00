"""The message itself: DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030), and what becomes of it once it is complete.

aiosmtpd's DATA loop reads lines without bound, lets bare CR, LF and NUL through and knows no BDAT; nothing of it is used.
A message whose last octet arrived is worked off in a task of its own, whatever becomes of the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from smtp_gateway import replies
from smtp_gateway.bdat import Chunk, read_bdat
from smtp_gateway.commands import Commands
from smtp_gateway.content import Content
from smtp_gateway.data_reader import DRAIN_FACTOR, DataReader, DataState
from smtp_gateway.envelope import Envelope
from smtp_gateway.reception import Reception
from smtp_gateway.replies import SmtpRefusal, SmtpReply
from smtp_gateway.transaction import CHUNKS_MAX, Transaction

CHUNK = 256 * 1024
"""Octets taken from the socket at a time: what asyncio's transport reads at once."""
HEADER_END = b"\r\n\r\n"


class MessageData(Commands):
    """DATA and BDAT."""

    _deadline = 0.0  # of the message that is being received, on the loop's clock
    _judged = False  # the reply to the present command is that of a message that was judged, and counted there
    _drained = 0  # octets of chunks thrown away since the last complete message

    @property
    def waits_for_us(self) -> bool:
        """From the end of a message to its reply."""
        return self.busy and self._transaction is None

    @property
    def patience(self) -> float:
        """Seconds without progress: of the message where one is coming in, else of the command."""
        return self._limits.data_idle_seconds if self.busy else self._limits.idle_seconds

    def _sequence(self) -> SmtpReply | None:
        """Why no message can begin here, or None."""
        transaction = self._transaction
        if transaction is None:
            return replies.MAIL_FIRST if self._peer.helo else replies.HELLO_FIRST
        if not transaction.recipients:
            return replies.NO_VALID_RECIPIENTS if transaction.refused else replies.RCPT_FIRST
        return None

    def _begin(self, content: Content) -> Reception:
        gateway = self._gateway
        self.busy = True
        self._deadline = self.loop.time() + self._limits.data_seconds
        self._reception = Reception(
            content,
            memory=gateway.memory,
            disk=gateway.disk,
            spare=gateway.spare,
            folder=gateway.settings.spool,
        )
        return self._reception

    # -- DATA ---------------------------------------------------------------------------------------
    async def _data(self, argument: bytes) -> SmtpReply:
        transaction = self._transaction
        if argument:
            return replies.NO_ARGUMENT
        if transaction is not None and (transaction.chunks or transaction.failed is not None):
            transaction.failed = replies.CHUNKS_BEGUN  # RFC 3030 2: only RSET leads out of such a mixture
            return replies.CHUNKS_BEGUN
        refused = self._sequence()
        if refused is not None or transaction is None:
            return refused or replies.MAIL_FIRST
        try:
            reader = DataReader(self._limits.message_bytes)
            reception = self._begin(reader.content)
            await self._say(replies.START_DATA)
            await self._flush()
            failed = await self._in_time(transaction, self._read_data(reader, reception))
            return failed or await self._complete(transaction, reception, bare_lf_allowed=False)
        finally:
            self.end_transaction()

    async def _read_data(self, reader: DataReader, reception: Reception) -> SmtpReply | None:
        """Read to the end of the data; a reply where it is so far over the cap that reading on is no use."""
        while True:
            octets = await self._octets(CHUNK)
            state = reader.feed(octets)
            if reception.unsettled:
                await reception.settle()
            if state is DataState.COMPLETE:
                if reader.rest:  # pipelined commands behind the dot (RFC 2920)
                    self._unread[:0] = reader.rest
                return None
            if state is DataState.ENDLESS:
                return replies.ENDLESS_DATA

    # -- BDAT ---------------------------------------------------------------------------------------
    async def _bdat(self, argument: bytes) -> SmtpReply:
        transaction = self._transaction
        try:
            chunk = read_bdat(argument)
        except SmtpRefusal as refusal:
            # How much follows is not known. It is read as commands; that what came before is stored must not happen.
            if transaction is not None:
                transaction.failed = refusal.reply
            raise
        if chunk.size > self._limits.message_bytes * DRAIN_FACTOR:
            return replies.ENDLESS_DATA
        if transaction is None:
            return await self._thrown_away(chunk) or self._sequence() or replies.MAIL_FIRST
        if chunk.size:
            transaction.chunks += 1
            self._idle_commands -= transaction.chunks <= CHUNKS_MAX
        had_failed = transaction.failed is not None
        try:
            reply = await self._chunk(transaction, chunk)
        finally:
            if chunk.last:
                self.end_transaction()
        if had_failed:
            # One mistake is one error, however many chunks were on their way.
            self._errors -= not reply.closes and transaction.chunks <= CHUNKS_MAX
        elif not reply.positive:
            transaction.failed = reply
            if self._reception is not None:
                self._reception.close()
        return reply

    async def _chunk(self, transaction: Transaction, chunk: Chunk) -> SmtpReply:
        """Take one chunk of a transaction; its octets are read whatever the answer is (RFC 3030 2)."""
        refused = transaction.failed or self._sequence()
        if refused is not None:
            return await self._thrown_away(chunk) or refused
        reception = self._reception or self._begin(Content(self._limits.message_bytes))
        failed = await self._in_time(transaction, self._read_chunk(chunk.size, reception))
        if failed is not None:
            return failed
        bare_lf_allowed = transaction.ends_here
        if chunk.last:
            reception.content.end()
            return await self._complete(transaction, reception, bare_lf_allowed=bare_lf_allowed)
        return reception.refused(bare_lf_allowed=bare_lf_allowed) or replies.chunk_taken(chunk.size)

    async def _read_chunk(self, size: int, reception: Reception) -> SmtpReply | None:
        content, most = reception.content, self._limits.message_bytes * (1 + DRAIN_FACTOR)
        while size:
            octets = await self._octets(min(size, CHUNK))
            size -= len(octets)
            content.add(octets)
            if reception.unsettled:
                await reception.settle()
            if content.size > most:
                return replies.ENDLESS_DATA
        return None

    async def _thrown_away(self, chunk: Chunk) -> SmtpReply | None:
        """Read a chunk that nobody wants; a reply where that is more than is read for nothing."""
        self._drained += chunk.size
        if self._drained > self._limits.message_bytes * DRAIN_FACTOR:
            return replies.ENDLESS_DATA
        try:
            async with asyncio.timeout(self._limits.data_seconds):
                left = chunk.size
                while left:
                    left -= len(await self._octets(min(left, CHUNK)))
        except TimeoutError:
            return replies.IDLE
        return None

    # -- both ---------------------------------------------------------------------------------------
    async def _octets(self, most: int) -> bytes:
        """Some octets of the message; what is to be said is said before the client is waited for."""
        if self._outgoing and not self._unread:
            await self._flush()
        octets = await self._some_octets(most)
        if not octets:
            raise ConnectionResetError("the client went away in mid-data")
        self._progress = self.loop.time()
        return octets

    async def _in_time(
        self, transaction: Transaction, reading: Awaitable[SmtpReply | None]
    ) -> SmtpReply | None:
        """Read; the reply that ends the session where that fails, None otherwise."""
        try:
            async with asyncio.timeout_at(self._deadline):
                return await reading
        except TimeoutError:
            return self._not_accepted(replies.IDLE)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours; the rest of the message must not be read as commands
            self._log.error("fault", message=transaction.id, reference=transaction.id, exc_info=error)
            return replies.closing_fault(transaction.id)

    async def _complete(
        self, transaction: Transaction, reception: Reception, *, bare_lf_allowed: bool
    ) -> SmtpReply:
        """Judge and store a message whose last octet is here."""
        refused = reception.refused(bare_lf_allowed=bare_lf_allowed)
        refused = refused or (replies.STORAGE_FULL if self._gateway.crowded else None)
        if refused is not None:
            return self._not_accepted(refused)
        content = reception.content
        raw = await reception.octets()
        if content.bare_lf and _bare_lf_in_header(raw):
            return self._not_accepted(replies.BARE_CONTROL)
        self._messages += 1
        self._idle_commands = self._drained = 0
        envelope = Envelope(
            id=transaction.id,
            peer=self._peer,
            mail_from=transaction.mail_from,
            recipients=tuple(transaction.recipients),
            smtputf8=transaction.smtputf8,
            raw=raw,
            digest=content.digest,
            received_at=self._gateway.now(),
        )
        self._transaction = None
        return await self._stored(envelope, reception)

    def _not_accepted(self, reply: SmtpReply) -> SmtpReply:
        """Note why a message ends here, before anybody judged it."""
        self._log.info("not accepted", reply=str(reply))
        return reply

    async def _stored(self, envelope: Envelope, reception: Reception) -> SmtpReply:
        self._judged = True
        work = self._gateway.keep(self._gateway.take(envelope))
        octets, reception.in_memory = reception.in_memory, 0
        if octets:
            work.add_done_callback(lambda _: self._gateway.memory.give(octets))
        try:
            return await asyncio.shield(work)
        except SmtpRefusal:
            raise
        except Exception as error:  # noqa: BLE001 - our own fault whatever it is; the client may try again
            self._log.error("fault", message=envelope.id, reference=envelope.id, exc_info=error)
            return replies.internal_fault(envelope.id)
        finally:
            self._progress = self.loop.time()


def _bare_lf_in_header(raw: bytes) -> bool:
    """Whether a field of the header ends for some readers only; that is refused, whoever sent it."""
    end = raw.find(HEADER_END)
    return b"\n" in (raw if end < 0 else raw[:end]).replace(b"\r\n", b"")
