"""The audit trail: what persons and programs did, each act bound to the one before it by digests.

    seal   = SHA-256(salt, content)
    digest = SHA-256(previous digest, number, time, act, organisation, seal)

A row's salt is 32 random octets. Erasing takes salt and content away and leaves the seal: the chain can still be worked
out from end to end, and nobody can find out by trying what the content was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

START: Final = "0" * 64
"""Stands before the first row."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One act as it is on record. ``salt`` (hex) and ``content`` (JSON) are None once they are erased."""

    number: int
    at: datetime
    act: str
    organisation_id: int | None
    previous: str
    seal: str
    digest: str
    salt: str | None
    content: str | None


def content_of(by: str, subject: str, detail: str) -> str:
    """The JSON text that is sealed: who acted, on what, and what was said about it."""
    return json.dumps({"by": by, "subject": subject, "detail": detail}, ensure_ascii=False, sort_keys=True)


def seal_of(salt: str, content: str) -> str:
    """The seal of a content under a salt (hex)."""
    return hashlib.sha256(bytes.fromhex(salt) + content.encode("utf-8", "surrogatepass")).hexdigest()


def digest_of(
    *, number: int, at: datetime, act: str, organisation_id: int | None, previous: str, seal: str
) -> str:
    """What binds a row to all before it."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    bound = json.dumps([previous, number, moment, act, organisation_id, seal])
    return hashlib.sha256(bound.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Broken:
    """The first row that is not what was written. ``number`` is the row, ``why`` a clause for a person."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What checking came to: how many rows hold, how many of them are erased, the last digest, the first fault."""

    rows: int
    erased: int
    head: str
    broken: Broken | None = None


def verify_chain(rows: Iterable[AuditRow]) -> Chain:
    """Work the chain out again, the rows in the order of their numbers; stops at the first that does not hold.

    Rows cut off at the end leave no trace in what is left: compare ``head`` with one that was noted elsewhere.
    """
    head, expected, count, erased = START, 1, 0, 0
    for row in rows:
        why = fault_of(row, head, expected)
        if why is not None:
            return Chain(count, erased, head, Broken(row.number, why))
        head, expected, count = row.digest, row.number + 1, count + 1
        erased += row.content is None
    return Chain(count, erased, head)


def fault_of(row: AuditRow, head: str, expected: int) -> str | None:
    """What is wrong with a row that should be number ``expected`` after a row with the digest ``head``; None if nothing is."""
    if row.number != expected:
        return f"row {expected} is missing" if row.number > expected else "it is out of order"
    if row.previous != head:
        return "it does not follow the row before it"
    if (row.salt is None) != (row.content is None):
        return "only a part of it is erased"
    if row.salt is not None and row.content is not None and not _sealed(row.salt, row.content, row.seal):
        return "its content was changed"
    worked_out = digest_of(
        number=row.number,
        at=row.at,
        act=row.act,
        organisation_id=row.organisation_id,
        previous=row.previous,
        seal=row.seal,
    )
    return None if worked_out == row.digest else "its time, act or organisation was changed"


def _sealed(salt: str, content: str, seal: str) -> bool:
    try:
        return seal_of(salt, content) == seal
    except ValueError:  # no hex
        return False


def told(rows: Iterable[AuditRow]) -> Iterator[dict[str, str | int | None]]:
    """Each row in words, for lists: what is erased is None."""
    for row in rows:
        said = (
            {"by": None, "subject": None, "detail": None} if row.content is None else json.loads(row.content)
        )
        yield {
            "number": row.number,
            "at": row.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "act": row.act,
            "by": said["by"],
            "subject": said["subject"],
            "detail": said["detail"],
            "digest": row.digest,
        }
