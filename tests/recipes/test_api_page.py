"""docs/api.md is true: its commands, run one after the other, open an incident and bring a mail to the customer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.proofs.served import Served
from tests.recipes.document import DOCS

_BLOCK = re.compile(r"^<!-- run: api (?P<name>\w+) -->\n```sh\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
OUTBOX_SECONDS = 30


def printed(text: str) -> list[Any]:
    """The JSON values of some output, one after the other."""
    values, reader = [], json.JSONDecoder()
    while text := text.strip():
        value, end = reader.raw_decode(text)
        values.append(value)
        text = text[end:]
    return values


def test_the_tour_opens_an_incident_and_its_mail_arrives(
    serve: Callable[..., Served], tmp_path: Path, program: Callable[[str], str]
) -> None:
    program("curl")
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    blocks = {one["name"]: one["text"] for one in _BLOCK.finditer(page)}
    assert list(blocks) == ["token", "incident", "notification", "follow", "customer"]
    assert len(blocks) == page.count("<!-- run:")
    served = serve()
    served.start()
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "expertmail").write_text(
        f'#!/bin/sh\nexec {sys.executable} -m expertmail "$@" --config {served.config}\n'
    )
    (programs / "expertmail").chmod(0o755)
    script = "\n".join(
        [blocks["token"].replace("expertmail orgs", ">&2 expertmail orgs").replace("expertmail contacts", ">&2 expertmail contacts")]
        + [blocks[name] for name in ("incident", "notification", "follow", "customer")]
    ).replace("127.0.0.1:8025", f"127.0.0.1:{served.console_port}")  # fmt: skip
    done = subprocess.run(
        ["sh", "-euc", script],
        capture_output=True, text=True, timeout=120, check=False, cwd=served.folder,
        env=served.environment | {"PATH": f"{programs}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    opened, first, second, completed, preview, queued, sent, changed, shown, added = printed(done.stdout)
    assert opened["reference"] == shown["reference"] == "INC-000001"
    assert added["mails"][0]["verdict"] == "genuine"
    assert (first["number"], second["number"], completed["status"]) == (1, 2, "completed")
    assert "Isolate HOST-7" in preview["mails"][0]["text"]
    assert [one["verdict"] for one in queued["mails"]] == ["genuine"]
    assert sent["number"] == queued["mails"][0]["number"]
    assert changed["state"] == shown["state"] == "Awaiting customer action"
    deadline = time.monotonic() + OUTBOX_SECONDS
    while not list(served.outbox.glob("*.eml")):
        assert time.monotonic() < deadline, served.log.read_text()[-2000:]
        time.sleep(0.1)
