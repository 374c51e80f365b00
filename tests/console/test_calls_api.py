"""The call sheet for programs: read, calls recorded once, and nothing of other customers."""

from __future__ import annotations

import pytest

from outbound.store.calls import (
    begin_break_glass,
)
from tests.console.api_table import Desk
from tests.console.place import Place, now
from threads.api_token import Scope
from threads.model import EntryKind, Severity
from threads.store.people import add_contact, change_contact, contact
from threads.store.thread import open_incident, timeline_of


@pytest.fixture
def desk(place: Place) -> Desk:
    return Desk(place)


def test_a_program_reads_the_sheet_and_records_each_call_once(desk: Desk) -> None:
    place = desk.place
    with place.database.writing() as conn:
        change_contact(conn, contact(conn, place.alice.id), phone="+1 555 0100", time_zone="Asia/Tokyo")
        stranger = add_contact(
            conn, place.fabrikam.id, "sam@fabrikam.test", "Sam", now(), phone="+1 555 0200"
        )
        thread = open_incident(conn, place.contoso.id, "Ransomware", now(), severity=Severity.HIGH)
    path = f"/incidents/{thread.reference}/calls"
    reader = desk.program(Scope.READ_INCIDENTS, whose=(place.contoso,))
    writer = desk.program(Scope.WRITE_INCIDENTS, whose=(place.contoso,), name="dialler")
    before = reader.ask("GET", path).json
    assert (before["nobody"], before["break_glass"]) == ("it is not in break-glass", None)
    with place.database.writing() as conn:
        begin_break_glass(conn, thread, "it spreads", now(), by="eva")
    sheet = reader.ask("GET", path).json
    assert sheet["due"]["contact"] == place.alice.id
    assert sheet["break_glass"]["reason"] == "it spreads"
    (line,) = sheet["contacts"]
    assert (line["number"], line["time_zone"], line["local_time"][-6:]) == (
        "+1 555 0100",
        "Asia/Tokyo",
        "+09:00",
    )

    busy = {"contact": place.alice.id, "outcome": "busy"}
    first = writer.ask("POST", path, busy, key="1")
    again = writer.ask("POST", path, busy, key="1")
    assert (first.status, again.status) == (201, 201), first.body
    assert reader.ask("GET", path).json["contacts"][0]["calls"] == 1
    assert reader.ask("GET", path).json["next"]["contact"] == place.alice.id
    for form, status in (
        ({"contact": place.alice.id, "text": "x"}, 422),
        ({"outcome": "busy"}, 422),
        ({"contact": place.alice.id, "outcome": "asleep"}, 422),
        ({"contact": place.alice.id, "outcome": "reached"}, 422),  # what was said?
        ({**busy, "name": "Alice"}, 422),
        ({}, 422),
        ({**busy, "contact": stranger.id}, 409),
        ({**busy, "contact": 2**31 - 1}, 409),
    ):
        refused = writer.ask("POST", path, form, key=f"r{form}"[:60])
        assert refused.status == status, (form, refused.body)
        assert b"fabrikam" not in refused.body
    reached = {"contact": place.alice.id, "outcome": "reached", "text": "She pulls the plug."}
    assert writer.ask("POST", path, reached, key="2").status == 201
    assert "somebody was reached" in reader.ask("GET", path).json["nobody"]
    with place.database.reading() as conn:
        calls = [(one.actor, one.text) for one in timeline_of(conn, thread.id) if one.kind is EntryKind.CALL]
    assert calls == [
        ("dialler", "Called Alice Adams <alice@contoso.test>: busy."),
        ("dialler", "Called Alice Adams <alice@contoso.test>: reached.\nShe pulls the plug."),
    ]
    other = desk.program(Scope.READ_INCIDENTS, whose=(place.fabrikam,))
    assert other.ask("GET", path).status == 404
