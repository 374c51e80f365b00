"""What a large record costs: matching a message to its thread, and searching, with many messages and with few.

    python -m bench.scale       # this part alone; FULL=1 and ENGINE=SQLite or ENGINE=PostgreSQL as you like

Matching is the gateway's own: a reply's keys are read, its candidates are had from the record, the thread is chosen; each in a
transaction of its own, for messages from anywhere in the record. Searches are of a dozen kinds, each page with its snippets.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench import postgresql, record
from threads import store
from threads.match import match, thread_keys
from threads.search_query import read_query
from threads.store import search_index
from threads.store.engine import Database
from threads.store.search import Filters, Order, search
from verifier.message import read_message

GOAL_MATCH: Final = 0.005  # seconds, p99
GOAL_GROWTH: Final = 1.5  # times the p99 of the small record
GOAL_SEARCH: Final = 0.200  # seconds, p95
LONG_RUN: Final = (1_000_000, 10_000)
SHORT_RUN: Final = (20_000, 2_000)
MATCHES: Final = 1_000  # of each turn
TURNS: Final = 5  # of matching, of which the median counts: a shared machine has slow moments
SEARCHES: Final = 30  # of each kind
INDEXED_TOGETHER: Final = 2_000
# Replies before those that count: a server at work has the pages of its indexes in memory, one that has just started has to read
# them from the disk. What the first ones took is printed, too.
FIRST: Final = 1_000
WARM_UP: Final = 5_000

Goal = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds, sorted."""

    seconds: tuple[float, ...]

    def below(self, share: float) -> float:
        """Within which time that share was done."""
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


@dataclass(frozen=True, slots=True)
class Size:
    """One record: how many messages, how long filling and indexing took, how long matching and searching."""

    number: int
    filled: float
    indexed: float
    first: Times
    matching: tuple[Times, ...]
    searching: dict[str, Times]

    def match_within(self, share: float) -> float:
        """Within which time that share of replies was matched, in the median turn."""
        return statistics.median(turn.below(share) for turn in self.matching)

    @property
    def searches(self) -> Times:
        """Of all kinds together."""
        return Times(tuple(sorted(one for times in self.searching.values() for one in times.seconds)))


@dataclass(frozen=True, slots=True)
class Scale:
    """The two records of one kind of database."""

    engine: str
    large: Size
    small: Size

    @property
    def growth(self) -> float:
        """How many times as long matching takes in the large record as in the small one (p99), once both are at work."""
        return self.large.match_within(0.99) / self.small.match_within(0.99)

    def goals(self) -> Iterator[Goal]:
        """What is wanted of it, and whether that is so."""
        p99, p95 = self.large.match_within(0.99), self.large.searches.below(0.95)
        where = f"of {self.large.number:,} messages on {self.engine}"
        yield (
            f"matching {where} took {p99 * 1000:.2f} ms (p99), not {GOAL_MATCH * 1000:.0f}",
            p99 < GOAL_MATCH,
        )
        yield (
            f"matching {where} took {self.growth:.2f} times as long as of {self.small.number:,}, not {GOAL_GROWTH}",
            self.growth <= GOAL_GROWTH,
        )
        yield (
            f"searching {where} took {p95 * 1000:.0f} ms (p95), not {GOAL_SEARCH * 1000:.0f}",
            p95 < GOAL_SEARCH,
        )


def report(*, full: bool) -> list[Goal]:
    """Measure and print; the goals."""
    print("\nA large record: matching and searching")
    goals: list[Goal] = []
    engines: list[tuple[str, Callable[[], object]]] = [("SQLite", _sqlite)]
    if (why := postgresql.missing()) is None:
        engines.append(("PostgreSQL", postgresql.private_cluster))
    else:
        print(f"  Not measured on PostgreSQL: {why}.")
    only = os.environ.get("ENGINE")
    for engine, opened in engines:
        if only not in (None, engine):
            continue
        sizes = []
        for number in LONG_RUN if full else SHORT_RUN:
            with opened() as url:  # type: ignore[attr-defined]
                sizes.append(measure(url, number))
            tell(engine, sizes[-1])
        scale = Scale(engine, *sizes)
        print(f"  the p99 of matching grew {scale.growth:.2f} times (goal {GOAL_GROWTH})")
        goals += scale.goals()
    return goals


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        yield f"sqlite:///{Path(folder) / 'record.db'}"


def measure(url: str, number: int) -> Size:
    """Fill a record, let the indexer do its work, and measure."""
    database = store.open_database(url)
    try:
        store.upgrade(database)
        begun = time.perf_counter()
        filled = record.fill(database, number)
        then = time.perf_counter()
        while search_index.index_some(database, INDEXED_TOGETHER) != 0:
            pass
        indexed = time.perf_counter() - then
        record.settle(database)
        first, turns = _matching(database, filled)
        return Size(number, then - begun, indexed, first, turns, _searching(database, filled))
    finally:
        database.close()


def _matching(database: Database, filled: record.Filled) -> tuple[Times, tuple[Times, ...]]:
    """The first replies, and the turns that count."""
    chance = random.Random(7)
    first = _match_some(database, filled, chance, FIRST)
    _match_some(database, filled, chance, WARM_UP)
    return first, tuple(_match_some(database, filled, chance, MATCHES) for _ in range(TURNS))


