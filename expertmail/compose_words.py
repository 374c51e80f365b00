"""A letter's words from what was typed or read from a file, by the types that the kind's template declares. Pure."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from outbound.errors import ComposeError
from outbound.model import MailKind, Value
from outbound.variables import Variable, VariableType, described

WRITTEN_KINDS = tuple(kind for kind in MailKind if kind.templated and not kind.automatic)
"""What a person may write."""

_DIGITS = 9  # more than the largest number that a mail states has (outbound.variables.MAX_COUNT)


def written_kind(word: str) -> MailKind:
    """The kind of that name; ComposeError, which names those that there are, for another word."""
    found = next((kind for kind in WRITTEN_KINDS if kind.value == word.strip().lower()), None)
    if found is None:
        raise ComposeError(
            f"{word[:40]!r} is no kind of mail that a person writes; there are: "
            f"{', '.join(kind.value for kind in WRITTEN_KINDS)}."
        )
    return found


def named_text(pair: str) -> tuple[str, str]:
    """The two sides of NAME=VALUE; ComposeError where there is no sign between them."""
    name, sign, value = pair.partition("=")
    if not sign or not name.strip():
        raise ComposeError(f"Write {pair[:40]!r} as NAME=VALUE.")
    return name.strip(), value


def words_typed(
    kind: MailKind, variables: Sequence[Variable], given: Sequence[tuple[str, str]]
) -> Mapping[str, Value]:
    """The words of names and texts in their order: a list by repeating its name. ComposeError for one that fits nowhere."""
    by_name = {one.name: one for one in variables}
    words: dict[str, Value] = {}
    for name, text in given:
        variable = _of_kind(kind, by_name, name)
        if variable.type is VariableType.LINES:
            before = words.get(name, ())
            words[name] = (*(before if isinstance(before, tuple) else ()), text)
        elif name in words:
            raise ComposeError(f"{name!r} is given twice, and the {kind.value} mail has one place for it.")
        else:
            words[name] = _typed(variable, text)
    return words


def words_of_file(variable: Variable, text: str) -> tuple[str, ...]:
    """The texts that a file holds for a variable: the whole, or of a list an item in each line that is not empty."""
    if variable.type is VariableType.LINES:
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    return (text.strip("\r\n"),)


def variable_named(kind: MailKind, variables: Sequence[Variable], name: str) -> Variable:
    """The variable of that name; ComposeError, which names those that there are."""
    return _of_kind(kind, {one.name: one for one in variables}, name)


def words_in_table(
    kind: MailKind, variables: Sequence[Variable], table: Mapping[str, Any]
) -> Mapping[str, Value]:
    """The words of a table as TOML or JSON has them: lists as lists, times as times or as ISO texts. ComposeError."""
    by_name = {one.name: one for one in variables}
    return {name: _in_table(_of_kind(kind, by_name, name), value) for name, value in table.items()}


def table_of(text: str, *, as_json: bool) -> Mapping[str, Any]:
    """The table that a file of words holds, in TOML or in JSON; ComposeError."""
    try:
        table = json.loads(text) if as_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ComposeError(f"It is no {'JSON' if as_json else 'TOML'}: {str(error)[:200]}.") from error
    if not isinstance(table, dict):
        raise ComposeError("It has to hold one table of names and values.")
    return table


def moment_typed(text: str, name: str) -> datetime:
    """An ISO 8601 time with its zone; ComposeError."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ComposeError(
            f"{name} has to be a time with its zone, such as 2026-12-01T09:00+01:00 or 2026-12-01T08:00Z."
        )
    return at


def _of_kind(kind: MailKind, by_name: Mapping[str, Variable], name: str) -> Variable:
    if name not in by_name:
        takes = ", ".join(f"{one.name} ({described(one)})" for one in by_name.values()) or "no words"
        raise ComposeError(f"The {kind.value} mail has no place for {name[:40]!r}; it takes {takes}.")
    return by_name[name]


def _typed(variable: Variable, text: str) -> Value:
    match variable.type:
        case VariableType.COUNT:
            if not (text.strip().isascii() and text.strip().isdecimal()) or len(text.strip()) > _DIGITS:
                raise ComposeError(f"{variable.name!r} has to be a count.")
            return int(text)
        case VariableType.MOMENT:
            return moment_typed(text, repr(variable.name))
        case VariableType.CHOICE:
            return next((one for one in variable.options if one.lower() == text.strip().lower()), text)
        case VariableType.FINDINGS:
            raise ComposeError(f"{variable.name!r} is what our verifier found, and nobody writes it.")
        case VariableType.FIGURES:
            raise ComposeError(
                f"{variable.name!r} is what is counted, and nobody writes it: expertmail review send."
            )
        case _:
            return text


def _in_table(variable: Variable, value: Any) -> Value:
    if isinstance(value, str) and variable.type is VariableType.LINES:
        raise ComposeError(f"{variable.name!r} has to be a list of texts.")
    if isinstance(value, str) and variable.type is not VariableType.COUNT:
        return _typed(variable, value)
    if isinstance(value, list):
        if not all(isinstance(item, str) for item in value):
            raise ComposeError(f"{variable.name!r} has to be a list of texts.")
        return tuple(value)
    if isinstance(value, (int, bool, datetime)):
        return value
    raise ComposeError(f"{variable.name!r} has to be of the type {described(variable)}.")
