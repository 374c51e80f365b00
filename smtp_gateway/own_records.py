"""Our own records, asked from the database: what we sent, what came in, which keys were seen."""

from __future__ import annotations

from functools import partial

from outbound.store.ledger import sent_mails
from threads.store import Connection
from threads.store.engine import Database
from threads.store.reader import Reader
from threads.store.signatures import archived, seen
from verifier.own_records import OwnRecords, RecordsQuestion


class StoredRecords:
    """Answers the verifier from a database (``verifier.driver.HasRecords``). Close it to end its thread."""

    def __init__(self, database: Database) -> None:
        self._reader = Reader(database)

    async def ask(self, question: RecordsQuestion) -> OwnRecords:
        """What is on record about one message. Raises StoreError when it cannot be read."""
        return await self._reader.ask(partial(_read, question))

    def close(self) -> None:
        """End the thread; may be called again."""
        self._reader.close()


def _read(question: RecordsQuestion, conn: Connection) -> OwnRecords:
    return OwnRecords(
        sent_mails(conn, question), seen(conn, question.signatures), archived(conn, question.keys)
    )
