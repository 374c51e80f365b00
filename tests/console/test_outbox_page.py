"""The outbox in the browser: mail that failed goes once more, mail that waits is given up, and each sees whose mail is theirs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from outbound.model import DeliveryState
from outbound.store.outbox import show_outbox
from outbound.store.outbox_pages import outbox_page
from tests.console.browsing import PHONE, Window
from tests.console.place import Place, make_place, now
from tests.proofs.noting import until
from tests.proofs.served import Served
from threads.access import Grant, Role
from threads.model import Contact, Thread
from threads.store import open_incident
from threads.store.audit import list_audit

REFUSED = "554 5.7.1 <script>alert(1)</script> not from you"
LATER = "451 4.3.0 come back later"


@dataclass
class Server:
    """A customer's mail server. ``answer`` is what it says to a recipient."""

    answer: str = "250 2.1.5 ok"
    taken: list[bytes] = field(default_factory=list)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        self.taken.append(envelope.original_content)
        return "250 2.0.0 taken"


class OnAnyPort(Controller):
    """``port`` is the one it got once it is started."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture(scope="module")
def server() -> Server:
    return Server()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("outbox")
    Served(folder).run("dns", "show")  # a trial makes keys, and a zone that has them
    shutil.copy(folder / "var" / "zone.db", folder / "zone.db")
    controller = OnAnyPort(server, hostname="127.0.0.1", port=0)
    controller.start()
    made = make_place(
        folder,
        f'[delivery]\nmode = "smarthost"\nsmarthost_port = {controller.port}\nsmarthost_tls = "none"\n'
        f'[dns]\nzone = "{folder}/zone.db"\n',
    )
    try:
        yield made
    finally:
        made.database.close()
        made.served.stop()
        controller.stop()


def written(place: Place, thread: Thread, to: Contact) -> int:
    """A question to a customer; the mail's number."""
    sent = {
        "kind": "request-for-context", "incident": thread.reference, "to": to.address, "w.title": thread.title,
        "w.opening": "We need your help.", "w.questions": ["Was it you?"], "w.expert": "Mia", "do": "send",
    }  # fmt: skip
    answer = place.ask("POST", "/compose", sent, person=place.person(Role.EXPERT, name="writes"))
    assert answer.status == 303, answer.text
    with place.database.reading() as conn:
        return outbox_page(conn, None, thread_id=thread.id).items[0].outgoing_id


def an_incident(place: Place, title: str) -> Thread:
    with place.database.writing() as conn:
        return open_incident(conn, place.contoso.id, title, now())


def stands(place: Place, number: int, state: DeliveryState) -> None:
    def found() -> bool:
        with place.database.reading() as conn:
            return show_outbox(conn, number).item.state is state

    until(found)


def acts(place: Place, number: int) -> list[tuple[str, str]]:
    with place.database.reading() as conn:
        rows = [one for one in list_audit(conn) if f'"mail {number}"' in (one.content or "")]
    return [(one.act, one.content or "") for one in rows]


def test_mail_that_was_refused_goes_once_more(
    place: Place, server: Server, window: Callable[..., Window], axe: str
) -> None:
    server.answer = REFUSED
    number = written(place, an_incident(place, "Refused"), place.alice)
    stands(place, number, DeliveryState.FAILED)
    expert = window(place.person(Role.EXPERT, name="tries.again"), size=PHONE)
    page = expert.go("/outbox?state=failed")
    row = page.get_by_role("row").filter(has_text=str(number))
    assert "554 5.7.1" in row.inner_text() or "not from you" in row.inner_text()
    assert expert.wider_than_the_window() == ""
    page.get_by_role("link", name=str(number), exact=True).click()
    assert expert.serious_faults(axe) == []
    assert "<script>alert(1)</script> not from you" in page.inner_text("main")
    server.answer = "250 2.1.5 ok"
    page.get_by_role("button", name="Try again now").click()
    assert "tried again" in page.get_by_role("status").inner_text()
    stands(place, number, DeliveryState.DELIVERED)
    assert len(server.taken) == 1
    page = expert.go(f"/outbox/{number}")
    assert page.get_by_role("button", name="Try again now").count() == 0, "what is there is not sent again"
    assert place.ask("POST", f"/outbox/{number}/retry", person=place.people["tries.again"]).status == 409
    assert len(server.taken) == 1
    ((act, by),) = acts(place, number)
    assert act == "mail-retried"
    assert '"tries.again"' in by


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_mail_that_waits_is_given_up(
    place: Place, server: Server, window: Callable[..., Window], *, scripts: bool
) -> None:
    server.answer = LATER
    number = written(place, an_incident(place, f"Waits {scripts}"), place.alice)
    stands(place, number, DeliveryState.DEFERRED)
    expert = window(place.person(Role.EXPERT, name="gives.up"), scripts=scripts)
    page = expert.go(f"/outbox/{number}")
    assert "tried again" in page.inner_text("main")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel").click()
    assert "cancelled" in page.get_by_role("status").inner_text()
    stands(place, number, DeliveryState.FAILED)
    assert "cancelled by gives.up" in page.inner_text("main")
    assert [act for act, _ in acts(place, number)] == ["mail-cancelled"]
    server.answer = "250 2.1.5 ok"


