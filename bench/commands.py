"""``expertmail verify`` as a person starts it: one message from a cold process, and a folder of many."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from expertmail.verifier_bench import DOMAIN, RECORDS, SELECTOR, new_key, signed_message

GOAL_COLD: Final = 0.5  # seconds for one message
GOAL_FOLDER: Final = 1_000  # messages a second, on two cores
SHORT_RUN: Final = 2_000  # messages in the folder
LONG_RUN: Final = 10_000
STARTS: Final = 7  # of which the median counts

_SAMPLES: Final = Path(__file__).resolve().parent.parent / "samples"
_TXT_STRING: Final = 200  # octets of one string of a TXT record; 255 is the most (RFC 1035 3.3.14)


@dataclass(frozen=True, slots=True)
class Commands:
    """Seconds of wall time from a cold process, and messages a second of a folder of ``messages``."""

    unclaimed: float
    claimed: float
    folder: float
    messages: int


def measure(messages: int) -> Commands:
    """Run the command. Raises RuntimeError where it says another verdict than it should."""
    zone = _SAMPLES / "zone.db"
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        folder = place / "mail"
        folder.mkdir()
        pem, record = new_key()
        lines = []
        for (name, rrtype), value in {**RECORDS, (f"{SELECTOR}._domainkey.{DOMAIN}", "TXT"): record}.items():
            strings = [value[at : at + _TXT_STRING] for at in range(0, len(value), _TXT_STRING)]
            shown = " ".join(f'"{string}"' for string in strings) if rrtype == "TXT" else value
            lines.append(f"{name}. 300 IN {rrtype} {shown}\n")
        (place / "zone.db").write_text("".join(lines))
        for number in range(messages):
            (folder / f"{number:06}.eml").write_bytes(signed_message(number, pem, 3_000))
        return Commands(
            statistics.median(_seconds(_SAMPLES / "customer-question.eml", zone, 3) for _ in range(STARTS)),
            statistics.median(_seconds(_SAMPLES / "genuine-notification.eml", zone, 0) for _ in range(STARTS)),
            messages / _seconds(folder, place / "zone.db", 3),
            messages,
        )


def _seconds(path: Path, zone: Path, code: int) -> float:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "expertmail", "verify", "--json", str(path), "--zone", str(zone)],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode != code:
        raise RuntimeError(f"verify {path} ended with {done.returncode}, not {code}")
    return time.perf_counter() - started
