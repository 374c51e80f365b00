"""Customers and contacts as a person keeps them; identities and DNS health in the default world."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from expertmail.console.pages.contacts import standing
from outbound.store.suppression import suppress, suppressed_as
from tests.console.browsing import PHONE, Window
from tests.console.place import Place, now
from threads.access import Grant, Role
from threads.model import Contact
from threads.store import add_contact, add_organisation
from threads.store.audit import list_audit
from threads.store.people import find_contacts, list_contacts, list_domains
from threads.store.thread import timeline_of

ON = "/contacts/organisations/{}"


def path(place: Place, rest: str = "") -> str:
    return ON.format(place.contoso.id) + rest


def fresh(place: Place, name: str = "Carl") -> Contact:
    with place.database.writing() as conn:
        return add_contact(conn, place.contoso.id, f"{secrets.token_hex(4)}@contoso.test", name, now())


def form_of(one: Contact, **more: str) -> dict[str, str]:
    return {
        "was": standing(one), "name": one.name, "kind": one.kind.value, "form": one.form.value, "language": one.language,
        "phone": one.phone or "", "tlp": "default", **more,
    }  # fmt: skip


def test_a_person_is_added_and_then_speaks_for_the_customer(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    expert = window(place.person(Role.EXPERT, name="keeps.contacts"), size=PHONE, scripts=False)
    page = expert.go("/contacts?words=CONTOSO")
    page.get_by_role("link", name="Contoso").click()
    page.get_by_text("Add a contact").click()
    form = page.locator("form", has=page.get_by_label("Mail address"))
    form.get_by_label("Mail address").fill("dora@contoso.test")
    form.get_by_label("Name of the person or team").fill("Dora <script>alert(1)</script>")
    form.get_by_label("Telephone").fill("+49 30 1")
    form.get_by_role("button", name="Add", exact=True).click()
    assert "is a contact" in page.get_by_role("status").inner_text()
    assert expert.wider_than_the_window() == ""
    with place.database.reading() as conn:
        (dora,) = find_contacts(conn, "dora@contoso.test")
    place.answer(place.incident, dora, "I speak for Contoso.")
    with place.database.reading() as conn:
        last = next(one for one in timeline_of(conn, place.incident.id) if "I speak for" in one.text)
        acts = [one.act for one in list_audit(conn) if '"keeps.contacts"' in (one.content or "")]
    assert last.mark.value == "verified"
    assert acts == ["contact-added"]
    desk = window(place.person(Role.EXPERT), scheme="dark")
    desk.go(path(place))
    desk.page.locator("summary", has_text="Dora").click()
    assert desk.serious_faults(axe) == []
    desk.page.locator("details[open]").get_by_label("Telephone").fill("+49 30 2")
    desk.page.locator("details[open]").get_by_role("button", name="Change").click()
    with place.database.reading() as conn:
        assert find_contacts(conn, "dora@contoso.test")[0].phone == "+49 30 2"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"was": "older"}, 409), ({"name": ""}, 409), ({"language": ""}, 409), ({"language": "?"}, 409),
        ({"kind": "king"}, 422), ({"tlp": "PINK"}, 422), ({"form": "ghost"}, 422),
    ],
)  # fmt: skip
def test_a_change_that_is_stale_or_none_is_refused(place: Place, more: dict[str, str], status: int) -> None:
    one, person = fresh(place), place.person(Role.EXPERT)
    answer = place.ask("POST", path(place, f"/contacts/{one.id}"), form_of(one, **more), person=person)
    assert answer.status == status
    with place.database.reading() as conn:
        assert one in list_contacts(conn, place.contoso.id)


def test_a_form_with_parts_missing_takes_nothing_back(place: Place) -> None:
    one, person = fresh(place), place.person(Role.EXPERT)
    sent = {"was": form_of(one)["was"], "name": "Other"}
    assert place.ask("POST", path(place, f"/contacts/{one.id}"), sent, person=person).status == 422


def test_who_has_left_is_changed_no_more(place: Place) -> None:
    one, person = fresh(place), place.person(Role.EXPERT)
    where = path(place, f"/contacts/{one.id}")
    assert place.ask("POST", where, form_of(one, do="remove"), person=person).status == 303
    for do in ("", "remove"):
        answer = place.ask("POST", where, form_of(one, do=do), person=person)
        assert answer.status == 409
        assert "any more" in answer.text
    with place.database.reading() as conn:
        acts = [row.act for row in list_audit(conn) if one.address in (row.content or "")]
    assert acts == ["contact-removed"]
    theirs = ON.format(place.fabrikam.id) + f"/contacts/{place.alice.id}"
    assert place.ask("POST", theirs, form_of(place.alice, do="remove"), person=person).status == 409


@pytest.mark.parametrize(
    "form", [{"address": "no address", "name": "x"}, {"address": "x@y.test", "name": "x", "kind": "king"}]
)
def test_what_was_typed_for_a_contact_that_is_none_stays(place: Place, form: dict[str, str]) -> None:
    answer = place.ask("POST", path(place, "/contacts"), form, person=place.person(Role.EXPERT))
    assert answer.status in (409, 422)
    assert f'value="{form["address"]}"' in answer.text


def test_who_reads_the_chat_is_told_so_on_the_page(place: Place) -> None:
    expert, one = place.person(Role.EXPERT), fresh(place)
    for ticked, reads in (({"reads_chat": "yes"}, True), ({}, False)):
        assert (
            place.ask(
                "POST", path(place, f"/contacts/{one.id}"), form_of(one, **ticked), person=expert
            ).status
            == 303
        )
        with place.database.reading() as conn:
            (one,) = find_contacts(conn, one.address)
        assert one.reads_chat is reads
        page = place.ask("GET", path(place), person=expert).text
        assert (
            f'name="reads_chat" value="yes"{" checked" if reads else ""}><label for="chat-{one.id}"' in page
        )
    assert "<dt>Reads</dt><dd>mail only</dd>" in page


def test_domains_are_added_verified_and_forgotten(place: Place) -> None:
    person, where = place.person(Role.EXPERT), path(place, "/domains")

    def stands() -> dict[str, bool]:
        with place.database.reading() as conn:
            return {one.domain: one.verified for one in list_domains(conn, place.contoso.id)}

    assert place.ask("POST", where, {"domain": "Sub.Contoso.test.", "do": "add"}, person=person).status == 303
    assert stands()["sub.contoso.test"] is False
    assert (
        place.ask("POST", where, {"domain": "sub.contoso.test", "do": "verify"}, person=person).status == 303
    )
    assert place.ask("POST", where, {"domain": "sub.contoso.test", "do": "add"}, person=person).status == 409
    for do in ("", "nonsense"):
        assert place.ask("POST", where, {"domain": "sub.contoso.test", "do": do}, person=person).status == 422
    assert stands()["sub.contoso.test"] is True, "nothing takes its verification away by the way"
    for domain in ("fabrikam.test", "no domain", ""):
        assert place.ask("POST", where, {"domain": domain, "do": "verify"}, person=person).status == 409
    assert place.ask("POST", where, {"domain": "fabrikam.test", "do": "remove"}, person=person).status in (
        404,
        409,
    )
    assert (
        place.ask("POST", where, {"domain": "sub.contoso.test", "do": "remove"}, person=person).status == 303
    )
    assert "sub.contoso.test" not in stands()


def test_an_address_that_gets_nothing_is_told_in_any_spelling_and_allowed_again(place: Place) -> None:
    with place.database.writing() as conn:
        one = add_contact(conn, place.contoso.id, "Ewa@bücher.test", "Ewa", now())
        suppress(conn, "ewa@xn--bcher-kva.test", "it bounced", now(), actor="test")
        suppress(conn, "stranger@elsewhere.test", "asked for it", now(), actor="test")
    person = place.person(Role.EXPERT)
    assert "it bounced" in place.ask("GET", path(place), person=person).text
    where = path(place, "/allow")
    assert place.ask("POST", where, {"address": "stranger@elsewhere.test"}, person=person).status == 404
    assert place.ask("POST", where, {"address": one.address}, person=person).status == 303
    with place.database.reading() as conn:
        assert suppressed_as(conn, one.address) is None
        assert suppressed_as(conn, "stranger@elsewhere.test") is not None


def test_a_customer_is_added_by_who_keeps_all_of_them(place: Place) -> None:
    person, limited = place.person(Role.EXPERT), place.person(Grant(Role.EXPERT, place.contoso.id))
    where = "/contacts/organisations"
    assert place.ask("POST", where, {"name": "Wingtip"}, person=limited).status in (403, 404)
    assert "Wingtip" not in place.ask("GET", "/contacts", person=person).text
    assert place.ask("POST", where, {"name": "Wingtip"}, person=person).status == 303
    again = place.ask("POST", where, {"name": "Wingtip"}, person=person)
    assert again.status == 422
    assert 'value="Wingtip"' in again.text
    assert "Fabrikam" not in place.ask("GET", "/contacts?words=fabrikam", person=limited).text


def test_what_takes_something_away_is_asked_once_more_without_scripts(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    one = fresh(place, "To be removed")
    domain = f"{secrets.token_hex(4)}.test"
    person = place.person(Role.EXPERT, name="asks.once.more")
    place.ask("POST", path(place, "/domains"), {"domain": domain, "do": "add"}, person=person)
    opened = window(person, size=PHONE, scripts=False)
    page = opened.go(path(place))
    page.locator("summary", has_text="To be removed").click()
    with page.expect_navigation():
        page.get_by_role("link", name="Remove To be removed").click()
    assert one.address in page.inner_text("main")
    page.get_by_role("link", name="Leave it as it is").click()
    page.locator("summary", has_text="To be removed").click()
    page.get_by_role("link", name="Remove To be removed").click()
    assert opened.wider_than_the_window() == ""
    looked = window(person, scheme="dark")
    looked.go(page.url.removeprefix(place.url))
    assert looked.serious_faults(axe) == []
    page.get_by_role("button", name="Remove").click()
    assert "no contact any more" in page.get_by_role("status").inner_text()
    page.get_by_role("link", name=f"It is checked that {domain} is theirs").click()
    page.get_by_role("button", name="I have checked it").click()
    with place.database.reading() as conn:
        assert {each.domain: each.verified for each in list_domains(conn, place.contoso.id)}[domain]
        assert find_contacts(conn, one.address) == ()
    page.get_by_role("link", name=f"Forget {domain}").click()
    page.get_by_role("button", name="Forget").click()
    for gone in (
        f"/domain?domain={domain}&do=remove",
        "/domain?domain=contoso.test&do=x",
        f"/contacts/{one.id}/remove",
    ):
        assert place.ask("GET", path(place, gone), person=person).status == 404


def test_lists_of_customers_and_contacts_are_paged(place: Place, window: Callable[..., Window]) -> None:
    with place.database.writing() as conn:
        made = [add_organisation(conn, f"Paged {number:03}", now()) for number in range(60)]
        for number in range(70):
            add_contact(conn, made[0].id, f"p{number:03}@paged.test", f"Person {number}", now())
    opened = window(place.person(Role.ANALYST), scripts=False)
    page = opened.go("/contacts?words=paged")
    assert page.locator("tbody tr").count() == 50
    with page.expect_navigation():
        page.get_by_role("link", name="More").click()
    assert page.locator("tbody tr").count() == 10
    opened.go(ON.format(made[0].id))
    assert page.locator("details.card").count() == 50
    with page.expect_navigation():
        page.get_by_role("link", name="More").click()
    assert page.locator("details.card").count() == 20
    page.get_by_label("Name or address of a contact").fill("P042@")
    with page.expect_navigation():
        page.get_by_role("button", name="Show").click()
    assert page.locator("details.card").count() == 1
    for odd in ("after=x", "after=9999999999", "words=%00%25'"):
        for where in ("/contacts", ON.format(made[0].id)):
            assert place.ask("GET", f"{where}?{odd}", person=place.person(Role.ANALYST)).status < 500


def test_identities_and_dns_are_looked_at(place: Place, window: Callable[..., Window], axe: str) -> None:
    admin = window(place.person(Role.ADMIN))
    page = admin.go("/identities")
    assert admin.serious_faults(axe) == []
    assert "_domainkey.experts.test" in page.inner_text("#records")
    assert "PRIVATE" not in page.content()
    page.get_by_role("button", name="Check DNS now").click()
    page.wait_for_selector("text=What DNS says now", timeout=70_000)
    assert admin.serious_faults(axe) == []
    assert page.locator("details .badge").count() > 5