def test_the_list_is_narrowed_by_state_customer_incident_and_recipient(
    place: Place, server: Server, window: Callable[..., Window], axe: str
) -> None:
    server.answer = "250 2.1.5 ok"
    wanted = an_incident(place, "Narrowed")
    mine = written(place, wanted, place.alice)
    other = written(place, place.other_incident, place.bob)
    for number in (mine, other):
        stands(place, number, DeliveryState.DELIVERED)
    expert = window(place.person(Role.EXPERT, name="narrows"))
    page = expert.go("/outbox")
    assert expert.serious_faults(axe) == []

    def numbers() -> set[int]:
        return {int(one) for one in page.locator("tbody th").all_inner_texts()}

    assert {mine, other} <= numbers()
    page.get_by_label("Customer").select_option(label="Fabrikam")
    page.get_by_role("button", name="Show").click()
    assert numbers() == {other}
    assert page.get_by_label("Customer").input_value() == str(place.fabrikam.id)
    expert.go("/outbox")
    page.get_by_label("Incident").fill(wanted.reference.lower())
    page.get_by_role("button", name="Show").click()
    assert numbers() == {mine}
    page.get_by_label("Customer").select_option(label="Fabrikam")
    page.get_by_role("button", name="Show").click()
    assert numbers() == set()
    page.get_by_role("link", name="Show all").click()
    page.get_by_label("Recipient").fill(place.bob.address.upper())
    page.get_by_label("State").select_option("delivered")
    page.get_by_role("button", name="Show").click()
    assert numbers() == {other}
    page.get_by_label("State").select_option("failed")
    page.get_by_role("button", name="Show").click()
    assert numbers() == set()
    page.get_by_label("Incident").fill("INC-999999")
    page.get_by_role("button", name="Show").click()
    assert "There is no such incident." in page.get_by_role("alert").inner_text()


def test_filters_stay_from_page_to_page(place: Place) -> None:
    thread = an_incident(place, "Many")
    made = [written(place, thread, place.alice) for _ in range(3)]
    with place.database.reading() as conn:
        first = outbox_page(conn, None, thread_id=thread.id, limit=2)
        assert [one.outgoing_id for one in first.items] == made[:0:-1]
        assert first.cursor is not None
        rest = outbox_page(conn, None, thread_id=thread.id, limit=2, cursor=first.cursor)
        assert [one.outgoing_id for one in rest.items] == made[:1]
        assert rest.cursor is None
        assert outbox_page(conn, [place.fabrikam.id], thread_id=thread.id).items == ()
        assert outbox_page(conn, [place.fabrikam.id], organisation_id=place.contoso.id).items == ()


def test_each_sees_the_mail_of_their_customers_only(place: Place) -> None:
    mine = written(place, an_incident(place, "Mine alone"), place.alice)
    other = written(place, place.other_incident, place.bob)
    person = place.person(Grant(Role.EXPERT, place.contoso.id))
    page = place.ask("GET", "/outbox", person=person).text
    assert f"/outbox/{mine}" in page
    assert f"/outbox/{other}" not in page
    assert "Fabrikam" not in page, "nor who else is a customer"
    asked = place.ask("GET", f"/outbox?customer={place.fabrikam.id}", person=person).text
    assert f'href="/outbox/{other}"' not in asked
    named = place.ask("GET", f"/outbox?incident={place.other_incident.reference}", person=person)
    nobodys = place.ask("GET", "/outbox?incident=INC-999999", person=person)
    assert named.status == nobodys.status == 422
    assert "There is no such incident." in named.text
    for rest in ("", "/html", "/mail.eml"):
        assert place.ask("GET", f"/outbox/{other}{rest}", person=person).status == 404
    for act in ("retry", "cancel"):
        assert place.ask("POST", f"/outbox/{other}/{act}", person=person).status == 404
    reader = place.person(Grant(Role.ANALYST, place.contoso.id))
    assert "Try again now" not in place.ask("GET", f"/outbox/{mine}", person=reader).text
    for act in ("retry", "cancel"):
        assert place.ask("POST", f"/outbox/{mine}/{act}", person=reader).status == 403
    assert acts(place, other) == []
