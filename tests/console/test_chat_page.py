"""The chat on an incident's page, as an expert uses it."""

from __future__ import annotations

from collections.abc import Callable

from tests.console.api_table import Desk
from tests.console.browsing import PHONE, Window
from tests.console.place import Place, now
from threads.access import Role
from threads.model import EntryKind
from threads.store.circumstances import distrust
from threads.store.people import organisation
from threads.store.thread import thread_by_reference, timeline_of

HOSTILE = "<script>document.title = 'mine'</script> \u202eevil"


def test_an_expert_writes_in_the_chat_without_scripts_on_a_telephone(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    desk = Desk(place)
    reference = desk.chat()
    portal = desk.program()
    said = {"id": "1", "from": "customer", "name": HOSTILE.replace("\u202e", ""), "text": HOSTILE * 40}
    assert portal.ask("POST", f"/incidents/{reference}/chat", said).status == 201
    expert = window(place.person(Role.EXPERT, name="chats"), size=PHONE, scripts=False)
    page = expert.go(f"/incidents/{reference}")
    assert expert.wider_than_the_window() == ""
    page.get_by_label("Message to the customer").fill("Was it you,\nfrom Lagos?")
    page.get_by_role("button", name="Write in the chat").click()
    assert "It is in the chat" in page.get_by_role("status").inner_text()
    assert expert.wider_than_the_window() == ""
    with place.database.reading() as conn:
        thread = thread_by_reference(conn, reference)
        chats = [one for one in timeline_of(conn, thread.id) if one.kind is EntryKind.CHAT]
    assert [(one.actor, one.mark.value) for one in chats][1:] == [("chats", "expert")]
    assert chats[1].text == "Was it you,\nfrom Lagos?"
    dark = window(place.person(Role.EXPERT), scheme="dark")
    dark.go(f"/incidents/{reference}")
    assert dark.serious_faults(axe) == []
    assert "portal" in dark.page.locator(f"#e{chats[0].id} .entry-head").inner_text()
    assert dark.page.title() != "mine"


def test_what_is_refused_stays_typed_and_who_only_reads_has_no_form(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    desk = Desk(place)
    reference = desk.chat()
    expert = window(place.person(Role.EXPERT))
    page = expert.go(f"/incidents/{reference}")
    field = page.get_by_label("Message to the customer")
    field.evaluate("one => { one.value = 'x'.repeat(20001) }")
    page.get_by_role("button", name="Write in the chat").click()
    assert "longer than 20,000" in page.get_by_role("alert").inner_text()
    assert len(page.get_by_label("Message to the customer").input_value()) == 20_001
    assert expert.serious_faults(axe) == []
    analyst = window(place.person(Role.ANALYST))
    assert analyst.go(f"/incidents/{reference}").get_by_role("heading", name="Chat").count() == 0
    with place.database.writing() as conn:
        distrust(conn, organisation(conn, place.contoso.id), "a stolen session", now(), by="test")
    try:
        text = expert.go(f"/incidents/{reference}").locator("#chat-hint").inner_text()
        assert "a mail that says to see the portal" in text
    finally:
        desk.trust()
