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
