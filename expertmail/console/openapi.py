"""The HTTP interface described as OpenAPI 3.1. A test holds the description against real answers."""

from __future__ import annotations

from enum import StrEnum
from importlib.metadata import version
from typing import Any

from expertmail.console.api_openapi import SECURITY_SCHEMES, api_paths, api_schemas
from verifier.report import AuthResult, ClaimedBy, DmarcMode, Effect, Verdict

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_TEXT_OR_NULL: Json = {"type": ["string", "null"]}
_TEXTS: Json = {"type": "array", "items": _TEXT}
_FLAG: Json = {"type": "boolean"}


def _words(kind: type[StrEnum]) -> Json:
    return {"type": "string", "enum": [word.value for word in kind]}


def _object(properties: Json, optional: tuple[str, ...] = ()) -> Json:
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


def _list(of: Json) -> Json:
    return {"type": "array", "items": of}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _verdict() -> Json:
    """The verdict object; the same as `expertmail verify --json` prints."""
    author = _object({"address": _TEXT, "domain": _TEXT, "display": _TEXT_OR_NULL})
    return _object(
        {
            "file": _TEXT_OR_NULL,
            "verdict": _words(Verdict),
            "sentence": _TEXT,
            "author": {"oneOf": [author, {"type": "null"}]},
            "claims": _list(_object({"identity": _TEXT, "by": _words(ClaimedBy), "detail": _TEXT})),
            "dkim": _list(
                _object(
                    {
                        "result": _words(AuthResult),
                        "reason": _TEXT_OR_NULL,
                        "domain": _TEXT_OR_NULL,
                        "selector": _TEXT_OR_NULL,
                        "algorithm": _TEXT_OR_NULL,
                        "aligned": _FLAG,
                        "acceptable": _FLAG,
                        "signed": _TEXTS,
                        "unsigned": _TEXTS,
                    }
                )
            ),
            "spf": _object(
                {
                    "result": _words(AuthResult),
                    "domain": _TEXT_OR_NULL,
                    "scope": {"type": "string", "enum": ["mailfrom", "helo"]},
                    "client_ip": _TEXT_OR_NULL,
                    "source": {"type": "string", "enum": ["session", "reconstructed", "none"]},
                }
            ),
            "dmarc": _object(
                {
                    "result": _words(AuthResult),
                    "policy": {"enum": ["none", "quarantine", "reject", None]},
                    "policy_domain": _TEXT_OR_NULL,
                    "org_domain": _TEXT_OR_NULL,
                    "aligned_by": _TEXTS,
                    "mode": _words(DmarcMode),
                    "percent": {"type": ["integer", "null"], "minimum": 0, "maximum": 100},
                }
            ),
            "arc": _object({"result": _words(AuthResult), "sealers": _TEXTS, "trusted": _FLAG}),
            "reasons": _list(
                _object({"code": _TEXT, "text": _TEXT, "rfc": _TEXT_OR_NULL, "effect": _words(Effect)})
            ),
            "inner": _list(_ref("Verdict")),
        }
    )


def _answer(text: str, schema: Json, kind: str = "application/json") -> Json:
    return {"description": text, "content": {kind: {"schema": schema}}}


def _error(text: str) -> Json:
    return _answer(text, _ref("Error"))


def document(max_bytes: int) -> Json:
    """The whole description; ``max_bytes`` is the size cap of a message."""
    bytes_schema: Json = {"type": "string", "contentEncoding": "binary"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "expertmail",
            "version": version("expertmail"),
            "description": "The verdict on a message, incidents and the mail about them, and the state of the gateway.",
        },
        "paths": {
            "/api/v1/verify": {
                "post": {
                    "operationId": "verify",
                    "summary": "Give the verdict on a saved message.",
                    "description": "Clients on the same machine need no token, others one with the scope `verify`. "
                    f"The message may have up to {max_bytes} bytes; "
                    "one without any CRLF is read as if its lines ended in CRLF.",
                    "security": [{}, {"token": []}],
                    "requestBody": {
                        "required": True,
                        "content": {
                            "message/rfc822": {"schema": bytes_schema},
                            "message/global": {"schema": bytes_schema},
                            "application/octet-stream": {"schema": bytes_schema},
                        },
                    },
                    "responses": {
                        "200": _answer("The verdict.", _ref("Verdict")),
                        "400": _error("There is no message in the request."),
                        "401": _error("The client is not on this machine and sent no token that counts."),
                        "403": _error("The token has not the scope verify."),
                        "413": _error("The message is too large."),
                        "415": _error("The body is not a message."),
                        "429": _error("Too many requests without a token that counts; wait."),
                        "503": _error("Too many messages are being judged; try again."),
                    },
                }
            },
            "/healthz": {
                "get": {
                    "operationId": "healthz",
                    "summary": "Whether the process answers.",
                    "responses": {"200": _answer("It does.", _object({"status": {"const": "ok"}}))},
                }
            },
            "/readyz": {
                "get": {
                    "operationId": "readyz",
                    "summary": "Whether mail can be taken: the database can be written, the listener listens.",
                    "responses": {
                        "200": _answer("It can.", _ref("Readiness")),
                        "503": _answer("It cannot; the object says what is missing.", _ref("Readiness")),
                    },
                }
            },
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "summary": "Counters for Prometheus.",
                    "responses": {"200": _answer("Its text format.", _TEXT, "text/plain")},
                }
            },
            "/api/v1/openapi.json": {
                "get": {
                    "operationId": "openapi",
                    "summary": "This description.",
                    "responses": {"200": _answer("OpenAPI 3.1.", {"type": "object"})},
                }
            },
            **api_paths(),
        },
        "components": {
            "securitySchemes": SECURITY_SCHEMES,
            "schemas": {
                **api_schemas(),
                "Verdict": _verdict(),
                "Error": _object({"error": _TEXT}),
                "Readiness": _object(
                    {"ready": _FLAG, "checks": {"type": "object", "additionalProperties": _TEXT}}
                ),
            },
        },
    }
