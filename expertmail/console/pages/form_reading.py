"""The form of a request, read under its caps: ``application/x-www-form-urlencoded`` or, with files, ``multipart/form-data``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from expertmail.console.pages.page import Form

FORM_SECONDS: Final = 60.0
"""For a form to come in; a large message from another machine takes its time."""
MAX_FIELDS: Final = 200
"""Of one form; the longest list of questions has far fewer."""
MAX_TEXT_PART: Final = 36 * 1024 * 1024
"""Octets of one field that is typed or pasted: a whole message's source may be."""
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


@asynccontextmanager
async def form_of(request: Request, takes: int, files: int) -> AsyncIterator[Form]:
    """The form, whose files are gone afterwards; HTTPException 400, 408, 413 or 415 with one sentence."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _FORMS:
        raise HTTPException(415, "Send the form of this page.")
    too_large = HTTPException(413, f"That is more than {takes:,} bytes.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > takes:
        raise too_large
    seen = 0

    async def capped() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > takes:
            raise too_large
        return message

    read = Request(request.scope, capped)
    try:
        async with asyncio.timeout(FORM_SECONDS):
            found = await read.form(
                max_files=files, max_fields=MAX_FIELDS, max_part_size=min(takes, MAX_TEXT_PART)
            )
    except TimeoutError as error:
        raise HTTPException(408, "The form did not arrive in time.") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "The request ended before its form did.") from error
    try:
        yield _sorted(found.multi_items())
    finally:
        await found.close()


def _sorted(items: list[tuple[str, Any]]) -> Form:
    values: dict[str, list[str]] = {}
    files: dict[str, list[UploadFile]] = {}
    for name, value in items:
        if isinstance(value, UploadFile):
            if value.filename or value.size:
                files.setdefault(name, []).append(value)
        else:
            values.setdefault(name, []).append(value)
    return Form(values, files)
