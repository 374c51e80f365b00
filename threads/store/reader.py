"""The one reader of a process: questions of many tasks, answered by one thread on one connection.

A thread of its own for each question would cost a message more than its answer does; here all that wait are answered in one turn.
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
    """Reads the database in its own thread. Close it to end the thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._works = Works()
        self._thread = threading.Thread(target=self._serve, name="store-reader", daemon=True)
        self._thread.start()

    async def ask(self, question: Callable[[Connection], T]) -> T:
        """What ``question`` reads. Raises what it raised, or StoreError when the database cannot be read."""
        return await self._works.done(question, 0, MAX_WAITING)

    def close(self) -> None:
        """Answer what waits, then end the thread. Blocks until that is done; may be called again."""
        self._works.close()
        self._thread.join()

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
