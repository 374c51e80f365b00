"""The variables of templates: what each may hold, and the check of what a caller gives. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from outbound.errors import ComposeError
from outbound.header import holds_control, is_control
from outbound.links import hosts_in, is_address, without_links
from outbound.model import FigureTable, Finding, Value

MAX_COUNT: Final = 1_000_000
"""The largest number that a mail states."""


class VariableType(StrEnum):
    """What a template variable holds."""

    LINE = "line"  # one line
    TEXT = "text"  # several lines
    LINES = "lines"  # a list, each item one line
    COUNT = "count"
    CHOICE = "choice"  # one of the words that the declaration lists
    LINK = "link"  # an https address at a configured host
    MOMENT = "moment"  # an aware date and time; shown in UTC
    FINDINGS = "findings"
    FIGURES = "figures"  # tables of numbers


class Source(StrEnum):
    """Who chose a variable's text."""

    OURS = "ours"  # facts, words and settings of ours
    EXPERT = "expert"
    SENDER = "sender"  # it may hold what somebody wrote to us


@dataclass(frozen=True, slots=True)
class Variable:
    """A declared variable. ``max`` is in characters, ``count`` in items; ``clean`` repairs what others refuse.

    One that is ``optional`` may be left out: it is then empty, a count 0. ``options`` are the words of a choice.
    """

    name: str
    type: VariableType
    max: int = 1_000
    count: int = 1
    clean: bool = False
    optional: bool = False
    source: Source = Source.EXPERT
    options: tuple[str, ...] = ()


_FIELDS: Final = frozenset({"type", "max", "count", "clean", "optional", "source", "options"})
_EMPTY: Final[Mapping[VariableType, Value]] = MappingProxyType(
    {VariableType.LINES: (), VariableType.COUNT: 0, VariableType.FINDINGS: (), VariableType.FIGURES: ()}
)


def withheld(variables: tuple[Variable, ...], values: Mapping[str, Value]) -> Mapping[str, object]:
    """The checked values without what anybody wrote, and in ``given`` the names of what is left out.

    What may be left out anyway is there and empty.
    """
    details = [one for one in variables if one.source is not Source.OURS]
    kept: dict[str, object] = {one.name: values[one.name] for one in variables if one not in details}
    empty = {one.name: _EMPTY.get(one.type, "") for one in details if one.optional}
    return {**kept, **empty, "given": frozenset(one.name for one in details if values[one.name])}


def declared(name: str, spec: Mapping[str, Any]) -> Variable:
    """A variable from its table in ``template.toml``; ValueError or KeyError for a table that is not one."""
    if strange := sorted(set(spec) - _FIELDS):
        raise ValueError(f"the variable {name!r} has a field {strange[0]!r} that means nothing")
    if not name.isidentifier():
        raise ValueError(f"{name!r} is not a name for a variable")
    variable = Variable(
        name,
        VariableType(spec["type"]),
        int(spec.get("max", 1_000)),
        int(spec.get("count", 1)),
        bool(spec.get("clean", False)),
        bool(spec.get("optional", False)),
        Source(spec.get("source", Source.EXPERT)),
        tuple(spec.get("options", ())),
    )
    if (variable.type is VariableType.CHOICE) != bool(variable.options):
        raise ValueError(f"the variable {name!r} is a choice without options, or has options and is none")
    return variable


def described(variable: Variable) -> str:
    """What a variable holds, in a word or in those that it may be."""
    return "|".join(variable.options) or variable.type.value


def checked(
    variables: tuple[Variable, ...], given: Mapping[str, Value], hosts: frozenset[str], kind: str
) -> Mapping[str, Value]:
    """The values as they are declared; ComposeError, in words for the writer, for one missing, unknown or unfit.

    ``hosts`` are those that text may link to; ``kind`` names the mail in what is said.
    """
    by_name = {variable.name: variable for variable in variables}
    if missing := [name for name, one in by_name.items() if name not in given and not one.optional]:
        told = ", ".join(f"{name!r} ({described(by_name[name])})" for name in missing)
        raise ComposeError(f"The {kind} mail needs {told}.")
    if strange := [name for name in given if name not in by_name]:
        takes = ", ".join(f"{name!r}" for name in by_name) or "nothing"
        raise ComposeError(f"The {kind} mail has no place for {strange[0][:40]!r}; it takes {takes}.")
    return MappingProxyType({name: _value(one, given, hosts) for name, one in by_name.items()})


