"""The JSON of a request (RFC 8259), read strictly: what two readers would take differently is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MAX_BODY: Final = 256 * 1024
"""Octets. The longest mail that a template takes is far smaller."""
BODY_SECONDS: Final = 10.0
"""For a body to come in; it fits into one packet or a few."""
MAX_FIELDS: Final = 50
"""Of one object; no form has more than 20. Naming thousands that are unknown would take a tenth of a second."""
MAX_NAME: Final = 60
"""Of a field that a refusal names."""
_TOLD: Final = 5  # findings in one refusal

Form = TypeVar("Form", bound=BaseModel)


async def read_form(request: Request, form: type[Form]) -> Form:
    """The body as the form says; HTTPException with one sentence: 400, 408, 413, 415, or 422 for what the form refuses."""
    if "transfer-encoding" in request.headers and "content-length" in request.headers:
        # Whoever stands before us may have taken the other one for the body's end (RFC 9112 6.3 and 11.2).
        raise HTTPException(
            400, "Send Content-Length or Transfer-Encoding, not both.", {"Connection": "close"}
        )
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != "application/json" or parameters.strip().lower() not in ("", "charset=utf-8"):
        raise HTTPException(415, "Send JSON, with Content-Type: application/json.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "Send the JSON uncompressed.")
    body = await read_octets(request, MAX_BODY)
    return await asyncio.to_thread(form_of, body, form)


def read_query(request: Request, form: type[Form]) -> Form:
    """What stands after the question mark, as the form says; HTTPException 422 for what the form refuses, or stands there twice."""
    items = request.query_params.multi_items()
    value = dict(items)
    if len(value) < len(items):
        raise HTTPException(422, "Name each parameter once.")
    if len(value) > MAX_FIELDS:
        raise HTTPException(422, f"That are more than {MAX_FIELDS} parameters.")
    return _validated(value, form)


async def read_octets(request: Request, most: int) -> bytes:
    """The body; HTTPException 400 for one that ends early, 408 for one that takes too long, 413 for one of more than ``most`` octets."""
    too_large = HTTPException(413, f"The body is larger than {most} bytes.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > most:
        raise too_large
    held = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                held += chunk
                if len(held) > most:
                    raise too_large
    except TimeoutError as error:
        raise HTTPException(408, "The body did not arrive in time.") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "The request ended before its body did.") from error
    return bytes(held)


def form_of(body: bytes, form: type[Form]) -> Form:
    """Octets as the form says; HTTPException 400 for what is no JSON, 422 for what the form refuses."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise HTTPException(400, "The body is not UTF-8.") from error
    except RecursionError as error:
        raise HTTPException(400, "The JSON is nested too deeply.") from error
    except _TwiceError as error:
        raise HTTPException(400, f"The JSON has the field {_named(error.name)} twice.") from error
    except _TooManyError as error:
        raise HTTPException(400, f"An object in the JSON has more than {MAX_FIELDS} fields.") from error
    except ValueError as error:  # also for a number with more digits than Python reads
        raise HTTPException(400, "The body is not JSON.") from error
    if not isinstance(value, dict):
        raise HTTPException(400, "Send one JSON object.")
    return _validated(value, form)


def _validated(value: dict[str, Any], form: type[Form]) -> Form:
    try:
        return form.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise HTTPException(422, " ".join(map(_told, found[:_TOLD]))) from error


class _TwiceError(ValueError):
    """A field stands twice in one object (RFC 8259 4: readers differ then)."""

    def __init__(self, name: str) -> None:
        super().__init__("a field stands twice")
        self.name = name


class _TooManyError(ValueError):
    """An object has more fields than any form."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_FIELDS:
        raise _TooManyError
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _TwiceError(name)
        found[name] = value
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


def _told(one: ErrorDetails) -> str:
    """A finding as a sentence that names its field."""
    place = ".".join(map(str, one["loc"]))
    if one["type"] == "extra_forbidden":
        return f"There is no field {_named(place)} here."
    text = one["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{_named(place)}: {text}." if place else f"{text}."


def _named(name: str) -> str:
    return ascii(name[:MAX_NAME])
