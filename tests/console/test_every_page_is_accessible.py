"""axe-core finds nothing serious on any page, on a phone and on a desk, light and dark, with all that is folded opened."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from expertmail.console.pages.catalogue import PAGES
from expertmail.console.pages.page import Open
from tests.console.browsing import DESKTOP, PHONE, Window
from tests.console.busy_place import fill
from tests.console.place import Person, Place, make_place
from tests.console.test_every_route import EXAMPLES
from threads.access import Role

if TYPE_CHECKING:
    from playwright.sync_api import Route

FULL = bool(os.environ.get("FULL"))
UNFOLD = "[...document.querySelectorAll('details')].forEach(one => { one.open = true; })"
COLOURS = "axe.run(document, {resultTypes: ['violations'], runOnly: ['color-contrast']})"
BETWEEN = (1210, 1190, 1030, 970, 950, 720)
"""Widths of windows between a telephone's and a desk's, on both sides of where the layout changes."""
MORE = (
    "/incidents?kind=inquiry",
    "/incidents?words=nothing+has+this+title",
    "/search?words=sign-in",
    "/search?words=%22",
    "/held?reason=unknown",
    "/outbox?incident=INC-999999",
    "/codes?code=1234",
    "/audit?act=incident-opened",
    "/nothing/is/here",
)
"""Of pages that look otherwise when they are asked otherwise, and of refusals."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = make_place(tmp_path_factory.mktemp("accessible"))
    try:
        fill(made)
        yield made
    finally:
        made.database.close()
        made.served.stop()


def pages_of(place: Place, person: Person) -> Iterator[tuple[str, bool]]:
    """The paths of all pages of ours, and whether somebody looks at each who is not signed in; mail in its frame is not ours."""
    for page in PAGES:
        example = EXAMPLES.get(page.name)
        if page.method != "GET" or example is None or example.off:
            continue
        path, anybody = example.path(place), page.needs is Open.ANYBODY
        answer = place.ask("GET", path, person=None if anybody else person)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue  # a download
        if "sandbox" not in answer.headers["content-security-policy"]:
            yield path, anybody
    yield from ((path, False) for path in MORE)


def looked_at(seen: Window, path: str, axe: str, place: Place) -> list[str]:
    """What is wrong with a page, in both schemes. On a desk axe finds what it finds on a phone: it looks there with FULL=1."""
    seen.page.emulate_media(color_scheme="light")
    seen.go(path)
    seen.page.evaluate(UNFOLD)
    faults: list[str] = []
    if FULL or seen.page.viewport_size == {"width": PHONE[0], "height": PHONE[1]}:
        faults += seen.serious_faults(axe)
        seen.page.emulate_media(color_scheme="dark")
        faults += [f"dark: {one}" for one in seen.weighty(seen.page.evaluate(COLOURS))]
    if wide := seen.wider_than_the_window():
        faults.append(f"too wide with all opened: {wide}")
    size = seen.page.viewport_size
    for between in BETWEEN if size is not None and size["width"] == DESKTOP[0] else ():
        seen.page.set_viewport_size({"width": between, "height": DESKTOP[1]})
        if wide := seen.wider_than_the_window():
            faults.append(f"too wide at {between} px: {wide}")
    if size is not None:
        seen.page.set_viewport_size(size)
    if str(place.served.folder) in seen.page.content():
        faults.append("tells where files are on the server")
    return faults


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desk"])
def test_no_page_keeps_anybody_out(
    place: Place, window: Callable[..., Window], axe: str, size: tuple[int, int]
) -> None:
    person = place.person(*Role, name="who-may-do-everything")
    place.looking = person
    known, nobody = window(person, size=size), window(None, size=size)
    faults: list[str] = []
    for path, anybody in pages_of(place, person):
        seen = nobody if anybody else known
        faults += [f"{path}: {one}" for one in looked_at(seen, path, axe, place)]
    assert faults == []


def test_no_answer_to_a_form_keeps_anybody_out(place: Place, window: Callable[..., Window], axe: str) -> None:
    """Forms that are sent empty, for the most part, come back with what is wrong."""
    seen = window(place.person(*Role, name="who-may-do-everything"), size=PHONE)
    said: dict[str, str] = {}

    def tell(route: Route) -> None:
        route.fulfill(body=said[urlsplit(route.request.url).path], content_type="text/html; charset=utf-8")

    seen.page.route("**/answers/*", tell)
    faults: list[str] = []
    for number, page in enumerate(PAGES):
        example = EXAMPLES.get(page.name)
        if page.method == "GET" or example is None or example.off:
            continue
        person = place.looking = place.person(*Role, name=f"sends-{page.name}")
        answer = place.ask("POST", example.path(place), {}, person=person)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue  # what was sent was enough
        assert answer.status < 500, page.name
        said[f"/answers/{number}"] = answer.text
        path = f"/answers/{number}"
        faults += [f"{page.name}: {one}" for one in looked_at(seen, path, axe, place)]
    assert faults == []
