"""The form of a letter: a field for each word of its kind, and the letter that a filled one makes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from expertmail.compose_words import moment_typed, words_typed
from expertmail.console.pages.page import Form
from expertmail.letter_values import Letter
from outbound.model import Value
from outbound.template import Declaration
from outbound.variables import Source, Variable, VariableType

BLANK_ITEMS: Final = 2
"""Empty places that a list has more than it holds."""
_SIGNATURES: Final = frozenset({"expert", "manager"})
_KNOWN: Final = frozenset({"organisation", "severity"})  # the record says them
_NOBODYS: Final = frozenset({VariableType.FINDINGS, VariableType.FIGURES})  # found and counted, not written
_PREFIX: Final = "w."


@dataclass(frozen=True, slots=True)
class Asked:
    """A field of the form: ``values`` are what stands in it, of a list one for each place."""

    name: str
    label: str
    type: str
    hint: str
    required: bool
    values: tuple[str, ...]
    options: tuple[str, ...]


def fields(kind: Declaration, form: Form, facts: Mapping[str, Value], writer: str) -> tuple[Asked, ...]:
    """The fields of a kind of mail, with what was typed, else with what the record knows."""
    return tuple(_field(one, kind, form, facts, writer) for one in kind.variables if one.type not in _NOBODYS)


def _field(one: Variable, kind: Declaration, form: Form, facts: Mapping[str, Value], writer: str) -> Asked:
    name = _PREFIX + one.name
    typed = form.values.get(name)
    if typed is not None:
        values = tuple(text.replace("\r\n", "\n") for text in typed if text.strip())
    elif one.name in facts:
        fact = facts[one.name]
        values = tuple(map(str, fact)) if isinstance(fact, tuple) else (str(fact),)
    elif one.name in _SIGNATURES:
        values = (writer,)
    else:
        values = ()
    if one.type is VariableType.LINES:
        values = (*values, *[""] * min(BLANK_ITEMS, max(0, one.count - len(values))))
    else:
        values = values[:1] or ("",)
    alone = one.name in kind.one_of and len(_choices(kind)) == 1
    required = (alone or (not one.optional and one.name not in kind.one_of)) and one.name not in _KNOWN
    return Asked(name, _label(one.name), one.type.value, _hint(one, kind), required, values, one.options)


def _label(name: str) -> str:
    words = name.replace("_", " ")
    return words[0].upper() + words[1:]


def _choices(kind: Declaration) -> list[str]:
    """Of the words of which one has to be there, those that somebody writes."""
    return [one.name for one in kind.variables if one.name in kind.one_of and one.type not in _NOBODYS]


def _hint(one: Variable, kind: Declaration) -> str:
    parts = []
    if one.name in kind.one_of and len(choices := _choices(kind)) > 1:
        parts.append("This or another of: " + ", ".join(map(_label, choices)) + ".")
    if one.type is VariableType.LINES:
        parts.append(f"Up to {one.count}, of up to {one.max} characters each.")
    elif one.type in {VariableType.TEXT, VariableType.LINE}:
        parts.append(f"Up to {one.max:,} characters.")
    elif one.type is VariableType.MOMENT:
        parts.append("In UTC.")
    elif one.type is VariableType.LINK:
        parts.append("An https address at a host of ours.")
    if one.source is Source.OURS and one.name not in _SIGNATURES:
        parts.append("Also in a mail without details.")
    return " ".join(parts)


def words_of(kind: Declaration, form: Form) -> Mapping[str, Value]:
    """The words of a filled form; ComposeError for one that is not fit."""
    pairs: list[tuple[str, str]] = []
    for one in kind.variables:
        for text in form.values.get(_PREFIX + one.name, ()):
            if text.strip():
                plain = text.replace("\r\n", "\n").strip("\n")
                pairs.append((one.name, _zoned(plain) if one.type is VariableType.MOMENT else plain))
    return words_typed(kind.kind, kind.variables, pairs)


def letter_of(
    kind: Declaration,
    form: Form,
    *,
    reference: str,
    organisation: str,
    actor: str,
    customers: frozenset[int] | None,
    test: bool,
) -> Letter:
    """The letter of a filled form; ComposeError for what is not fit. ``test``: it goes to the address for tests instead."""
    return Letter(
        kind.kind,
        reference,
        (*form.all("to"), *_addresses(form.one("outside_to"))),
        words_of(kind, form),
        actor=actor,
        key=None if test else form.one("key") or None,
        break_glass="" if test else form.one("break_glass"),
        test_to=form.one("test_to") if test else None,
        outside=form.one("outside"),
        language=form.one("language") or "en",
        not_before=_moment(form, "send_after"),
        not_after=_moment(form, "send_before"),
        organisation=organisation,
        customers=customers,
    )


def _moment(form: Form, name: str) -> datetime | None:
    text = form.one(name)
    return moment_typed(_zoned(text), name).astimezone(UTC) if text else None


def _zoned(text: str) -> str:
    """What a browser's field for times gives has no zone; the page says that it is UTC."""
    return text if text.endswith("Z") or "+" in text or text.count("-") > 2 else f"{text}+00:00"  # noqa: PLR2004


def _addresses(text: str) -> Sequence[str]:
    return tuple(filter(None, (one.strip() for one in text.replace(",", " ").split())))
