"""Which effects each reason of a verdict can have, read off the calls that make reasons: nobody has to keep a list."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import verifier
from verifier.reason_codes import ReasonCode
from verifier.report import Effect


def effects() -> dict[ReasonCode, tuple[Effect, ...]]:
    """The effects of every code that is given anywhere in the verifier, in the order of ``Effect``.

    A call counts that has both a ``ReasonCode`` and an ``Effect`` among its arguments, or a choice of one. Needs the
    sources, which stand beside the compiled files in a checkout and in a wheel.
    """
    found: dict[ReasonCode, set[Effect]] = {}
    for source in sorted(Path(verifier.__file__).parent.glob("*.py")):
        tree = ast.parse(source.read_text(encoding="utf-8"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
            given = set(_members(arguments, "Effect"))
            for code in _members(arguments, "ReasonCode"):
                found.setdefault(ReasonCode[code], set()).update(Effect[name] for name in given)
    return {code: tuple(e for e in Effect if e in found[code]) for code in ReasonCode if found.get(code)}


def _members(arguments: list[ast.expr], enumeration: str) -> Iterator[str]:
    """Names of an enumeration's members among a call's own arguments; those of calls inside are none of it."""
    for argument in arguments:
        choices = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
        for choice in choices:
            if (
                isinstance(choice, ast.Attribute)
                and isinstance(choice.value, ast.Name)
                and choice.value.id == enumeration
            ):
                yield choice.attr
