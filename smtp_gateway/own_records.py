"""Our own records, asked from the database in a thread: what we sent, what came in, which keys were seen."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from outbound.store.ledger import sent_mails
from threads.store.engine import Database
from threads.store.signatures import archived, seen
from verifier.own_records import OwnRecords, RecordsQuestion


@dataclass(frozen=True, slots=True)
class StoredRecords:
    """Answers the verifier from a database (``verifier.driver.HasRecords``). Raises StoreError when it cannot be read."""

    database: Database

    async def ask(self, question: RecordsQuestion) -> OwnRecords:
        """What is on record about one message."""
        return await asyncio.to_thread(self._read, question)

    def _read(self, question: RecordsQuestion) -> OwnRecords:
        with self.database.reading() as conn:
            return OwnRecords(
                sent_mails(conn, question),
                seen(conn, question.signatures),
                archived(conn, question.keys),
            )