def _value(variable: Variable, given: Mapping[str, Value], hosts: frozenset[str]) -> Value:
    empty = _EMPTY.get(variable.type, "")
    value = given.get(variable.name, empty)
    if variable.optional and value == empty and type(value) is type(empty):
        return value
    return _checked(variable, value, hosts)


def _checked(variable: Variable, value: Value, hosts: frozenset[str]) -> Value:
    match variable.type:
        case VariableType.COUNT:
            return _count(variable, value)
        case VariableType.FINDINGS | VariableType.FIGURES:
            return _ours(variable, value)
        case VariableType.LINES:
            return _lines(variable, value, hosts)
        case VariableType.LINE:
            return _line(variable, value, hosts)
        case VariableType.TEXT:
            return _text(variable, value, hosts)
        case VariableType.CHOICE | VariableType.LINK | VariableType.MOMENT:
            return _fixed(variable, value, hosts)


def _fixed(variable: Variable, value: Value, hosts: frozenset[str]) -> str:
    """What has a form that nobody words: a choice, an address, a time."""
    match variable.type:
        case VariableType.CHOICE:
            if isinstance(value, str) and value in variable.options:
                return value
            raise ComposeError(f"{variable.name!r} has to be one of: {', '.join(variable.options)}.")
        case VariableType.LINK:
            if isinstance(value, str) and len(value) <= variable.max and is_address(value, hosts):
                return value
            raise ComposeError(f"{variable.name!r} has to be an https address at a configured host.")
        case _:
            if isinstance(value, datetime) and value.tzinfo is not None:
                return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            raise ComposeError(f"{variable.name!r} has to be a date and time with its zone.")


def _count(variable: Variable, value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_COUNT:
        raise ComposeError(f"{variable.name!r} has to be a count.")
    return value


def _ours(variable: Variable, value: Value) -> Value:
    """What nobody writes."""
    kind, said = (
        (Finding, "a list of findings")
        if variable.type is VariableType.FINDINGS
        else (FigureTable, "tables of figures")
    )
    if not isinstance(value, tuple) or not all(isinstance(item, kind) for item in value):
        raise ComposeError(f"{variable.name!r} has to be {said}.")
    return value


def _lines(variable: Variable, value: Value, hosts: frozenset[str]) -> tuple[str, ...]:
    if not isinstance(value, tuple) or not value:
        raise ComposeError(f"{variable.name!r} has to be a list with at least one item.")
    if len(value) > variable.count:
        raise ComposeError(f"{variable.name!r} holds more than {variable.count} items.")
    return tuple(_line(variable, item, hosts) for item in value)


def _line(variable: Variable, value: object, hosts: frozenset[str]) -> str:
    if not isinstance(value, str):
        raise ComposeError(f"{variable.name!r} has to be text.")
    if variable.clean:
        value = without_links(" ".join("".join(" " if is_control(c) else c for c in value).split()))
        value = value if len(value) <= variable.max else value[: variable.max - 3].rstrip() + "..."
    elif holds_control(value):
        raise ComposeError(
            f"{variable.name!r} holds a line break or a control character; write it on one line."
        )
    return _bounded(variable, value.strip(), hosts)


def _text(variable: Variable, value: object, hosts: frozenset[str]) -> str:
    if not isinstance(value, str):
        raise ComposeError(f"{variable.name!r} has to be text.")
    value = value.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    if holds_control(value.replace("\n", " ")):
        raise ComposeError(f"{variable.name!r} holds a control character; remove it.")
    return _bounded(variable, value.strip(), hosts)


def _bounded(variable: Variable, value: str, hosts: frozenset[str]) -> str:
    if not value:
        raise ComposeError(f"{variable.name!r} is empty.")
    if len(value) > variable.max:
        raise ComposeError(f"{variable.name!r} is longer than {variable.max} characters.")
    for host in sorted(hosts_in(value) - hosts):
        raise ComposeError(
            f"{variable.name!r} links to {host[:80]!r}; our mail links to configured hosts only,"
            " so write it defanged (hxxps://example[.]com)."
        )
    return value
