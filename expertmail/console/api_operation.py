"""What an operation of the HTTP interface is: its path and scope, what it takes and answers, and the work."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel

from expertmail.console.api_forms import QueryForm
from expertmail.console.api_notifications import Outgoing
from expertmail.letter_values import Letter
from threads.api_token import ApiToken, Scope
from threads.store.engine import Database
from threads.store.errors import RefusedRecord, UnknownRecord

Json = dict[str, Any]

MAX_ROW: Final = 2**31
"""Above every number of a row."""
_DIGITS: Final = 10
_BODIES: Final = frozenset({"POST", "PATCH"})


class Nothing(QueryForm):
    """What takes nothing but its path."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, after its token was let in. ``now`` is the clock (UTC), ``path`` what stands in the path."""

    database: Database
    outgoing: Outgoing
    token: ApiToken
    now: datetime
    path: Mapping[str, str]
    key: str = ""

    @property
    def by(self) -> str:
        """The name for the record: a token is one person."""
        return self.token.name

    def number(self, name: str) -> int:
        """A row's number in the path; UnknownRecord for what no row has."""
        text = self.path[name]
        if not (text.isascii() and text.isdecimal()) or len(text) > _DIGITS or int(text) >= MAX_ROW:
            raise UnknownRecord("There is no such number.")
        return int(text)

    def refuse_own(self, *authors: str | None) -> None:
        """Raise RefusedRecord where the token, or who made it, is one of those on whose act another one has to decide."""
        own = {self.token.name.lower(), self.token.created_by.lower()}
        if own & {one.lower() for one in authors if one}:
            raise RefusedRecord(
                "This token, or who made it, wrote or asked for that; somebody else has to decide."
            )


@dataclass(frozen=True, slots=True)
class Told:
    """An answer. ``again``: the same request had it before; ``status``: where it is not the operation's first one.

    ``letter`` is to be posted before it is answered; then ``written`` is called, but not where it was posted before.
    """

    body: Json
    again: bool = False
    status: int | None = None
    letter: Letter | None = None
    written: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path under /api/v1. ``form`` is its body, or what stands after the question mark.

    ``answers``: for each status a sentence and the schema's name, the usual one first. ``key``: a repetition needs the same
    Idempotency-Key. ``wakes``: afterwards there may be mail to deliver. ``posted``: what is told
    once a letter was posted.
    """

    method: str
    path: str
    name: str
    scope: Scope
    summary: str
    form: type[BaseModel]
    work: Callable[[Call, Any], Told]
    answers: Mapping[int, tuple[str, str]]
    refusals: tuple[int, ...] = ()
    key: bool = False
    wakes: bool = False
    posted: Callable[[Call, Told], Told] | None = None

    @property
    def has_body(self) -> bool:
        """Whether the form comes as JSON."""
        return self.method in _BODIES and self.form is not Nothing

    @property
    def id(self) -> str:
        """Its name as descriptions have it."""
        first, *rest = self.name.split("-")
        return first + "".join(one.capitalize() for one in rest)

    @property
    def places(self) -> list[str]:
        """The names of what stands in its path."""
        return re.findall(r"\{(\w+)\}", self.path)
