"""Requests made up from the OpenAPI description, by the hundred or the thousand: none is a fault of ours."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.console.api_table import Desk
from tests.console.place import Place, now
from threads.api_token import ID_BYTES, SECRET_BYTES, Scope, token_text
from threads.model import TaskSource
from threads.store.api_tokens import add_token

FULL = bool(os.environ.get("FULL"))
EXAMPLES = "300" if FULL else "2"
SECONDS = 3_600 if FULL else 300
# A stream waits for news as long as it may, a second at least.
LEFT_OUT = () if FULL else ("--exclude-operation-id", "followChat")
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"
# What the paths name is there, so that the requests come as far as the work. In the short form each field's bounds are tried from
# inside only; what is outside of them comes by chance.
KNOWN = """
[parameters]
"path.reference" = "{reference}"
"path.task" = "1"
"path.id" = "{held}"
"path.number" = "{mail}"
"path.contact" = "{contact}"
"query.organisation" = "Contoso"
"query.thread" = "{reference}"
"query.wait" = "1"
"query.seconds" = "1"
"""
SHORT = """
[phases.coverage.generation]
mode = "positive"
"""


def test_no_request_that_fits_or_misses_the_description_is_a_fault_of_ours(
    place: Place, tmp_path: Path
) -> None:
    program = Path(sys.executable).with_name("st")
    if not program.exists():
        pytest.skip("schemathesis is not installed (pip)")
    token = token_text(secrets.token_bytes(ID_BYTES), secrets.token_bytes(SECRET_BYTES))
    with place.database.writing() as conn:
        add_token(conn, token, "schemathesis", list(Scope), now(), by="test")
    desk = Desk(place)
    reference = desk.with_task()
    task = {"title": "Isolate it", "source": TaskSource.MANAGED_RESPONSE.value}  # so there is a chat
    assert desk.program().ask("POST", f"/incidents/{reference}/tasks", task, key="t2").status == 201
    known = KNOWN.format(reference=reference, held=desk.held(), mail=desk.mail(), contact=desk.contact())
    (tmp_path / "schemathesis.toml").write_text(known + ("" if FULL else SHORT))
    done = subprocess.run(
        [
            str(program), "run", f"{place.url}/api/v1/openapi.json", "--header", f"Authorization: Bearer {token}",
            "--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", "7", "--no-color", "--generation-database", "none",
            "--phases", "examples,coverage,fuzzing", "--request-timeout", "20", *LEFT_OUT,
        ],
        capture_output=True, text=True, cwd=tmp_path, timeout=SECONDS, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    assert "console fault" not in place.served.log.read_text()
    print(done.stdout[-900:])
