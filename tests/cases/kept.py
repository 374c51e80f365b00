"""``python -m tests.cases.kept [FOLDER]``: write the kept corpus anew, the same bytes each time.

Two messages that a person can read, each as it left its sender, with every change of ``transit`` and every attack of
``attacks``, and beside them what any verifier needs to judge them: zone, identity, session, and the right verdicts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.cases.__main__ import IDENTITY, master_file, plain_name
from tests.cases.attacks import ATTACKS
from tests.cases.genuine import ADDRESS, DOMAIN, Genuine, sent
from tests.cases.told import ATTACKS_TOLD, CHANGES_TOLD
from tests.cases.transit import CHANGES
from tests.verifier.judging import AT
from verifier.report import Verdict

FILES: Final = Path(__file__).parent / "files"
SESSION: Final = {
    "client_ip": "192.0.2.1",
    "helo": "mx.elsewhere.test",
    "mail_from": "bounce@elsewhere.test",
    "receiver": "mx.contoso.test",
    "at": AT.isoformat(),
}

_HEADER: Final = f"""\
From: {{name}} <{ADDRESS}>
To: Dana Reyes <dana.reyes@contoso.test>
Subject: {{subject}}
Date: Wed, 25 Nov 2026 09:58:00 +0000
Message-ID: <{{number}}@{DOMAIN}>
MIME-Version: 1.0
"""
_PLAIN: Final = (
    _HEADER.format(name="Defender Experts", subject="[INC-000123] Was this sign-in expected?", number="123.1")
    + """\
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: 7bit

Hello Dana,

on 24 November at 22:14 UTC the account of Kim Park signed in from a
device that was not seen before.

Please confirm whether this was expected. Until you do, the sessions
of the account stay signed out.

Defender Experts
"""
)
_PARTS: Final = (
    _HEADER.format(name="Defender Experts", subject="Your weekly summary", number="weekly.48")
    + """\
Content-Type: multipart/alternative; boundary="=_summary"

--=_summary
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: quoted-printable

Hello Dana,

this week we looked into 14 alerts and closed 12 of them =E2=80=93 two wait f=
or your answer.

Defender Experts
--=_summary
Content-Type: text/html; charset="utf-8"
Content-Transfer-Encoding: 7bit

<html><body><p>This week we looked into 14 alerts and closed
<b>12</b> of them; two wait for your answer.</p></body></html>
--=_summary--
"""
)


class Case(NamedTuple):
    """A file: its name and bytes, how it came about, and the right verdicts."""

    file: str
    raw: bytes
    kind: str  # genuine, transit or attack
    case: str
    done: str
    verdicts: tuple[str, ...]

    @property
    def row(self) -> dict[str, object]:
        """Its line of the index."""
        return {
            "file": self.file,
            "verdicts": list(self.verdicts),
            "kind": self.kind,
            "case": self.case,
            "done": self.done,
        }


def messages() -> dict[str, Genuine]:
    """The two messages: one whose signature bears what relays do to blanks and folding, one that bears nothing."""
    return {
        "plain": sent(_PLAIN.replace("\n", "\r\n").encode("ascii"), "relaxed/relaxed"),
        "parts": sent(_PARTS.replace("\n", "\r\n").encode("ascii"), "simple/simple"),
    }


def kept() -> Iterator[Case]:
    """Every case in the order of its file's name in the index; a change that changes nothing here is left out."""
    for name, message in messages().items():
        signed = f"As it left its sender, signed {message.header_method}/{message.body_method}."
        yield Case(f"{name}-genuine.eml", message.raw, "genuine", "genuine", signed, (Verdict.GENUINE,))
        for case, change in CHANGES.items():
            raw = change.change(message.raw)
            if raw == message.raw:
                continue
            right = Verdict.GENUINE if change.holds(message) else Verdict.UNPROVEN
            file = f"{name}-transit-{plain_name(case)}.eml"
            yield Case(file, raw, "transit", case, CHANGES_TOLD[case], (right,))
        saved = message.raw.replace(b"\r\n", b"\n")
        yield Case(
            f"{name}-transit-saved-with-lf.eml", saved, "transit", LF_ONLY, CHANGES_TOLD[LF_ONLY], (Verdict.GENUINE,)
        )  # fmt: skip
        for case, attack in ATTACKS.items():
            verdicts = tuple(sorted(attack.verdicts))
            file = f"{name}-attack-{plain_name(case)}.eml"
            yield Case(file, attack.make(message.raw), "attack", case, ATTACKS_TOLD[case], verdicts)


LF_ONLY: Final = "saved with LF"


def written() -> dict[str, bytes]:
    """Every file of the folder that is made, by its name."""
    cases = list(kept())
    index = "".join(json.dumps(case.row) + "\n" for case in cases)
    return {
        **{case.file: case.raw for case in cases},
        "expected.jsonl": index.encode("ascii"),
        "zone.db": master_file().encode("ascii"),
        "identity.toml": IDENTITY.encode("ascii"),
        "session.json": (json.dumps(SESSION, indent=2) + "\n").encode("ascii"),
    }


def main(folder: Path) -> int:
    """Write everything; the number of files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = written()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return len(files)


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else FILES
    print(f"{main(place)} files in {place}")
