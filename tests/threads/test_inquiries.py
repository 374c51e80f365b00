"""Questions to the experts: by whatever channel they came, one kind of thread, and what is told of them afterwards."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.threads.both_engines import made_record, record_on_server, world_of_each  # noqa: F401 -- fixtures
from tests.threads.conftest import AT, World
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads import store
from threads.inquiry import AnswerChannel, Question, months_before
from threads.model import AskedBy, EntryKind, Mark, Thread
from threads.schema import carried_mails
from threads.schema import threads as table
from threads.store.circumstances import distrust
from threads.store.errors import RefusedRecord
from threads.store.inquiries import SHORT, ask, contact_named, history, question_on
from threads.store.moving import merge_threads
from threads.store.thread import append, open_inquiry

HOUR = timedelta(hours=1)
END = AT + timedelta(days=30)


def asked(world: World, at: datetime = AT, by: AskedBy = AskedBy.API, text: str = "Is it safe?") -> Thread:
    with world.database.writing() as conn:
        return ask(
            conn, world.contoso, "An update", text, at, contact=world.alex, asked_by=by, actor="portal-1"
        )


def mailed(
    world: World, at: datetime, mark: Mark = Mark.VERIFIED, by: AskedBy | None = AskedBy.MAIL
) -> Thread:
    with world.database.writing() as conn:
        made = open_inquiry(conn, world.contoso.id, "By mail", at, asked_by=by)
        append(
            conn, made.id, at, EntryKind.MAIL_IN, actor="alex@contoso.test", mark=mark, text="Who are you?"
        )
        return made


def answered(
    world: World,
    thread: Thread,
    at: datetime,
    kind: EntryKind = EntryKind.CHAT,
    text: str = "It is.",
    name: str = "ana",
) -> int:
    with world.database.writing() as conn:
        return append(
            conn, thread.id, at, kind, actor=name, mark=Mark.EXPERT, text=text, message_id=f"{at:%H%M%S}@us"
        )


def told(world: World, since: datetime = AT - HOUR, before: datetime = END, **how: object) -> list[Question]:
    with world.database.reading() as conn:
        return list(history(conn, since, before, None, **how))  # type: ignore[arg-type]


def test_a_question_is_one_kind_of_thread_whatever_way_it_came(world: World) -> None:
    asked(world)
    asked(world, by=AskedBy.CONSOLE)
    mailed(world, AT)
    mailed(world, AT, by=None)  # from before that was written down
    found = told(world)
    assert [one.channel for one in found] == [AskedBy.API, AskedBy.CONSOLE, AskedBy.MAIL, AskedBy.MAIL]
    assert {one.inquiry.reference[:3] for one in found} == {"INQ"}
    assert [one.by.lower() for one in found] == ["alex@contoso.test"] * 4


def test_it_may_be_about_an_incident_of_the_same_customer_only(world: World) -> None:
    with world.database.writing() as conn:
        made = ask(
            conn,
            world.contoso,
            "T",
            "Why?",
            AT,
            contact=world.alex,
            asked_by=AskedBy.API,
            actor="p",
            about=world.incident,
        )
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        foreign = store.open_incident(conn, fabrikam.id, "Theirs", AT)
    assert told(world)[0].inquiry.about == world.incident.reference
    assert made.about_id == world.incident.id
    with pytest.raises(RefusedRecord, match="another customer"), world.database.writing() as conn:
        ask(
            conn,
            world.contoso,
            "T",
            "Why?",
            AT,
            contact=world.alex,
            asked_by=AskedBy.API,
            actor="p",
            about=foreign,
        )
    with pytest.raises(RefusedRecord, match="no contact"), world.database.writing() as conn:
        ask(conn, fabrikam, "T", "Why?", AT, contact=world.alex, asked_by=AskedBy.API, actor="p")
    with pytest.raises(RefusedRecord, match="no contact"), world.database.reading() as conn:
        contact_named(conn, fabrikam, "alex@contoso.test")


def test_no_program_asks_for_a_customer_whose_mail_an_intruder_may_have(world: World) -> None:
    with world.database.writing() as conn:
        distrust(conn, world.contoso, "a stolen session", AT, by="ana")
    with pytest.raises(RefusedRecord, match="has to call"):
        asked(world)
    asked(world, by=AskedBy.CONSOLE)  # an expert heard it


def test_the_first_answer_counts_and_all_are_told(world: World) -> None:
    thread = asked(world)
    with world.database.writing() as conn:
        append(
            conn, thread.id, AT, EntryKind.MAIL_OUT, actor="gateway", mark=Mark.AUTOMATION, text="We got it."
        )
        append(conn, thread.id, AT, EntryKind.NOTE, actor="ana", mark=Mark.EXPERT, text="Odd.")
    entry = answered(world, thread, AT + HOUR)
    answered(world, thread, AT + 2 * HOUR, EntryKind.MAIL_OUT, "By mail, too.", "kim")
    answered(world, thread, AT + 3 * HOUR, EntryKind.CALL, "On the telephone.")
    (one,) = told(world)
    assert one.seconds == 3600
    assert [(a.channel, a.by) for a in one.answers] == [
        (AnswerChannel.CHAT, "ana"), (AnswerChannel.MAIL, "kim"), (AnswerChannel.CALL, "ana"),
    ]  # fmt: skip
    with world.database.writing() as conn:  # a mail that only carries what stands there is no answer more
        conn.execute(carried_mails.insert().values(message_id=f"{AT + 2 * HOUR:%H%M%S}@us", entry_id=entry))
    assert [a.channel for a in told(world)[0].answers] == [AnswerChannel.CHAT, AnswerChannel.CALL]
    with world.database.reading() as conn:
        assert question_on(conn, thread) == told(world, short=None)[0]


def test_mail_of_which_nobody_knows_who_wrote_it_is_no_question(world: World) -> None:
    thread = mailed(world, AT, Mark.UNVERIFIED, None)
    answered(world, thread, AT + HOUR)
    assert told(world) == []
    with world.database.writing() as conn:
        append(
            conn,
            thread.id,
            AT + 2 * HOUR,
            EntryKind.CALL,
            actor="Alex",
            mark=Mark.REPORTED,
            text="It was me.",
        )
    answered(world, thread, AT + 3 * HOUR)
    (one,) = told(world)
    assert (one.text, one.seconds, one.channel) == ("It was me.", 3600, None)


def test_the_first_moment_belongs_to_the_period_and_the_last_one_does_not(world: World) -> None:
    begin, end = datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    second = timedelta(microseconds=1)
    inside = [asked(world, at).reference for at in (begin, end - second)]
    for at in (begin - second, end):
        asked(world, at)
    assert [one.inquiry.reference for one in told(world, begin, end)] == inside
    with world.database.reading() as conn:
        late = asked(world, end - HOUR)
        answered(world, late, end)
        assert [
            one.seconds for one in history(conn, end - HOUR, end - second, None, answered_before=end)
        ] == [None]


def test_each_sees_the_questions_of_their_customers(world: World) -> None:
    asked(world)
    with world.database.writing() as conn:
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        bob = store.add_contact(conn, fabrikam.id, "bob@fabrikam.test", "Bob", AT)
        ask(conn, fabrikam, "T", "Why?", AT, contact=bob, asked_by=AskedBy.API, actor="p")
    with world.database.reading() as conn:
        names = [
            [one.inquiry.organisation for one in history(conn, AT, END, some)]
            for some in (None, {world.contoso.id}, {fabrikam.id}, set())
        ]
    assert names == [["Contoso", "Fabrikam"], ["Contoso"], ["Fabrikam"], []]


def test_merged_and_emptied_threads_are_told_once_and_without_words(world: World) -> None:
    first, second, third = asked(world), asked(world, text="And this?"), asked(world)
    answered(world, third, AT + HOUR)
    with world.database.writing() as conn:
        merge_threads(conn, second, first, AT + HOUR, by="ana")
        conn.execute(store.thread.timeline.delete().where(store.thread.timeline.c.thread_id == third.id))
        conn.execute(table.update().where(table.c.id == third.id).values(emptied_at=AT + 2 * HOUR))
    found = told(world)
    assert [one.inquiry.reference for one in found] == [first.reference, third.reference]
    assert (found[1].text, found[1].answers, found[1].asked_at) == ("", (), AT)


def test_long_texts_are_cut_in_lists_only(world: World) -> None:
    asked(world, text="x" * (SHORT + 50))
    assert len(told(world)[0].text) == SHORT + 1  # one more says that there is more
    assert len(told(world, short=None)[0].text) == SHORT + 50


@pytest.mark.parametrize(
    ("now", "months", "then"),
    [
        ("2026-11-27", 6, "2026-05-27"),
        ("2026-03-31", 1, "2026-02-28"),
        ("2028-02-29", 12, "2027-02-28"),
        ("2026-01-15", 1, "2025-12-15"),
        ("2026-12-31", 12, "2025-12-31"),
    ],
)
def test_months_are_those_of_the_calendar(now: str, months: int, then: str) -> None:
    assert months_before(datetime.fromisoformat(now), months) == datetime.fromisoformat(then)


def test_ten_thousand_questions_take_time_in_proportion(world: World) -> None:
    """Five times as much takes five times as long, and not twenty-five times."""
    if world.database.engine.dialect.name != "sqlite":
        return  # its time is the server's, which is not counted here

    def plant(number: int, begin: int) -> None:
        """So many questions with four entries each."""
        with world.database.writing() as conn:
            ids = range(begin, begin + number)
            conn.execute(
                table.insert(),
                [
                    {
                        "id": one, "kind": "inquiry", "reference": f"INQ-9{one:07}", "title": "T", "state": "Active",
                        "assigned_to": "Customer", "organisation_id": world.contoso.id, "opened_at": AT, "updated_at": AT,
                        "asked_by": "mail",
                    }
                    for one in ids
                ],
            )  # fmt: skip
            entries = (
                ("state", "automation"),
                ("mail-in", "verified"),
                ("mail-out", "expert"),
                ("chat", "expert"),
            )
            conn.execute(
                store.thread.timeline.insert(),
                [
                    {"thread_id": one, "at": AT, "kind": kind, "actor": "a", "mark": mark, "text": "x" * 400, "quoted": ""}
                    for one in ids
                    for kind, mark in entries
                ],
            )  # fmt: skip

    def seconds(number: int) -> float:
        least = 9e9
        for _ in range(2):
            begin = time.process_time()
            assert sum(len(one.answers) for one in told(world)) == 2 * number
            least = min(least, time.process_time() - begin)
        return least

    plant(2_000, 1_000_000)
    little = seconds(2_000)
    plant(8_000, 2_000_000)
    assert seconds(10_000) < 12 * little + 0.5
