"""What happens to a signed message in transit, harmless or not: each change by chance, the same for the same seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

from tests.verifier.dkimpy_signing import BLANKS

Change = Callable[[bytes, random.Random], bytes]


def _split(raw: bytes) -> tuple[list[bytes], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    return re.split(rb"\r\n(?![ \t])", head), body


def _join(fields: list[bytes], body: bytes) -> bytes:
    return b"\r\n".join(fields) + b"\r\n\r\n" + body


def _one_field(change: Callable[[bytes, random.Random], bytes]) -> Change:
    def changed(raw: bytes, chance: random.Random) -> bytes:
        fields, body = _split(raw)
        at = chance.randrange(len(fields))
        fields[at] = change(fields[at], chance)
        return _join(fields, body)

    return changed


def _case_of_name(field: bytes, chance: random.Random) -> bytes:
    name, colon, value = field.partition(b":")
    return chance.choice((name.upper(), name.lower(), name.swapcase())) + colon + value


def _refold(field: bytes, chance: random.Random) -> bytes:
    name, colon, value = field.partition(b":")
    blanks = list(re.finditer(rb"(?:\r\n)?[ \t]+", value))
    if not blanks:
        return name + colon + chance.choice((b" ", b"\r\n ")) + value
    at = chance.choice(blanks)
    return name + colon + value[: at.start()] + chance.choice(BLANKS) + value[at.end() :]


def _order(raw: bytes, chance: random.Random) -> bytes:
    fields, body = _split(raw)
    chance.shuffle(fields)
    return _join(fields, body)


def _added(raw: bytes, chance: random.Random) -> bytes:
    fields, body = _split(raw)
    new = (
        b"Received: from x by y",
        b"X-One: new",
        b"Authentication-Results: y; none",
        b"Subject: new",
        b"None-Such: 1",
        b"From: x@y.test",
    )
    fields.insert(chance.choice((0, 0, len(fields), chance.randrange(len(fields) + 1))), chance.choice(new))
    return _join(fields, body)


def _removed(raw: bytes, chance: random.Random) -> bytes:
    fields, body = _split(raw)
    if len(fields) > 2:
        del fields[chance.randrange(len(fields))]
    return _join(fields, body)


def _repeated(raw: bytes, chance: random.Random) -> bytes:
    fields, body = _split(raw)
    fields.insert(chance.randrange(len(fields) + 1), chance.choice(fields))
    return _join(fields, body)


def _blank_lines(raw: bytes, chance: random.Random) -> bytes:
    fields, body = _split(raw)
    cut = body.rstrip(b"\r\n") if chance.random() < 0.5 else body
    return _join(fields, cut + b"\r\n" * chance.randrange(4))


def _body_blanks(raw: bytes, chance: random.Random) -> bytes:
    fields, body = _split(raw)
    lines = body.split(b"\r\n")
    at = chance.randrange(len(lines))
    lines[at] = chance.choice(
        (lines[at] + b" \t", lines[at].rstrip(b" \t"), lines[at].replace(b" ", b"  ", 1))
    )
    return _join(fields, b"\r\n".join(lines))


def _octet(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw))
    new = chance.choice((b"", b"x", b" ", b"\t", b";", b":", b"=", b"\r\n", bytes((chance.randrange(256),))))
    return raw[:at] + new + raw[at + 1 :]


def _appended(raw: bytes, chance: random.Random) -> bytes:
    return raw + chance.choice((b"x", b"More.\r\n", b"\r\n-- \r\nlist\r\n", b" ", b"\t\r\n"))


CHANGES: Final[dict[str, Change]] = {
    "nothing": lambda raw, _: raw,
    "case of a name": _one_field(_case_of_name),
    "another fold": _one_field(_refold),
    "order of the header": _order,
    "a field added": _added,
    "a field removed": _removed,
    "a field repeated": _repeated,
    "blank lines at the end": _blank_lines,
    "blanks in the body": _body_blanks,
    "one octet": _octet,
    "text appended": _appended,
}
