"""All pages."""

from __future__ import annotations

from typing import Final

from expertmail.console.pages import account, home, set_up, sign_in, statics
from expertmail.console.pages.page import Page

PAGES: Final[tuple[Page, ...]] = (
    *home.PAGES,
    *sign_in.PAGES,
    *set_up.PAGES,
    *account.PAGES,
    *statics.PAGES,
)
