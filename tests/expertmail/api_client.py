"""A program with a token, over real HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SECONDS = 60


@dataclass
class Said:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Portal:
    """Asks the console at a port of this machine."""

    port: int
    token: str | None = None

    def ask(
        self,
        method: str,
        path: str,
        form: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Said:
        """One request on a connection of its own; a ``form`` of bytes goes as it is."""
        fields = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        fields |= {} if key is None else {"Idempotency-Key": key}
        body = form if isinstance(form, bytes | None) else json.dumps(form).encode()
        fields |= {} if body is None else {"Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, f"/api/v1{path}", body, {**fields, **(headers or {})})
            answer = connection.getresponse()
            return Said(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "boolean": bool, "number": (int, float), "object": dict, "array": list, "null": type(None),
}  # fmt: skip


def strays(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any], place: str = "") -> list[str]:
    """Where a JSON value is not as its description says, or holds what is not described."""
    if "$ref" in schema or "oneOf" in schema:
        named = schema.get("$ref", "").rpartition("/")[2]
        several = [strays(value, one, schemas, place) for one in schema.get("oneOf") or [schemas[named]]]
        return min(several, key=len)
    if "enum" in schema and value not in schema["enum"]:
        return [f"{place}: {value!r} is none of {schema['enum']}"]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(
        isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
        for kind in kinds
    ):
        return [f"{place}: {value!r} is no {kinds}"]
    if isinstance(value, list):
        return [
            one
            for n, item in enumerate(value)
            for one in strays(item, schema["items"], schemas, f"{place}[{n}]")
        ]
    if isinstance(value, dict):
        described = schema["properties"]
        found = [f"{place}.{name} is missing" for name in schema["required"] if name not in value]
        found += [f"{place}.{name} is not described" for name in value if name not in described]
        return found + [
            one
            for name, item in value.items()
            if name in described
            for one in strays(item, described[name], schemas, f"{place}.{name}")
        ]
    return []
