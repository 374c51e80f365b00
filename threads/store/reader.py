"""The one reader of a process: questions of many tasks, answered in few turns.

An SQLite file answers the event loop's questions at once, on a connection of theirs: in WAL mode nobody keeps a reader
waiting, and a few rows found by their keys take less than a thread's waking. Where it is not to be had at once, and for a
server, a thread asks, all that waits in one turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from threads.store.engine import Database
from threads.store.errors import store_error
from threads.store.works import Done, Work, Works, tell

T = TypeVar("T")

MAX_TURN: Final = 100  # questions answered in one turn: the first one is not to wait for endless others
MAX_WAITING: Final = 10_000  # questions that may wait; each belongs to a message that is being judged


class Reader:
    """Reads the database; made by the thread whose questions are answered at once. Close it to end its own thread.

    Questions are to find a few rows by their keys, for they may run on an event loop. They may run twice.
    """

    def __init__(self, database: Database) -> None:
        """Raises StoreError when the database cannot be read."""
        self._database = database
        self._at_once = database.unwaiting()
        self._maker = threading.get_ident()
        self._works = Works()
        self._thread = threading.Thread(target=self._serve, name="store-reader", daemon=True)
        self._thread.start()

    async def ask(self, question: Callable[[Connection], T]) -> T:
        """What ``question`` reads. Raises what it raised, or StoreError when the database cannot be read."""
        connection = self._at_once
        if connection is not None and threading.get_ident() == self._maker:
            try:
                return question(connection)
            except SQLAlchemyError:
                pass  # locked or broken: the thread waits for the lock, or finds out what is to be told
            finally:
                if connection.in_transaction():
                    connection.rollback()
        return await self._works.done(question, 0, MAX_WAITING)

    def close(self) -> None:
        """Answer what waits, then end the thread. Blocks until that is done; may be called again."""
        self._works.close()
        self._thread.join()
        if self._at_once is not None:
            self._at_once.close()
            self._at_once = None

    def _serve(self) -> None:
        while turn := self._works.batch(MAX_TURN, octets=1):
            tell(turn, self._answers(turn))

    def _answers(self, turn: list[Work[Any]]) -> list[Done]:
        try:
            with self._database.reading() as connection:
                return [_answer(work, connection) for work in turn]
        except BaseException as error:  # noqa: BLE001 -- no connection is to be had: all who wait hear it
            return [Done(error=error)] * len(turn)


def _answer(work: Work[Any], connection: Connection) -> Done:
    try:
        return Done(work.run(connection))
    except SQLAlchemyError as error:
        return Done(error=store_error(error))
    except BaseException as error:  # noqa: BLE001 -- whatever it is belongs to the one who asked
        return Done(error=error)
