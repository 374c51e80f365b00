"""Customers, contacts, threads and timelines."""

from __future__ import annotations

import pytest

from tests.threads.conftest import AT, World
from threads import store
from threads.model import Assignee, ContactKind, EntryKind, Mark, State, ThreadKind


def test_a_contact_is_found_whatever_the_case_of_the_address(world: World) -> None:
    with world.database.reading() as conn:
        assert store.find_contacts(conn, "ALEX@Contoso.Test") == (world.alex,)
        assert store.find_contacts(conn, "alexa@contoso.test") == ()


def test_a_person_may_be_a_contact_of_two_customers_and_of_two_kinds(world: World) -> None:
    with world.database.writing() as conn:
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        store.add_contact(conn, fabrikam.id, "alex@contoso.test", "Alex", AT)
        store.add_contact(
            conn, world.contoso.id, "alex@contoso.test", "Alex", AT, kind=ContactKind.SERVICE_REVIEW
        )
        assert len(store.find_contacts(conn, "alex@contoso.test")) == 3
        with pytest.raises(store.RefusedRecord, match="already"):
            store.add_contact(conn, fabrikam.id, "ALEX@contoso.test", "Alex", AT)


@pytest.mark.parametrize(
    "address",
    ["", "alex", "alex@", "@contoso.test", "a b@c.test", "a@b@c.test", "a@c.test\r\nBcc: x@y", "<a@c.test>", "a\x00@c.test",
     "\ud800@c.test", "a" * 65 + "@c.test"],
)  # fmt: skip
def test_what_is_no_address_is_refused(world: World, address: str) -> None:
    with world.database.writing() as conn, pytest.raises(store.RefusedRecord, match="is not an address"):
        store.add_contact(conn, world.contoso.id, address, "x", AT)


def test_a_domain_belongs_to_one_customer(world: World) -> None:
    with world.database.writing() as conn:
        fabrikam = store.add_organisation(conn, "Fabrikam", AT)
        with pytest.raises(store.RefusedRecord, match="belongs to Contoso"):
            store.add_domain(conn, fabrikam.id, "CONTOSO.test.", AT, verified=True)
        store.add_domain(conn, world.contoso.id, "contoso.test", AT, verified=False)
        assert [(d.domain, d.verified) for d in store.list_domains(conn)] == [("contoso.test", False)]
        store.remove_domain(conn, "contoso.test")
        with pytest.raises(store.UnknownRecord):
            store.remove_domain(conn, "contoso.test")


@pytest.mark.parametrize("domain", ["", "test", "-", "a..b", "exämple.test", "a b.test", "x" * 64 + ".test"])
def test_what_is_no_domain_is_refused(world: World, domain: str) -> None:
    with world.database.writing() as conn, pytest.raises(store.RefusedRecord, match="is not a domain"):
        store.add_domain(conn, world.contoso.id, domain, AT, verified=True)


def test_a_name_is_taken_once(world: World) -> None:
    with world.database.writing() as conn:
        for name, says in (("CONTOSO", "already"), ("  ", "needs a name")):
            with pytest.raises(store.RefusedRecord, match=says):
                store.add_organisation(conn, name, AT)


def test_each_kind_of_thread_counts_for_itself(world: World) -> None:
    with world.database.writing() as conn:
        references = [
            store.open_incident(conn, world.contoso.id, "Second", AT).reference,
            store.open_inquiry(conn, world.contoso.id, "", AT).reference,
            store.open_service(conn, world.contoso.id, "Review", AT).reference,
        ]
        assert references == ["INC-000002", "INQ-000001", "SVC-000001"]
        assert store.thread_by_reference(conn, "inq-000001").title == "(no subject)"
        assert len(store.list_threads(conn, kind=ThreadKind.INCIDENT)) == 2
        with pytest.raises(store.RefusedRecord):
            store.open_incident(conn, world.contoso.id, " \r\n ", AT)
        with pytest.raises(store.UnknownRecord):
            store.open_incident(conn, 99, "x", AT)
        with pytest.raises(store.UnknownRecord, match="There is no INC-000099"):
            store.thread_by_reference(conn, "INC-000099")


def test_a_change_of_state_is_told_on_the_timeline_and_no_change_is_not(world: World) -> None:
    number = world.incident.id
    with world.database.writing() as conn:
        changed = store.set_state(
            conn, number, State.AWAITING_CUSTOMER, AT, actor="Ana", assigned_to=Assignee.CUSTOMER
        )
        store.set_state(conn, number, State.AWAITING_CUSTOMER, AT, actor="Ana")
        entries = store.timeline_of(conn, number)
    assert (changed.state, changed.assigned_to) == (State.AWAITING_CUSTOMER, Assignee.CUSTOMER)
    assert [entry.text for entry in entries] == [
        "Opened INC-000001: Odd sign-in",
        "State: Active -> Awaiting customer action; Assigned to: Defender Experts -> Customer",
    ]


def test_a_mail_of_ours_is_recorded_once(world: World) -> None:
    with world.database.writing() as conn:
        first = store.record_outgoing(conn, world.incident.id, "<m@x>", AT, actor="Ana", text="Please tell")
        again = store.record_outgoing(conn, world.incident.id, "m@x", AT, actor="Ana", text="Please tell")
        entries = store.timeline_of(conn, world.incident.id)
    assert first == again
    assert [(e.kind, e.mark, e.message_id) for e in entries[1:]] == [(EntryKind.MAIL_OUT, Mark.EXPERT, "m@x")]


def test_text_that_no_database_takes_is_stored_without_it(world: World) -> None:
    with world.database.writing() as conn:
        store.add_note(conn, world.incident.id, "a\x00b\ud800c", AT, actor="A\x00")
        entry = store.timeline_of(conn, world.incident.id)[-1]
    assert (entry.text, entry.actor) == ("a\ufffdb\ufffdc", "A\ufffd")
