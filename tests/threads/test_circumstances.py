"""What is decided about a whole customer, on either database; and the steps that tasks and threads may take."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.threads.conftest import AT, World, populate
from tests.threads.test_postgresql import server  # noqa: F401 -- a fixture
from threads import store
from threads.model import (
    Assignee,
    Classification,
    ContactForm,
    ContactKind,
    EntryKind,
    Severity,
    State,
    TaskSource,
    TaskStatus,
    ThreadKeys,
)
from threads.store.circumstances import (
    distrust,
    end_hold,
    hold,
    phones,
    set_retention,
    trust,
    untrusted_recipient,
)
from threads.store.people import change_contact, organisation_named, remove_contact
from threads.store.tasks import add_task, list_tasks, set_task
from threads.store.thread_changes import change_thread
from threads.transitions import state_refusal, task_refusal


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        database = store.open_database(f"sqlite:///{tmp_path / 'record.db'}")
    else:
        database = store.open_database(request.getfixturevalue("server"))
        with database.writing() as conn:
            conn.exec_driver_sql("DROP SCHEMA public CASCADE")
            conn.exec_driver_sql("CREATE SCHEMA public")
    store.upgrade(database)
    yield populate(database)
    database.close()


def test_mail_of_a_marked_customer_is_known_by_its_contacts_and_its_domains(world: World) -> None:
    with world.database.writing() as conn:
        other = store.add_organisation(conn, "Fabrikam", AT)
        guest = store.add_contact(conn, world.contoso.id, "soc@mssp.test", "SOC", AT)
        there = store.add_contact(conn, other.id, "sam@contoso.test", "Sam", AT)
        marked = distrust(conn, world.contoso, "an intruder", AT, by="Ana")
        assert (
            (marked.untrusted.by, marked.untrusted.reason) == ("Ana", "an intruder")
            if marked.untrusted
            else False
        )
        with pytest.raises(store.RefusedRecord, match="already, by Ana"):
            distrust(conn, marked, "again", AT, by="Bob")
        for address, contact_id, found in (
            ("alex@contoso.test", world.alex.id, "Contoso"),
            ("ALEX@Contoso.TEST", None, "Contoso"),
            ("soc@mssp.test", guest.id, "Contoso"),
            ("soc@mssp.test", None, None),  # its provider's own mail is not the customer's
            ("sam@contoso.test", there.id, "Contoso"),
            ("alex@sub.contoso.test", None, "Contoso"),  # who rules the domain makes any mailbox below it
            ("alex@a.b.contoso.test", None, "Contoso"),
            ("alex@notcontoso.test", None, None),
            ("alex@test", None, None),
        ):
            assert untrusted_recipient(conn, address, contact_id) == found, address
        assert store.candidates(conn, ThreadKeys(), "nobody@contoso.test").untrusted == {world.contoso.id}
        below = store.candidates(conn, ThreadKeys(), "nobody@sub.contoso.test")
        assert (below.untrusted, below.domain_organisations) == ({world.contoso.id}, ()), (
            "and speaks for nobody"
        )
        assert store.candidates(conn, ThreadKeys(), "soc@mssp.test").untrusted == {world.contoso.id}
        assert store.candidates(conn, ThreadKeys(), "x@mssp.test").untrusted == frozenset()
        after = trust(conn, marked)
        assert after.untrusted is None
        assert untrusted_recipient(conn, "alex@contoso.test", world.alex.id) is None
        assert store.candidates(conn, ThreadKeys(), "alex@contoso.test").untrusted == frozenset()
        with pytest.raises(store.RefusedRecord, match="is not marked"):
            trust(conn, after)


def test_whoever_marks_a_customer_waits_for_what_is_being_queued_for_it(world: World) -> None:
    """Else a mail that was looked at before the mark would be queued after it, and nobody would withhold it."""
    began, marked = threading.Event(), []

    def expert() -> None:
        with world.database.writing() as conn:
            began.set()
            distrust(conn, world.contoso, "an intruder", AT, by="Ana")
            marked.append(time.monotonic())

    with world.database.writing() as conn:
        assert untrusted_recipient(conn, "alex@contoso.test", world.alex.id) is None
        other = threading.Thread(target=expert)
        other.start()
        if world.database.path is None:
            assert began.wait(10)
        time.sleep(0.3)
        queued = time.monotonic()
    other.join(20)
    assert marked
    assert marked[0] > queued


def test_a_legal_hold_and_a_time_are_kept_until_they_are_ended(world: World) -> None:
    with world.database.writing() as conn:
        held = hold(conn, world.contoso, "a court asked", AT, by="Ana")
        assert held.legal_hold is not None
        assert held.legal_hold.at == AT
        with pytest.raises(store.RefusedRecord, match="already, by Ana"):
            hold(conn, held, "again", AT, by="Bob")
        assert end_hold(conn, held).legal_hold is None
        with pytest.raises(store.RefusedRecord, match="no legal hold"):
            end_hold(conn, world.contoso)
        assert set_retention(conn, world.contoso, 30).retention_days == 30
        assert set_retention(conn, world.contoso, None).retention_days is None
        with pytest.raises(store.RefusedRecord, match="one day at least"):
            set_retention(conn, world.contoso, 0)
        assert organisation_named(conn, " CONTOSO ").name == "Contoso"


def test_a_contact_who_left_speaks_no_more_and_may_come_back(world: World) -> None:
    with world.database.writing() as conn:
        team = store.add_contact(
            conn, world.contoso.id, "soc@mssp.test", "SOC", AT, form=ContactForm.TEAM, phone=" +1 555 0101 "
        )
        assert (team.external, team.phone) == (True, "+1 555 0101")
        assert phones(conn, world.contoso.id) == (team,)
        changed = change_contact(
            conn, team, phone="", external=False, language="ja", kind=ContactKind.SERVICE_REVIEW
        )
        assert (changed.phone, changed.external, changed.language) == (None, False, "ja")
        remove_contact(conn, world.alex, AT)
        assert store.find_contacts(conn, "alex@contoso.test") == ()
        assert store.candidates(conn, ThreadKeys(), "alex@contoso.test").contacts == ()
        again = store.add_contact(conn, world.contoso.id, "alex@contoso.test", "Alex B.", AT)
        assert again.id == world.alex.id
        assert store.candidates(conn, ThreadKeys(), "alex@contoso.test").contacts == (again,)
        with pytest.raises(store.RefusedRecord, match="language tag"):
            change_contact(conn, again, language="english please")


def test_tasks_are_numbered_on_their_incident_and_told_on_its_timeline(world: World) -> None:
    with world.database.writing() as conn:
        first = add_task(
            conn, world.incident, " Reset\n the password ", TaskSource.GUIDED_RESPONSE, AT, by="Ana"
        )
        add_task(conn, world.incident, "Isolate", TaskSource.MANAGED_RESPONSE, AT, by="Ana")
        assert (first.number, first.title, first.status) == (1, "Reset the password", TaskStatus.OPEN)
        set_task(conn, world.incident, 2, TaskStatus.COMPLETED, AT, by="Bob")
        assert set_task(conn, world.incident, 2, TaskStatus.COMPLETED, AT, by="Eve").updated_by == "Bob"
        with pytest.raises(
            store.RefusedRecord, match=r"Task 2 of INC-000001 cannot be failed: it is completed"
        ):
            set_task(conn, world.incident, 2, TaskStatus.FAILED, AT, by="Bob")
        assert [(t.number, t.status) for t in list_tasks(conn, world.incident.id)] == [
            (1, TaskStatus.OPEN),
            (2, TaskStatus.COMPLETED),
        ]
        assert [e.text for e in store.timeline_of(conn, world.incident.id) if e.kind is EntryKind.STATE][
            1:
        ] == [
            "Task 1 (defenderExpertsGuidedResponse): Reset the password",
            "Task 2 (defenderExpertsManagedResponse): Isolate",
            "Task 2 (Isolate): open -> completed",
        ]


def test_changes_of_a_thread_are_one_entry_and_no_change_is_none(world: World) -> None:
    with world.database.writing() as conn:
        after = change_thread(
            conn,
            world.incident,
            AT,
            actor="Ana",
            title="Odd  sign-ins",
            severity=Severity.HIGH,
            classification=Classification.TRUE_POSITIVE,
            assigned_to=Assignee.CUSTOMER,
        )
        assert (after.title, after.severity, after.classification) == (
            "Odd sign-ins",
            Severity.HIGH,
            Classification.TRUE_POSITIVE,
        )
        assert store.timeline_of(conn, after.id)[-1].text == (
            "Title: Odd sign-in -> Odd sign-ins; Severity: Medium -> High; Classification: none -> True positive; "
            "Assigned to: Defender Experts -> Customer"
        )
        number = len(store.timeline_of(conn, after.id))
        assert change_thread(conn, after, AT, actor="Ana", severity=Severity.HIGH) == after
        assert len(store.timeline_of(conn, after.id)) == number
        other = store.add_organisation(conn, "Fabrikam", AT)
        foreign = store.open_inquiry(conn, other.id, "x", AT)
        with pytest.raises(store.RefusedRecord, match="another customer's"):
            change_thread(conn, foreign, AT, actor="Ana", about=world.incident)
        with pytest.raises(store.RefusedRecord, match="only incidents have severity"):
            change_thread(conn, foreign, AT, actor="Ana", severity=Severity.LOW)
        with pytest.raises(store.RefusedRecord, match="needs a title"):
            change_thread(conn, after, AT, actor="Ana", title=" ")


ALLOWED = {
    ("Active", "In progress"), ("Active", "Awaiting customer action"), ("Active", "Resolved"),
    ("In progress", "Awaiting customer action"), ("In progress", "Resolved"),
    ("Awaiting customer action", "In progress"), ("Awaiting customer action", "Resolved"),
    ("Resolved", "Active"), ("Resolved", "In progress"),
}  # fmt: skip
ALLOWED_TASKS = {
    ("open", "inProgress"), ("open", "completed"), ("open", "failed"), ("open", "notRelevant"),
    ("inProgress", "completed"), ("inProgress", "failed"), ("inProgress", "notRelevant"),
    ("completed", "inProgress"), ("failed", "inProgress"), ("failed", "notRelevant"), ("notRelevant", "open"),
}  # fmt: skip


def test_every_step_of_a_thread_and_a_task_is_allowed_or_refused_with_a_reason() -> None:
    for before, after in product(State, State):
        fine = before is after or (before.value, after.value) in ALLOWED
        assert (state_refusal(before, after) is None) == fine, (before, after)
    for one, two in product(TaskStatus, TaskStatus):
        fine = one is two or (one.value, two.value) in ALLOWED_TASKS
        assert (task_refusal(one, two) is None) == fine, (one, two)
