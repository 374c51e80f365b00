"""One Received field (RFC 5321 4.4), as the usual servers write it: who handed the message to whom, and by which words.

Read are the forms of Postfix, Sendmail, Exim, qmail, Exchange and Microsoft 365, Gmail, and our own. They differ in
where the client's greeting stands and where the name that the server looked up:

    from GREETING (LOOKED-UP [ADDRESS]) by ...       Postfix, Sendmail, Gmail
    from GREETING ([ADDRESS]) by ...                 ours, Microsoft SMTPSVC
    from GREETING (ADDRESS) by ...                   Exchange, Microsoft 365
    from LOOKED-UP (HELO GREETING) (ADDRESS) by ...  qmail
    from LOOKED-UP ([ADDRESS] helo=GREETING) by ...  Exim
    from [ADDRESS] (helo=GREETING) by ...            Exim, where the lookup found nothing

A greeting is the client's to choose; the rest is the server's. A field that can be read in two ways is not read.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

MAX_VALUE: Final = 4_096  # octets; with TLS, certificates and a long "for" a field comes to 1 KB
MAX_ADDRESS: Final = 60  # characters: an IPv6 address in full with its IPv4 tail has 45, its tag five

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Blanks, then what stands between them. A quotation mark that nothing closes comes out alone.
_PIECE: Final = re.compile(r'\s+|"(?:[^"\\]|\\.)*"|[^\s();"]+|.', re.DOTALL)
_COMMENT_EDGE: Final = re.compile(r"\\.|[()]", re.DOTALL)
_CLAUSES: Final = frozenset({"from", "by", "via", "with", "id", "for"})

_WITH_ADDRESS: Final = re.compile(
    r"(?:(?P<name>[^\s\[\]()]+) *)?\[(?P<address>[^\s\[\]()]+)\](?::[0-9]{1,5})?(?: .*)?", re.DOTALL
)
_LITERAL: Final = re.compile(r"\[([^\s\[\]()]+)\](?::[0-9]{1,5})?")
_GREETING: Final = re.compile(r"(?:^|\s)(?:helo|ehlo|lhlo)(=|\s+)([^\s()]{1,255})", re.IGNORECASE)
_GREETING_MAX: Final = 255  # RFC 5321 4.5.3.1.2

# RFC 3848 and RFC 6531 4.3: the client had logged in, so it was no stranger.
_LOGGED_IN: Final = frozenset({"ESMTPA", "ESMTPSA", "LMTPA", "LMTPSA", "UTF8SMTPA", "UTF8SMTPSA"})
# How Postfix, Sendmail, Courier and CommuniGate say the same.
_LOGGED_IN_COMMENTS: Final = ("authenticated", "auth:", "account ")


class ReceivedError(ValueError):
    """The field does not say, in one way only, who wrote it or who handed the message over."""


class Received(NamedTuple):
    """Who handed the message over: greeting, looked-up name ("unknown" where the lookup failed), address; and to whom.

    ``by`` is lower case without its final dot. ``protocol`` is the first word after "with", upper case, or "".
    ``from_`` is the word after "from" as written, None where the field has no such clause.
    """

    by: str
    from_: str | None = None
    greeting: str | None = None
    name: str | None = None
    address: str | None = None
    protocol: str = ""
    logged_in: bool = False


def read_received(value: bytes) -> Received:
    """Read a field's value (bytes after the colon, folded or not). Raises ReceivedError; linear in its length."""
    if len(value) > MAX_VALUE:
        raise ReceivedError("field too long")
    text = value.decode("utf-8", "replace")
    if _CONTROLS.search(text):
        raise ReceivedError("control character")
    words, comments = _clauses(text)
    if "by" not in words:
        raise ReceivedError("it does not say who wrote it")
    by = words["by"].removeprefix("[").removesuffix("]").rstrip(".").lower()
    protocol = words.get("with", "").upper()
    noted = [comment.lower() for clause in ("from", "by", "with") for comment in comments.get(clause, ())]
    logged_in = protocol in _LOGGED_IN or any(comment.startswith(_LOGGED_IN_COMMENTS) for comment in noted)
    if "from" not in words:
        return Received(by, protocol=protocol, logged_in=logged_in)
    from_ = words["from"]
    greeting, name, address = _client(from_, comments.get("from", []))
    return Received(by, from_, greeting, name, address, protocol, logged_in)


def address_of(text: str) -> str | None:
    """An address literal's content, or a bare address, in canonical form; None where it is none. No scope is kept."""
    if len(text) > MAX_ADDRESS:
        return None
    bare = text[5:] if text[:5].lower() == "ipv6:" else text
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _clauses(text: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The word after each keyword, and the comments that follow it, up to the semicolon before the date."""
    words: dict[str, str] = {}
    comments: dict[str, list[str]] = {}
    clause, waiting = "", False
    at = 0
    while at < len(text):
        if text[at] == "(":
            comment, at = _comment(text, at)
            comments.setdefault(clause, []).append(comment)
            continue
        found = _PIECE.match(text, at)
        piece = "" if found is None else found[0]
        at += len(piece) or 1
        if piece.isspace():
            continue
        if piece == ";":
            break
        if piece in {'"', ")", ""}:
            raise ReceivedError("a quotation or a comment is not whole")
        if waiting:
            words[clause], waiting = piece, False
        elif piece.lower() in _CLAUSES:
            clause, waiting = piece.lower(), True
            if clause in words or (clause == "from" and words):
                raise ReceivedError(f"“{clause}” stands there twice, or out of its place")
    if waiting and clause in {"from", "by"}:
        raise ReceivedError(f"nothing follows “{clause}”")
    return words, comments


def _comment(text: str, start: int) -> tuple[str, int]:
    """A comment's content and where it ends; comments nest (RFC 5322 3.2.2)."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        if edge[0] == "(":
            depth += 1
        elif edge[0] == ")":
            depth -= 1
        if depth == 0:
            return " ".join(text[start + 1 : edge.start()].split()), edge.end()
    raise ReceivedError("comment does not end")


def _client(from_: str, comments: list[str]) -> tuple[str | None, str | None, str | None]:
    """Greeting, looked-up name and address of the client."""
    greeting: str | None = None
    name: str | None = None
    exim = False
    addresses: set[str] = set()
    for comment in comments:
        greeted = _GREETING.search(comment)
        if greeted is not None and greeting is None:
            exim = greeted[1] == "="
            greeting = greeted[2]
        shaped = _WITH_ADDRESS.fullmatch(comment)
        address = address_of(comment if shaped is None else shaped["address"])
        if address is not None:
            addresses.add(address)
            if shaped is not None and shaped["name"] and name is None:
                name = shaped["name"].rpartition("@")[2]  # before the @ stands what RFC 1413 says
    literal = _LITERAL.fullmatch(from_)
    if exim and literal is not None and not addresses:
        addresses.update(filter(None, (address_of(literal[1]),)))
    if len(addresses) > 1:
        raise ReceivedError("it gives several addresses")
    if greeting is None:
        greeting = from_
    elif name is None:
        name = "unknown" if literal is not None or address_of(from_) is not None else from_
    lowered = None if name is None else name.rstrip(".").lower()
    return greeting[:_GREETING_MAX], lowered, next(iter(addresses), None)
