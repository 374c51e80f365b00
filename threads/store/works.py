"""Works that tasks of event loops wait for while a thread of the store carries them out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


@dataclass(slots=True)
class Work(Generic[T]):
    """What to run, about how many bytes it writes, and who waits for its value on which loop."""

    run: Callable[[Connection], T]
    size: int
    waiter: asyncio.Future[T]
    loop: asyncio.AbstractEventLoop


@dataclass(slots=True)
class Done:
    """What a work came to: a value, or the error."""

    value: Any = None
    error: BaseException | None = None


def tell(batch: list[Work[Any]], done: list[Done]) -> None:
    """Wake the waiters; one call for each event loop, however many of its tasks wait."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Done]]] = {}
    for work, outcome in zip(batch, done, strict=True):
        loops.setdefault(work.loop, []).append((work.waiter, outcome))
    for loop, waiters in loops.items():
        try:
            loop.call_soon_threadsafe(_settle, waiters)
        except RuntimeError:
            # The loop was closed while its works were being committed: nobody is left to be told.
            continue


def _settle(waiters: list[tuple[asyncio.Future[Any], Done]]) -> None:
    for waiter, outcome in waiters:
        if waiter.done():  # cancelled meanwhile; the work is committed all the same
            continue
        if outcome.error is not None:
            waiter.set_exception(outcome.error)
        else:
            waiter.set_result(outcome.value)
