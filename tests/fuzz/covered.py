"""What a signature covers, worked out a second time and plainly, so that the verifier is not asked about itself."""

from __future__ import annotations

import re


def header_fields(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Lower-case names and values, folding kept; lines end at CRLF and nowhere else (RFC 5322 2.2)."""
    head = raw.partition(b"\r\n\r\n")[0]
    fields = []
    for line in re.split(rb"\r\n(?![ \t])", head):
        name, _, value = line.partition(b":")
        fields.append((name.strip(b" \t").lower(), value))
    return fields


def covered(raw: bytes, field: bytes) -> tuple[object, ...]:
    """The canonical octets (relaxed/relaxed, RFC 6376 3.4) that one DKIM-Signature value covers, itself included."""
    tags = dict(re.findall(rb"([a-z]+)[ \t\r\n]*=([^;]*)", field))
    assert b"relaxed/relaxed" in tags.get(b"c", b""), "the sample is signed relaxed/relaxed"
    left = header_fields(raw)
    taken: list[tuple[bytes, bytes]] = []
    for name in re.sub(rb"[ \t\r\n]", b"", tags[b"h"]).lower().split(b":"):
        places = [place for place, (other, _) in enumerate(left) if other == name]
        if places:
            taken.append((name, _relaxed(left.pop(places[-1])[1])))
        else:
            taken.append((name, b"(absent)"))
    without_b = re.sub(rb"(?<=[; \t\r\n])b[ \t\r\n]*=[^;]*", b"b=", field)
    return (tuple(taken), _relaxed(without_b), _relaxed_body(raw.partition(b"\r\n\r\n")[2]))


def _relaxed(value: bytes) -> bytes:
    return re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" ")


def _relaxed_body(body: bytes) -> bytes:
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"\r\n".join(lines)
