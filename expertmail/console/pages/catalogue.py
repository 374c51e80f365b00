"""All pages."""

from __future__ import annotations

from typing import Final

from expertmail.console.pages import home, statics
from expertmail.console.pages.page import Page

PAGES: Final[tuple[Page, ...]] = (
    *home.PAGES,
    *statics.PAGES,
)
