"""The answers of our own records as JSON, in an evidence file: kept with a verdict, to reach it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from verifier.own_records import ArchivedKey, OwnRecords, SeenSignature, SentMail

MAX_ENTRIES: Final = 200  # of one list: the store tells a hundred at most

T = TypeVar("T")


def records_as_object(records: Mapping[int, OwnRecords]) -> dict[str, Any]:
    """By the messages' numbers; what could not be asked is left out. Times as ISO 8601."""
    return {
        str(number): {
            "sent": [{**mail._asdict(), "at": mail.at.isoformat()} for mail in told.sent],
            "seen": [{**one._asdict(), "at": one.at.isoformat()} for one in told.seen],
            "keys": [
                {**key._asdict(), "first": key.first.isoformat(), "last": key.last.isoformat()}
                for key in told.keys
            ],
        }
        for number, told in sorted(records.items())
        if told.asked
    }


def read_records(value: object) -> dict[int, OwnRecords]:
    """The reverse; raises ValueError with a sentence for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(key.isdecimal() and len(key) <= 3 for key in value):  # noqa: PLR2004 - far over the cap on messages
        raise ValueError("the own records are not an object of message numbers")
    return {int(key): _one(told) for key, told in value.items()}


def _one(told: object) -> OwnRecords:
    if not isinstance(told, dict):
        raise ValueError("one of the own records is not an object")  # noqa: TRY004 - a fault of the file
    return OwnRecords(_each(told, "sent", _sent), _each(told, "seen", _seen), _each(told, "keys", _key))


def _each(told: Mapping[str, Any], name: str, read: Callable[[Any], T]) -> tuple[T, ...]:
    entries = told.get(name, [])
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise ValueError(f"{name} of the own records is not a list of up to {MAX_ENTRIES}")
    try:
        return tuple(map(read, entries))
    except (KeyError, TypeError, AttributeError, OverflowError, ValueError):
        raise ValueError(f"an entry of {name} in the own records is not complete") from None


def _sent(entry: Any) -> SentMail:
    fields = tuple((name, value) for name, value in entry["fields"])
    sha256, body, message_id, rcpt_to = _texts(
        (entry["sha256"], entry["body"], entry["message_id"], entry["rcpt_to"])
    )
    _texts(text for pair in fields for text in pair)
    return SentMail(sha256, body, message_id, rcpt_to, _time(entry["at"]), fields)


def _seen(entry: Any) -> SeenSignature:
    signature, rcpt_to = _texts((entry["signature"], entry["rcpt_to"]))
    return SeenSignature(signature, rcpt_to, _time(entry["at"]))


def _key(entry: Any) -> ArchivedKey:
    name, record = _texts((entry["name"], entry["record"]))
    return ArchivedKey(name, record, _time(entry["first"]), _time(entry["last"]))


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    texts = tuple(values)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError
    return texts


def _time(value: str) -> datetime:
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError
    return at
