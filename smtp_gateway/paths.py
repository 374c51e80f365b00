"""Strict reader of MAIL FROM and RCPT TO arguments (RFC 5321 4.1.2, 4.1.1.11; RFC 6531 3.3).

Lenient readers at this place are how ``<any@legit.example(a.attack.example>`` passes SPF for somebody
else's domain, so whatever the grammar does not know is refused: source routes, comments, blanks, controls,
NUL, address literals (we operate none, and none can be aligned with an author), and non-ASCII without SMTPUTF8.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import idna

from smtp_gateway import replies
from smtp_gateway.replies import SmtpRefusal, SmtpReply

PATH_MAX = 512
"""Octets of a path. RFC 5321 4.5.3.1.3 says 256; signed and rewritten return paths (SRS over VERP) pass that."""
DOMAIN_MAX = 255
"""Octets of a domain (RFC 5321 4.5.3.1.2, RFC 1035 2.3.4)."""
SIZE_DIGITS_MAX = 20
"""Digits of SIZE= (RFC 1870 3)."""
PARAMETERS_MAX = 20
"""Parameters of one command; more than all registered ones together are no mail."""
PARAMETER_VALUE_MAX = 500
"""Octets of one value: ORCPT's is the longest (RFC 3461 5)."""

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_NON_ASCII = "\u0080-\U0010ffff"
_LOCAL = re.compile(
    rf"[{_ATEXT}{_NON_ASCII}]+(?:\.[{_ATEXT}{_NON_ASCII}]+)*"  # Dot-string
    rf'|"(?:[\x20\x21\x23-\x5b\x5d-\x7e{_NON_ASCII}]|\\[\x20-\x7e])*"'  # Quoted-string
)
_DOMAIN = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?)*"
)
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]*")
_VALUE = re.compile(rf"[\x21-\x3c\x3e-\x7e{_NON_ASCII}]+")
_LABEL_MAX = 63

_XTEXT = r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-Fa-f]{2})"  # RFC 3461 4
_TOLERATED_AT_MAIL = {
    "AUTH": re.compile(rf"<>|{_XTEXT}+"),  # RFC 4954 5
    "RET": re.compile(r"FULL|HDRS", re.IGNORECASE),  # RFC 3461 4.3
    "ENVID": re.compile(rf"{_XTEXT}{{1,100}}"),  # RFC 3461 4.4
}
_TOLERATED_AT_RCPT = {
    "NOTIFY": re.compile(
        r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}", re.IGNORECASE
    ),  # RFC 3461 4.1
    "ORCPT": re.compile(rf"[A-Za-z0-9\-]+;(?:{_XTEXT}|[{_NON_ASCII}])+"),  # RFC 3461 4.2, RFC 6533 3
}
"""Delivery status and authentication parameters: neither offered nor used, often sent all the same (Microsoft 365 sends
``AUTH=<>``), so they are read by their syntax and ignored."""


@dataclass(frozen=True, slots=True)
class Path:
    """A mailbox as the envelope names it. Empty ``local`` and ``domain`` are the empty reverse path ``<>``.

    ``local`` is kept as written (quotes too); ``domain`` is lower case in A-labels.
    """

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else self.local

    @property
    def empty(self) -> bool:
        """Whether this is ``<>``: a bounce or another message that must never be answered."""
        return not self.local and not self.domain


EMPTY_PATH = Path("", "")


@dataclass(frozen=True, slots=True)
class MailParameters:
    """What MAIL's parameters said (RFC 1870 SIZE, RFC 6152 BODY, RFC 6531 SMTPUTF8)."""

    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class _Argument:
    path: str
    parameters: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))


def read_mail(argument: bytes, *, extended: bool, smtputf8_offered: bool) -> tuple[Path, MailParameters]:
    """Read what follows ``MAIL`` on its line (bytes, without CRLF).

    Raises SmtpRefusal: 501 5.1.7 for a bad path, 501 5.5.2/5.5.4 for other syntax, 555 for unknown parameters.
    """
    split = _split(argument, b"FROM:", replies.MAIL_SYNTAX, replies.BAD_SENDER_PATH)
    parameters = _mail_parameters(split.parameters, extended=extended, smtputf8_offered=smtputf8_offered)
    if split.path == "":
        return EMPTY_PATH, parameters
    path = _mailbox(split.path, replies.BAD_SENDER_PATH, non_ascii=parameters.smtputf8)
    return path, parameters


def read_rcpt(argument: bytes, *, extended: bool, smtputf8: bool) -> Path:
    """Read what follows ``RCPT`` on its line; ``smtputf8`` says whether MAIL asked for it.

    ``<postmaster>`` alone gives a Path without domain (RFC 5321 4.1.1.3). Raises SmtpRefusal as
    :func:`read_mail`, with 501 5.1.3 for a bad path.
    """
    split = _split(argument, b"TO:", replies.RCPT_SYNTAX, replies.BAD_RECIPIENT_PATH)
    _refuse_without_extension(split.parameters, extended=extended)
    for keyword, value in split.parameters.items():
        if keyword not in _TOLERATED_AT_RCPT:
            raise SmtpRefusal(replies.UNKNOWN_PARAMETER, f"RCPT parameter {keyword[:40]!r}")
        _require_syntax(keyword, value, _TOLERATED_AT_RCPT[keyword])
    if split.path.lower() == "postmaster":
        return Path("postmaster", "")
    return _mailbox(split.path, replies.BAD_RECIPIENT_PATH, non_ascii=smtputf8)


