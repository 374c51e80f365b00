"""Which header fields a signature covers, and their canonical form (RFC 6376 3.4, 3.7, 5.4.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from verifier.canonical import Canonicalization, relaxed_value
from verifier.dkim_signature import Signature
from verifier.message import Field

_SIMPLE: Final = Canonicalization.SIMPLE  # read once: a look at an Enum class takes as long as a call


class Choice(NamedTuple):
    """What h= takes of the header: names with how often they stand there, and the fields in its order."""

    names: dict[bytes, int]
    fields: list[Field]
    oversigned: list[bytes]  # named more often than they occur
    unsigned: list[bytes]  # names of which one is left over


def choose(headers: tuple[bytes, ...], fields: Mapping[bytes, Sequence[Field]]) -> Choice:
    """RFC 6376 3.7, 5.4.2: each name takes the next field of it from the bottom; none left is nothing."""
    names: dict[bytes, int] = {}
    chosen: list[Field] = []
    oversigned: list[bytes] = []
    for name in headers:
        taken = names.get(name, 0)
        names[name] = taken + 1
        there = fields.get(name, ())
        if taken < len(there):
            chosen.append(there[-1 - taken])
        elif taken == len(there):
            oversigned.append(name)
    left = [name for name, there in fields.items() if names.get(name, 0) < len(there)]
    if b"dkim-signature" in left:
        left.remove(b"dkim-signature")
    return Choice(names, chosen, oversigned, left)


def signed_form(signature: Signature, fields: list[Field], *, odd_blanks: bool) -> bytes:
    """The octets that were signed: the chosen fields, then the signature's own without its value (RFC 6376 3.7)."""
    if signature.header_method is _SIMPLE:
        form = [field.raw for field in fields]
    elif odd_blanks:
        form = [relaxed_field(field) for field in fields]
    else:  # as relaxed_field does it, without two calls for each field
        form = [field.lower + b":" + b" ".join(field.value.split()) + b"\r\n" for field in fields]
    form.append(signature.unsigned_form(odd_blanks=odd_blanks))
    return b"".join(form)


def relaxed_field(field: Field) -> bytes:
    """A whole field under "relaxed" (RFC 6376 3.4.2), with its line end."""
    return field.lower + b":" + relaxed_value(field.value) + b"\r\n"
