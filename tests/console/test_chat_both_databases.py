"""The chat on SQLite and PostgreSQL: what several write at one time is read once and in order, and goes by mail to each once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from expertmail.console import api_chat as chat
from outbound.reminders import ReminderRules, step_of
from outbound.store.chat import chat_refusal, give_up, untold_chat
from outbound.store.reminders import due_reminders
from tests.threads.both_engines import made_record, record_on_server, world_of_each  # fixtures
from tests.threads.conftest import AT, World, arrival, filing
from tests.threads.test_postgresql import server  # the fixture
from threads import store
from threads.api_token import ApiToken, Scope, token_text
from threads.chat import ChatMessage
from threads.model import ActorKind, Assignee, Disposition, EntryKind, Mark, Severity, State, TaskSource
from threads.schema import carried_mails, chat_messages, timeline
from threads.store.api_tokens import add_token
from threads.store.chat import carries, put_chat
from threads.store.circumstances import set_retention
from threads.store.erasure import erase_rest
from threads.store.errors import RefusedRecord, UnknownRecord
from threads.store.feed import copies_among, entries_after, latest_of
from threads.store.moving import merge_threads
from threads.store.people import change_contact, remove_contact
from threads.store.tasks import add_task
from threads.store.thread import add_note, record_outgoing, set_state, thread_by_id
from threads.store.thread_retention import empty_thread

__all__ = ["made_record", "record_on_server", "server", "world_of_each"]

WRITERS, EACH = 6, 15
ABOUT = "INC-000001"


@pytest.fixture
def token(world: World) -> ApiToken:
    with world.database.writing() as conn:
        add_task(conn, world.incident, "Isolate it", TaskSource.MANAGED_RESPONSE, AT, by="ana")
        return add_token(conn, token_text(b"1" * 8, b"2" * 32), "portal", list(Scope), AT, by="ana")


def message(number: object, text: str = "x", source: str = "token:portal", **more: object) -> ChatMessage:
    values: dict[str, object] = {"speaker": ActorKind.CUSTOMER, "name": "Alice", **more}
    return ChatMessage(source, str(number), text=text, **values)  # type: ignore[arg-type]


def expert(number: object, text: str = "x", **more: object) -> ChatMessage:
    return message(number, text, speaker=ActorKind.EXPERT, name="Robin", **more)


def test_a_reader_who_goes_on_after_the_last_number_misses_nothing(world: World, token: ApiToken) -> None:
    database, stop = world.database, threading.Event()

    def write(who: int) -> None:
        for number in range(EACH):
            with database.writing() as conn:
                put_chat(conn, world.incident, message(number, f"{who} {number}", f"w{who}"), ABOUT, AT)
                if number % 4 == 0:
                    add_note(conn, world.incident.id, "for us", AT, actor="ana")

    def follow() -> list[tuple[int, str | None]]:
        seen: list[tuple[int, str | None]] = []
        after, last = 0, False
        while not last:
            last = stop.is_set()
            page = chat.read(database, token, ABOUT, after, 7)
            while page.entries or page.next > after:
                seen += [(one.id, one.text) for one in page.entries]
                after = page.next
                page = chat.read(database, token, ABOUT, after, 7)
        return seen

    with ThreadPoolExecutor(WRITERS + 3) as pool:
        views = [pool.submit(follow) for _ in range(3)]
        for one in [pool.submit(write, who) for who in range(WRITERS)]:
            one.result()
        stop.set()
        shown = [one.result() for one in views]
    with database.reading() as conn:
        whole = [(one.id, one.text) for one in entries_after(conn, world.incident.id, 0)]
    assert len([one for one in whole if one[1] and one[1][0].isdigit()]) == WRITERS * EACH
    assert shown == [whole] * 3


def test_one_number_at_one_moment_makes_one_entry_on_one_thread(world: World) -> None:
    database, together = world.database, threading.Barrier(8)
    with database.writing() as conn:
        other = store.open_incident(conn, world.contoso.id, "Another one", AT)

    def write(who: int) -> object:
        together.wait(30)
        try:
            with database.writing() as conn:
                thread, about = ((world.incident, ABOUT), (other, other.reference))[who % 2]
                return put_chat(conn, thread, message("77"), about, AT).entry_id
        except RefusedRecord:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(write, range(8)))
    assert made.count(None) == 4, "the other thread's are other messages"
    assert len(set(made) - {None}) == 1
    with database.reading() as conn:
        assert conn.execute(select(func.count()).select_from(chat_messages)).scalar_one() == 1
        chats = select(func.count()).select_from(timeline).where(timeline.c.kind == EntryKind.CHAT.value)
        assert conn.execute(chats).scalar_one() == 1


def test_a_message_for_a_merged_incident_stands_on_the_one_that_goes_on(
    world: World, token: ApiToken
) -> None:
    with world.database.writing() as conn:
        other = store.open_incident(conn, world.contoso.id, "Another one", AT)
        first = put_chat(conn, world.incident, message("1"), ABOUT, AT)
        merge_threads(conn, world.incident, other, AT, by="ana")
        again = put_chat(conn, world.incident, message("1"), ABOUT, AT)
        assert (again.entry_id, again.again) == (first.entry_id, True)
        assert put_chat(conn, world.incident, message("2", "after"), ABOUT, AT).again is False
    page = chat.read(world.database, token, ABOUT, 0)
    assert (page.reference, page.thread_id) == (other.reference, other.id)
    assert [one.text for one in page.entries if one.kind is EntryKind.CHAT] == ["x", "after"]
    with world.database.reading() as conn:
        assert latest_of(conn, [world.incident.id, other.id, 10**6]).keys() == {world.incident.id, other.id}


def test_each_mail_only_contact_of_the_customer_is_told_of_an_experts_words_once(
    world: World, token: ApiToken
) -> None:
    del token
    database, later = world.database, AT + timedelta(minutes=1)
    with database.writing() as conn:
        reads = store.add_contact(conn, world.contoso.id, "carl@contoso.test", "Carl", AT, reads_chat=True)
        gone = store.add_contact(conn, world.contoso.id, "gone@contoso.test", "Gone", AT)
        remove_contact(conn, gone, AT)
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        store.add_contact(conn, fabrikam.id, "bob@fabrikam.test", "Bob", AT)
        mine = put_chat(conn, world.incident, expert("1", "Reset it."), ABOUT, later)
        put_chat(conn, world.incident, message("2", "It was me."), ABOUT, later)
        store.add_contact(conn, world.contoso.id, "new@contoso.test", "New", later + timedelta(minutes=1))
        (one,) = untold_chat(conn, later)
        assert (one.entry_id, one.address, one.text, one.expert) == (
            mine.entry_id,
            "Alex@contoso.test",
            "Reset it.",
            "Robin",
        )
        assert untold_chat(conn, later + timedelta(hours=24)) == (), "too late: telephone"
        change_contact(conn, reads, reads_chat=False)
        assert [two.address for two in untold_chat(conn, later)] == ["Alex@contoso.test", "carl@contoso.test"]
        change_contact(conn, reads, reads_chat=True)
        give_up(conn, one, "it gets nothing", later)
        give_up(conn, one, "it gets nothing", later)
        assert untold_chat(conn, later) == ()
        notes = [e.text for e in store.timeline_of(conn, world.incident.id) if e.kind is EntryKind.NOTE]
        assert notes == [
            f"What was written in the chat (entry-{mine.entry_id}) was not sent to Alex@contoso.test: it gets nothing"
        ]


def test_there_is_a_chat_by_a_task_of_the_experts_and_a_mail_that_carries_words_is_known(
    world: World,
) -> None:
    with world.database.writing() as conn:
        why = chat_refusal(conn, world.incident) or ""
        assert "no managed response" in why
        add_task(conn, world.incident, "Reset it", TaskSource.GUIDED_RESPONSE, AT, by="ana")
        assert chat_refusal(conn, world.incident) == why
        add_task(conn, world.incident, "Isolate it", TaskSource.MANAGED_RESPONSE, AT, by="ana")
        assert chat_refusal(conn, world.incident) is None
        put = put_chat(conn, world.incident, expert("1"), ABOUT, AT)
        for _ in range(2):
            carries(conn, "<m@experts.test>", put.entry_id)
        assert conn.execute(select(carried_mails.c.message_id)).scalars().all() == ["m@experts.test"]
        assert copies_among(conn, ["m@experts.test", "n@experts.test"]) == {"m@experts.test": put.entry_id}
        record_outgoing(conn, world.incident.id, "<m@experts.test>", AT, actor="ana", text="x")
        assert entries_after(conn, world.incident.id, put.entry_id)[-1].copy_of == put.entry_id
        store.store_message(
            conn,
            arrival(message_id="<m@experts.test>"),
            filing(Disposition.FILED, thread_id=world.incident.id, text="It was me."),
        )
        last = entries_after(conn, world.incident.id, put.entry_id)[-1]
        assert (last.text, last.copy_of) == ("It was me.", None), "nobody hides a mail under a number of ours"


def test_the_mail_of_a_chat_is_no_new_question_after_the_answer(world: World) -> None:
    rules = ReminderRules({Severity.MEDIUM: (step_of("1h remind"),)})  # type: ignore[arg-type]
    later = AT + timedelta(hours=2)
    with world.database.writing() as conn:
        set_state(
            conn, world.incident.id, State.AWAITING_CUSTOMER, AT, actor="ana", assigned_to=Assignee.CUSTOMER
        )
        put = put_chat(conn, world.incident, expert("1", "Was it you?"), ABOUT, AT)
        assert due_reminders(conn, rules, later) == (world.incident.id,)
        put_chat(conn, world.incident, message("2", "Yes.", contact=False), ABOUT, AT)
        assert thread_by_id(conn, world.incident.id).state is State.AWAITING_CUSTOMER
        assert due_reminders(conn, rules, later) == ()
        carries(conn, "m@experts.test", put.entry_id)
        record_outgoing(
            conn, world.incident.id, "m@experts.test", AT, actor="ana", text="x", mark=Mark.EXPERT
        )
        assert due_reminders(conn, rules, later) == ()


@pytest.mark.parametrize("way", ["emptied", "erased"])
def test_with_the_conversation_go_the_numbers_of_its_messages(world: World, way: str) -> None:
    with world.database.writing() as conn:
        put = put_chat(conn, world.incident, message("1", "xylophone"), ABOUT, AT)
        carries(conn, "m@experts.test", put.entry_id)
        set_state(conn, world.incident.id, State.RESOLVED, AT, actor="ana")
    with world.database.writing() as conn:
        if way == "erased":
            erase_rest(conn, world.contoso.id, AT)
        else:
            set_retention(conn, world.contoso, 1)
            empty_thread(conn, world.incident.id, AT + timedelta(days=9), by="retention")
    with world.database.reading() as conn:
        for table in (chat_messages, carried_mails):
            assert conn.execute(select(func.count()).select_from(table)).scalar_one() == 0


@pytest.mark.parametrize("text", ["a\0b", "'; --", "\U0001f600", "2147483648", "x" * 200])
def test_no_text_is_more_than_the_record_takes(world: World, token: ApiToken, text: str) -> None:
    form = {"id": text.replace("\0", ""), "from": "customer", "name": "Alice", "text": text}
    for _ in range(2):
        told, _ = chat.write(
            world.database, token, ABOUT, chat.NewChatMessage.model_validate(form), files_go="", now=AT
        )
    assert told["text"] == text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    with pytest.raises(UnknownRecord):
        chat.read(world.database, token, text, 0)
