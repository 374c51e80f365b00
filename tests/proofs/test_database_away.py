"""A database that cannot be had for a while: 451 within a client's patience, nothing lost, nothing twice, and all is well
again by itself once it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import smtplib
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.proofs.load import alice_is_known, every_acknowledged_message_is_there_once, message
from tests.proofs.noting import clients_of, codes, until
from tests.proofs.pulse import pulse
from tests.proofs.served import Served
from tests.smtp_gateway.world import client
from tests.threads.test_postgresql import as_somebody, programs

FULL = bool(os.environ.get("FULL"))
LOCKED_SECONDS = 60.0 if FULL else 14.0  # a writer waits five for another one, and what came meanwhile five more
PATIENCE_SECONDS = 30.0  # for one answer; clients have ten minutes (RFC 5321 4.5.3.2.6)
STALL_SECONDS = 0.5

LOCKER = """
.timeout 20000
BEGIN EXCLUSIVE;
SELECT 'locked';
"""


@contextlib.contextmanager
def locked(program: str, database: Path) -> Iterator[None]:
    """Another program holds the write lock."""
    with subprocess.Popen([program, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(LOCKER)
        other.stdin.flush()
        assert other.stdout.readline() == "locked\n"
        yield
        other.stdin.write("ROLLBACK;\n.quit\n")
        other.stdin.flush()
        assert other.wait(20) == 0


def beside(served: Served, seconds: float) -> list[float]:
    """How long those waited for answers that asked for nothing of the database meanwhile."""

    async def scenario() -> list[float]:
        async with pulse(served.smtp_port, b"", "", served.folder) as found:
            await asyncio.sleep(seconds)
        assert {beat.code for beat in found.beats} == {"250"}
        return sorted(beat.seconds for beat in found.beats)

    return asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize(
    "form", [pytest.param("workers = 2\n", id="two workers"), *([pytest.param("", id="one process")] if FULL else [])]
)
def test_while_another_program_locks_the_database_mail_is_put_off(
    serve: Callable[..., Served], program: Callable[[str], str], form: str
) -> None:
    served = serve(f"[smtp]\n{form}")
    served.start()
    alice_is_known(served)
    with clients_of(served) as clients:
        until(lambda: sum(len(one.acknowledged) for one in clients) > 20)
        with locked(program("sqlite3"), served.database):
            time.sleep(1)  # what was in the middle of a commit has its answer
            for one in clients:
                one.heard.clear()
                one.waits.clear()
            waits = beside(served, LOCKED_SECONDS)
            assert codes(clients) <= {221, 250, 354, 451}
            assert sum(one.answers.count(451) for one in clients) >= 4
            longest = max(wait for one in clients for wait in one.waits)
            before = [len(one.acknowledged) for one in clients]
        begun = time.monotonic()
        until(lambda: all(len(one.acknowledged) > count for one, count in zip(clients, before, strict=True)))
        well = time.monotonic() - begun
    assert longest < PATIENCE_SECONDS
    assert waits[-1] < STALL_SECONDS
    print(
        f"locked for {LOCKED_SECONDS:.0f} s: 451 after {longest:.1f} s at the latest, others {waits[-1] * 1_000:.1f} ms"
        f" at most of {len(waits)}, well again after {well:.2f} s"
    )
    assert [line for one in clients for line in one.unclean] == []
    until(lambda: list(served.outbox.glob("*.eml")))
    served.stop()
    assert every_acknowledged_message_is_there_once(served, clients) > 20
    assert "Traceback" not in served.log.read_text()


class PostgreSql:
    """A server of our own that can be stopped and started."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder = folder
        self._programs = programs
        self._user = as_somebody(folder)
        self._run("initdb", "-U", "expertmail", "--auth=trust", "-E", "UTF8", "--locale=C", "-N")

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://expertmail@/postgres?host={self._folder}"

    def start(self) -> None:
        self._run("pg_ctl", "-o", f"-c listen_addresses= -c fsync=off -k {self._folder}", "-l", f"{self._folder}/log", "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-m", mode, "-w", "stop")

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._user, str(self._programs / name), "-D", str(self._folder / "data"), *arguments],
            capture_output=True, text=True, timeout=60, check=False, cwd=self._folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def column(self, query: str) -> list[object]:
        with psycopg.connect(f"host={self._folder} user=expertmail dbname=postgres") as link:
            return [row[0] for row in link.execute(query)]


