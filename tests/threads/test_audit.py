"""The audit trail: what was done is told in a chain that shows every later change, and lets content go for good."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.threads.conftest import AT
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads import store
from threads.model.audit import START, AuditRow, content_of, digest_of, seal_of, verify_chain
from threads.store.audit import (
    check_audit,
    digest_on_record,
    erase_acts,
    list_audit,
    record_act,
    trail_is_guarded,
)


@pytest.fixture(params=["sqlite", "postgresql"])
def trail(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[store.Database]:
    if request.param == "sqlite":
        database = store.open_database(f"sqlite:///{tmp_path / 'record.db'}")
    else:
        database = store.open_database(request.getfixturevalue("server"))
        with database.writing() as conn:
            conn.exec_driver_sql("DROP SCHEMA public CASCADE")
            conn.exec_driver_sql("CREATE SCHEMA public")
    store.upgrade(database)
    yield database
    database.close()


def act(database: store.Database, *subjects: str, organisation_id: int | None = None) -> None:
    for subject in subjects:
        with database.writing() as conn:
            record_act(conn, "contact-added", AT, by="Ana", subject=subject, organisation_id=organisation_id)


def test_acts_are_told_newest_first_and_the_chain_holds(trail: store.Database) -> None:
    act(trail, "alex@contoso.test", "bob\x00\ud800", organisation_id=7)
    act(trail, "eve@fabrikam.test", organisation_id=8)
    with trail.reading() as conn:
        rows = list_audit(conn)
        assert [json.loads(row.content or "")["subject"] for row in rows] == [
            "eve@fabrikam.test",
            "bob\ufffd\ufffd",
            "alex@contoso.test",
        ]
        assert [row.number for row in list_audit(conn, organisation_id=7)] == [2, 1]
        assert list_audit(conn, act="mail-released") == ()
        chain = check_audit(conn)
        assert (chain.rows, chain.erased, chain.broken) == (3, 0, None)
        assert digest_on_record(conn, chain.head)
        assert not digest_on_record(conn, "f" * 64)
        assert trail_is_guarded(conn)


def test_an_act_is_on_record_exactly_when_what_it_tells_of_is(trail: store.Database) -> None:
    def work() -> None:
        with trail.writing() as conn:
            store.add_organisation(conn, "Contoso", AT)
            record_act(conn, "customer-added", AT, by="Ana", subject="Contoso")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    with trail.reading() as conn:
        assert list_audit(conn) == ()


def test_what_is_erased_is_gone_and_the_chain_still_holds(trail: store.Database) -> None:
    act(trail, "alex@contoso.test", organisation_id=7)
    act(trail, "eve@fabrikam.test", organisation_id=8)
    act(trail, "sam@contoso.test", organisation_id=7)
    with trail.reading() as conn:
        before = check_audit(conn).head
    with trail.writing() as conn:
        assert erase_acts(conn, 7) == 2
        assert erase_acts(conn, 7) == 0
    act(trail, "organisation 7")
    with trail.reading() as conn:
        chain = check_audit(conn)
        assert (chain.rows, chain.erased, chain.broken) == (4, 2, None)
        assert digest_on_record(conn, before)
        kept = [(row.number, row.act, row.salt, row.content) for row in list_audit(conn, organisation_id=7)]
        assert kept == [(3, "contact-added", None, None), (1, "contact-added", None, None)]


def test_what_was_erased_cannot_be_found_out_by_trying_what_it_may_have_been(trail: store.Database) -> None:
    act(trail, "alex@contoso.test", organisation_id=7)
    with trail.reading() as conn:
        (before,) = list_audit(conn)
    assert before.salt is not None
    assert len(bytes.fromhex(before.salt)) == 32
    guess = content_of("Ana", "alex@contoso.test", "")
    assert guess == before.content, "the guess is right"
    assert seal_of(before.salt, guess) == before.seal, "with the salt it can be confirmed"
    with trail.writing() as conn:
        erase_acts(conn, 7)
    with trail.reading() as conn:
        (after,) = list_audit(conn)
    assert after.salt is None
    assert seal_of("", guess) != after.seal


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit WHERE number = 2",
        "UPDATE audit SET content = 'x' WHERE number = 2",
        "UPDATE audit SET act = 'x' WHERE number = 2",
        "UPDATE audit SET salt = NULL WHERE number = 2",
        "UPDATE audit SET salt = NULL, content = NULL, organisation_id = 9 WHERE number = 2",
        "UPDATE audit SET number = 9 WHERE number = 2",
        "INSERT INTO audit (number, at, act, previous, seal, digest) SELECT 9, at, act, previous, '', '' FROM audit WHERE number = 2",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_done(trail: store.Database, statement: str) -> None:
    act(trail, "one", "two", "three")
    with pytest.raises(store.RefusedRecord), trail.writing() as conn:
        conn.execute(text(statement))
    with trail.reading() as conn:
        assert check_audit(conn).broken is None


def test_a_trail_without_its_guard_is_told(trail: store.Database) -> None:
    with trail.writing() as conn:
        where = " ON audit" if trail.path is None else ""
        conn.execute(text(f"DROP TRIGGER audit_only_erases{where}"))
    with trail.reading() as conn:
        assert not trail_is_guarded(conn)
    assert store.check(trail) == (
        "The audit trail is not guarded against changes any more; restore a backup.",
    )


def test_writers_that_come_together_never_fork_the_chain(
    trail: store.Database, request: pytest.FixtureRequest
) -> None:
    url = str(trail.engine.url) if trail.path else request.getfixturevalue("server")
    failed: list[BaseException] = []

    def node(name: str) -> None:
        database = store.open_database(url)
        try:
            act(database, *(f"{name} {number}" for number in range(25)))
        except BaseException as error:  # noqa: BLE001 -- told below
            failed.append(error)
        finally:
            database.close()

    nodes = [threading.Thread(target=node, args=(name,)) for name in ("a", "b", "c", "d")]
    for one in nodes:
        one.start()
    for one in nodes:
        one.join()
    assert failed == []
    with trail.reading() as conn:
        chain = check_audit(conn)
    assert (chain.rows, chain.broken) == (100, None)


def rows(number: int) -> list[AuditRow]:
    """A sound chain."""
    made: list[AuditRow] = []
    previous = START
    for place in range(1, number + 1):
        content = content_of("Ana", str(place), "")
        salt = f"{place:064x}"
        seal = seal_of(salt, content)
        digest = digest_of(
            number=place, at=AT, act="note-added", organisation_id=7, previous=previous, seal=seal
        )
        made.append(AuditRow(place, AT, "note-added", 7, previous, seal, digest, salt, content))
        previous = digest
    return made


def changed(row: AuditRow, **values: object) -> AuditRow:
    return AuditRow(**{name: values.get(name, getattr(row, name)) for name in AuditRow.__slots__})  # type: ignore[arg-type]


def resealed(row: AuditRow) -> AuditRow:
    """As who can compute digests would cover up other content."""
    content = content_of("Ana", "another", "")
    seal = seal_of(row.salt or "", content)
    digest = digest_of(
        number=row.number, at=row.at, act=row.act, organisation_id=7, previous=row.previous, seal=seal
    )
    return changed(row, content=content, seal=seal, digest=digest)


@pytest.mark.parametrize(
    ("damage", "number", "why"),
    [
        (lambda r: [r[0], changed(r[1], content="{}"), *r[2:]], 2, "its content was changed"),
        (lambda r: [r[0], changed(r[1], salt="zz"), *r[2:]], 2, "its content was changed"),
        (lambda r: [r[0], changed(r[1], salt=None), *r[2:]], 2, "only a part of it is erased"),
        (lambda r: [r[0], changed(r[1], act="x"), *r[2:]], 2, "its time, act or organisation was changed"),
        (lambda r: [r[0], changed(r[1], organisation_id=8), *r[2:]], 2, "its time, act or organisation was"),
        (lambda r: [r[0], *r[2:]], 3, "row 2 is missing"),
        (lambda r: [changed(r[1], number=1), changed(r[0], number=2), *r[2:]], 1, "does not follow"),
        (lambda r: [r[0], r[1], r[1], *r[2:]], 2, "out of order"),
        (lambda r: [r[0], resealed(r[1]), *r[2:]], 3, "it does not follow the row before it"),
        (
            lambda r: [r[0], changed(r[1], salt=None, content=None, seal="0" * 64), *r[2:]],
            2,
            "its time, act or organisation was changed",
        ),
    ],
)
def test_the_first_row_that_is_not_what_was_written_is_named(
    damage: Callable[[list[AuditRow]], list[AuditRow]], number: int, why: str
) -> None:
    assert verify_chain(rows(4)).broken is None
    broken = verify_chain(damage(rows(4))).broken
    assert broken is not None
    assert broken.number == number
    assert why in broken.why


def test_rows_cut_off_at_the_end_are_found_by_a_digest_that_was_noted(trail: store.Database) -> None:
    act(trail, "one", "two", "three")
    with trail.reading() as conn:
        noted = check_audit(conn).head
    with trail.writing() as conn:
        for trigger in ("audit_keeps_rows", "audit_only_erases"):
            conn.execute(text(f"DROP TRIGGER {trigger}{' ON audit' if trail.path is None else ''}"))
        conn.execute(text("DELETE FROM audit WHERE number = 3"))
    with trail.reading() as conn:
        assert check_audit(conn).broken is None
        assert not digest_on_record(conn, noted)
