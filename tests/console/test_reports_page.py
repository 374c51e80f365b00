"""Reports in the browser: what came in, by which tricks we were imitated, and how long customers waited for us."""

from __future__ import annotations

import csv
import io
import json
import secrets
from collections.abc import Callable
from datetime import timedelta

from tests.console.browsing import PHONE, Window
from tests.console.place import Place, now
from tests.threads.conftest import arrival, filing
from threads import store
from threads.access import Grant, Role
from threads.model import Disposition, EntryKind, Mark, StandingKind, Thread
from threads.store.thread import append


def imitated(place: Place, *tricks: str) -> None:
    """A forged message that is held for Contoso's incident, as the gateway keeps one with that report."""
    name = secrets.token_hex(8)
    claims = [{"identity": "Experts", "by": one, "detail": "x"} for one in tricks]
    kept = arrival(
        name.encode(), copy_id=name, message_id=f"<{name}@evil.test>", verdict="forged", received_at=now(),
        report=json.dumps({"verdict": "forged", "claims": claims}, separators=(",", ":")),
    )  # fmt: skip
    held = filing(Disposition.HELD, StandingKind.UNKNOWN, thread_id=place.incident.id)
    with place.database.writing() as conn:
        store.store_message(conn, kept, held)


def asked_and_answered(place: Place, thread: Thread, waits: timedelta | None) -> None:
    at = now() - timedelta(hours=9)
    with place.database.writing() as conn:
        thread = store.open_incident(conn, thread.organisation_id, "Reported on", at)
        append(conn, thread.id, at, EntryKind.CHAT, actor="Alice", mark=Mark.REPORTED, text="hello?")
        if waits is not None:
            append(conn, thread.id, at + waits, EntryKind.CHAT, actor="Ana", mark=Mark.EXPERT, text="yes")


def table(place: Place, name: str, **asked: object) -> list[dict[str, str]]:
    person = asked.pop("person", None) or place.person(Role.ANALYST)
    query = "&".join(f"{key}={value}" for key, value in asked.items())
    answer = place.ask("GET", f"/reports/{name}?{query}", person=person)  # type: ignore[arg-type]
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_tricks_and_waiting_times_are_drawn_and_told_in_numbers(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    imitated(place, "display-name", "lookalike-domain")
    imitated(place, "display-name", "hidden-address")
    for hours in (1, 3, 2):
        asked_and_answered(place, place.incident, timedelta(hours=hours))
    asked_and_answered(place, place.other_incident, None)
    for size, scheme in ((PHONE, "dark"), (None, "light")):
        shape = {} if size is None else {"size": size}
        opened = window(place.person(Role.ANALYST), scheme=scheme, scripts=False, **shape)
        page = opened.go("/reports")
        assert opened.wider_than_the_window() == ""
        assert "our name as display name (2)" in page.inner_text("main")
        row = page.locator("tr", has=page.get_by_role("rowheader", name="Contoso"))
        assert "2 h 0 min, 3 h 0 min" in row.inner_text()
        other = page.locator("tr", has=page.get_by_role("rowheader", name="Fabrikam")).inner_text()
        assert "no answer yet" in other
    seen = window(place.person(Role.ANALYST))
    seen.go("/reports")
    assert seen.serious_faults(axe) == []
    tricks = {row["trick"]: row["messages"] for row in table(place, "imitations.csv")}
    assert tricks == {"display-name": "2", "lookalike-domain": "1", "hidden-address": "1"}
    contoso, fabrikam = table(place, "answers.csv")
    assert (contoso["customer"], contoso["answered"], contoso["median_seconds"]) == ("Contoso", "3", "7200.0")
    assert (fabrikam["customer"], fabrikam["answered"], fabrikam["unanswered"]) == ("Fabrikam", "0", "1")


def test_who_sees_one_customer_is_told_of_no_other(place: Place) -> None:
    imitated(place, "author-domain")
    asked_and_answered(place, place.incident, timedelta(hours=1))
    asked_and_answered(place, place.other_incident, timedelta(hours=1))
    other = place.person(Grant(Role.ANALYST, place.fabrikam.id))
    assert table(place, "imitations.csv", person=other) == []
    assert [row["customer"] for row in table(place, "answers.csv", person=other)] == ["Fabrikam"]
    for name in ("", "/imitations.csv", "/answers.csv", "/messages.csv"):
        path = f"/reports{name}?customer={place.contoso.id}"
        assert place.ask("GET", path, person=other).status == 404
        assert place.ask("GET", f"/reports{name}?period=8", person=other).status == 404


def test_no_customers_name_becomes_a_formula(place: Place) -> None:
    with place.database.writing() as conn:
        named = store.add_organisation(conn, '=HYPERLINK("http://evil.test")', now())
        thread = store.open_incident(conn, named.id, "x", now())
    asked_and_answered(place, thread, timedelta(hours=1))
    (row,) = table(place, "answers.csv", customer=named.id)
    assert row["customer"].startswith("'=")
    shown = place.ask("GET", f"/reports?customer={named.id}", person=place.person(Role.ANALYST)).text
    assert "&#34;http://evil.test" in shown
