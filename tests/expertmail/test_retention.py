"""The server tells of held mail that is about to expire, and lets it expire; each round is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from expertmail.metrics import Metrics
from expertmail.retention import RetentionKeeper, watch_held
from tests.threads.conftest import arrival, filing, populate
from threads import store
from threads.model import Disposition, StandingKind, State, Thread
from threads.retention import Retention
from threads.store.circumstances import set_retention
from threads.store.errors import StoreUnavailable

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class Server:
    """A record with held mail of some ages, and what keeps it."""

    def __init__(self, folder: Path, retention: Retention) -> None:
        self.database = store.open_database(f"sqlite:///{folder / 'record.db'}")
        store.upgrade(self.database)
        self.world = populate(self.database)
        self.metrics = Metrics()
        self.now = AT
        self.retention = retention
        watch_held(self.metrics, self.database, lambda: self.retention, lambda: self.now)

    def hold(self, copy_id: str, age: timedelta) -> None:
        with self.database.writing() as conn:
            store.store_message(
                conn,
                arrival(copy_id.encode(), copy_id=copy_id, received_at=AT - age, verdict="forged"),
                filing(Disposition.HELD, StandingKind.UNKNOWN),
            )

    def thread(self, title: str) -> Thread:
        with self.database.writing() as conn:
            return store.open_incident(conn, self.world.contoso.id, title, AT - 40 * DAY)

    def waiting(self) -> list[str]:
        with self.database.reading() as conn:
            return [item.copy.id for item in store.held_list(conn)]

    def rounds(
        self,
        until: Callable[[list[dict[str, Any]]], bool] = lambda _lines: False,
        *,
        rounds: int = 100_000,
        round_seconds: float = 0.02,
    ) -> list[dict[str, Any]]:
        """Run until the log is as wanted, or for so many rounds; returns the log."""
        lines: list[dict[str, Any]] = []
        done = 0

        def clock() -> datetime:
            nonlocal done
            done += 1
            return self.clock()

        async def scenario() -> None:
            writer = store.Writer(self.database)
            keeper = RetentionKeeper(
                self.database,
                writer,
                self.metrics,
                retention=lambda: self.retention,
                clock=clock,
                round_seconds=round_seconds,
            )
            running = asyncio.create_task(keeper.run())
            async with asyncio.timeout(30):
                while not until(lines) and done < rounds:  # noqa: ASYNC110 - it is seen in the log only
                    await asyncio.sleep(0.01)
            keeper.stop()
            await asyncio.wait_for(running, 10)
            await asyncio.to_thread(writer.close)

        with structlog.testing.capture_logs() as captured:
            lines = captured
            asyncio.run(scenario())
        return lines

    def clock(self) -> datetime:
        return self.now

    def value(self, name: str, disposition: str = "held") -> float | None:
        return self.metrics.registry.get_sample_value(name, {"disposition": disposition})


def _expired(lines: list[dict[str, Any]]) -> bool:
    return any(line["event"] == "held mail expired" for line in lines)


@pytest.fixture
def server(tmp_path: Path) -> Any:
    made = Server(tmp_path, Retention(days=30, notice_days=7))
    yield made
    made.database.close()


def test_what_is_due_expires_with_a_line_and_a_count_for_each(server: Server) -> None:
    for number in range(120):
        server.hold(f"OLD{number:03}", 31 * DAY)
    server.hold("NEW", DAY)
    lines = server.rounds(lambda lines: len(lines) >= 120)
    assert server.waiting() == ["NEW"]
    gone = [line for line in lines if line["event"] == "held mail expired"]
    assert [line["message"] for line in gone] == [f"OLD{number:03}" for number in range(120)]
    assert gone[0] | {"received": ""} == {
        "event": "held mail expired", "log_level": "info", "message": "OLD000", "disposition": "held",
        "verdict": "forged", "received": "",
    }  # fmt: skip
    assert server.value("expertmail_held_expired_total") == 120


def test_nothing_expires_in_the_first_round_after_a_start(server: Server) -> None:
    server.hold("OLD", 4_000 * DAY)
    later = time.monotonic() + 0.3
    server.rounds(lambda _lines: time.monotonic() > later, round_seconds=600)
    assert server.waiting() == ["OLD"]


def test_what_is_about_to_expire_is_told_once_a_day(server: Server) -> None:
    server.hold("A", 25 * DAY)
    server.hold("B", 2 * DAY)
    told = [x for x in server.rounds(rounds=10) if x["event"] == "held mail is about to expire"]
    assert told == [
        {
            "event": "held mail is about to expire", "log_level": "warning", "within_days": 7, "held": 1,
            "triage": 0, "oldest": (AT - 25 * DAY).isoformat(),
        }
    ]  # fmt: skip
    assert server.value("expertmail_held_expiring") == 1
    assert server.value("expertmail_held_oldest_seconds") == (25 * DAY).total_seconds()
    assert server.value("expertmail_held_oldest_seconds", "triage") == 0


def test_nothing_is_told_where_nothing_expires(server: Server) -> None:
    server.hold("A", 4_000 * DAY)
    server.retention = Retention(days=0, notice_days=7)
    assert server.rounds(rounds=6) == []
    assert server.waiting() == ["A"]
    assert server.value("expertmail_held_expiring") == 0


def test_traces_are_forgotten_after_a_year_and_that_is_told(server: Server) -> None:
    server.hold("OLD", 31 * DAY)
    server.rounds(_expired)
    server.now = AT + 366 * DAY
    lines = server.rounds(lambda lines: any("forgotten" in line["event"] for line in lines))
    assert [line for line in lines if "forgotten" in line["event"]] == [
        {"event": "traces of expired mail forgotten", "log_level": "info", "number": 1}
    ]


def test_a_fault_is_told_and_the_next_round_goes_on(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.hold("OLD", 31 * DAY)
    faults = [StoreUnavailable("The database is in use."), ZeroDivisionError()]

    def clock() -> datetime:
        if faults:
            raise faults.pop()
        return AT

    monkeypatch.setattr(server, "clock", clock)
    lines = server.rounds(_expired)
    assert [(x["event"], x.get("why")) for x in lines if "retention" in x["event"]] == [
        ("retention failed", None),
        ("retention waits", "The database is in use."),
    ]
    assert server.waiting() == []


def test_a_damaged_row_breaks_no_gauge(server: Server) -> None:
    server.hold("A", 25 * DAY)
    server.hold("B", 20 * DAY)
    with server.database.writing() as conn:
        conn.exec_driver_sql("UPDATE messages SET received_at = '0' WHERE id = 'A'")
    assert server.value("expertmail_held_oldest_seconds") == (20 * DAY).total_seconds()
    assert b"expertmail_held_expiring" in server.metrics.page()


def test_the_content_of_a_resolved_thread_ends_by_its_customers_time_and_is_told(tmp_path: Path) -> None:
    server = Server(tmp_path, Retention(0, 7))
    thread = server.world.incident
    with server.database.writing() as conn:
        store.store_message(
            conn, arrival(b"old", copy_id="OLD"), filing(Disposition.FILED, thread_id=thread.id, text="old")
        )
        store.set_state(conn, thread.id, State.RESOLVED, AT - 31 * DAY, actor="Ana")
        store.store_message(
            conn, arrival(b"kept", copy_id="KEPT"), filing(Disposition.TRIAGE, StandingKind.UNKNOWN)
        )
        set_retention(conn, server.world.contoso, 30)
    lines = server.rounds(lambda told: any("resolved thread" in line["event"] for line in told))
    (line,) = [line for line in lines if "resolved thread" in line["event"]]
    assert line["thread"] == thread.id
    with server.database.reading() as conn:
        assert [copy.id for copy in store.list_copies(conn)] == ["KEPT"]
        assert [entry.actor for entry in store.timeline_of(conn, thread.id)] == ["gateway"]


def test_a_row_that_cannot_go_stops_no_other(tmp_path: Path) -> None:
    server = Server(tmp_path, Retention(days=30, notice_days=7))
    for number in range(120):
        server.hold(f"OLD{number:03}", 31 * DAY)
    stuck, thread = server.world.incident, server.thread("Another odd sign-in")
    with server.database.writing() as conn:
        for one in (stuck, thread):
            store.store_message(
                conn, arrival(str(one.id).encode(), copy_id=f"FILED{one.id}"),
                filing(Disposition.FILED, thread_id=one.id),
            )  # fmt: skip
            store.set_state(conn, one.id, State.RESOLVED, AT - 31 * DAY, actor="Ana")
        set_retention(conn, server.world.contoso, 30)
        conn.exec_driver_sql(
            "CREATE TRIGGER stuck BEFORE DELETE ON messages "
            f"WHEN old.id IN ('OLD000', 'FILED{stuck.id}') BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    removed = "content of a resolved thread removed"
    lines = server.rounds(lambda told: any(line["event"] == removed for line in told))
    assert server.waiting() == ["OLD000"]
    with server.database.reading() as conn:
        assert {copy.id for copy in store.list_copies(conn)} == {"OLD000", f"FILED{stuck.id}"}
    told = {line["event"]: line for line in lines if "cannot" in line["event"]}
    assert set(told) == {"held mail cannot expire", "content of a resolved thread cannot be removed"}
    assert told["content of a resolved thread cannot be removed"]["thread"] == stuck.id
    assert all("refused the record" in line["why"] for line in told.values())
