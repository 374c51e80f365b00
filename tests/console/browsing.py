"""A window of a real browser, which notes what no page of ours may do: ask elsewhere, run foreign scripts, break its policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.console.place import Person, Place

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

PHONE, DESKTOP = (390, 844), (1280, 900)
_REPLACED_AT_MOST = 3
SERIOUS = frozenset({"serious", "critical"})
_HARMLESS = ("Failed to load resource",)  # an answer of ours with an error status, which the test asked for
_WIDER = """() => {
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    if (wide <= 0) return "";
    const edge = document.documentElement.clientWidth;
    const out = [...document.body.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > edge + 1);
    return wide + " px: " + out.slice(0, 5).map(e => e.tagName + "." + e.className).join(", ");
}"""


@dataclass
class Window:
    """``page`` is Playwright's. ``strange``: what happened that may not."""

    context: BrowserContext
    page: Page
    url: str
    strange: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open a path of the console."""
        self.page.goto(self.url + path)
        return self.page

    def nothing_went_wrong(self) -> None:
        assert self.strange == []

    def serious_faults(self, axe: str) -> list[str]:
        """What axe-core finds wrong for people with a screen reader or a keyboard, of serious weight."""
        # Evaluated by the debugger, which the page's own policy does not concern.
        found = self._of_one_page(axe + "; axe.run(document, {resultTypes: ['violations']})")
        return self.weighty(found)

    def _of_one_page(self, question: str) -> Any:
        """What a script finds, of a page that is there to its end: a click returns while a slow answer is still awaited, and
        the page that replaces the one that is looked at takes its document away under the script."""
        from playwright.sync_api import Error

        for _ in range(_REPLACED_AT_MOST):
            self.page.wait_for_load_state()
            began = self.page.evaluate("performance.timeOrigin")
            try:
                found = self.page.evaluate(question)
            except Error:
                self.page.wait_for_load_state()
                if self.page.evaluate("performance.timeOrigin") == began:
                    raise  # it was the page's own fault
                continue
            if self.page.evaluate("performance.timeOrigin") == began:
                return found
        raise AssertionError(f"the page was replaced {_REPLACED_AT_MOST} times while it was looked at")

    @staticmethod
    def weighty(found: Mapping[str, Any]) -> list[str]:
        """Of what a run of axe-core has found, what is of serious weight."""
        return [
            f"{one['id']}: {one['help']}: {node['html'][:200]}"
            for one in found["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"][:3]
        ]

    def wider_than_the_window(self) -> str:
        """What makes the page scroll sideways; "" where nothing does."""
        return str(self._of_one_page(f"({_WIDER})()"))

    def picture(self, path: Path) -> Path:
        """The whole page as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path, full_page=True)
        return path


def open_window(
    browser: Browser,
    place: Place,
    person: Person | None,
    *,
    size: tuple[int, int] = DESKTOP,
    scheme: str = "light",
    scripts: bool = True,
) -> Window:
    """A window of its own (no cookies of others); ``scripts=False`` is a browser that runs none."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
    )
    context.set_default_timeout(15_000)
    if person is not None:
        context.add_cookies([{"name": "expertmail", "value": person.secret, "url": place.url}])
    page = context.new_page()
    window = Window(context, page, place.url)
    ours = (place.url + "/", "data:", "about:", "blob:")
    context.on(
        "request",
        lambda request: (
            None if request.url.startswith(ours) else window.strange.append(f"asked {request.url}")
        ),
    )
    page.on("pageerror", lambda error: window.strange.append(f"script failed: {error}"))
    page.on(
        "console",
        lambda said: (
            window.strange.append(f"console: {said.text}")
            if said.type == "error" and not said.text.startswith(_HARMLESS)
            else None
        ),
    )
    page.on("popup", lambda other: window.strange.append(f"opened {other.url}"))
    return window
