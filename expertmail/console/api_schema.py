"""The words in which the HTTP interface is described (OpenAPI 3.1): kinds of values, and one operation."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from expertmail.console.api_work import MAX_KEY
from outbound.model import Failure, TlsLevel
from threads.api_token import Scope

Json = dict[str, Any]

PREVIEWED: Final = frozenset({"NewNotification", "NewCustomerNotification"})
"""The forms that may ask for a preview, which needs no key."""
TEXT: Final[Json] = {"type": "string"}
TEXT_OR_NULL: Final[Json] = {"type": ["string", "null"]}
FLAG: Final[Json] = {"type": "boolean"}
NUMBER: Final[Json] = {"type": "integer", "minimum": 1}
NUMBER_OR_NULL: Final[Json] = {"type": ["integer", "null"], "minimum": 1}
TIME: Final[Json] = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Final[Json] = {"type": ["string", "null"], "format": "date-time"}
REPLAYED: Final[Json] = {
    "Idempotent-Replayed": {
        "description": "`true` where the same request was done before; nothing was done now.",
        "schema": {"const": "true"},
    }
}


def words(kind: Any, *, or_null: bool = False) -> Json:
    """One of the words of an enumeration."""
    return {"enum": [*(one.value for one in kind), *([None] if or_null else [])]}


def object_(properties: Json, optional: tuple[str, ...] = ()) -> Json:
    """An object with these fields."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def list_(of: Json) -> Json:
    """A list of such values."""
    return {"type": "array", "items": of}


def or_null(of: Json) -> Json:
    """Such a value, or none."""
    return {"oneOf": [of, {"type": "null"}]}


def ref(name: str) -> Json:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


TRY: Final = object_(
    {
        "started_at": TIME,
        "finished_at": TIME,
        "host": TEXT,
        "code": {"type": "integer"},
        "reply": TEXT,
        "failure": words(Failure, or_null=True),
        "tls": words(TlsLevel),
    }
)
"""A try to deliver a mail."""
ERRORS: Final = {
    400: "The request is no JSON object, or its Idempotency-Key is missing.",
    401: "There is no token that counts.",
    403: "The token has not the scope.",
    404: "There is no such thing, or the token may not touch it.",
    408: "The body did not arrive in time.",
    409: "It contradicts what is on record; the sentence says what.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    422: "A field is missing, unknown or unfit; the sentence names it.",
    429: "Too many requests without a token that counts, or codes that no mail bears; wait.",
    503: "Too many requests, or the database cannot be had; try again.",
}


def operation(
    name: str,
    text: str,
    scope: Scope,
    answers: dict[str, tuple[str, str]],
    *,
    path: dict[str, str] | None = None,
    form: str | None = None,
    key: bool = False,
    query: type[BaseModel] | None = None,
    more: tuple[int, ...] = (),
) -> Json:
    """One operation: what it takes and answers, and which refusals there are. ``answers``: for each status a sentence and a schema."""
    refused = {
        401,
        403,
        429,
        503,
        *more,
        *([404] if path else []),
        *([400, 408, 413, 415, 422] if form else []),
        *([400] if key else []),
        *([422] if query is not None else []),
    }
    parameters: list[Json] = [
        {"name": one, "in": "path", "required": True, "description": said, "schema": TEXT}
        for one, said in (path or {}).items()
    ]
    parameters += [] if query is None else _in_query(query)
    if key:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": form not in PREVIEWED,
                "description": "The same for the same request, which is then done once.",
                "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
            }
        )
    told: Json = {
        "operationId": name,
        "summary": text,
        "description": f"Needs a token with the scope `{scope}`.",
        "security": [{"token": []}],
        "parameters": parameters,
        "responses": {
            **{
                status: {
                    "description": said,
                    **({"headers": REPLAYED} if key and status in ("201", "202") else {}),
                    "content": {"application/json": {"schema": ref(schema)}},
                }
                for status, (said, schema) in answers.items()
            },
            **{
                str(status): {
                    "description": ERRORS[status],
                    "content": {"application/json": {"schema": ref("Error")}},
                }
                for status in sorted(refused)
            },
        },
    }
    if form:
        told["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": ref(form)}},
        }
    return told


def schema_of(form: type[BaseModel]) -> Json:
    """A form's schema and those of the words in it, by their names."""
    schema = form.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), form.__name__: schema}


def _in_query(form: type[BaseModel]) -> list[Json]:
    described = schema_of(form)[form.__name__]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in described.get("required", ()),
            "schema": _plain(one),
        }
        for name, one in described.get("properties", {}).items()
    ]


def _plain(schema: Json) -> Json:
    """What is left out is no null in an address."""
    kinds = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in {"anyOf", "default", "title"}}
    return {**rest, **kinds[0]} if kinds else rest
