"""Hands out style, script and icons."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from expertmail.console.pages.page import Open, Page, Visit
from expertmail.console.pages.static_files import TYPES, contents

_HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",  # for who opens the SVG by itself
    "Cross-Origin-Resource-Policy": "same-origin",
}


async def show(visit: Visit) -> Response:
    """A file, whichever version was asked for: an older page gets today's."""
    name = visit.request.path_params["name"]
    if name not in TYPES:
        raise HTTPException(404)
    return Response(contents()[name], headers=dict(_HEADERS), media_type=TYPES[name])


PAGES: Final = (Page("GET", "/static/{version}/{name}", "static", Open.ANYBODY, show, same_for_all=True),)