def _match_some(database: Database, filled: record.Filled, chance: random.Random, count: int) -> Times:
    times = []
    found = 0
    for turn in range(count):
        number = chance.randrange(filled.number)
        thread = record.thread_of(filled, number)
        author = record.author(filled, thread, chance.randrange(100))
        raw = _reply(number, chance, record.reference(thread) if turn % 5 == 0 else None)
        begun = time.perf_counter()
        keys = thread_keys(read_message(raw))
        with database.reading() as conn:
            matched = match(keys, store.candidates(conn, keys, author))
            store.find_copy(conn, f"{turn:064x}", author, "query@experts.test")
        times.append(time.perf_counter() - begun)
        found += matched.thread_id is not None or matched.conflict
    if found < count * 0.8:  # a tenth answers mail that is held
        raise AssertionError(f"only {found} of {count} replies of the benchmark were matched")
    return Times(tuple(sorted(times)))


def _reply(number: int, chance: random.Random, tag: str | None) -> bytes:
    """A reply to that message, which also refers to some that are known and to some that are not."""
    unknown = [f"<{chance.getrandbits(80):x}@elsewhere.test>" for _ in range(chance.randrange(6))]
    references = " ".join((*unknown, f"<{record.message_id(number)}>"))
    subject = "Re: something" if tag is None else f"Re: [{tag}] something"
    return (
        f"Subject: {subject}\r\nIn-Reply-To: <{record.message_id(number)}>\r\nReferences: {references}\r\n\r\nYes.\r\n"
    ).encode()


def _searching(database: Database, filled: record.Filled) -> dict[str, Times]:
    words, _ = record.vocabulary()
    chance = random.Random(11)
    end = record.BEGAN + record.APART * filled.number
    month = timedelta(seconds=record.APART.total_seconds() * filled.number / 15)

    def common() -> str:
        return words[chance.randrange(3, 60)]

    def usual() -> str:
        return words[chance.randrange(60, 2_000)]

    def rare() -> str:
        return words[chance.randrange(2_000, record.WORDS)]

    def some_thread() -> Filters:
        return Filters(thread_id=chance.randrange(filled.threads) + 1)

    def some_month() -> Filters:
        since = end - month * chance.randrange(1, 15)
        return Filters(since=since, before=since + month)

    kinds: dict[str, Callable[[], tuple[str, Filters | None, Order]]] = {
        "a common word": lambda: (common(), None, Order.NEWEST),
        "a usual word": lambda: (usual(), None, Order.NEWEST),
        "a rare word": lambda: (rare(), None, Order.NEWEST),
        "three words": lambda: (f"{common()} {usual()} {usual()}", None, Order.NEWEST),
        "two rare words": lambda: (f"{rare()} {rare()}", None, Order.NEWEST),
        "a phrase": lambda: (f'"{common()} {common()}"', None, Order.NEWEST),
        "a beginning": lambda: (f"{usual()[:4]}*", None, Order.NEWEST),
        "without a word": lambda: (f"{usual()} -{common()}", None, Order.NEWEST),
        "an address": lambda: (
            record.author(filled, chance.randrange(filled.threads), 1),
            None,
            Order.NEWEST,
        ),
        "an attachment": lambda: (f"report_{chance.randrange(0, filled.number, 20)}.pdf", None, Order.NEWEST),
        "of a thread": lambda: (common(), some_thread(), Order.NEWEST),
        "of a month": lambda: (usual(), some_month(), Order.NEWEST),
        "forged ones": lambda: (common(), Filters(verdict="forged"), Order.NEWEST),
        "the best": lambda: (usual(), None, Order.BEST),
        "the best of a common word": lambda: (common(), None, Order.BEST),
    }
    found: dict[str, Times] = {}
    for kind, make in kinds.items():
        times = []
        for _ in range(SEARCHES):
            typed, filters, order = make()
            begun = time.perf_counter()
            with database.reading() as conn:
                search(conn, read_query(typed), filters, order=order)
            times.append(time.perf_counter() - begun)
        found[kind] = Times(tuple(sorted(times)))
    return found


def tell(engine: str, size: Size) -> None:
    """Print one record's figures."""
    print(
        f"{engine}, {size.number:,} messages (filled in {size.filled:.0f} s, indexed in {size.indexed:.0f} s):"
    )
    searches = size.searches
    print(
        f"  matching: p50 {size.match_within(0.5) * 1000:.2f} ms, p99 {size.match_within(0.99) * 1000:.2f} ms"
        f" (goal {GOAL_MATCH * 1000:.0f} ms) over {MATCHES * TURNS:,} replies;"
        f" the first {FIRST:,} after the start: p99 {size.first.below(0.99) * 1000:.2f} ms"
    )
    print(
        f"  searching: p50 {searches.below(0.5) * 1000:.1f} ms, p95 {searches.below(0.95) * 1000:.1f} ms"
        f" (goal {GOAL_SEARCH * 1000:.0f} ms) over {len(searches.seconds)} searches; by kind, median and slowest:"
    )
    for kind, times in size.searching.items():
        print(
            f"    {kind:<26} {statistics.median(times.seconds) * 1000:7.1f} {times.seconds[-1] * 1000:7.1f} ms"
        )


def main() -> int:
    """Measure this part alone; exit 1 where a goal is missed under FULL=1."""
    full = bool(os.environ.get("FULL"))
    goals = report(full=full)
    print()
    missed = [text for text, met in goals if not met]
    for text in missed:
        print(f"Goal missed: {text}.")
    print(f"{len(goals) - len(missed)} of {len(goals)} goals met.")
    return 1 if full and missed else 0


if __name__ == "__main__":
    sys.exit(main())
