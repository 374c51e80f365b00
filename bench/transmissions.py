"""Whether each 250 was the truth: what is on record beside what the kit's client sent and was told.

The client puts ``X-Transmission: RUN.NUMBER`` on top of each message, so each is one of its own. RUN is one value for
each start of the client, NUMBER counts from 0; the files of its list are sent in turn. So how often each file must be
on record under one RUN is known to the last copy.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST_FAULTS: Final = 10  # said in words; the first tell the story

_TRANSMISSION: Final = re.compile(rb"X-Transmission: (-?\d+)\.(\d+)\r\n")
_SIGNATURE: Final = re.compile(rb"^DKIM-Signature:", re.IGNORECASE | re.MULTILINE)
_LIST: Final = re.compile(r"(\w+)\.list$")
_COUNT: Final = re.compile(r" -n (\d+) ")


@dataclass(frozen=True, slots=True)
class Start:
    """One start of the client: the list of files, messages to send, and what became of them."""

    listing: str
    messages: int
    answered: int
    accepted: int


@dataclass(frozen=True, slots=True)
class Kept:
    """One stored copy and one row of its evidence; the last three are None where there is no such row."""

    id: str
    digest: str
    raw: bytes
    verdict: str
    evidence_verdict: str | None
    report: str | None  # JSON
    body: str | None  # JSON


def starts_of(log: str) -> list[Start]:
    """Read the log of the client: on each line its arguments, a tab, and the JSON that it printed.

    Raises ValueError for a line of another form.
    """
    starts = []
    for line in log.splitlines():
        arguments, _, told = line.partition("\t")
        listing, count = _LIST.search(arguments), _COUNT.search(arguments)
        if listing is None or count is None:
            raise ValueError(f"not a start of the client: {arguments!r}")
        figures = json.loads(told)
        starts.append(Start(listing[1], int(count[1]), figures["answered"], figures["accepted"]))
    return starts


def as_delivered(content: bytes) -> str:
    """SHA-256 of what a server is given for a file: the client ends a last line that has no end."""
    return hashlib.sha256(content if content.endswith(b"\n") else content + b"\r\n").hexdigest()


def differences(
    starts: Sequence[Start], files: Mapping[str, Sequence[str]], kept: Iterable[Kept]
) -> tuple[int, list[str]]:
    """Compare what was acknowledged with what is on record; the copies on record, and what differs, in words.

    ``files``: for each list the digests of its files as delivered, in its order.
    """
    faults: list[str] = []
    runs: dict[int, dict[int, str]] = defaultdict(dict)
    seen: set[str] = set()
    for row in kept:
        faults += [f"{row.id} {what}" for what in _wrong(row, again=row.id in seen)]
        seen.add(row.id)
        found = _TRANSMISSION.match(row.raw)
        if found is None:
            faults.append(f"{row.id} was not sent by the client")
            continue
        run, number = int(found[1]), int(found[2])
        if number in runs[run]:
            faults.append(f"{row.id} is stored more than once")
        runs[run][number] = hashlib.sha256(row.raw[found.end() :]).hexdigest()
    refused = sum(start.messages - start.accepted for start in starts)
    if refused:
        faults.append(f"{refused} messages were not accepted")
    accepted = sum(start.accepted for start in starts)
    if accepted != len(seen):
        faults.append(f"{accepted} acknowledged, {len(seen)} stored")
    faults += _against(starts, files, list(runs.values()))
    return len(seen), faults[:MOST_FAULTS]


def _against(
    starts: Sequence[Start], files: Mapping[str, Sequence[str]], runs: list[dict[int, str]]
) -> Iterable[str]:
    """Each start of the client that was told 250 for all has one run on record with exactly its files."""
    left = [(set(run), Counter(run.values())) for run in runs]
    for start in starts:
        digests = files[start.listing]
        wanted = (
            set(range(start.messages)),
            Counter(digests[number % len(digests)] for number in range(start.messages)),
        )
        if start.accepted != start.messages:
            continue  # said already; which ones were refused is not known
        if wanted in left:
            left.remove(wanted)
        else:
            yield f"the {start.messages} messages of one run over {start.listing} are not on record as sent"
    known = {digest for digests in files.values() for digest in digests}
    other = sum(number for _, counts in left for digest, number in counts.items() if digest not in known)
    if other:
        yield f"{other} stored messages were sent by nobody"


def _wrong(row: Kept, *, again: bool) -> Iterable[str]:
    """What is wrong with one copy and its evidence."""
    if again:
        yield "has more than one evidence set"
        return
    if hashlib.sha256(row.raw).hexdigest() != row.digest:
        yield "does not have its own digest"
    if row.report is None or row.body is None:
        yield "has no evidence"
        return
    if not row.verdict or row.verdict != row.evidence_verdict:
        yield f"has the verdict {row.verdict!r}, and {row.evidence_verdict!r} with its evidence"
    report, body = json.loads(row.report), json.loads(row.body)
    passed = [one for one in report["dkim"] if one["result"] == "pass" and one["aligned"]]
    signed = len(_SIGNATURE.findall(row.raw.partition(b"\r\n\r\n")[0]))
    if not signed or len(passed) != signed:
        yield f"has {signed} signatures, of which {len(passed)} pass in its evidence"
    if not _keys(passed) <= _answered(body):
        yield "has a signature whose key is not in its evidence"
    if report["spf"]["result"] != "pass" or report["dmarc"]["result"] != "pass":
        yield "does not pass SPF and DMARC in its evidence"


def _keys(signatures: Iterable[Mapping[str, Any]]) -> set[str]:
    return {f"{one['selector']}._domainkey.{one['domain']}." for one in signatures}


def _answered(body: Mapping[str, Any]) -> set[str]:
    return {
        answer["name"] for answer in body["answers"] if answer["status"] == "answer" and answer["records"]
    }
