"""What the console keeps and lists, on SQLite and on PostgreSQL: accounts, sessions, lists page by page, requests, counts."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from tests.threads.both_engines import made_record, record_on_server, world_of_each  # noqa: F401 -- fixtures
from tests.threads.conftest import AT, World, arrival, filing
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads import store
from threads.access import Account, Grant, Role
from threads.model import (
    Assignee,
    DamagedCopy,
    Disposition,
    EntryKind,
    HeldItem,
    Mark,
    MessageKind,
    Severity,
    StandingKind,
    State,
    ThreadKind,
)
from threads.schema import account_sessions, messages
from threads.session import IDLE, LASTS, LINK_LASTS, SEEN_EVERY, Way
from threads.store import accounts, sessions
from threads.store.account_secrets import (
    recovery_codes_left,
    set_password,
    set_recovery_codes,
    set_second_factor,
    use_recovery_code,
    use_step,
)
from threads.store.answer_times import AnswerTimes, answer_times
from threads.store.customer_pages import contact_page, customer_page
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.expiry import due, expire
from threads.store.held_pages import held_page
from threads.store.held_requests import Wish, ask_release, decide_request, open_request, requests_for
from threads.store.imitation_counts import TrickCount, tricks_by_day
from threads.store.people import remove_contact
from threads.store.report_counts import DayCount, Source, counts_by_day, forged_from
from threads.store.thread import append
from threads.store.thread_listing import Wanted, list_page
from verifier.report import ClaimedBy

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
ADMIN = Grant(Role.ADMIN, None)


def added(world: World, name: str = "mia", *grants: Grant) -> Account:
    with world.database.writing() as conn:
        if not accounts.any_account(conn):
            accounts.add_account(conn, "keeper", "", [ADMIN], AT, by="test")
        return accounts.add_account(conn, name, "Mia", grants, AT, by="test", address="mia@experts.test")


def test_an_account_is_found_as_it_was_added_and_its_name_is_never_given_again(world: World) -> None:
    with world.database.reading() as conn:
        assert not accounts.any_account(conn)
    grants = (Grant(Role.EXPERT, world.contoso.id), Grant(Role.ANALYST, None))
    account = added(world, "  Mia.Lang ", *grants)
    with world.database.writing() as conn:
        assert accounts.any_account(conn)
        assert accounts.find_account(conn, "MIA.LANG") == account == accounts.account_by_id(conn, account.id)
        assert (account.name, account.grants, account.created_at) == ("mia.lang", set(grants), AT)
        assert accounts.find_account(conn, "nobody") is None
        assert [one.name for one in accounts.list_accounts(conn)] == ["keeper", "mia.lang"]
        accounts.disable_account(conn, account.id, AT, by="test")
        with pytest.raises(RefusedRecord, match="or was"):
            accounts.add_account(conn, "mia.lang", "", [], AT, by="test")
        for name in ("", "x" * 61, "mia lang", "Mïa", "-mia", "mia\x00"):
            with pytest.raises(RefusedRecord, match="An account's name"):
                accounts.add_account(conn, name, "", [], AT, by="test")
        with pytest.raises(UnknownRecord):
            accounts.account_by_id(conn, 99_999)
        accounts.enable_account(conn, account.id)
        assert accounts.account_by_id(conn, account.id).disabled_at is None


def test_somebody_who_keeps_accounts_is_always_left(world: World) -> None:
    other = added(world, "other", ADMIN)
    with world.database.writing() as conn:
        accounts.set_grants(conn, other.id, [Grant(Role.ADMIN, world.contoso.id)], AT, by="test")
    with world.database.reading() as conn:
        keeper = accounts.find_account(conn, "keeper")
    assert keeper is not None
    for act in (
        lambda conn: accounts.set_grants(conn, keeper.id, [], AT, by="test"),
        lambda conn: accounts.disable_account(conn, keeper.id, AT, by="test"),
    ):
        with pytest.raises(RefusedRecord, match="Somebody has to be left"), world.database.writing() as conn:
            act(conn)
    with world.database.reading() as conn:
        assert accounts.account_by_id(conn, keeper.id) == keeper


def test_a_person_elsewhere_has_one_account(world: World) -> None:
    mia, ben = added(world, "mia"), added(world, "ben")
    with world.database.writing() as conn:
        assert accounts.account_of_subject(conn, "https://issuer.test", "7") is None
        accounts.tie_subject(conn, mia.id, "https://issuer.test", "7")
        accounts.tie_subject(conn, mia.id, "https://issuer.test", "7")
        found = accounts.account_of_subject(conn, "https://issuer.test", "7")
        assert found is not None
        assert found.id == mia.id
        with pytest.raises(RefusedRecord, match="as mia already"):
            accounts.tie_subject(conn, ben.id, "https://issuer.test", "7")
        accounts.tie_subject(conn, ben.id, "https://other.test", "7")


def test_codes_count_once_and_secrets_are_replaced_as_a_whole(world: World) -> None:
    account = added(world)
    with world.database.writing() as conn:
        set_password(conn, account.id, "$argon2id$x", AT)
        set_second_factor(conn, account.id, b"\x00\xff", ["a" * 64, "b" * 64])
        stored = accounts.account_by_id(conn, account.id)
        assert (stored.password_hash, stored.totp_sealed) == ("$argon2id$x", b"\x00\xff")
        steps = [use_step(conn, account.id, one) for one in (58_000_000, 58_000_000, 57_999_999, 2**33)]
        assert steps == [True, False, False, True]
        assert [use_recovery_code(conn, account.id, "a" * 64, AT) for _ in range(2)] == [True, False]
        assert not use_recovery_code(conn, account.id + 1, "b" * 64, AT)
        assert recovery_codes_left(conn, account.id) == 1
        set_recovery_codes(conn, account.id, ["c" * 64])
        assert not use_recovery_code(conn, account.id, "b" * 64, AT)
        assert recovery_codes_left(conn, account.id) == 1
        set_second_factor(conn, account.id, None)
        assert recovery_codes_left(conn, account.id) == 0
        assert accounts.account_by_id(conn, account.id).totp_sealed is None


def begun(world: World, account: Account, secret: str, at: Any = AT) -> sessions.Session:
    with world.database.writing() as conn:
        return sessions.begin_session(
            conn, secret, account, at, way=Way.PASSWORD, client_ip="2001:db8::1", user_agent="x\x00" * 300
        )


def test_a_session_counts_for_its_time_and_while_it_is_used(world: World) -> None:
    account = added(world)
    session = begun(world, account, "a" * 64)
    with world.database.writing() as conn:
        assert sessions.session_in_force(conn, "a" * 64, AT) == (session, account)
        assert sessions.session_in_force(conn, "b" * 64, AT) is None
        assert sessions.session_in_force(conn, "a" * 64, AT + IDLE) is None
        assert not sessions.is_due(session, AT + SEEN_EVERY - MINUTE / 2)
        sessions.note_seen(conn, session, AT + IDLE - MINUTE)
        sessions.note_seen(conn, session, AT)  # a request that was slow takes nothing back
        assert sessions.session_in_force(conn, "a" * 64, AT + IDLE) is not None
        conn.execute(update(account_sessions).values(seen_at=AT + LASTS - MINUTE))
        assert sessions.session_in_force(conn, "a" * 64, AT + LASTS - MINUTE) is not None
        assert sessions.session_in_force(conn, "a" * 64, AT + LASTS) is None
        accounts.disable_account(conn, account.id, AT, by="test")
        accounts.enable_account(conn, account.id)
        assert sessions.session_in_force(conn, "a" * 64, AT) is None, "it was ended with the account"


def test_sessions_are_listed_ended_and_forgotten(world: World) -> None:
    account, other = added(world, "mia"), added(world, "ben")
    mine = [begun(world, account, f"{number:064}", AT + number * MINUTE) for number in range(3)]
    theirs = begun(world, other, "f" * 64)
    with world.database.writing() as conn:
        listed = sessions.sessions_of(conn, account.id, AT + 3 * MINUTE)
        assert [one.id for one in listed] == [one.id for one in reversed(mine)]
        assert [sessions.end_session(conn, mine[0].id, AT, by="mia") for _ in range(2)] == [True, False]
        assert sessions.end_sessions(conn, account.id, AT, by="mia", but=mine[2].id) == 1
        assert [one.id for one in sessions.sessions_of(conn, account.id, AT + 3 * MINUTE)] == [mine[2].id]
        assert sessions.session_in_force(conn, "f" * 64, AT) == (theirs, other)
    begun(world, other, "e" * 64, AT + 3 * LASTS)
    with world.database.reading() as conn:
        assert conn.execute(account_sessions.select()).all().__len__() == 1, "those long over are forgotten"


def test_a_link_is_good_once_in_its_time_and_the_last_one_counts(world: World) -> None:
    account = added(world)
    with world.database.writing() as conn:
        for secret in ("a" * 64, "b" * 64):
            sessions.add_link(conn, secret, account.id, AT, by="test")
        sessions.add_link(conn, "c" * 64, None, AT, by="test")
        assert sessions.link_in_force(conn, "a" * 64, AT) is None
        found = sessions.link_in_force(conn, "b" * 64, AT)
        assert found is not None
        assert found[1] == account.id
        assert sessions.link_in_force(conn, "b" * 64, AT + LINK_LASTS) is None
        assert [sessions.use_link(conn, found[0], AT) for _ in range(2)] == [True, False]
        assert sessions.link_in_force(conn, "b" * 64, AT) is None
        first = sessions.link_in_force(conn, "c" * 64, AT)
        assert first is not None
        assert first[1] is None


def listed(world: World, wanted: Wanted, **more: Any) -> list[str]:
    with world.database.reading() as conn:
        return [thread.title for thread, _ in list_page(conn, wanted, **more).threads]


def test_threads_are_filtered_and_paged_by_their_news(world: World) -> None:
    with world.database.writing() as conn:
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        for number in range(7):
            store.open_incident(conn, world.contoso.id, f"Number {number}", AT + (number // 2) * HOUR)
        theirs = store.open_incident(conn, fabrikam.id, "100%_Ärger", AT, severity=Severity.HIGH)
        store.set_state(conn, theirs.id, State.RESOLVED, AT, actor="test")
    seen: list[str] = []
    cursor = ""
    while True:
        with world.database.reading() as conn:
            page = list_page(conn, Wanted(organisations={world.contoso.id}), cursor=cursor, limit=3)
        assert {customer for _, customer in page.threads} == {"Contoso"}
        seen += [thread.title for thread, _ in page.threads]
        if page.cursor is None:
            break
        cursor = page.cursor
    assert seen == [*(f"Number {number}" for number in range(6, -1, -1)), world.incident.title]
    assert listed(world, Wanted(organisations=())) == []
    assert listed(world, Wanted(organisation_id=fabrikam.id, organisations={world.contoso.id})) == []
    assert listed(world, Wanted(state=State.RESOLVED)) == [theirs.title]
    assert listed(world, Wanted(severity=Severity.HIGH)) == [theirs.title]
    assert len(listed(world, Wanted(unresolved=True))) == 8
    assert listed(world, Wanted(kind=ThreadKind.INQUIRY)) == []
    assert len(listed(world, Wanted(assigned_to=Assignee.DEFENDER_EXPERTS))) == 9
    assert listed(world, Wanted(words="0%_")) == [theirs.title]
    assert listed(world, Wanted(words="NUMBER 3")) == ["Number 3"]
    assert listed(world, Wanted(words=theirs.reference.lower())) == [theirs.title]
    assert listed(world, Wanted(words="\x00\\'")) == []
    assert len(listed(world, Wanted(), cursor="9" * 16 + ".2147483647")) == 9
    for odd in ("x", "9.9.9", "9" * 17 + ".1", "1.2147483648"):
        with world.database.reading() as conn, pytest.raises(RefusedRecord):
            list_page(conn, Wanted(), cursor=odd)


def hold(world: World, copy_id: str, *, thread: int | None, disposition=Disposition.HELD, **more: Any) -> str:
    with world.database.writing() as conn:
        return store.store_message(
            conn,
            arrival(copy_id.encode(), copy_id=copy_id, message_id=f"<{copy_id}@x.test>", **more),
            filing(disposition, StandingKind.UNKNOWN, thread_id=thread),
        ).id


def names(items: tuple[HeldItem | DamagedCopy, ...]) -> list[str]:
    return [one.id if isinstance(one, DamagedCopy) else one.copy.id for one in items]


def test_what_waits_is_paged_and_no_row_is_lost_when_another_one_goes(world: World) -> None:
    for number in range(6):
        hold(world, f"H{number}", thread=world.incident.id, received_at=AT + (number // 2) * HOUR)
    hold(world, "STRANGER", thread=None, disposition=Disposition.TRIAGE)
    with world.database.reading() as conn:
        first = held_page(conn, Disposition.HELD, None, limit=2)
        assert names(held_page(conn, Disposition.TRIAGE, None).items) == ["STRANGER"]
        assert names(held_page(conn, Disposition.TRIAGE, {world.contoso.id}).items) == []
        assert names(held_page(conn, Disposition.HELD, {world.contoso.id}).items)[-1] == "H5"
        assert held_page(conn, Disposition.HELD, {world.contoso.id + 9}).items == ()
        assert held_page(conn, Disposition.HELD, ()).items == ()
        for odd in ("'", "x" * 60, "1.", "9" * 17 + ".H1", ".H1"):
            with pytest.raises(RefusedRecord):
                held_page(conn, Disposition.HELD, None, cursor=odd)
    assert names(first.items) == ["H0", "H1"]
    assert first.cursor is not None
    with world.database.writing() as conn:
        expire(conn, due(conn, AT + MINUTE), AT + MINUTE, AT + DAY, by="test")
    with world.database.reading() as conn:
        second = held_page(conn, Disposition.HELD, None, cursor=first.cursor, limit=2)
        assert names(second.items) == ["H2", "H3"]
        assert second.cursor is not None
        last = held_page(conn, Disposition.HELD, None, cursor=second.cursor, limit=2)
    assert (names(last.items), last.cursor) == (["H4", "H5"], None)


def test_a_row_with_a_disposition_that_nobody_writes_stands_before_what_is_held(world: World) -> None:
    for number in range(3):
        hold(world, f"H{number}", thread=world.incident.id, received_at=AT + number * HOUR)
    with world.database.writing() as conn:
        for copy_id, word in (("H0", "hel"), ("H2", "zzz")):
            conn.execute(update(messages).where(messages.c.id == copy_id).values(disposition=word))
    with world.database.reading() as conn:
        found = held_page(conn, Disposition.HELD, None, limit=1)
        assert names(found.items) == ["H0", "H2", "H1"]
        assert isinstance(found.items[0], DamagedCopy)
        assert found.items[0].columns == ("disposition",)
        assert names(held_page(conn, Disposition.HELD, {world.contoso.id}).items) == ["H0", "H2", "H1"]
        assert held_page(conn, Disposition.HELD, {world.contoso.id + 9}).items == ()
        assert held_page(conn, Disposition.TRIAGE, None).items == ()


def test_a_release_is_asked_for_once_and_decided_by_another_person(world: World) -> None:
    hold(world, "H", thread=world.incident.id)
    wish = Wish("H", thread_id=world.incident.id, contact_name="Alex\x00")
    with world.database.writing() as conn:
        with pytest.raises(UnknownRecord):
            decide_request(conn, "H", AT, consents=True, by="ben")
        first = ask_release(conn, Wish("H"), AT, by="mia")
        with pytest.raises(RefusedRecord, match="You have asked"):
            ask_release(conn, Wish("H"), AT, by="mia")
        second = ask_release(conn, wish, AT, by="ana")
        assert second.id != first.id
        assert requests_for(conn, ["H", "none"]) == {"H": second}
        assert open_request(conn, "H") == second
        for by, shown, why in (("ana", second.id, "yourself"), ("ben", first.id, "by now")):
            with pytest.raises(RefusedRecord, match=why):
                decide_request(conn, "H", AT, consents=True, by=by, shown=shown)
        assert decide_request(conn, "H", AT, consents=True, by="ben", shown=second.id) == second
        assert open_request(conn, "H") is None
        ask_release(conn, wish, AT, by="mia")
        store.discard(conn, "H", "no", AT, by="ben")
        assert open_request(conn, "H") is None, "it waits no longer"
        with pytest.raises(RefusedRecord, match="does not wait"):
            ask_release(conn, wish, AT, by="mia")


def test_mail_is_counted_by_its_day_in_utc(world: World) -> None:
    late = AT.replace(hour=23, minute=59)
    forged = {"verdict": "forged", "author": "boss@contoso.test"}
    hold(world, "A", thread=world.incident.id, received_at=late, **forged)
    hold(world, "B", thread=world.incident.id, received_at=late + MINUTE, **forged)
    hold(
        world, "C", thread=None, disposition=Disposition.TRIAGE, kind=MessageKind.AUTO_REPLY, received_at=late
    )
    hold(world, "D", thread=None, disposition=Disposition.TRIAGE, **{**forged, "author": None})
    hold(world, "OLD", thread=None, received_at=AT - DAY)
    with world.database.reading() as conn:
        assert counts_by_day(conn, AT, None) == (
            DayCount("2026-11-25", "forged", "held", "human", 1),
            DayCount("2026-11-25", "forged", "triage", "human", 1),
            DayCount("2026-11-25", "no-claim", "triage", MessageKind.AUTO_REPLY.value, 1),
            DayCount("2026-11-26", "forged", "held", "human", 1),
        )
        assert [one.number for one in counts_by_day(conn, AT, {world.contoso.id})] == [1, 1]
        assert counts_by_day(conn, AT, ()) == ()
        assert forged_from(conn, AT, None) == (
            Source("192.0.2.1", "boss@contoso.test", 2),
            Source("192.0.2.1", "", 1),
        )
        assert forged_from(conn, AT, {world.contoso.id}) == (Source("192.0.2.1", "boss@contoso.test", 2),)


def judged(world: World, copy_id: str, *tricks: str, thread: bool = True, **more: Any) -> None:
    claims = [
        {"identity": "Experts", "by": one, "detail": 'says "by":"hidden-address" itself'} for one in tricks
    ]
    hold(
        world, copy_id, thread=world.incident.id if thread else None, verdict="forged",
        report=json.dumps({"verdict": "forged", "claims": claims}, separators=(",", ":")), **more,
    )  # fmt: skip


def test_imitations_are_counted_by_their_tricks_even_when_they_are_over(world: World) -> None:
    judged(world, "A", "display-name", "lookalike-domain")
    judged(world, "B", "display-name", received_at=AT + DAY)
    judged(world, "C", "author-domain", thread=False, disposition=Disposition.TRIAGE, received_at=AT + DAY)
    judged(world, "OLD", "display-name", received_at=AT - DAY)
    hold(world, "GENUINE", thread=None, verdict="genuine", report='{"claims":[{"by":"author-domain"}]}')
    today, later = "2026-11-25", "2026-11-26"
    wanted = (
        TrickCount(today, ClaimedBy.DISPLAY_NAME, 1),
        TrickCount(today, ClaimedBy.LOOKALIKE_DOMAIN, 1),
        TrickCount(later, ClaimedBy.AUTHOR_DOMAIN, 1),
        TrickCount(later, ClaimedBy.DISPLAY_NAME, 1),
    )
    with world.database.reading() as conn:
        assert tricks_by_day(conn, AT, None) == wanted
        assert tricks_by_day(conn, AT, {world.contoso.id}) == (*wanted[:2], wanted[3])
        assert tricks_by_day(conn, AT, ()) == ()
        before = counts_by_day(conn, AT, None), forged_from(conn, AT, None)
    with world.database.writing() as conn:
        expire(conn, due(conn, AT + MINUTE), AT + MINUTE, AT + 2 * DAY, by="test")
    with world.database.reading() as conn:
        assert tricks_by_day(conn, AT, None) == wanted
        assert (counts_by_day(conn, AT, None), forged_from(conn, AT, None)) == before


def said(world: World, thread_id: int, kind: EntryKind, mark: Mark, at: datetime) -> None:
    with world.database.writing() as conn:
        append(conn, thread_id, at, kind, actor="x", mark=mark, text="x")


def test_how_long_customers_wait_for_a_person_is_told_by_customer(world: World) -> None:
    with world.database.writing() as conn:
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        some = [store.open_incident(conn, fabrikam.id, f"{n}", AT) for n in range(4)]
        old = store.open_incident(conn, world.contoso.id, "old", AT - 9 * DAY)
    for thread, marks in zip(some[:2], (Mark.VERIFIED, Mark.NOT_LISTED), strict=True):
        said(world, thread.id, EntryKind.MAIL_OUT, Mark.EXPERT, AT)  # our question is no answer
        said(world, thread.id, EntryKind.MAIL_IN, marks, AT + HOUR)
        said(world, thread.id, EntryKind.MAIL_OUT, Mark.AUTOMATION, AT + HOUR)
        said(world, thread.id, EntryKind.NOTE, Mark.EXPERT, AT + HOUR)
    said(world, some[0].id, EntryKind.MAIL_OUT, Mark.EXPERT, AT + 3 * HOUR)
    said(world, some[0].id, EntryKind.MAIL_OUT, Mark.EXPERT, AT + 9 * HOUR)
    said(world, some[1].id, EntryKind.CALL, Mark.REPORTED, AT + 2 * HOUR)
    said(world, some[2].id, EntryKind.CHAT, Mark.REPORTED, AT)
    said(world, old.id, EntryKind.MAIL_IN, Mark.VERIFIED, AT - 8 * DAY)
    said(world, old.id, EntryKind.MAIL_OUT, Mark.EXPERT, AT + HOUR)
    hold(world, "WAITED", thread=None, received_at=AT + MINUTE)
    with world.database.writing() as conn:
        store.release(conn, "WAITED", AT + DAY, by="Ana", thread_id=world.incident.id)
    said(world, world.incident.id, EntryKind.CHAT, Mark.EXPERT, AT + DAY + MINUTE)
    with world.database.reading() as conn:
        found = answer_times(conn, AT, None)
        assert answer_times(conn, AT, {fabrikam.id}) == found[1:]
        assert answer_times(conn, AT, ()) == ()
    assert found == (
        AnswerTimes(world.contoso.id, (DAY.total_seconds(),), 0),
        AnswerTimes(fabrikam.id, (3_600.0, 7_200.0), 1),
    )


def test_customers_and_contacts_are_found_and_paged(world: World) -> None:
    with world.database.writing() as conn:
        others = [
            store.add_organisation(conn, f"{name} Ltd", AT) for name in ("Adatum", "Zeta", "Élan", "50%_x")
        ]
        store.add_domain(conn, others[1].id, "zeta.test", AT, verified=True)
        for number in range(5):
            store.add_contact(conn, others[0].id, f"{number}@adatum.test", f"Ärztin {number}", AT)
        gone = store.add_contact(conn, others[1].id, "left@zeta.test", "Left", AT)
        remove_contact(conn, gone, AT)

    def found(words: str, reach: Any = None) -> list[str]:
        with world.database.reading() as conn:
            return [one.customer.name for one in customer_page(conn, reach, words=words).customers]

    assert found("contoso") == found("ALEX@") == ["Contoso"]
    assert found("zeta.TEST") == ["Zeta Ltd"]
    assert found("left@") == []
    assert found("Ärztin 3") == ["Adatum Ltd"]
    assert found("élan") == found("Élan") == ["Élan Ltd"]
    assert found("0%_X") == ["50%_x Ltd"]
    assert found("_") == ["50%_x Ltd"]
    assert found("ltd", {others[0].id, world.contoso.id}) == ["Adatum Ltd"]
    assert found("", ()) == []
    seen: list[str] = []
    cursor: str | None = ""
    with world.database.reading() as conn:
        while cursor is not None:
            page = customer_page(conn, None, cursor=cursor, limit=2)
            seen += [one.customer.name for one in page.customers]
            cursor = page.cursor
        assert sorted(seen) == sorted([world.contoso.name, *(one.name for one in others)])
        assert seen.index("Adatum Ltd") < seen.index("Contoso") < seen.index("Zeta Ltd")
        listed = customer_page(conn, {others[0].id, others[1].id}).customers
        assert [(one.contacts, one.domains) for one in listed] == [(5, ()), (0, ("zeta.test",))]
        first = contact_page(conn, others[0].id, limit=3)
        assert first.cursor is not None
        rest = contact_page(conn, others[0].id, cursor=first.cursor, limit=3)
        assert [one.address[0] for one in (*first.contacts, *rest.contacts)] == list("01234")
        assert rest.cursor is None
        only = first.contacts[1]
        assert contact_page(conn, others[0].id, only=only.id).contacts == (only,)
        assert contact_page(conn, world.contoso.id, only=only.id).contacts == ()
        assert contact_page(conn, others[1].id).contacts == ()
        assert len(contact_page(conn, others[0].id, words="4@ADATUM").contacts) == 1
        for odd in ("x", "-1", "2147483648", "9" * 11):
            with pytest.raises(RefusedRecord):
                customer_page(conn, None, cursor=odd)
            with pytest.raises(RefusedRecord):
                contact_page(conn, others[0].id, cursor=odd)
