"""Every route refuses who is nobody, has another role, or another customer, and what was not sent by our own page."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

from expertmail.console.pages.catalogue import PAGES
from expertmail.console.pages.page import Open, Page
from tests.console import examples
from tests.console.examples import Example, permitted
from tests.console.place import Person, Place
from threads.access import ALLOWS, Grant, Permission, Role

BY_NAME = {page.name: page for page in PAGES}


def all_examples() -> dict[str, Example]:
    """Those of this folder's ``examples_*`` modules, too."""
    found = list(examples.EXAMPLES)
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name.startswith("examples_"):
            found += importlib.import_module(f"tests.console.{module.name}").EXAMPLES
    named = {one.name: one for one in found}
    assert len(named) == len(found), "two examples have one name"
    return named


EXAMPLES = all_examples()
GUARDED = [page for page in PAGES if page.needs is not Open.ANYBODY]
NEEDING = [page for page in PAGES if isinstance(page.needs, Permission)]
POSTED = [page for page in PAGES if page.method != "GET"]


def named(pages: list[Page]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=[page.name for page in pages])


def ask(place: Place, page: Page, person: Person | None, **more: object) -> int:
    example = EXAMPLES[page.name]
    form = example.form(place) if page.method != "GET" else None
    return place.ask(page.method, example.path(place), form, person=person, **more).status  # type: ignore[arg-type]


def allowed(place: Place, page: Page) -> Person:
    role = permitted(page.needs) if isinstance(page.needs, Permission) else Role.CUSTOMER
    return place.person(role)


def test_each_page_has_an_example_and_each_name_is_one_page() -> None:
    assert set(EXAMPLES) == set(BY_NAME), (
        "name each page of the catalogue in an examples module, and no others"
    )
    assert len(BY_NAME) == len(PAGES)


@named(GUARDED)
def test_who_is_nobody_is_sent_to_sign_in(place: Place, page: Page) -> None:
    answer = place.ask(page.method, EXAMPLES[page.name].path(place), EXAMPLES[page.name].form(place))
    assert answer.status == 303
    assert answer.headers["location"].partition("?")[0] == "/sign-in"


@named(NEEDING)
def test_who_has_another_role_is_refused(place: Place, page: Page) -> None:
    others = [role for role in Role if page.needs not in ALLOWS[role]]
    for role in others:
        assert ask(place, page, place.person(role)) == 403, role


@named([page for page in NEEDING if EXAMPLES.get(page.name, Example("", str, "all")).whose == "contoso"])
def test_who_has_another_customer_learns_nothing(place: Place, page: Page) -> None:
    assert isinstance(page.needs, Permission)
    stranger = place.person(Grant(permitted(page.needs), place.fabrikam.id))
    assert ask(place, page, stranger) == 404


@named([page for page in NEEDING if EXAMPLES.get(page.name, Example("", str, "all")).whose == "nobody"])
def test_what_belongs_to_nobody_is_for_who_has_all(place: Place, page: Page) -> None:
    assert isinstance(page.needs, Permission)
    limited = place.person(Grant(permitted(page.needs), place.contoso.id))
    assert ask(place, page, limited) in (403, 404)


@named(POSTED)
@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.test", "https://127.0.0.1", "http://127.0.0.1:1"]
)
def test_a_form_from_elsewhere_is_refused(place: Place, page: Page, origin: str | None) -> None:
    assert ask(place, page, allowed(place, page), headers={"Origin": origin}) == 403


@named(POSTED)
def test_a_form_without_its_token_or_with_anothers_is_refused(place: Place, page: Page) -> None:
    person = allowed(place, page)
    assert ask(place, page, person, token=False) == 403
    other = place.person(Role.ANALYST, name="somebody-else")
    example = EXAMPLES[page.name]
    form = {**example.form(place), "token": other.token}
    assert place.ask(page.method, example.path(place), form, person=person, token=False).status == 403


@named([page for page in PAGES if page.method == "GET"])
def test_a_page_is_shown_by_no_other_name(place: Place, page: Page) -> None:
    status = ask(place, page, allowed(place, page), headers={"Host": "evil.test"})
    assert status == 421, "a name that somebody else's DNS points here (rebinding)"


@named([page for page in PAGES if page.method == "GET"])
def test_every_page_tells_browsers_what_it_may_do(place: Place, page: Page) -> None:
    answer = place.ask("GET", EXAMPLES[page.name].path(place), person=allowed(place, page))
    assert answer.status == 404 if EXAMPLES[page.name].off else answer.status < 400
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    if "script-src" in policy:
        assert "script-src 'self';" in policy
        assert "unsafe-inline" not in policy
