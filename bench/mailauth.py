"""mailauth (npm) as a peer: run in a Node.js process of its own over the same messages and the same zone."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SCRIPT: Final = Path(__file__).with_name("mailauth.mjs")
FOLDER: Final = Path(os.environ.get("MAILAUTH") or Path(__file__).parent)
SECONDS: Final = 600  # for one run over all messages
INSTALL: Final = "npm install --prefix bench mailauth@7 node@22"


@dataclass(frozen=True, slots=True)
class Said:
    """``passed``: for each message the author domain that DMARC passed for, or None. Times are wall time."""

    version: str
    node: str
    microseconds: float
    passed: tuple[str | None, ...]


def missing() -> str | None:
    """Why mailauth cannot be run here, with what to do; None when it can."""
    if not (FOLDER / "node_modules" / "mailauth").is_dir():
        return f"mailauth is not installed; {INSTALL}"
    return None if node() else f"there is no Node.js; {INSTALL}"


def node() -> str | None:
    """The Node.js to run: the one installed beside mailauth, else any."""
    own = FOLDER / "node_modules" / ".bin" / "node"
    return str(own) if own.exists() else shutil.which("node")


def authenticate(
    messages: Sequence[bytes],
    records: Mapping[tuple[str, str], str],
    session: Mapping[str, str],
    *,
    rounds: int = 1,
    warm_up: int = 0,
) -> Said:
    """Let mailauth judge the messages; raises CalledProcessError when it breaks."""
    zone: dict[str, dict[str, list[str]]] = {}
    for (name, rrtype), text in records.items():
        zone.setdefault(name, {}).setdefault(rrtype, []).append(text)
    job = {
        "module": str((FOLDER / "node_modules" / "mailauth").resolve()),
        "rounds": rounds,
        "warm_up": warm_up,
        "session": dict(session),
        "zone": zone,
        "messages": [base64.b64encode(raw).decode() for raw in messages],
    }
    told = subprocess.run(
        [node() or "node", str(SCRIPT)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    found = json.loads(told.stdout)
    return Said(found["version"], found["node"], found["microseconds"], tuple(found["passed"]))
