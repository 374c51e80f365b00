"""``make screenshots``: every page as somebody sees it who may do everything, on a phone and on a desk, light and dark.

python -m tests.console.screenshots [FOLDER]      # build/screenshots without one
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from expertmail.console.pages.catalogue import PAGES
from expertmail.console.pages.page import Open
from tests.console.browsing import DESKTOP, PHONE, open_window
from tests.console.busy_place import fill
from tests.console.place import Place, make_place
from tests.console.test_every_route import EXAMPLES
from threads.access import Role

SIZES = {"phone": PHONE, "desktop": DESKTOP}
SCHEMES = ("light", "dark")
CHROMIUM = shutil.which("chromium")


def take(place: Place, folder: Path) -> int:
    """Make the pictures; how many."""
    everything = place.looking = place.person(*Role, name="mia.lang")
    shown = [
        page for page in PAGES if page.method == "GET" and page.name in EXAMPLES and page.name != "static"
    ]
    taken = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for size_name, size in SIZES.items():
            for scheme in SCHEMES:
                known = open_window(browser, place, everything, size=size, scheme=scheme)
                nobody = open_window(browser, place, None, size=size, scheme=scheme)
                for page in shown:
                    window = nobody if page.needs is Open.ANYBODY else known
                    path = EXAMPLES[page.name].path(place)
                    answer = place.ask("GET", path, person=None if window is nobody else everything)
                    if not answer.headers.get("content-type", "").startswith("text/html"):
                        continue  # a download
                    window.go(path)
                    window.picture(folder / f"{page.name}-{size_name}-{scheme}.png")
                    taken += 1
                known.context.close()
                nobody.context.close()
        browser.close()
    return taken


def main() -> int:
    """Make them in the folder of the command line."""
    if CHROMIUM is None:
        print("chromium is not installed (Debian: apt-get install chromium)", file=sys.stderr)
        return 69
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/screenshots")
    with tempfile.TemporaryDirectory(prefix="screenshots-") as made:
        place = make_place(Path(made))
        try:
            fill(place)
            number = take(place, folder)
        finally:
            place.database.close()
            place.served.stop()
    print(f"{number} pictures are in {folder}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
