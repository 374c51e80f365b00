"""A strict reader of Authentication-Results fields (RFC 8601 2.2), and of those in ARC sets (RFC 8617 4.1.1).

It takes a field whole or not at all. What it returns is a claim by whoever wrote the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FIELD_MAX = 64 * 1024
"""Octets of a value that are read at all; a field of every method known stays under 4 KB."""
RESULTS_MAX = 200
"""Results of one field: far beyond what any checker writes."""

_FOLD = re.compile(r"\r\n(?=[ \t])")
# RFC 2045 5.1 and RFC 6532 3.2, by what is none of it: a class of all Unicode takes 8 ms to compile.
_TOKEN_CHARS = r"^\x00-\x20()<>@,;:\\\"/\[\]?=\x7f"
_TOKEN = re.compile(f"[{_TOKEN_CHARS}]+")
_LOCAL_OR_DOMAIN = re.compile(r"[^\x00-\x20()<>@,;:\\\"\[\]\x7f]*")
_DOMAIN = re.compile(r"[0-9A-Za-z\-_.\u0080-\U0010ffff]+")
_KEYWORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?")
_DIGITS = re.compile(r"[0-9]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class AuthresError(ValueError):
    """The field breaks the grammar; nothing of it may be used."""


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One ``method=result``. ``properties`` keeps order and repetitions: ("smtp.mailfrom", value)."""

    method: str
    method_version: int
    result: str
    reason: str | None
    properties: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """A field as read. ``authserv_id`` as written; no results means ``none``."""

    authserv_id: str
    version: int
    results: tuple[MethodResult, ...]


def read_field(value: bytes) -> AuthenticationResults:
    """Read a field's value (bytes after the colon, folded or not). Raises AuthresError."""
    if len(value) > FIELD_MAX:
        raise AuthresError("field too long")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise AuthresError("not UTF-8") from error
    text = _FOLD.sub("", text.removesuffix("\r\n"))
    if _CONTROLS.search(text):
        raise AuthresError("control character")
    return _Reader(text).field()


class _Reader:
    """Recursive descent over RFC 8601 2.2, with comments skipped by a counter (they nest without bound)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def field(self) -> AuthenticationResults:
        self._cfws()
        authserv_id = self._value_token()
        version = 1
        if self._cfws() and not self._sees(";"):
            version = self._number()
            self._cfws()
        if version != 1:
            raise AuthresError("unknown version")  # RFC 8601 2.2: the meaning of what follows is not known
        results = tuple(self._resinfos())
        return AuthenticationResults(authserv_id, version, results)

    def _resinfos(self) -> Iterator[MethodResult]:
        count = 0
        none = False
        while True:
            self._expect(";")
            self._cfws()
            word = self._match(_KEYWORD, "method")
            if word.lower() == "none" and count == 0 and not self._follows_method():
                none = True
            elif none:
                raise AuthresError("a result after none")
            else:
                yield self._resinfo(word)
            count += 1
            if count > RESULTS_MAX:
                raise AuthresError("too many results")
            self._cfws()
            if self._at == len(self._text):
                return
            if none:
                raise AuthresError("none must be alone")

    def _follows_method(self) -> bool:
        self._cfws()
        return self._sees("/") or self._sees("=")

    def _resinfo(self, method: str) -> MethodResult:
        version = 1
        self._cfws()
        if self._sees("/"):
            self._expect("/")
            self._cfws()
            version = self._number()
            self._cfws()
        self._expect("=")
        self._cfws()
        result = self._match(_KEYWORD, "result")
        reason: str | None = None
        properties: list[tuple[str, str]] = []
        separated = self._cfws()
        while self._at < len(self._text) and not self._sees(";"):
            if not separated:
                raise AuthresError("no blank between words")
            name = self._match(_KEYWORD, "property type")
            self._cfws()
            if name.lower() == "reason" and not self._sees("."):
                if reason is not None or properties:
                    raise AuthresError("reason out of place")
                self._expect("=")
                self._cfws()
                reason = self._value_token()
            else:
                properties.append(self._property(name))
            separated = self._cfws()
        return MethodResult(method.lower(), version, result.lower(), reason, tuple(properties))

    def _property(self, ptype: str) -> tuple[str, str]:
        self._expect(".")
        self._cfws()
        name = self._match(_KEYWORD, "property")
        self._cfws()
        self._expect("=")
        self._cfws()
        return f"{ptype}.{name}".lower(), self._pvalue()

    def _pvalue(self) -> str:
        """``pvalue``: a token, a quoted string, or a mailbox whose local part may be empty (RFC 8601 2.2)."""
        start = self._at
        if self._sees('"'):
            quoted = self._value_token()
            if not self._sees("@"):
                return quoted
        else:
            local = self._match(_LOCAL_OR_DOMAIN, "value")
            if not self._sees("@"):
                if not local or not _TOKEN.fullmatch(local):
                    raise AuthresError("value is no token")
                return local
        self._expect("@")
        self._match(_DOMAIN, "domain")
        return self._text[start : self._at]

    def _value_token(self) -> str:
        if not self._sees('"'):
            return self._match(_TOKEN, "token")
        found = _QUOTED.match(self._text, self._at)
        if found is None:
            raise AuthresError("quoted string does not end")
        self._at = found.end()
        return _QUOTED_PAIR.sub(r"\1", found[1])

    def _number(self) -> int:
        digits = self._match(_DIGITS, "number")
        if len(digits) > 3:  # noqa: PLR2004 - no version will have four digits
            raise AuthresError("number too long")
        return int(digits)

    def _match(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise AuthresError(f"no {what}")
        self._at = found.end()
        return found[0]

    def _sees(self, char: str) -> bool:
        return self._text.startswith(char, self._at)

    def _expect(self, char: str) -> None:
        if not self._sees(char):
            raise AuthresError(f"no {char}")
        self._at += 1

    def _cfws(self) -> bool:
        """Skip blanks and comments (RFC 5322 3.2.2); whether there were any."""
        start = self._at
        text, end = self._text, len(self._text)
        depth = 0
        while self._at < end:
            char = text[self._at]
            if char == "(":
                depth += 1
            elif depth and char == ")":
                depth -= 1
            elif depth and char == "\\":
                self._at += 1
            elif not depth and char not in " \t":
                break
            self._at += 1
        if depth:
            raise AuthresError("comment does not end")
        return self._at > start


def pvalue(value: str) -> str:
    """A value as token where it is one (a mailbox too), else quoted; what no field may hold becomes ``?``."""
    clean = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]", "?", value)[:255]
    local, at, domain = clean.rpartition("@")
    if at and _LOCAL_OR_DOMAIN.fullmatch(local) and _DOMAIN.fullmatch(domain):
        return clean
    if _TOKEN.fullmatch(clean):
        return clean
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
