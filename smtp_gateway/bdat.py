"""BDAT's argument (RFC 3030 2): bytes in, a chunk's size out. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from smtp_gateway import replies
from smtp_gateway.replies import SmtpRefusal

_ARGUMENT = re.compile(rb"([0-9]{1,20})(?: +([Ll][Aa][Ss][Tt]))?")  # digits: as many as SIZE= may have (RFC 1870 3)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What BDAT announces: so many octets follow its line, and whether the message ends with them."""

    size: int
    last: bool


def read_bdat(argument: bytes) -> Chunk:
    """Read what follows ``BDAT`` on its line (bytes, without CRLF). Raises SmtpRefusal 501 for what is no chunk."""
    match = _ARGUMENT.fullmatch(argument)
    if match is None:
        raise SmtpRefusal(replies.BDAT_SYNTAX, "BDAT argument")
    return Chunk(int(match[1]), match[2] is not None)
