"""DNS evidence and a session as a JSON file: what a verdict was reached with, to reach it again offline.

    {"at": ISO time, "absent": "nxdomain|unknown", "answers": [...], "opinions": {"0": "pass"}, "session": {...}}

The reader is strict about what it knows and passes over members it does not know. TXT values that are not
UTF-8 keep their octets as lone surrogates (U+DC80 to U+DCFF).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, NoReturn

from verifier.evidence import (
    Absent,
    Answer,
    AnswerStatus,
    Evidence,
    Opinion,
    Question,
    Session,
    SessionOrigin,
)
from verifier.records_json import read_records, records_as_object

MAX_OCTETS: Final = 8_000_000  # two hundred answers of 40 KB each
MAX_ANSWERS: Final = 10_000
MAX_TTL: Final = 2**31 - 1  # RFC 2181 8
_MAX_NAME: Final = 1_024  # longer than any DNS name: such questions are asked too, and answered NXDOMAIN


class EvidenceError(ValueError):
    """An evidence file that cannot be used: one sentence that names the place."""


def read_evidence(
    data: bytes, origin: SessionOrigin = SessionOrigin.SUPPLIED
) -> tuple[Evidence, Session | None]:
    """Read an evidence file; ``origin`` says whose session it is. Raises `EvidenceError`."""
    if len(data) > MAX_OCTETS:
        raise EvidenceError(f"the evidence file is larger than {MAX_OCTETS} octets")
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except EvidenceError:
        raise
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"the evidence file is not JSON: {_first_line(error)}") from error
    if not isinstance(document, dict):
        raise EvidenceError("the evidence file is not a JSON object")
    absent = _word(document, "absent", {"nxdomain": Absent.NXDOMAIN, "unknown": Absent.UNKNOWN}, "nxdomain")
    at = _time(document.get("at"))
    answers: dict[Question, Answer] = {}
    listed = _typed(document, "answers", list, "the evidence file")
    if len(listed) > MAX_ANSWERS:
        raise EvidenceError(f"the evidence file has more than {MAX_ANSWERS} answers")
    for number, entry in enumerate(listed):
        question, answer = _answer(entry, f"answer {number}", at)
        if answers.setdefault(question, answer) != answer:
            raise EvidenceError(
                f"answer {number} contradicts an earlier one for {question.name} {question.type}"
            )
    try:
        records = read_records(document.get("own_records"))
    except ValueError as error:
        raise EvidenceError(str(error)) from error
    evidence = Evidence(
        MappingProxyType(answers),
        _opinions(document.get("opinions")),
        absent,
        at,
        MappingProxyType(records),
    )
    return evidence, _session(document.get("session"), origin)


def write_evidence(
    evidence: Evidence, session: Session | None = None, *, public_suffixes: str | None = None
) -> str:
    """The file's text: ASCII JSON, one answer a line, sorted; what it does not hold reads as "unknown" again.

    ``public_suffixes`` is the version of the list that DMARC went by, None where it went by none.
    """
    head: dict[str, Any] = {
        "at": evidence.at.isoformat() if evidence.at else None,
        "absent": str(Absent.UNKNOWN),
    }
    ordered = sorted(evidence.answers.items(), key=lambda item: (item[0].name, item[0].type))
    lines = [
        json.dumps(
            {
                "name": question.name,
                "type": question.type,
                "status": str(answer.status),
                "ttl": answer.ttl,
                "ad": answer.ad,
                "records": list(answer.records),
            }
        )
        for question, answer in ordered
    ]
    own = records_as_object(evidence.records)
    tail: dict[str, Any] = {
        **({"own_records": own} if own else {}),
        **({"public_suffixes": public_suffixes} if public_suffixes is not None else {}),
        "opinions": {str(index): str(opinion) for index, opinion in sorted(evidence.opinions.items())},
        "session": None
        if session is None
        else {
            "client_ip": session.client_ip,
            "helo": session.helo,
            "mail_from": session.mail_from,
            "rcpt_to": list(session.rcpt_to),
        },
    }
    answers = "[" + ",".join("\n  " + line for line in lines) + "]"
    return f'{json.dumps(head)[:-1]},\n "answers": {answers},\n {json.dumps(tail)[1:]}\n'


def _answer(entry: object, place: str, at: datetime | None) -> tuple[Question, Answer]:
    if not isinstance(entry, dict):
        raise EvidenceError(f"{place} is not an object")
    name = _typed(entry, "name", str, place)
    rrtype = _typed(entry, "type", str, place)
    if not name or len(name) > _MAX_NAME or not rrtype.isalnum():
        raise EvidenceError(f"{place} has no usable name and type")
    if "status" not in entry:
        raise EvidenceError(f"{place} has no status")
    status = _word(entry, "status", {str(status): status for status in AnswerStatus}, "", place)
    records = _strings(entry.get("records", []), f"records of {place}")
    if (status is AnswerStatus.ANSWER) != bool(records):
        raise EvidenceError(f"{place} has status {status} with {len(records)} records")
    ttl = entry.get("ttl", 0)
    if not isinstance(ttl, int) or isinstance(ttl, bool) or not 0 <= ttl <= MAX_TTL:
        raise EvidenceError(f"{place} has a ttl that is no number of seconds")
    ad = entry.get("ad", False)
    if not isinstance(ad, bool):
        raise EvidenceError(f"{place} has an ad that is not true or false")
    return Question.of(name, rrtype), Answer(status, records, ttl, ad, at)


def _session(value: object, origin: SessionOrigin) -> Session | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise EvidenceError("the session is not an object")
    texts = {key: value.get(key) for key in ("client_ip", "helo", "mail_from")}
    for key, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise EvidenceError(f"the session's {key} is not a text")
    return Session(
        **texts, rcpt_to=_strings(value.get("rcpt_to", []), "rcpt_to of the session"), origin=origin
    )


def _opinions(value: object) -> Mapping[int, Opinion]:
    if value is None:
        return MappingProxyType({})
    if not isinstance(value, dict) or not all(key.isdecimal() and len(key) <= 3 for key in value):  # noqa: PLR2004 - far over the cap on signatures
        raise EvidenceError("the opinions are not an object of signature numbers")
    words = {str(opinion): opinion for opinion in Opinion}
    return MappingProxyType({int(key): _word(value, key, words, "", "the opinions") for key in value})


def _time(value: object) -> datetime | None:
    """An ISO 8601 time; one without an offset is UTC."""
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        if at is not None:
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise EvidenceError('"at" of the evidence file is not an ISO time')


def _typed(holder: Mapping[str, Any], key: str, kind: type, place: str) -> Any:
    value = holder.get(key)
    if not isinstance(value, kind):
        raise EvidenceError(f'"{key}" of {place} is missing or not a {_KIND[kind]}')
    return value


_KIND: Final[dict[type, str]] = {str: "text", list: "list"}


def _word(
    holder: Mapping[str, Any], key: str, words: Mapping[str, Any], default: str, place: str = ""
) -> Any:
    value = holder.get(key, default)
    if not isinstance(value, str) or value not in words:
        raise EvidenceError(f'"{key}" of {place or "the evidence file"} is not one of {", ".join(words)}')
    return words[value]


def _strings(value: object, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise EvidenceError(f"the {place} are not a list of texts")
    return tuple(value)


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which no member is given twice (RFC 8259 4: what then holds is anybody's guess)."""
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise EvidenceError(f"the evidence file gives {key[:60]!r} twice")
        members[key] = value
    return members


def _no_constant(name: str) -> NoReturn:
    raise EvidenceError(f"the evidence file holds {name}, which is not JSON")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]