@pytest.fixture
def postgresql() -> Iterator[PostgreSql]:
    there = programs()
    if there is None:
        pytest.skip("PostgreSQL's server programs are not installed (Debian: postgresql)")
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        made = PostgreSql(Path(name), there)
        made.start()
        yield made
        made.stop()


@pytest.mark.slow
def test_while_postgresql_is_stopped_mail_is_put_off(
    serve: Callable[..., Served], postgresql: PostgreSql
) -> None:
    served = serve()
    served.environment["EXPERTMAIL_DATABASE__URL"] = postgresql.url
    served.start()
    alice_is_known(served)
    with clients_of(served) as clients:
        for mode in ("immediate", "fast"):
            before = sum(len(one.acknowledged) for one in clients)
            until(lambda before=before: sum(len(one.acknowledged) for one in clients) > before + 20)
            for one in clients:
                one.waits.clear()
                one.answers.clear()
            postgresql.stop(mode)
            waits = beside(served, LOCKED_SECONDS / 2)
            assert sum(one.answers.count(451) for one in clients) >= 4
            longest = max(wait for one in clients for wait in one.waits)
            postgresql.start()
            before = sum(len(one.acknowledged) for one in clients)
            begun = time.monotonic()
            until(lambda before=before: sum(len(one.acknowledged) for one in clients) > before + 20)
            print(
                f"{mode} stop: 451 after {longest:.2f} s at the latest, others {waits[-1] * 1_000:.1f} ms at most of"
                f" {len(waits)}, well again after {time.monotonic() - begun:.2f} s"
            )
            assert longest < PATIENCE_SECONDS
            assert waits[-1] < STALL_SECONDS
            assert codes(clients) <= {221, 250, 354, 451}
    assert [line for one in clients for line in one.unclean] == []
    until(lambda: list(served.outbox.glob("*.eml")))
    served.stop()
    acknowledged = {key for one in clients for key in one.acknowledged}
    stored = [str(name).strip("<>").partition("@")[0] for name in postgresql.column("SELECT message_id FROM messages")]
    assert sorted(stored) == sorted(acknowledged)
    assert "Traceback" not in served.log.read_text()


REFUSED_BY_THE_DATABASE = """
CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN NEW.subject LIKE '%poison%'
BEGIN SELECT RAISE(ABORT, 'this one cannot be stored'); END
"""


def test_a_message_whose_statement_fails_is_451_and_its_neighbours_of_the_same_commit_are_250(
    serve: Callable[..., Served], program: Callable[[str], str]
) -> None:
    served = serve()
    served.start()
    alice_is_known(served)
    with contextlib.closing(sqlite3.connect(served.database)) as database:
        database.execute(REFUSED_BY_THE_DATABASE)
        database.commit()
    names = [f"good-{number}" for number in range(9)] + ["poison"]

    async def sent(talk, name: str) -> str:
        return await talk.data(message(name).removesuffix(b".\r\n"))

    async def scenario() -> list[str]:
        async with contextlib.AsyncExitStack() as stack:
            talks = [await stack.enter_async_context(client(served.smtp_port)) for _ in names]
            for talk in talks:
                await talk.begin(mail_from="alice@contoso.test")
            with locked(program("sqlite3"), served.database):
                # All wait for the lock together, so that one transaction has them once it is free.
                sending = [asyncio.create_task(sent(talk, name)) for talk, name in zip(talks, names, strict=True)]
                await asyncio.sleep(1)
            return await asyncio.gather(*sending)

    answers = asyncio.run(scenario())
    assert [answer[:9] for answer in answers] == ["250 2.0.0"] * 9 + ["451 4.3.0"]
    with contextlib.closing(sqlite3.connect(served.database)) as database:
        stored = {row[0] for row in database.execute("SELECT subject FROM messages")}
        assert stored == {f"Question good-{number}" for number in range(9)}
        database.execute("DROP TRIGGER refuse")
        database.commit()
    with smtplib.SMTP("127.0.0.1", served.smtp_port, timeout=30) as talk:  # and is taken when it comes again
        talk.sendmail("alice@contoso.test", ["query@experts.test"], message("poison").removesuffix(b".\r\n"))
    served.stop()
