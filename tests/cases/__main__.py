"""``python -m tests.cases FOLDER [COUNT]``: write the corpus as files, for any verifier to be run on.

FOLDER/NUMBER-KIND.eml are the messages, FOLDER/zone.db is the DNS (RFC 1035 master file), FOLDER/expected.json says
for each file which verdicts are right: of the sender that FOLDER/identity.toml protects.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.cases.attacks import ATTACKS
from tests.cases.genuine import ADDRESS, DOMAIN, genuine, zone
from tests.cases.transit import CHANGES
from verifier.report import Verdict

IDENTITY = f"""[[identity]]
name = "experts"
display_names = ["Defender Experts"]
domains = ["{DOMAIN}"]
addresses = ["{ADDRESS}"]
"""


def cases(count: int) -> Iterator[tuple[str, bytes, list[str]]]:
    """Name, message and right verdicts of every case of the first ``count`` messages."""
    for number in range(count):
        message = genuine(number)
        yield f"{number:04}-genuine", message.raw, [Verdict.GENUINE.value]
        for name, change in CHANGES.items():
            raw = change.change(message.raw)
            holds = change.holds(message) or raw == message.raw
            right = Verdict.GENUINE if holds else Verdict.UNPROVEN
            yield f"{number:04}-transit-{plain_name(name)}", raw, [right.value]
        for name, attack in ATTACKS.items():
            verdicts = sorted(verdict.value for verdict in attack.verdicts)
            yield f"{number:04}-attack-{plain_name(name)}", attack.make(message.raw), verdicts


def plain_name(name: str) -> str:
    """The name of a case as part of a file's name."""
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def master_file() -> str:
    """The zone, each TXT value in strings of at most 255 octets."""
    domains = sorted({name.split("_domainkey.")[-1].removeprefix("_dmarc.") for name in zone()})
    lines = [f"{domain}. 300 IN SOA ns.{domain}. root.{domain}. 1 60 60 60 60" for domain in domains]
    for name, text in zone().items():
        strings = " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))
        lines.append(f"{name}. 300 IN TXT {strings}")
    return "\n".join(lines) + "\n"


def main(folder: Path, count: int) -> int:
    """Write everything; the number of messages."""
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, raw, verdicts in cases(count):
        (folder / f"{name}.eml").write_bytes(raw)
        expected[f"{name}.eml"] = verdicts
    (folder / "zone.db").write_text(master_file(), encoding="ascii")
    (folder / "identity.toml").write_text(IDENTITY, encoding="ascii")
    (folder / "expected.json").write_text(json.dumps(expected, indent=1), encoding="ascii")
    return len(expected)


if __name__ == "__main__":
    written = main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 4)
    print(f"{written} messages in {sys.argv[1]}")
