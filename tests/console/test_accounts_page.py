"""Accounts and tokens: made, changed and ended; and nobody gives what he has not."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.console.browsing import PHONE, Window
from tests.console.place import Place, now
from threads.access import Grant, Role
from threads.store.accounts import add_account, find_account
from threads.store.api_tokens import list_tokens
from threads.store.audit import list_audit


def grants(place: Place, name: str) -> set[Grant] | None:
    with place.database.reading() as conn:
        found = find_account(conn, name)
    return None if found is None else set(found.grants)


def test_an_account_is_made_and_its_owner_comes_in_by_its_link(
    place: Place, window: Callable[..., Window], axe: str
) -> None:
    admin = window(place.person(Role.ADMIN, name="keeps.accounts"), size=PHONE)
    page = admin.go("/accounts")
    assert admin.serious_faults(axe) == []
    page.get_by_text("Add an account").click()
    page.get_by_label("Name to sign in with").fill("new.analyst")
    page.get_by_label("The person's name").fill("New <b>Analyst</b>")
    page.get_by_label("Role").select_option("analyst")
    page.get_by_label("For", exact=True).select_option("Contoso")
    page.get_by_role("button", name="Add, and make a link").click()
    link = page.inner_text("#link")
    assert grants(place, "new.analyst") == {Grant(Role.ANALYST, place.contoso.id)}
    owner = window().page
    owner.goto(link)
    for label in ("Password", "Password again"):
        owner.get_by_label(label, exact=True).fill("a sentence is long")
    owner.get_by_role("button", name="Set password").click()
    owner.goto(f"{place.url}/incidents")
    assert place.incident.reference in owner.inner_text("main")
    assert place.other_incident.reference not in owner.inner_text("main")
    page.goto(f"{place.url}/accounts/new.analyst")
    assert admin.serious_faults(axe) == []
    page.get_by_label("One more").select_option("expert")
    page.get_by_role("button", name="Change roles").click()
    assert grants(place, "new.analyst") == {Grant(Role.ANALYST, place.contoso.id), Grant(Role.EXPERT, None)}
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Disable").click()
    owner.reload()
    assert "/sign-in" in owner.url, "it is out at once"
    with place.database.reading() as conn:
        acts = [one.act for one in list_audit(conn) if '"new.analyst"' in (one.content or "")]
    assert {"account-added", "password-set", "account-roles", "account-disabled"} <= set(acts)


@pytest.mark.parametrize(
    ("target", "form"),
    [
        ("itself", {"grant": ["admin"]}),
        ("itself", {"role": "expert", "customer": ""}),
        ("itself", {"grant": ["admin@{fabrikam}"]}),
        ("itself", {}),
        ("theirs", {"grant": ["analyst@{fabrikam}"]}),
        ("theirs", {"grant": ["admin"]}),
        ("theirs", {"grant": ["root"]}),
        ("theirs", {"role": "root"}),
        ("wider", {"grant": ["analyst@{contoso}"]}),
        ("others", {"grant": ["analyst@{contoso}"]}),
        ("nobodys", {"grant": ["analyst@{contoso}"]}),
    ],
)
def test_who_keeps_one_customers_accounts_gives_no_more_than_that(
    place: Place, target: str, form: dict[str, str | list[str]]
) -> None:
    limited = place.person(Grant(Role.ADMIN, place.contoso.id), name="limited.admin")
    has = {
        "theirs": [Grant(Role.ANALYST, place.contoso.id)],
        "wider": [Grant(Role.ANALYST, place.contoso.id), Grant(Role.ANALYST, None)],
        "others": [Grant(Role.ANALYST, place.fabrikam.id)],
        "nobodys": [],
    }
    name = "limited.admin" if target == "itself" else target
    with place.database.writing() as conn:
        if find_account(conn, name) is None:
            add_account(conn, name, "", has[target], now(), by="test")
    before = grants(place, name)
    ids = {"contoso": place.contoso.id, "fabrikam": place.fabrikam.id}
    sent = {
        key: [one.format(**ids) for one in value] if isinstance(value, list) else value
        for key, value in form.items()
    }
    was = ", ".join(
        sorted(
            f"{one.role}{'' if one.organisation_id is None else f'@{one.organisation_id}'}"
            for one in before or ()
        )
    )
    answer = place.ask("POST", f"/accounts/{name}/roles", {**sent, "was": was}, person=limited)
    assert answer.status in (403, 404, 409, 422)
    assert grants(place, name) == before
    for rest in ("/link", "/state"):
        if target in ("wider", "others", "nobodys"):
            assert (
                place.ask("POST", f"/accounts/{name}{rest}", {"do": "disable"}, person=limited).status == 404
            )
            assert place.ask("GET", f"/accounts/{name}", person=limited).status == 404
            assert name not in re.findall(
                r"/accounts/([\w.]+)", place.ask("GET", "/accounts", person=limited).text
            )


def test_a_token_is_for_no_more_customers_than_its_maker_keeps(place: Place) -> None:
    limited = place.person(Grant(Role.ADMIN, place.contoso.id), name="limited.admin")
    for form in (
        {"name": "wide", "scope": "verify"},
        {"name": "wide", "scope": "verify", "customer": [str(place.contoso.id), str(place.fabrikam.id)]},
        {"name": "wide", "scope": "everything", "customer": str(place.contoso.id)},
        {"name": "wide", "customer": str(place.contoso.id)},
        {"name": "wide", "scope": "verify", "customer": str(place.contoso.id), "expires": "soon"},
    ):
        assert place.ask("POST", "/tokens", form, person=limited).status in (403, 404, 422)
    made = place.ask(
        "POST",
        "/tokens",
        {"name": "narrow", "scope": "verify", "customer": str(place.contoso.id)},
        person=limited,
    )
    assert made.status == 200
    with place.database.reading() as conn:
        tokens = {one.name: one for one in list_tokens(conn)}
    assert "wide" not in tokens
    assert tokens["narrow"].organisations == {place.contoso.id}
    everybody = place.person(Role.ADMIN)
    place.ask("POST", "/tokens", {"name": "all", "scope": "verify"}, person=everybody)
    assert place.ask("POST", "/tokens/revoke", {"name": "all"}, person=limited).status == 404
    assert place.ask("POST", "/tokens/revoke", {"name": "narrow"}, person=limited).status == 303


def test_somebody_stays_who_keeps_the_accounts(place: Place) -> None:
    admin = place.person(Role.ADMIN)
    with place.database.reading() as conn:
        from threads.store.accounts import list_accounts

        keepers = [one.name for one in list_accounts(conn) if Grant(Role.ADMIN, None) in one.grants]
    answers = [
        place.ask("POST", f"/accounts/{name}/roles", {"was": "admin", "role": "analyst"}, person=admin).status
        for name in keepers
        if name != admin.account.name
    ]
    assert answers
    last = place.ask(
        "POST", f"/accounts/{admin.account.name}/roles", {"was": "admin", "role": "analyst"}, person=admin
    )
    assert last.status == 409
    assert "Somebody has to be left" in last.text