def _split(argument: bytes, keyword: bytes, syntax: SmtpReply, bad_path: SmtpReply) -> _Argument:
    """Split ``FROM:<path> parameters``; blanks after the colon, a common slip, are let pass."""
    if argument[: len(keyword)].upper() != keyword:
        raise SmtpRefusal(syntax, "keyword missing")
    try:
        text = argument[len(keyword) :].lstrip(b" ").decode("utf-8")
    except UnicodeDecodeError as error:
        raise SmtpRefusal(bad_path, "argument is not UTF-8") from error
    if not text.startswith("<"):
        raise SmtpRefusal(syntax, "no angle bracket")
    end = _closing_bracket(text)
    if end is None:
        raise SmtpRefusal(bad_path, "path does not end")
    rest = text[end + 1 :].rstrip(" ")
    if rest and not rest.startswith(" "):
        raise SmtpRefusal(syntax, "no blank after the path")
    return _Argument(text[1:end], _parameters(rest.split()))


def _closing_bracket(text: str) -> int | None:
    """Where the path's ``>`` stands; one inside a quoted local part does not end it."""
    quoted = escaped = False
    for place, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == ">" and not quoted:
            return place
    return None


def _parameters(words: list[str]) -> Mapping[str, str | None]:
    if len(words) > PARAMETERS_MAX:
        raise SmtpRefusal(replies.BAD_PARAMETER, f"{len(words)} parameters")
    found: dict[str, str | None] = {}
    for word in words:
        name, equals, value = word.partition("=")
        keyword = name.upper()
        if not _KEYWORD.fullmatch(name) or len(value) > PARAMETER_VALUE_MAX:
            raise SmtpRefusal(replies.BAD_PARAMETER, "parameter syntax")
        if equals and not _VALUE.fullmatch(value):
            raise SmtpRefusal(replies.BAD_PARAMETER, f"value of {keyword}")
        if keyword in found:
            raise SmtpRefusal(replies.BAD_PARAMETER, f"{keyword} twice")
        found[keyword] = value if equals else None
    return found


def _mail_parameters(
    given: Mapping[str, str | None], *, extended: bool, smtputf8_offered: bool
) -> MailParameters:
    _refuse_without_extension(given, extended=extended)
    size: int | None = None
    eight_bit = smtputf8 = False
    for keyword, value in given.items():
        match keyword:
            case "SIZE":
                size = _size(value)
            case "BODY":
                eight_bit = _body(value)
            case "SMTPUTF8" if smtputf8_offered:
                if value is not None:
                    raise SmtpRefusal(replies.BAD_PARAMETER, "SMTPUTF8 with a value")
                smtputf8 = True
            case "AUTH" | "RET" | "ENVID":
                _require_syntax(keyword, value, _TOLERATED_AT_MAIL[keyword])
            case _:
                raise SmtpRefusal(replies.UNKNOWN_PARAMETER, f"MAIL parameter {keyword[:40]!r}")
    return MailParameters(size, eight_bit, smtputf8)


def _refuse_without_extension(given: Mapping[str, str | None], *, extended: bool) -> None:
    if given and not extended:
        raise SmtpRefusal(replies.UNKNOWN_PARAMETER, "parameters after HELO")


def _require_syntax(keyword: str, value: str | None, syntax: re.Pattern[str]) -> None:
    if value is None or not syntax.fullmatch(value):
        raise SmtpRefusal(replies.BAD_PARAMETER, f"value of {keyword}")


def _size(value: str | None) -> int:
    if value is None or not value.isascii() or not value.isdigit() or len(value) > SIZE_DIGITS_MAX:
        raise SmtpRefusal(replies.BAD_PARAMETER, "SIZE is no number")
    return int(value)


def _body(value: str | None) -> bool:
    kind = (value or "").upper()
    if kind not in ("7BIT", "8BITMIME"):
        raise SmtpRefusal(replies.BAD_PARAMETER, "BODY is neither 7BIT nor 8BITMIME")
    return kind == "8BITMIME"


def _mailbox(text: str, refusal: SmtpReply, *, non_ascii: bool) -> Path:
    if len(text.encode()) > PATH_MAX:
        raise SmtpRefusal(refusal, "path too long")
    if not text.isascii() and not non_ascii:
        raise SmtpRefusal(refusal, "non-ASCII without SMTPUTF8")
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL.fullmatch(local):
        raise SmtpRefusal(refusal, "local part")
    return Path(local, _domain(domain, refusal))


def _domain(text: str, refusal: SmtpReply) -> str:
    if text.startswith("["):
        raise SmtpRefusal(refusal, "address literal")
    name = text
    if not text.isascii():
        try:
            name = idna.encode(text, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise SmtpRefusal(refusal, "domain is no valid IDN") from error
    too_long = len(name) > DOMAIN_MAX or any(len(label) > _LABEL_MAX for label in name.split("."))
    if too_long or not _DOMAIN.fullmatch(name):
        raise SmtpRefusal(refusal, "domain syntax")
    return name.lower()
