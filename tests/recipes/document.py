"""The blocks of docs/admin*.md that a test runs: each stands below a comment ``<!-- run: SET-UP PROGRAM FILE -->``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^<!-- run: (?P<name>[^>]+?) -->\n```\w*\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_MARK = re.compile(r"^<!-- run:", re.MULTILINE)


def pages() -> dict[str, str]:
    """Every page for admins, by its name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("admin*.md"))}


def blocks() -> dict[str, str]:
    """All blocks by name; a name may stand once, and every mark has to have its block."""
    found: dict[str, str] = {}
    for page, text in pages().items():
        matches = list(_BLOCK.finditer(text))
        assert len(matches) == len(_MARK.findall(text)), f"a mark in {page} has no fenced block below it"
        for match in matches:
            assert match["name"] not in found, match["name"]
            found[match["name"]] = match["text"]
    return found


def block(name: str, instead: Mapping[str, str]) -> str:
    """One block, with names and addresses of this machine in place of the document's; each has to be there or absent as a whole."""
    text = blocks()[name]
    for theirs, ours in instead.items():
        text = text.replace(theirs, ours)
    return text


def files(start: str, instead: Mapping[str, str]) -> dict[str, str]:
    """The blocks whose names begin with ``start``, by what follows in their names."""
    return {name.removeprefix(start): block(name, instead) for name in blocks() if name.startswith(start)}
