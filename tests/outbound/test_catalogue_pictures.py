"""The HTML of each mail of the catalogue as a browser lays it out: light, dark, on a desk and on a narrow telephone.

To look at the pictures: PICTURES=/some/folder .venv/bin/pytest tests/outbound/test_catalogue_pictures.py
"""

from __future__ import annotations

import email
import email.policy
import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from outbound.template_files import load_templates
from tests.outbound.catalogue import all_mails, catalogue_mail, forms
from tests.outbound.conftest import LETTERHEAD

CHROMIUM = shutil.which("chromium")
SCHEMES = {"dark": 0, "light": 1}  # Chromium's numbers
WIDTHS = (320, 640)  # the narrowest telephones; a desk
HEIGHT = 1500
CONTRAST = 4.5  # WCAG 2.2, 1.4.3 (AA)
# Nothing may be asked of the network, by the mail or by the browser itself.
ALONE = (
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)"
)

MEASURE = r"""
const shade = text => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    const [x, y, z] = [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return { light: 0.2126 * x + 0.7152 * y + 0.0722 * z, a };
};
const measured = frame => {
    const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
    const texts = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
    let least = 99, words = "", right = 0, smallest = 99;
    while (texts.nextNode()) {
        const node = texts.currentNode;
        if (!node.data.trim()) continue;
        const range = page.createRange();
        range.selectNodeContents(node);
        right = Math.max(right, ...[...range.getClientRects()].map(box => box.right));
        const style = view.getComputedStyle(node.parentElement);
        smallest = Math.min(smallest, parseFloat(style.fontSize));
        let behind = node.parentElement;
        while (behind && shade(view.getComputedStyle(behind).backgroundColor).a === 0) behind = behind.parentElement;
        const [one, two] = [shade(style.color).light, shade(view.getComputedStyle(behind || page.body).backgroundColor).light];
        const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
        if (ratio < least) [least, words] = [ratio, node.data.trim()];
    }
    const ground = shade(view.getComputedStyle(page.body).backgroundColor).light;
    return { name: frame.title, right, width: root.clientWidth, scroll: root.scrollWidth, least, words, smallest, ground };
};
onload = () => {
    document.getElementById("found").textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(measured));
};
"""


class _Office:
    letterhead = LETTERHEAD
    templates = load_templates()


@dataclass(frozen=True)
class Measured:
    name: str
    right: float
    width: int
    scroll: int
    least: float
    words: str
    smallest: float
    ground: float


def pages() -> dict[str, str]:
    """The HTML of each form in each language, with and without details."""
    found = {}
    for name, mail in all_mails(_Office):
        message = email.message_from_bytes(mail.raw, policy=email.policy.default)
        found[name] = message.get_body(("html",)).get_content()
    return found


def browse(page: Path, scheme: str, *more: str) -> str:
    told = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={page.parent / 'profile'}",
         f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}", *ALONE, *more, page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return told.stdout


def sheet(folder: Path, shown: dict[str, str], *widths: int) -> Path:
    frames = "".join(
        f'<iframe title="{name}" style="width:{width}px;height:{HEIGHT}px;border:0;margin:8px" srcdoc="{html.escape(page)}"></iframe>'
        for width in widths
        for name, page in shown.items()
    )
    path = folder / "sheet.html"
    path.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><meta name="color-scheme" content="light dark"><body style="margin:0">{frames}'
        f'<pre id="found"></pre><script>{MEASURE}</script></body>',
        encoding="utf-8",
    )
    return path


def measured(folder: Path, shown: dict[str, str], scheme: str, *widths: int) -> list[Measured]:
    dom = browse(sheet(folder, shown, *widths), scheme, "--window-size=1400,1600", "--dump-dom")
    found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    return [Measured(**one) for one in json.loads(html.unescape(found[1]))]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_text_is_wider_than_the_page_and_all_of_it_can_be_read(tmp_path, scheme):
    shown = pages()
    found = measured(tmp_path, shown, scheme, *WIDTHS)
    assert [(one.width, one.name) for one in found] == [(width, name) for width in WIDTHS for name in shown]
    for one in found:
        assert one.scroll <= one.width, one
        assert one.right <= one.width - 8, one
        assert one.least >= CONTRAST, one
        assert one.smallest >= 14, one
        assert (one.ground < 0.05) == (scheme == "dark"), one
    if folder := os.environ.get("PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for width in WIDTHS:
            for name, page in shown.items():
                size = f"--window-size={width + 16},{HEIGHT + 16}"
                picture = Path(folder) / f"{name}.{scheme}.{width}.png"
                browse(sheet(tmp_path, {name: page}, width), scheme, size, f"--screenshot={picture}")


def test_the_measure_finds_what_is_too_wide_or_cannot_be_read(tmp_path):
    bad = {
        "wide": "<!DOCTYPE html><body style='background:#fff'><p style='white-space:nowrap'>" + "x" * 90,
        "pale": "<!DOCTYPE html><body style='background:#fff'><p style='color:#ccc'>words",
    }
    wide, pale = measured(tmp_path, bad, "light", 320)
    assert wide.right > 320
    assert wide.scroll > 320
    assert pale.least < CONTRAST


def test_a_word_of_any_length_is_broken_where_the_page_ends(tmp_path):
    long = {"title": "x" * 190, "text": "y" * 900 + " hxxps://" + "z." * 300, "expert": "w" * 100}
    kind, name, _language = next(form for form in forms(_Office) if form[1] == "reply")
    raw = catalogue_mail(kind, name, "en", _Office, **long).raw
    page = email.message_from_bytes(raw, policy=email.policy.default).get_body(("html",)).get_content()
    (one,) = measured(tmp_path, {"long": page}, "light", 320)
    assert one.right <= 312
    assert one.scroll == 320
