"""A console, and a browser that looks at it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.console.browsing import Window, open_window
from tests.console.place import Person, Place, make_place

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).resolve().parents[2] / "bench" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for the tests of a file: they do not depend on each other's order, and name what they make."""
    made = make_place(tmp_path_factory.mktemp("console"))
    yield made
    made.database.close()
    made.served.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright: for one file, since while it runs no other test of this process has an event loop."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def window(browser: Browser, place: Place) -> Iterator[Callable[..., Window]]:
    """Open windows of people (or of nobody); at the end each is asked whether something went wrong in it."""
    made: list[Window] = []

    def make(person: Person | None = None, **how: object) -> Window:
        made.append(open_window(browser, place, person, **how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.context.close()
    for one in made:
        one.nothing_went_wrong()


@pytest.fixture
def axe() -> str:
    """The accessibility checker's source."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed (npm install --prefix bench axe-core@4.14.1)")
    return AXE.read_text()
